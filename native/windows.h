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

// Some rows of some planes of a volume: from each beginning up to but not including the end.
struct Box {
    i64 z_begin, z_end, y_begin, y_end;
    i64 planes() const { return z_end - z_begin; }
    i64 rows() const { return y_end - y_begin; }
};

inline Box everything(const Volume& volume) { return {0, volume.nz, 0, volume.ny}; }

// A box of a volume in an array of another type with room around it for the windows, filled by the
// mode where it lies outside the volume.
template <class T>
class Padded {
  public:
    template <class From>
    Padded(From from, const Volume& volume, const Reach& reach, i64 mode, T value)
        : Padded(volume, reach, mode, value, everything(volume)) {
        fill(from, everything(volume));
    }
    // Room for boxes of this size or less.
    Padded(const Volume& volume, const Reach& reach, i64 mode, T value, const Box& largest)
        : low_x(reach.low[2]), width(volume.nx + reach.low[2] + reach.high[2]),
          height(largest.rows() + reach.low[1] + reach.high[1]),
          depth(largest.planes() + reach.low[0] + reach.high[0]), volume_(volume), reach_(reach),
          mode_(mode), value_(value), columns_(static_cast<std::size_t>(width)),
          values_(width * height * depth + 128) {
        for (i64 x = 0; x < width; ++x)
            columns_[static_cast<std::size_t>(x)] = mapped(x - low_x, volume.nx, mode);
        // Vectors are read past the last pixel.
        std::fill(values_.get() + width * height * depth, values_.get() + width * height * depth + 128,
                  T(0));
    }
    // Hold this box of the volume, no larger than what there is room for. The volume's pixels are behind
    // a pointer, or what reads them as one does.
    template <class From>
    void fill(From from, const Box& box) {
        first_y_ = box.y_begin - reach_.low[1];
        first_z_ = box.z_begin - reach_.low[0];
        for (i64 z = first_z_; z < box.z_end + reach_.high[0]; ++z) {
            i64 plane = mapped(z, volume_.nz, mode_);
            for (i64 y = first_y_; y < box.y_end + reach_.high[1]; ++y) {
                i64 row = mapped(y, volume_.ny, mode_);
                T* line = this->row(z, y) - low_x;
                if (plane < 0 || row < 0)
                    std::fill(line, line + width, value_);
                else
                    fill_line(from + (plane * volume_.ny + row) * volume_.nx, line);
            }
        }
    }
    // The pixel at (z, y, 0) of the volume.
    T* row(i64 z, i64 y) { return values_ + ((z - first_z_) * height + y - first_y_) * width + low_x; }
    i64 offset(i64 dz, i64 dy, i64 dx) const { return (dz * height + dy) * width + dx; }

  private:
    template <class From>
    void fill_line(From source, T* line) {
        for (i64 x = 0; x < low_x; ++x) line[x] = at(source, x);
        copy(source, volume_.nx, line + low_x);
        for (i64 x = low_x + volume_.nx; x < width; ++x) line[x] = at(source, x);
    }
    template <class S>
    static void copy(const S* __restrict from, i64 n, T* __restrict to) {
        for (i64 x = 0; x < n; ++x) to[x] = static_cast<T>(from[x]);
    }
    template <class From>
    static void copy(From from, i64 n, T* to) {
        for (i64 x = 0; x < n; ++x) to[x] = static_cast<T>(from[x]);
    }
    template <class From>
    T at(From source, i64 x) const {
        i64 column = columns_[static_cast<std::size_t>(x)];
        return column < 0 ? value_ : static_cast<T>(source[column]);
    }

  public:
    const i64 low_x, width, height, depth;

  private:
    const Volume volume_;
    const Reach reach_;
    const i64 mode_;
    const T value_;
    std::vector<i64> columns_;
    Scratch<T> values_;
    i64 first_y_ = 0, first_z_ = 0;
};

// Call `work` for boxes that lie one behind the other: the planes of a volume, or the rows of an image,
// from part[0] up to part[1]. Each is padded in memory that the next one uses again, and that stays in
// the cache where the windows are not so large that most of it would lie around the box.
template <class T, class From, class Work>
void for_boxes(From from, const Volume& volume, const Reach& reach, i64 mode, T value, const i64* part,
               Work work) {
    constexpr i64 cached = 256 * 1024;
    i64 axis = volume.nz > 1 ? 0 : 1;
    i64 line = (volume.nx + reach.low[2] + reach.high[2]) * static_cast<i64>(sizeof(T));
    i64 slice = axis == 0 ? line * (volume.ny + reach.low[1] + reach.high[1]) : line;
    i64 length = std::max({i64(1), 8 * (reach.low[axis] + reach.high[axis]), cached / std::max<i64>(slice, 1)});
    auto box_of = [&](i64 begin, i64 end) {
        return axis == 0 ? Box{begin, end, 0, volume.ny} : Box{0, 1, begin, end};
    };
    length = std::min(length, part[1] - part[0]);
    if (length <= 0) return;
    Padded<T> image(volume, reach, mode, value, box_of(0, length));
    for (i64 begin = part[0]; begin < part[1]; begin += length) {
        Box box = box_of(begin, std::min(begin + length, part[1]));
        image.fill(from, box);
        work(image, box);
    }
}

// The pixels of a volume where a mask is not 0; P, a wider type, holds a number for the others.
template <class T, class P>
struct MaskedPixels {
    const T* pixels;
    const std::uint8_t* mask;
    P outside;
    MaskedPixels operator+(i64 n) const { return {pixels + n, mask + n, outside}; }
    P operator[](i64 x) const { return mask[x] ? static_cast<P>(pixels[x]) : outside; }
};

// The same, with a count of one for each in the upper half of a number, to be added up at once.
template <class T>
struct CountedPixels {
    const T* pixels;
    const std::uint8_t* mask;
    CountedPixels operator+(i64 n) const { return {pixels + n, mask + n}; }
    std::uint64_t operator[](i64 x) const { return mask[x] ? (std::uint64_t(1) << 32) + pixels[x] : 0; }
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
