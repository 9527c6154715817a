// The rolling ball: the smallest sum of a pixel and the ball's height above it. For integers the
// fraction of a height never matters, so small integers that saturate do.
#include "windows.h"

namespace tilewise {
namespace {

// a + b, or the largest value where that is too large.
template <class T>
inline Vector<T> sum(const Vector<T>& a, const Vector<T>& b) {
    if constexpr (std::is_integral<T>::value) {
        Vector<T> total = a + b;
        return total | (Vector<T>)(total < a);
    } else {
        return a + b;
    }
}

template <class T, int vectors>
inline void lowest(const T* line, const i64* steps, const T* heights, i64 count, T* to) {
    constexpr int lanes = Lanes<T>::count;
    Vector<T> best[vectors];
    for (int k = 0; k < vectors; ++k)
        best[k] = sum<T>(load(line + steps[0] + k * lanes), spread(heights[0]));
    for (i64 point = 1; point < count; ++point) {
        const T* values = line + steps[point];
        Vector<T> height = spread(heights[point]);
        for (int k = 0; k < vectors; ++k)
            best[k] = smaller<T>(best[k], sum<T>(load(values + k * lanes), height));
    }
    for (int k = 0; k < vectors; ++k) store(to + k * lanes, best[k]);
}

template <class T>
void roll(const T* from, T* to, const Volume& volume, const Reach& reach, const i64* offsets,
          const double* heights, i64 count, T outside) {
    constexpr int lanes = Lanes<T>::count;
    Padded<T> image(from, volume, reach, constant, outside);
    std::vector<i64> steps;
    std::vector<T> values;
    for (i64 k = 0; k < count; ++k) {
        steps.push_back(image.offset(offsets[3 * k], offsets[3 * k + 1], offsets[3 * k + 2]));
        values.push_back(static_cast<T>(heights[k]));
    }
    Scratch<T> last(lanes);
    for (i64 z = 0; z < volume.nz; ++z)
        for (i64 y = 0; y < volume.ny; ++y) {
            const T* line = image.row(z, y);
            T* target = to + (z * volume.ny + y) * volume.nx;
            i64 x = 0;
            for (; x + 4 * lanes <= volume.nx; x += 4 * lanes)
                lowest<T, 4>(line + x, steps.data(), values.data(), count, target + x);
            for (; x < volume.nx; x += lanes) {
                lowest<T, 1>(line + x, steps.data(), values.data(), count, last.get());
                std::copy(last.get(), last.get() + std::min<i64>(lanes, volume.nx - x), target + x);
            }
        }
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// heights: of the ball's points below its top, whole numbers for integer images. Outside lies nothing.
TILEWISE_API std::int32_t tilewise_roll(const void* from, void* to, i64 type, const i64* sizes,
                                        const i64* reach, const i64* offsets, const double* heights,
                                        i64 count, double outside) {
    return guarded([&] {
        return for_grey(type, [&](auto tag) -> std::int32_t {
            using T = typename decltype(tag)::type;
            roll(static_cast<const T*>(from), static_cast<T*>(to), Volume(sizes), Reach(reach), offsets,
                 heights, count, static_cast<T>(outside));
            return ok;
        });
    });
}
