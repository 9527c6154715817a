// What filters over windows share: an image with a border of its own, and footprints as offsets.
#pragma once

#include <algorithm>
#include <vector>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "tilewise.h"

namespace tilewise {

// A volume (planes, rows, columns); an image has one plane.
struct Volume {
    i64 nz, ny, nx;
    explicit Volume(const i64* sizes) : nz(sizes[0]), ny(sizes[1]), nx(sizes[2]) {}
    i64 size() const { return nz * ny * nx; }
};

// How far windows reach beyond a pixel: before and after it along each axis.
struct Reach {
    i64 low[3], high[3];
    explicit Reach(const i64* reach) {
        for (int axis = 0; axis < 3; ++axis) {
            low[axis] = reach[2 * axis];
            high[axis] = reach[2 * axis + 1];
        }
    }
};

// The volume in an array of another type with room around it for the windows, filled by the mode.
template <class T>
class Padded {
  public:
    template <class S>
    Padded(const S* from, const Volume& volume, const Reach& reach, i64 mode, T value)
        : low_x(reach.low[2]), width(volume.nx + reach.low[2] + reach.high[2]),
          height(volume.ny + reach.low[1] + reach.high[1]),
          depth(volume.nz + reach.low[0] + reach.high[0]),
          values_(width * height * depth + 128), low_y(reach.low[1]), low_z(reach.low[0]) {
        std::vector<i64> columns(static_cast<std::size_t>(width));
        for (i64 x = 0; x < width; ++x)
            columns[static_cast<std::size_t>(x)] = mapped(x - low_x, volume.nx, mode);
        // Vectors are read past the last pixel.
        std::fill(values_.get() + width * height * depth, values_.get() + width * height * depth + 128,
                  T(0));
        T* line = values_;
        for (i64 z = 0; z < depth; ++z) {
            i64 plane = mapped(z - low_z, volume.nz, mode);
            for (i64 y = 0; y < height; ++y, line += width) {
                i64 row = mapped(y - low_y, volume.ny, mode);
                if (plane < 0 || row < 0) {
                    std::fill(line, line + width, value);
                    continue;
                }
                const S* source = from + (plane * volume.ny + row) * volume.nx;
                for (i64 x = 0; x < low_x; ++x) line[x] = at(source, columns[static_cast<std::size_t>(x)], value);
                copy(source, volume.nx, line + low_x);
                for (i64 x = low_x + volume.nx; x < width; ++x)
                    line[x] = at(source, columns[static_cast<std::size_t>(x)], value);
            }
        }
    }
    // The pixel at (z, y, 0) of the volume.
    T* row(i64 z, i64 y) { return values_ + ((z + low_z) * height + y + low_y) * width + low_x; }
    i64 offset(i64 dz, i64 dy, i64 dx) const { return (dz * height + dy) * width + dx; }

  private:
    template <class S>
    static void copy(const S* __restrict from, i64 n, T* __restrict to) {
        for (i64 x = 0; x < n; ++x) to[x] = static_cast<T>(from[x]);
    }
    template <class S>
    static T at(const S* source, i64 column, T value) {
        return column < 0 ? value : static_cast<T>(source[column]);
    }

  public:
    const i64 low_x, width, height, depth;

  private:
    Scratch<T> values_;
    const i64 low_y, low_z;
};

// A run of a footprint's pixels along x: from `begin` up to but not including `end`.
struct FootprintRun {
    i64 dz, dy, begin, end;
};

inline std::vector<FootprintRun> runs_from(const i64* numbers, i64 count) {
    std::vector<FootprintRun> runs;
    for (i64 k = 0; k < count; ++k, numbers += 4)
        runs.push_back({numbers[0], numbers[1], numbers[2], numbers[3]});
    return runs;
}

// a < b ? a : b, and the other one. Compilers do not use one instruction for it on floating-point
// vectors, for which this choice (and not a minimum of their own) is what x86 has.
template <class T>
inline Vector<T> smaller(const Vector<T>& a, const Vector<T>& b) {
#if defined(__AVX512F__)
    if constexpr (std::is_same<T, float>::value) return (Vector<T>)_mm512_min_ps((__m512)a, (__m512)b);
    if constexpr (std::is_same<T, double>::value) return (Vector<T>)_mm512_min_pd((__m512d)a, (__m512d)b);
#elif defined(__AVX2__)
    if constexpr (std::is_same<T, float>::value) return (Vector<T>)_mm256_min_ps((__m256)a, (__m256)b);
    if constexpr (std::is_same<T, double>::value) return (Vector<T>)_mm256_min_pd((__m256d)a, (__m256d)b);
#elif defined(__SSE2__)
    if constexpr (std::is_same<T, float>::value) return (Vector<T>)_mm_min_ps((__m128)a, (__m128)b);
    if constexpr (std::is_same<T, double>::value) return (Vector<T>)_mm_min_pd((__m128d)a, (__m128d)b);
#endif
    return a < b ? a : b;
}

template <class T>
inline Vector<T> larger(const Vector<T>& a, const Vector<T>& b) {
#if defined(__AVX512F__)
    if constexpr (std::is_same<T, float>::value) return (Vector<T>)_mm512_max_ps((__m512)b, (__m512)a);
    if constexpr (std::is_same<T, double>::value) return (Vector<T>)_mm512_max_pd((__m512d)b, (__m512d)a);
#elif defined(__AVX2__)
    if constexpr (std::is_same<T, float>::value) return (Vector<T>)_mm256_max_ps((__m256)b, (__m256)a);
    if constexpr (std::is_same<T, double>::value) return (Vector<T>)_mm256_max_pd((__m256d)b, (__m256d)a);
#elif defined(__SSE2__)
    if constexpr (std::is_same<T, float>::value) return (Vector<T>)_mm_max_ps((__m128)b, (__m128)a);
    if constexpr (std::is_same<T, double>::value) return (Vector<T>)_mm_max_pd((__m128d)b, (__m128d)a);
#endif
    return a < b ? b : a;
}

}  // namespace tilewise
