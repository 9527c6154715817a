// An image through an affine map, by its nearest pixel or linear between pixels, as SciPy has it.
//
// Along a row of the result each coordinate grows or falls: where all of a pixel's neighbours lie
// inside is one interval, whose pixels are computed together; the others are border pixels.
#include <algorithm>
#include <cmath>

#include "tilewise.h"

namespace tilewise {
namespace {

constexpr int chunk = 128;
using Index = std::int32_t;

// The pixels of a part of an image, axes in the order of memory.
template <int axes>
struct Part {
    i64 image[axes];   // the whole image's lengths
    i64 start[axes];   // the part's first pixel
    i64 length[axes];  // the part's lengths
    i64 step[axes];    // pixels from one to the next along the axis
};

// Where a coordinate outside the image lies inside it, or up to a pixel beyond where reflected: with
// the roundings of SciPy. -1 stands for the constant.
inline double folded(double at, i64 n, i64 mode) {
    double last = static_cast<double>(n - 1);
    if (mode == nearest || (at >= 0 && at <= last)) return at;
    if (mode == constant) return -1.0;
    if (n == 1) return 0.0;
    i64 period = mode == mirror ? 2 * n - 2 : 2 * n;
    auto cycle = static_cast<double>(period);
    if (at > last) {
        at -= static_cast<double>(period * static_cast<i64>(at / cycle));
        if (at < static_cast<double>(n)) return at;
        return mode == mirror ? cycle - at : cycle - at - 1;
    }
    if (mode == mirror) {
        at = static_cast<double>(period * static_cast<i64>(-at / cycle)) + at;
        return at <= -last ? at + cycle : -at;
    }
    if (at < -cycle) at = static_cast<double>(period * static_cast<i64>(-at / cycle)) + at;
    if (at < -static_cast<double>(n)) return at + cycle;
    return (at > -1e-15 ? 1e-15 : -at) - 1;  // never so near to -1 that it would be the constant
}

// The value as SciPy stores it: rounded half up and limited for integers, of which NaN is 0.
template <class T>
inline T stored(double value) {
    if constexpr (std::is_floating_point_v<T>) {
        return static_cast<T>(value);
    } else {
        constexpr double most = static_cast<T>(-1);
        double rounded = value > 0 ? value + 0.5 : 0.0;
        return static_cast<T>(static_cast<std::int32_t>(rounded > most ? most : rounded));
    }
}

// A row of the result: the coordinate along each axis is base + x * slope.
template <int axes>
struct Row {
    double base[axes], slope[axes];
    double at(int axis, i64 x) const { return base[axis] + static_cast<double>(x) * slope[axis]; }
};

struct Span {
    i64 begin, end;
};

template <class Holds>
i64 first_where(i64 begin, i64 end, Holds holds) {
    while (begin < end) {
        i64 middle = begin + (end - begin) / 2;
        if (holds(middle)) end = middle;
        else begin = middle + 1;
    }
    return begin;
}

// The part of a span whose coordinates along an axis are from low to high, or below high.
template <int axes>
Span within(const Row<axes>& row, int axis, Span span, double low, double high, bool with_high) {
    auto is_above = [&](i64 x) { return row.at(axis, x) >= low; };
    auto is_below = [&](i64 x) {
        double at = row.at(axis, x);
        return with_high ? at <= high : at < high;
    };
    if (row.slope[axis] >= 0) {
        i64 begin = first_where(span.begin, span.end, is_above);
        return {begin, first_where(begin, span.end, [&](i64 x) { return !is_below(x); })};
    }
    i64 begin = first_where(span.begin, span.end, is_below);
    return {begin, first_where(begin, span.end, [&](i64 x) { return !is_above(x); })};
}

// One pixel anywhere.
template <class T, int axes, int order>
T sample_anywhere(const T* pixels, const Part<axes>& part, const Row<axes>& row, i64 x, i64 mode,
                  double cval) {
    i64 index[axes][order + 1];
    double weight[axes][2];
    for (int axis = 0; axis < axes; ++axis) {
        i64 n = part.image[axis];
        double at = folded(row.at(axis, x) + 0.0, n, mode);
        if (!(at > -1.0) && mode != nearest) return stored<T>(cval);
        double below = std::floor(order ? at : at + 0.5);
        for (int k = 0; k <= order; ++k) {
            i64 i = mapped(static_cast<i64>(below) + k, n, mode == constant ? mirror : mode);
            i = std::clamp<i64>(i - part.start[axis], 0, part.length[axis] - 1);
            index[axis][k] = i * part.step[axis];
        }
        weight[axis][0] = 1.0 - (at - below);
        weight[axis][1] = 1.0 - weight[axis][0];
    }
    double sum = 0.0;
    for (int corner = 0; corner < (order ? 1 << axes : 1); ++corner) {
        i64 at = 0;
        for (int axis = 0; axis < axes; ++axis) at += index[axis][corner >> (axes - 1 - axis) & 1];
        auto value = static_cast<double>(pixels[at]);
        if (order)
            for (int axis = 0; axis < axes; ++axis)
                value *= weight[axis][corner >> (axes - 1 - axis) & 1];
        sum += value;
    }
    return stored<T>(sum);
}

// Pixels of a row all of whose neighbours lie in the part: x from `first`, at most a chunk of them.
template <class T, int axes, int order>
void sample_inside(const T* pixels, const Part<axes>& part, const Row<axes>& row, i64 first, int count,
                   T* __restrict to) {
    alignas(64) Index index[chunk];
    alignas(64) double near[axes][chunk], far[axes][chunk];
    for (int axis = 0; axis < axes; ++axis) {
        double base = row.base[axis], slope = row.slope[axis];
        auto step = static_cast<Index>(part.step[axis]);
        auto start = static_cast<Index>(part.start[axis]), from = static_cast<Index>(first);
        double* __restrict upper = near[axis];
        double* __restrict lower = far[axis];
        for (Index x = 0; x < count; ++x) {
            double at = base + static_cast<double>(from + x) * slope;
            auto below = static_cast<Index>(order ? at : at + 0.5);  // not negative: rounded down
            if (order) {
                upper[x] = 1.0 - (at - static_cast<double>(below));
                lower[x] = 1.0 - upper[x];
            }
            Index offset = (below - start) * step;
            index[x] = axis ? index[x] + offset : offset;
        }
    }
    if constexpr (order == 0) {
        for (int x = 0; x < count; ++x) to[x] = static_cast<T>(pixels[index[x]] + T(0));
        return;
    } else {
        const T* __restrict corner[1 << axes];
        for (int k = 0; k < 1 << axes; ++k) {
            corner[k] = pixels;
            for (int axis = 0; axis < axes; ++axis)
                corner[k] += (k >> (axes - 1 - axis) & 1) * part.step[axis];
        }
        for (int x = 0; x < count; ++x) {
            double sum = 0.0;
            for (int k = 0; k < 1 << axes; ++k) {
                auto value = static_cast<double>(corner[k][index[x]]);
                for (int axis = 0; axis < axes; ++axis)
                    value *= k >> (axes - 1 - axis) & 1 ? far[axis][x] : near[axis][x];
                sum += value;
            }
            to[x] = stored<T>(sum);
        }
    }
}

template <class T, int axes, int order>
void sample_row(const T* pixels, const Part<axes>& part, const Row<axes>& row, i64 first, i64 width,
                i64 mode, double cval, T* to) {
    Span all{first, first + width}, some = all, inside = all;
    for (int axis = 0; axis < axes; ++axis) {
        if (mode == constant)
            some = within(row, axis, some, 0.0, static_cast<double>(part.image[axis] - 1), true);
        auto low = static_cast<double>(part.start[axis]);
        inside = within(row, axis, inside, low, low + static_cast<double>(part.length[axis] - 1), false);
    }
    if (inside.begin >= inside.end) inside = {some.begin, some.begin};
    std::fill(to, to + (some.begin - first), stored<T>(cval));
    for (i64 x = some.begin; x < inside.begin; ++x)
        to[x - first] = sample_anywhere<T, axes, order>(pixels, part, row, x, mode, cval);
    for (i64 x = inside.begin; x < inside.end; x += chunk) {
        auto count = static_cast<int>(std::min<i64>(chunk, inside.end - x));
        sample_inside<T, axes, order>(pixels, part, row, x, count, to + (x - first));
    }
    for (i64 x = inside.end; x < some.end; ++x)
        to[x - first] = sample_anywhere<T, axes, order>(pixels, part, row, x, mode, cval);
    std::fill(to + (some.end - first), to + width, stored<T>(cval));
}

// map: a row of factors and a shift behind them for each axis. sizes: of the image, then the part's
// first pixel, the part's lengths, the result's first pixel and its lengths.
template <class T, int axes, int order>
void sample_rows(const T* pixels, const i64* sizes, const double* map, i64 mode, double cval, T* to,
                 i64 begin, i64 end) {
    Part<axes> part;
    i64 step = 1;
    for (int axis = axes - 1; axis >= 0; --axis) {
        part.image[axis] = sizes[axis];
        part.start[axis] = sizes[axes + axis];
        part.length[axis] = sizes[2 * axes + axis];
        part.step[axis] = step;
        step *= part.length[axis];
    }
    const i64* first = sizes + 3 * axes;
    const i64* lengths = sizes + 4 * axes;
    i64 width = lengths[axes - 1], height = axes == 3 ? lengths[1] : lengths[0];
    for (i64 number = begin; number < end; ++number) {
        i64 position[2] = {number, 0};
        if (axes == 3) position[0] = number / height, position[1] = number % height;
        Row<axes> row;
        for (int axis = 0; axis < axes; ++axis) {
            const double* factors = map + axis * (axes + 1);
            double base = factors[axes];
            for (int other = 0; other < axes - 1; ++other)
                base += static_cast<double>(first[other] + position[other]) * factors[other];
            row.base[axis] = base;
            row.slope[axis] = factors[axes - 1];
        }
        sample_row<T, axes, order>(pixels, part, row, first[axes - 1], width, mode, cval,
                                   to + number * width);
    }
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// Rows begin to end of the result are written. Coordinates are below 2**30, the part has fewer than
// 2**31 pixels; see `sample_rows` for sizes and map. order: 0 or 1.
TILEWISE_API std::int32_t tilewise_affine(const void* pixels, i64 type, i64 axes, const i64* sizes,
                                          const double* map, i64 order, i64 mode, double cval, void* to,
                                          i64 begin, i64 end) {
    return for_grey(type, [&](auto tag) -> std::int32_t {
        using T = typename decltype(tag)::type;
        auto from = static_cast<const T*>(pixels);
        auto target = static_cast<T*>(to);
        if (axes == 2 && order)
            sample_rows<T, 2, 1>(from, sizes, map, mode, cval, target, begin, end);
        else if (axes == 2)
            sample_rows<T, 2, 0>(from, sizes, map, mode, cval, target, begin, end);
        else if (axes == 3 && order)
            sample_rows<T, 3, 1>(from, sizes, map, mode, cval, target, begin, end);
        else if (axes == 3)
            sample_rows<T, 3, 0>(from, sizes, map, mode, cval, target, begin, end);
        else
            return no_such_type;
        return ok;
    });
}
