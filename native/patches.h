// What non-local means of planes and of volumes share: weights of patches by their distances, for
// vectors of shifts along the row.
#pragma once

#include "tilewise.h"

namespace tilewise {

typedef double HalfVector __attribute__((vector_size(vector_bytes / 2)));

// A vector's masks, and whole numbers half as long as its own.
template <class V>
struct PatchLanes;

template <>
struct PatchLanes<Vector<double>> {
    static constexpr int count = vector_bytes / 8;
    typedef i64 Mask __attribute__((vector_size(vector_bytes)));
    typedef std::int32_t Short __attribute__((vector_size(vector_bytes / 2)));
};

template <>
struct PatchLanes<HalfVector> {
    static constexpr int count = vector_bytes / 16;
    typedef i64 Mask __attribute__((vector_size(vector_bytes / 2)));
    typedef std::int32_t Short __attribute__((vector_size(vector_bytes / 4)));
};

// The exponential by its exponent's bits, as scikit-image has it; exact nowhere.
template <class V>
inline V rough_exp(const V& values) {
    constexpr double scale = 1048576 / 0.69314718055994530942;
    constexpr std::int32_t bias = 1072693248 - 60801;
    using Mask = typename PatchLanes<V>::Mask;
    auto high = __builtin_convertvector(values * scale, typename PatchLanes<V>::Short) + bias;
    Mask bits = __builtin_convertvector(high, Mask) << 32;
    V result;
    __builtin_memcpy(&result, &bits, sizeof result);
    return result;
}

template <class V>
inline V selected(const typename PatchLanes<V>::Mask& mask, const V& values) {
    typename PatchLanes<V>::Mask bits;
    __builtin_memcpy(&bits, &values, sizeof bits);
    bits &= mask;
    V result;
    __builtin_memcpy(&result, &bits, sizeof result);
    return result;
}

constexpr double patch_cutoff = 5.0;

// A sum of squares that no weight belongs to.
inline double far_from(double area) { return area * (patch_cutoff * 1.001); }

// The weights of patches by their sums of squares; `far` spares the division where all are 0.
template <class V>
inline V share_of(V distance, const V& factors, const V& area, const V& far) {
    using Mask = typename PatchLanes<V>::Mask;
    Mask near = distance <= far;
    i64 any = 0;
    for (int lane = 0; lane < PatchLanes<V>::count; ++lane) any |= near[lane];
    if (!any) return V{};
    distance = selected<V>(~(distance < V{}), distance) / area;
    return selected<V>(near & (distance <= V{} + patch_cutoff), factors * rough_exp<V>(-distance));
}

}  // namespace tilewise
