// Correlation along axes, one after the other, in double precision and rounded to the array's type
// between them, as SciPy's correlate1d does. The last two axes are done in one sweep: a ring of
// converted rows, the sum over rows into a line, the sums along the line into the result.
#include <algorithm>
#include <vector>

#include "tilewise.h"

namespace tilewise {
namespace {

struct Filter {
    i64 radius = -1;  // below 0: the axis is left alone
    i64 symmetry = 0;  // 1, -1, or 0 for all taps on their own
    const double* weights = nullptr;  // the middle one
};

struct Border {
    i64 mode;
    double value;
};

using V = Vector<double>;
constexpr int lanes = Lanes<double>::count;

// The sum over taps for blocks of vectors; tap(j) points at the values under weight j.
template <int symmetry, int vectors, class Tap>
inline void block(const Filter& filter, const Tap& tap, i64 x, double* out) {
    const double* weights = filter.weights;
    V sums[vectors];
    if (symmetry == 0) {
        // SciPy begins with the last tap.
        const double* last = tap(filter.radius) + x;
        V weight = spread(weights[filter.radius]);
        for (int k = 0; k < vectors; ++k) sums[k] = load(last + k * lanes) * weight;
        for (i64 j = -filter.radius; j < filter.radius; ++j) {
            const double* values = tap(j) + x;
            V w = spread(weights[j]);
            for (int k = 0; k < vectors; ++k) sums[k] += load(values + k * lanes) * w;
        }
    } else {
        const double* middle = tap(0) + x;
        V weight = spread(weights[0]);
        for (int k = 0; k < vectors; ++k) sums[k] = load(middle + k * lanes) * weight;
        for (i64 j = -filter.radius; j < 0; ++j) {
            const double* before = tap(j) + x;
            const double* after = tap(-j) + x;
            V w = spread(weights[j]);
            for (int k = 0; k < vectors; ++k) {
                V low = load(before + k * lanes), high = load(after + k * lanes);
                sums[k] += (symmetry > 0 ? low + high : low - high) * w;
            }
        }
    }
    for (int k = 0; k < vectors; ++k) store(out + x + k * lanes, sums[k]);
}

// How many rows of a sum over rows are made at once: each loaded value serves all of them.
constexpr i64 together = 4;

// One tap pair for all rows; low[(k + turn) % together] is what lies under it for row k.
template <int symmetry, int turn>
inline void add_pair(const double* const* rows, i64 j, i64 x, double weight, V* low, V* high, V* sums) {
    V w = spread(weight);
    for (int k = 0; k < together; ++k) {
        const V& a = low[(k + turn) % together];
        const V& b = high[(k + together - turn) % together];
        sums[k] += (symmetry > 0 ? a + b : a - b) * w;
    }
    // The next pair lies one row nearer: one row enters from either side.
    low[turn] = load(rows[j + together] + x);
    high[together - 1 - turn] = load(rows[-j - 1] + x);
}

// Sums over taps for rows 0 to `together` - 1 of a pointer table that reaches that much further.
template <int symmetry>
inline void rows_block(const Filter& filter, const double* const* rows, i64 x, double* const* out) {
    const double* weights = filter.weights;
    V sums[together];
    if (symmetry == 0) {
        V w = spread(weights[filter.radius]);
        for (int k = 0; k < together; ++k) sums[k] = load(rows[filter.radius + k] + x) * w;
        for (i64 j = -filter.radius; j < filter.radius; ++j) {
            w = spread(weights[j]);
            for (int k = 0; k < together; ++k) sums[k] += load(rows[j + k] + x) * w;
        }
    } else {
        V w = spread(weights[0]);
        for (int k = 0; k < together; ++k) sums[k] = load(rows[k] + x) * w;
        i64 j = -filter.radius;
        for (; j % together != 0; ++j) {
            w = spread(weights[j]);
            for (int k = 0; k < together; ++k) {
                V a = load(rows[j + k] + x), b = load(rows[k - j] + x);
                sums[k] += (symmetry > 0 ? a + b : a - b) * w;
            }
        }
        V low[together], high[together];
        for (int k = 0; k < together; ++k) {
            low[k] = load(rows[j + k] + x);
            high[k] = load(rows[k - j] + x);
        }
        for (; j < 0; j += together) {
            add_pair<symmetry, 0>(rows, j, x, weights[j], low, high, sums);
            add_pair<symmetry, 1>(rows, j + 1, x, weights[j + 1], low, high, sums);
            add_pair<symmetry, 2>(rows, j + 2, x, weights[j + 2], low, high, sums);
            add_pair<symmetry, 3>(rows, j + 3, x, weights[j + 3], low, high, sums);
        }
    }
    for (int k = 0; k < together; ++k) store(out[k] + x, sums[k]);
}

inline void correlate_rows(const Filter& filter, const double* const* rows, i64 n, double* const* out) {
    if (filter.symmetry > 0)
        for (i64 x = 0; x < n; x += lanes) rows_block<1>(filter, rows, x, out);
    else if (filter.symmetry < 0)
        for (i64 x = 0; x < n; x += lanes) rows_block<-1>(filter, rows, x, out);
    else
        for (i64 x = 0; x < n; x += lanes) rows_block<0>(filter, rows, x, out);
}

// Lines are padded by this many doubles, so that a block may run past the end.
constexpr i64 slack = 8 * 8;

template <int symmetry, class Tap>
inline void line_of(const Filter& filter, const Tap& tap, i64 n, double* out) {
    constexpr int vectors = 4;
    i64 x = 0;
    for (; x + vectors * lanes <= n; x += vectors * lanes)
        block<symmetry, vectors>(filter, tap, x, out);
    for (; x < n; x += lanes) block<symmetry, 1>(filter, tap, x, out);
}

template <class Tap>
inline void correlate_line(const Filter& filter, const Tap& tap, i64 n, double* out) {
    if (filter.symmetry > 0)
        line_of<1>(filter, tap, n, out);
    else if (filter.symmetry < 0)
        line_of<-1>(filter, tap, n, out);
    else
        line_of<0>(filter, tap, n, out);
}

template <class S>
inline void convert(const S* __restrict from, i64 n, double scale, double* __restrict to) {
    if (std::is_integral<S>::value && scale != 1.0)
        for (i64 x = 0; x < n; ++x) to[x] = static_cast<double>(from[x]) * scale;
    else
        for (i64 x = 0; x < n; ++x) to[x] = static_cast<double>(from[x]);
}

template <class T>
inline void round_to(const double* __restrict from, i64 n, T* __restrict to) {
    for (i64 x = 0; x < n; ++x) to[x] = static_cast<T>(from[x]);
}

// A line's values between the axes, as the array of type T would hold them.
template <class T>
inline void through(double* values, i64 n) {
    if (sizeof(T) == sizeof(double)) return;
    for (i64 x = 0; x < n; ++x) values[x] = static_cast<double>(static_cast<T>(values[x]));
}

// Fill both sides of a line whose n values begin at `line`.
inline void pad(double* line, i64 n, i64 radius, const Border& border) {
    for (i64 k = 1; k <= radius; ++k) {
        i64 low = mapped(-k, n, border.mode), high = mapped(n - 1 + k, n, border.mode);
        line[-k] = low < 0 ? border.value : line[low];
        line[n - 1 + k] = high < 0 ? border.value : line[high];
    }
}

// Along the last axis.
template <class S, class T>
void along_rows(const S* from, T* to, i64 rows, i64 n, double scale, const Filter& filter,
                const Border& border) {
    i64 radius = filter.radius;
    Scratch<double> padded(n + 2 * radius + 2 * slack), out(n + slack);
    double* line = padded + radius;
    std::fill(padded.get(), padded.get() + n + 2 * radius + 2 * slack, 0.0);
    for (i64 row = 0; row < rows; ++row) {
        convert(from + row * n, n, scale, line);
        pad(line, n, radius, border);
        correlate_line(filter, [&](i64 j) { return line + j; }, n, out.get());
        round_to(out.get(), n, to + row * n);
    }
}

// A ring of converted rows (or pieces of planes) over the n places of one axis.
template <class S>
class Ring {
  public:
    Ring(i64 radius, i64 width)
        : radius_(radius), count_(2 * radius + together), width_(width), stride_(width + slack),
          values_(count_ * stride_), rows_(static_cast<std::size_t>(count_)) {
        std::fill(values_.get(), values_.get() + count_ * stride_, 0.0);
    }
    // Take in the row at index v, which may lie outside.
    void enter(const S* from, i64 v, i64 n, i64 step, double scale, const Border& border) {
        double* row = values_ + slot(v) * stride_;
        i64 inside = mapped(v, n, border.mode);
        if (inside < 0)
            std::fill(row, row + width_, border.value);
        else
            convert(from + inside * step, width_, scale, row);
    }
    // The rows around i, and those around the rows that follow it.
    const double* const* around(i64 i) {
        for (i64 k = 0; k < count_; ++k)
            rows_[static_cast<std::size_t>(k)] = values_ + slot(i - radius_ + k) * stride_;
        return rows_.data() + radius_;
    }

  private:
    i64 slot(i64 v) const { return (v + radius_) % count_; }
    i64 radius_, count_, width_, stride_;
    Scratch<double> values_;
    std::vector<const double*> rows_;
};

// The sums over rows for the first `count` rows of a ring.
inline void column_sums(const Filter& filter, const double* const* rows, i64 count, i64 width,
                        double* const* out) {
    if (count == together) return correlate_rows(filter, rows, width, out);
    for (i64 k = 0; k < count; ++k)
        correlate_line(filter, [&](i64 j) { return rows[j + k]; }, width, out[k]);
}

// Pieces of this width keep a ring in the second-level cache.
inline i64 strip_width(i64 radius, i64 width) {
    i64 fits = 40000 / (2 * radius + together);
    i64 least = std::max<i64>(64, 4 * lanes);
    return std::min(width, std::max(least, fits));
}

// A part of the work: rows, or columns, from `begin` up to but not including `end`.
struct Part {
    i64 begin, end;
};

// Along an axis that is not the last: `inner` values lie between neighbours; those of a part of them.
template <class S, class T>
void along_columns(const S* from, T* to, i64 outer, i64 n, i64 inner, const Part& part, double scale,
                   const Filter& filter, const Border& border) {
    i64 radius = filter.radius, strip = strip_width(radius, inner);
    Scratch<double> out(together * (strip + slack));
    double* lines[together];
    for (i64 k = 0; k < together; ++k) lines[k] = out + k * (strip + slack);
    for (i64 block = 0; block < outer; ++block) {
        for (i64 x = part.begin; x < part.end; x += strip) {
            i64 width = std::min(strip, part.end - x);
            const S* source = from + block * n * inner + x;
            T* target = to + block * n * inner + x;
            Ring<S> ring(radius, width);
            for (i64 v = -radius; v < radius; ++v) ring.enter(source, v, n, inner, scale, border);
            for (i64 i = 0; i < n; i += together) {
                i64 count = std::min(together, n - i);
                for (i64 k = 0; k < count; ++k)
                    ring.enter(source, i + k + radius, n, inner, scale, border);
                column_sums(filter, ring.around(i), count, width, lines);
                for (i64 k = 0; k < count; ++k) round_to(lines[k], width, target + (i + k) * inner);
            }
        }
    }
}

// Fill a line of nx values, which holds those from `low` to `high`, from `begin` to `end`. Outside the
// image, what the line holds suffices but for `wrap`, whose lines are whole.
inline void fill_sides(double* line, i64 nx, i64 begin, i64 low, i64 high, i64 end,
                       const Border& border) {
    auto fill = [&](i64 k) {
        i64 inside = mapped(k, nx, border.mode);
        line[k] = inside < 0 ? border.value : line[inside];
    };
    for (i64 k = low - 1; k >= begin; --k) fill(k);
    for (i64 k = high; k < end; ++k) fill(k);
}

// Along the last two axes in one sweep, a part of the rows. The strips of a wide plane overlap by the
// row's radius, so that the sum over rows is made again there.
template <class S, class T>
void along_both(const S* from, T* to, i64 planes, i64 ny, i64 nx, const Part& part, double scale,
                const Filter& column, const Filter& row, const Border& border) {
    i64 ry = column.radius, rx = row.radius;
    i64 strip = strip_width(ry, nx + 2 * rx) - 2 * rx;
    if (strip < 4 * rx) strip = std::max<i64>(64, 4 * rx);
    if (border.mode == wrap || strip > nx || nx <= strip + strip / 2) strip = nx;
    i64 room = strip + 4 * rx + 2 * slack;
    Scratch<double> padded(together * room), out(strip + slack);
    std::fill(padded.get(), padded.get() + together * room, 0.0);
    for (i64 plane = 0; plane < planes; ++plane) {
        for (i64 x = 0; x < nx; x += strip) {
            i64 width = std::min(strip, nx - x);
            // What the strip reads; at the image's sides the line is padded instead.
            bool whole = width == nx;
            i64 low = whole ? 0 : std::max<i64>(0, x - rx);
            i64 high = whole ? nx : std::min(nx, x + width + rx);
            const S* source = from + plane * ny * nx + low;
            T* target = to + plane * ny * nx + x;
            Ring<S> ring(ry, high - low);
            double *lines[together], *sums[together];  // the value at index x; at index low
            for (i64 k = 0; k < together; ++k) {
                lines[k] = padded + k * room + rx;
                sums[k] = lines[k] + (low - x);
            }
            for (i64 v = part.begin - ry; v < part.begin + ry; ++v)
                ring.enter(source, v, ny, nx, scale, border);
            for (i64 i = part.begin; i < part.end; i += together) {
                i64 count = std::min(together, part.end - i);
                for (i64 k = 0; k < count; ++k) ring.enter(source, i + k + ry, ny, nx, scale, border);
                column_sums(column, ring.around(i), count, high - low, sums);
                for (i64 k = 0; k < count; ++k) {
                    through<T>(sums[k], high - low);
                    fill_sides(lines[k] - x, nx, x - rx, low, high, x + width + rx, border);
                    double* line = lines[k];
                    correlate_line(row, [&](i64 j) { return line + j; }, width, out.get());
                    round_to(out.get(), width, target + (i + k) * nx);
                }
            }
        }
    }
}

struct Shape {
    i64 ndim;
    const i64* sizes;
    i64 product(i64 begin, i64 end) const {
        i64 count = 1;
        for (i64 axis = begin; axis < end; ++axis) count *= sizes[axis];
        return count;
    }
};

template <class S, class T>
void one_step(const S* from, T* to, const Shape& shape, i64 axis, bool both, const Part* part, double scale,
              const Filter* filters, const Border& border) {
    i64 last = shape.ndim - 1;
    if (both) {
        i64 rows = shape.sizes[last - 1];
        along_both(from, to, shape.product(0, last - 1), rows, shape.sizes[last],
                   part ? *part : Part{0, rows}, scale, filters[last - 1], filters[last], border);
    } else if (axis == last) {
        along_rows(from, to, shape.product(0, last), shape.sizes[last], scale, filters[last], border);
    } else {
        i64 inner = shape.product(axis + 1, shape.ndim);
        along_columns(from, to, shape.product(0, axis), shape.sizes[axis], inner,
                      part ? *part : Part{0, inner}, scale, filters[axis], border);
    }
}

template <class S, class T>
void separable(const S* from, T* to, const Shape& shape, const Part* part, double scale,
               const Filter* filters, const Border& border) {
    i64 last = shape.ndim - 1, total = shape.product(0, shape.ndim);
    bool first = true;
    for (i64 axis = 0; axis <= last; ++axis) {
        if (filters[axis].radius < 0) continue;
        bool both = axis == last - 1 && filters[last].radius >= 0;
        // A strip never sees a row's other end: wide planes are done axis by axis.
        if (both && border.mode == wrap && shape.sizes[last] > 4096) both = false;
        if (first) {
            one_step(from, to, shape, axis, both, part, scale, filters, border);
        } else {
            // A pass reads rows that it has already written: it works on a copy, piece by piece.
            i64 begin = both ? last - 1 : axis, size = shape.product(begin, shape.ndim);
            Shape piece{shape.ndim - begin, shape.sizes + begin};
            Scratch<T> copy(size);
            for (i64 offset = 0; offset < total; offset += size) {
                std::memcpy(copy.get(), to + offset, static_cast<std::size_t>(size) * sizeof(T));
                one_step<T, T>(copy.get(), to + offset, piece, axis - begin, both, nullptr, 1.0,
                               filters + begin, border);
            }
        }
        first = false;
        if (both) break;
    }
    if (first)
        for (i64 k = 0; k < total; ++k)
            to[k] = static_cast<T>(std::is_integral<S>::value && scale != 1.0
                                       ? static_cast<double>(from[k]) * scale
                                       : static_cast<double>(from[k]));
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// radii[axis] below 0 leaves an axis alone; weights hold 2 * radius + 1 values for each of the others.
// With an end of 0 or more the only step is done for a part: of an image's rows, where it goes along its
// two axes, else of what lies side by side at each place of the first axis.
TILEWISE_API std::int32_t tilewise_correlate(const void* from, i64 type, void* to, i64 out_type,
                                             i64 ndim, const i64* sizes, double scale,
                                             const i64* radii, const i64* symmetries,
                                             const double* weights, i64 mode, double value,
                                             i64 begin, i64 end) {
    return guarded([&] {
        std::vector<Filter> filters(static_cast<std::size_t>(ndim));
        for (i64 axis = 0; axis < ndim; ++axis) {
            if (radii[axis] < 0) continue;
            Filter& filter = filters[static_cast<std::size_t>(axis)];
            filter.radius = radii[axis];
            filter.symmetry = symmetries[axis];
            filter.weights = weights + radii[axis];
            weights += 2 * radii[axis] + 1;
        }
        Shape shape{ndim, sizes};
        Border border{mode, value};
        Part part{begin, end};
        return for_grey(type, [&](auto tag) -> std::int32_t {
            using S = typename decltype(tag)::type;
            // Single precision stays so; everything else is computed in double precision.
            using T = std::conditional_t<std::is_same<S, float>::value, float, double>;
            if (out_type != (std::is_same<T, float>::value ? type_f32 : type_f64))
                return no_such_type;
            separable(static_cast<const S*>(from), static_cast<T*>(to), shape, end < 0 ? nullptr : &part,
                      scale, filters.data(), border);
            return ok;
        });
    });
}
