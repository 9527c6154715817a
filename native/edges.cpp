// Small kernels, tap by tap in raster order as SciPy's correlate adds them, and edge magnitudes: several
// of them squared and summed in the result's type.
#include <cmath>

#include "windows.h"

namespace tilewise {
namespace {

using V = Vector<double>;
constexpr int lanes = Lanes<double>::count;

struct Taps {
    std::vector<i64> steps;
    std::vector<double> weights;
};

template <int vectors>
inline void sums(const double* line, const Taps& taps, double* to) {
    V total[vectors];
    for (int k = 0; k < vectors; ++k) total[k] = spread(0.0);
    const i64* steps = taps.steps.data();
    const double* weights = taps.weights.data();
    for (std::size_t tap = 0; tap < taps.weights.size(); ++tap) {
        const double* values = line + steps[tap];
        V weight = spread(weights[tap]);
        for (int k = 0; k < vectors; ++k) total[k] += load(values + k * lanes) * weight;
    }
    for (int k = 0; k < vectors; ++k) store(to + k * lanes, total[k]);
}

// A ring of double rows with a border, for the rows that a kernel reaches: in planes z - 1 to z + 1.
template <class S>
class DoubleRows {
  public:
    DoubleRows(const S* from, const Volume& volume, const Reach& reach, double scale, i64 mode,
               double value)
        : from_(from), volume_(volume), scale_(scale), mode_(mode), value_(value),
          low_z_(reach.low[0]), low_y_(reach.low[1]), low_x_(reach.low[2]), high_x_(reach.high[2]),
          planes(reach.low[0] + reach.high[0] + 1), rows(reach.low[1] + reach.high[1] + 1),
          stride((volume.nx + low_x_ + high_x_ + 8 * lanes) / lanes * lanes),
          values_(planes * rows * stride) {
        std::fill(values_.get(), values_.get() + planes * rows * stride, 0.0);
        for (i64 x = -low_x_; x < volume.nx + high_x_; ++x)
            columns_.push_back(mapped(x, volume.nx, mode));
    }
    // Take in row y of every plane around z.
    void enter(i64 z, i64 y) {
        for (i64 plane = 0; plane < planes; ++plane) {
            double* line = row(plane, y);
            i64 source_z = mapped(z + plane - low_z_, volume_.nz, mode_);
            i64 source_y = mapped(y, volume_.ny, mode_);
            if (source_z < 0 || source_y < 0) {
                std::fill(line - low_x_, line + volume_.nx + high_x_, value_);
                continue;
            }
            convert(from_ + (source_z * volume_.ny + source_y) * volume_.nx, line);
            for (i64 x = -low_x_; x < 0; ++x) line[x] = border(line, x);
            for (i64 x = volume_.nx; x < volume_.nx + high_x_; ++x) line[x] = border(line, x);
        }
    }
    // The first pixel of row y in a plane of the ring.
    double* row(i64 plane, i64 y) {
        return values_ + (plane * rows + (y + low_y_) % rows) * stride + low_x_;
    }

  private:
    double border(const double* line, i64 x) const {
        i64 column = columns_[static_cast<std::size_t>(x + low_x_)];
        return column < 0 ? value_ : line[column];
    }
    void convert(const S* __restrict values, double* __restrict line) const {
        if (scale_ != 1.0)
            for (i64 x = 0; x < volume_.nx; ++x) line[x] = static_cast<double>(values[x]) * scale_;
        else
            for (i64 x = 0; x < volume_.nx; ++x) line[x] = static_cast<double>(values[x]);
    }
    const S* from_;
    Volume volume_;
    double scale_;
    i64 mode_;
    double value_;
    i64 low_z_, low_y_, low_x_, high_x_;

  public:
    const i64 planes, rows, stride;

  private:
    std::vector<i64> columns_;
    Scratch<double> values_;
};

template <class T>
inline void square_and_add(const double* __restrict sum, i64 n, bool first, T* __restrict total) {
    for (i64 x = 0; x < n; ++x) {
        T edge = static_cast<T>(sum[x]);
        T square = edge * edge;
        total[x] = (first ? T(0) : total[x]) + square;
    }
}

template <class T>
inline void root(const T* __restrict total, i64 n, T divisor, T* __restrict to) {
    for (i64 x = 0; x < n; ++x) to[x] = std::sqrt(total[x]) / divisor;
}

// Single edges are written as they are, with the 0 added that the function adds them to.
template <class T>
inline void plain(const double* __restrict sum, i64 n, T* __restrict to) {
    for (i64 x = 0; x < n; ++x) to[x] = T(0) + static_cast<T>(sum[x]);
}

template <class S, class T>
void edges(const S* from, T* to, const Volume& volume, const Reach& reach, double scale,
           i64 kernels, const i64* counts, const i64* offsets, const double* weights, double divisor,
           i64 mode, double value, const i64* part) {
    // A part of the planes, or of an image's rows.
    bool is_deep = volume.nz > 1;
    Box box = is_deep ? Box{part[0], part[1], 0, volume.ny} : Box{0, 1, part[0], part[1]};
    DoubleRows<S> ring(from, volume, reach, scale, mode, value);
    Scratch<double> sum(volume.nx + 8 * lanes);
    Scratch<T> total(volume.nx + 8 * lanes);
    std::vector<Taps> taps(static_cast<std::size_t>(kernels));
    for (i64 z = box.z_begin; z < box.z_end; ++z) {
        for (i64 y = box.y_begin - reach.low[1]; y < box.y_begin + reach.high[1]; ++y) ring.enter(z, y);
        for (i64 y = box.y_begin; y < box.y_end; ++y) {
            ring.enter(z, y + reach.high[1]);
            T* target = to + (z * volume.ny + y) * volume.nx;
            const double* centre = ring.row(reach.low[0], y);
            i64 tap = 0;
            for (i64 k = 0; k < kernels; ++k) {
                Taps& here = taps[static_cast<std::size_t>(k)];
                here.steps.clear();
                here.weights.assign(weights + tap, weights + tap + counts[k]);
                for (i64 end = tap + counts[k]; tap < end; ++tap) {
                    const i64* offset = offsets + 3 * tap;
                    here.steps.push_back(ring.row(offset[0] + reach.low[0], y + offset[1]) + offset[2] - centre);
                }
                i64 x = 0;
                for (; x + 4 * lanes <= volume.nx; x += 4 * lanes) sums<4>(centre + x, here, sum + x);
                for (; x < volume.nx; x += lanes) sums<1>(centre + x, here, sum + x);
                if (divisor > 0)
                    square_and_add<T>(sum.get(), volume.nx, k == 0, total.get());
                else
                    plain<T>(sum.get(), volume.nx, target);
            }
            if (divisor > 0) root<T>(total.get(), volume.nx, static_cast<T>(divisor), target);
        }
    }
}

// SciPy's cast of a sum: what does not fit into an integer keeps its lowest bits.
template <class T>
inline void cast(const double* __restrict sum, i64 n, T* __restrict to) {
    if constexpr (std::is_floating_point<T>::value)
        for (i64 x = 0; x < n; ++x) to[x] = static_cast<T>(sum[x]);
    else
        for (i64 x = 0; x < n; ++x) to[x] = static_cast<T>(static_cast<std::int32_t>(sum[x]));
}

// One kernel's sums, over a part of the planes, or of an image's rows.
template <class S, class T>
void correlate(const S* from, T* to, const Volume& volume, const Reach& reach, double scale, i64 count,
               const i64* offsets, const double* weights, i64 mode, double value, const i64* part) {
    bool is_deep = volume.nz > 1;
    Box box = is_deep ? Box{part[0], part[1], 0, volume.ny} : Box{0, 1, part[0], part[1]};
    DoubleRows<S> ring(from, volume, reach, scale, mode, value);
    Scratch<double> sum(volume.nx + 8 * lanes);
    Taps taps;
    taps.weights.assign(weights, weights + count);
    taps.steps.resize(static_cast<std::size_t>(count));
    for (i64 z = box.z_begin; z < box.z_end; ++z) {
        for (i64 y = box.y_begin - reach.low[1]; y < box.y_begin + reach.high[1]; ++y) ring.enter(z, y);
        for (i64 y = box.y_begin; y < box.y_end; ++y) {
            ring.enter(z, y + reach.high[1]);
            const double* centre = ring.row(reach.low[0], y);
            for (i64 tap = 0; tap < count; ++tap) {
                const i64* offset = offsets + 3 * tap;
                const double* row = ring.row(offset[0] + reach.low[0], y + offset[1]);
                taps.steps[static_cast<std::size_t>(tap)] = row + offset[2] - centre;
            }
            i64 x = 0;
            for (; x + 4 * lanes <= volume.nx; x += 4 * lanes) sums<4>(centre + x, taps, sum + x);
            for (; x < volume.nx; x += lanes) sums<1>(centre + x, taps, sum + x);
            cast(sum.get(), volume.nx, to + (z * volume.ny + y) * volume.nx);
        }
    }
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// The taps of every kernel in turn: offsets (dz, dy, dx) and weights. A divisor above 0: the root of
// the sum of squares divided by it; 0: the sums of the only kernel. Of a part of the planes, or rows.
TILEWISE_API std::int32_t tilewise_edges(const void* from, i64 type, void* to, const i64* sizes,
                                         const i64* reach, double scale, i64 kernels, const i64* counts,
                                         const i64* offsets, const double* weights, double divisor,
                                         i64 mode, double value, const i64* part) {
    return guarded([&] {
        return for_grey(type, [&](auto tag) -> std::int32_t {
            using S = typename decltype(tag)::type;
            using T = std::conditional_t<std::is_same<S, float>::value, float, double>;
            edges(static_cast<const S*>(from), static_cast<T*>(to), Volume(sizes), Reach(reach), scale,
                  kernels, counts, offsets, weights, divisor, mode, value, part);
            return ok;
        });
    });
}

// One kernel's sums: offsets (dz, dy, dx) and weights. The result has the type of the image, or where
// that is scaled, as integers are that become fractions, of doubles. Of a part of the planes, or rows.
TILEWISE_API std::int32_t tilewise_correlate_taps(const void* from, i64 type, void* to,
                                                  const i64* sizes, const i64* reach, double scale,
                                                  i64 count, const i64* offsets, const double* weights,
                                                  i64 mode, double value, const i64* part) {
    return guarded([&] {
        return for_every(type, [&](auto tag) -> std::int32_t {
            using S = typename decltype(tag)::type;
            auto run = [&](auto target) {
                correlate(static_cast<const S*>(from), target, Volume(sizes), Reach(reach), scale,
                          count, offsets, weights, mode, value, part);
                return static_cast<std::int32_t>(ok);
            };
            return scale != 1.0 ? run(static_cast<double*>(to)) : run(static_cast<S*>(to));
        });
    });
}
