// Eigenvalues of symmetric 2 x 2 matrices, pixel by pixel, in the order of scikit-image's arithmetic.
#include <cmath>

#include "tilewise.h"

namespace tilewise {
namespace {

template <class T>
void eigenvalues(const T* __restrict a, const T* __restrict b, const T* __restrict c, i64 n,
                 T* __restrict large, T* __restrict small) {
    for (i64 k = 0; k < n; ++k) {
        T half = (a[k] - c[k]) / T(2);
        T root = std::sqrt(b[k] * b[k] + half * half);
        T mean = (a[k] + c[k]) / T(2);
        large[k] = mean + root;
        small[k] = mean - root;
    }
}

// The largest of `best` and factor times the larger eigenvalue, where that is above 0.
template <class T>
void tubes(const T* __restrict a, const T* __restrict b, const T* __restrict c, i64 n, T factor,
           T* __restrict best) {
    for (i64 k = 0; k < n; ++k) {
        T half = (a[k] - c[k]) / T(2);
        T value = (a[k] + c[k]) / T(2) + std::sqrt(b[k] * b[k] + half * half);
        value = value > T(0) ? value : T(0);
        value = factor * value;
        best[k] = best[k] < value ? value : best[k];
    }
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

TILEWISE_API std::int32_t tilewise_eigenvalues(const void* a, const void* b, const void* c, i64 type,
                                               i64 count, void* to) {
    auto body = [&](auto tag) {
        using T = typename decltype(tag)::type;
        auto result = static_cast<T*>(to);
        eigenvalues(static_cast<const T*>(a), static_cast<const T*>(b), static_cast<const T*>(c), count,
                    result, result + count);
    };
    if (type == type_f32) return body(Tag<float>()), ok;
    if (type == type_f64) return body(Tag<double>()), ok;
    return no_such_type;
}

TILEWISE_API std::int32_t tilewise_tubes(const void* a, const void* b, const void* c, i64 type, i64 count,
                                         double factor, void* best) {
    auto body = [&](auto tag) {
        using T = typename decltype(tag)::type;
        tubes(static_cast<const T*>(a), static_cast<const T*>(b), static_cast<const T*>(c), count,
              static_cast<T>(factor), static_cast<T*>(best));
    };
    if (type == type_f32) return body(Tag<float>()), ok;
    if (type == type_f64) return body(Tag<double>()), ok;
    return no_such_type;
}
