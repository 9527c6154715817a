// Filters that go along the lines of one axis with what the pixels before have left: running means and
// the recursive filters of splines. Lines are followed many at a time, as lanes.
#include <cmath>

#include "windows.h"

namespace tilewise {
namespace {

// An array around one axis: `outer` blocks of `length` lines, each of `inner` numbers.
struct Lines {
    i64 outer, length, inner;
};

// How many numbers are followed at once: as many as stay in the nearest cache, and a few lines where
// these lie along the axis itself.
constexpr i64 chunk = 512, together = 8;

i64 units_of(const Lines& lines) {
    i64 chunks = (lines.inner + chunk - 1) / chunk;
    return lines.inner > 1 ? lines.outer * chunks : (lines.outer + together - 1) / together;
}

// -- running means ----------------------------------------------------------------------------

struct Window {
    i64 before, size, mode;
    double value;
};

// from(k, first, count): `count` numbers of line k of the lines that lie side by side.
template <class T>
void add(const T* __restrict line, i64 n, double* __restrict sums) {
    for (i64 x = 0; x < n; ++x) sums[x] += static_cast<double>(line[x]);
}

template <class T>
void move(const T* __restrict entering, const T* __restrict leaving, i64 n, double* __restrict sums) {
    for (i64 x = 0; x < n; ++x) sums[x] += static_cast<double>(entering[x]) - static_cast<double>(leaving[x]);
}

template <class T>
void divide(const double* __restrict sums, i64 n, double size, T* __restrict to) {
    for (i64 x = 0; x < n; ++x) to[x] = static_cast<T>(sums[x] / size);
}

// The means along lines that lie side by side, `pitch` apart.
template <class T>
void running_means(const T* from, T* to, i64 length, i64 pitch, i64 width, const Window& window,
                   double* sums, const T* outside) {
    auto line = [&](i64 k) {
        i64 inside = mapped(k, length, window.mode);
        return inside < 0 ? outside : from + inside * pitch;
    };
    std::fill(sums, sums + width, 0.0);
    for (i64 k = 0; k < window.size; ++k) add(line(k - window.before), width, sums);
    auto size = static_cast<double>(window.size);
    divide(sums, width, size, to);
    for (i64 k = 1; k < length; ++k) {
        move(line(k - window.before + window.size - 1), line(k - window.before - 1), width, sums);
        divide(sums, width, size, to + k * pitch);
    }
}

template <class T>
void means_along(const T* from, T* to, const Lines& lines, const Window& window, const i64* part) {
    Scratch<double> sums(std::max(chunk, together));
    Scratch<T> outside(std::max(chunk, together));
    std::fill(outside.get(), outside.get() + std::max(chunk, together), static_cast<T>(window.value));
    i64 n = lines.length;
    if (lines.inner > 1) {
        i64 chunks = (lines.inner + chunk - 1) / chunk;
        for (i64 unit = part[0]; unit < part[1]; ++unit) {
            i64 begin = unit % chunks * chunk, offset = unit / chunks * n * lines.inner + begin;
            running_means(from + offset, to + offset, n, lines.inner, std::min(chunk, lines.inner - begin),
                          window, sums.get(), outside.get());
        }
        return;
    }
    Scratch<T> turned(n * together), result(n * together);
    for (i64 unit = part[0]; unit < part[1]; ++unit) {
        i64 first = unit * together, count = std::min(together, lines.outer - first);
        for (i64 k = 0; k < n * together; ++k) turned[k] = T(0);
        for (i64 line = 0; line < count; ++line)
            for (i64 x = 0; x < n; ++x) turned[x * together + line] = from[(first + line) * n + x];
        running_means(turned.get(), result.get(), n, together, together, window, sums.get(), outside.get());
        for (i64 line = 0; line < count; ++line)
            for (i64 x = 0; x < n; ++x) to[(first + line) * n + x] = result[x * together + line];
    }
}

// -- splines ----------------------------------------------------------------------------------

// The coefficients of a spline: a gain, then for every pole a filter forwards and one backwards, which
// begin with what the border mode makes of the infinite line (Unser, Aldroubi and Eden, IEEE PAMI 13,
// 1991; Thevenaz for the modes that repeat). Numbers of a line lie `pitch` apart.
class SplineLines {
  public:
    SplineLines(i64 length, i64 pitch, i64 width, i64 mode)
        : n_(length), pitch_(pitch), width_(width), mode_(mode), first_(width) {}

    void filter(double* c, const double* poles, i64 count) {
        double gain = 1.0;
        for (i64 k = 0; k < count; ++k) gain *= (1.0 - poles[k]) * (1.0 - 1.0 / poles[k]);
        for (i64 k = 0; k < n_; ++k)
            for_line(c, k, [&](double& value, i64) { value *= gain; });
        for (i64 k = 0; k < count; ++k) pass(c, poles[k]);
    }

  private:
    template <class Do>
    void for_line(double* c, i64 k, Do change) {
        double* __restrict line = c + k * pitch_;
        for (i64 x = 0; x < width_; ++x) change(line[x], x);
    }

    void pass(double* c, double z) {
        begin_forwards(c, z);
        for (i64 k = 1; k < n_; ++k) {
            const double* __restrict before = c + (k - 1) * pitch_;
            for_line(c, k, [&](double& value, i64 x) { value += z * before[x]; });
        }
        begin_backwards(c, z);
        for (i64 k = n_ - 2; k >= 0; --k) {
            const double* __restrict behind = c + (k + 1) * pitch_;
            for_line(c, k, [&](double& value, i64 x) { value = z * (behind[x] - value); });
        }
    }

    void begin_forwards(double* c, double z) {
        double power = z;
        if (mode_ == wrap) {
            i64 k = 1;
            for (; k < n_ && power != 0.0; ++k, power *= z) {
                const double* __restrict other = c + (n_ - k) * pitch_;
                for_line(c, 0, [&](double& value, i64 x) { value += power * other[x]; });
            }
            double rest = 1.0 - power;
            for_line(c, 0, [&](double& value, i64) { value /= rest; });
            return;
        }
        bool half = mode_ == reflect;  // of a pixel beyond the border
        double far = std::pow(z, static_cast<double>(half ? n_ : n_ - 1));
        double* __restrict first = first_.get();
        for_line(c, 0, [&](double& value, i64 x) { first[x] = value; });
        const double* __restrict last = c + (n_ - 1) * pitch_;
        for_line(c, 0, [&](double& value, i64 x) { value = value + far * last[x]; });
        for (i64 k = 1; k < (half ? n_ : n_ - 1) && power != 0.0; ++k, power *= z) {
            const double* __restrict near = c + k * pitch_;
            const double* __restrict other = c + (n_ - 1 - k) * pitch_;
            for_line(c, 0, [&](double& value, i64 x) {
                // Beyond a whole line back the first number is itself among those that are added.
                double mirrored = k == n_ - 1 ? value : other[x];
                value += power * (near[x] + far * mirrored);
            });
        }
        if (half) {
            double scale = z / (1.0 - far * far);
            for_line(c, 0, [&](double& value, i64 x) { value = value * scale + first[x]; });
        } else {
            double scale = 1.0 - far * far;
            for_line(c, 0, [&](double& value, i64) { value /= scale; });
        }
    }

    void begin_backwards(double* c, double z) {
        if (mode_ == wrap) {
            double power = z;
            for (i64 k = 0; k < n_ - 1 && power != 0.0; ++k, power *= z) {
                const double* __restrict other = c + k * pitch_;
                for_line(c, n_ - 1, [&](double& value, i64 x) { value += power * other[x]; });
            }
            double scale = z / (power - 1.0);
            for_line(c, n_ - 1, [&](double& value, i64) { value *= scale; });
        } else if (mode_ == reflect) {
            double scale = z / (z - 1.0);
            for_line(c, n_ - 1, [&](double& value, i64) { value *= scale; });
        } else {
            const double* __restrict before = c + (n_ - 2) * pitch_;
            double rest = z * z - 1.0;
            for_line(c, n_ - 1, [&](double& value, i64 x) { value = (z * before[x] + value) * z / rest; });
        }
    }

    const i64 n_, pitch_, width_, mode_;
    Scratch<double> first_;
};

void splines_along(double* values, const Lines& lines, const double* poles, i64 count, i64 mode,
                   const i64* part) {
    i64 n = lines.length;
    if (lines.inner > 1) {
        i64 chunks = (lines.inner + chunk - 1) / chunk;
        for (i64 unit = part[0]; unit < part[1]; ++unit) {
            i64 begin = unit % chunks * chunk;
            SplineLines filter(n, lines.inner, std::min(chunk, lines.inner - begin), mode);
            filter.filter(values + unit / chunks * n * lines.inner + begin, poles, count);
        }
        return;
    }
    Scratch<double> turned(n * together);
    SplineLines filter(n, together, together, mode);
    for (i64 unit = part[0]; unit < part[1]; ++unit) {
        i64 first = unit * together, lanes = std::min(together, lines.outer - first);
        for (i64 k = 0; k < n * together; ++k) turned[k] = 0.0;
        for (i64 line = 0; line < lanes; ++line)
            for (i64 x = 0; x < n; ++x) turned[x * together + line] = values[(first + line) * n + x];
        filter.filter(turned.get(), poles, count);
        for (i64 line = 0; line < lanes; ++line)
            for (i64 x = 0; x < n; ++x) values[(first + line) * n + x] = turned[x * together + line];
    }
}

// Samples along one axis: the first pixel of each, and the weights of it and those behind it, all
// samples' first weights first.
struct Samples {
    const i64* first;
    const double* weights;
    i64 count;
};

// Adds the products with a row's numbers.
template <int taps>
void add_row(const double* __restrict row, const Samples& samples, double* __restrict sums) {
    i64 n = samples.count;
    const i64* __restrict first = samples.first;
    const double* __restrict weights = samples.weights;
    for (i64 x = 0; x < n; ++x) {
        double sum = sums[x];
        for (int k = 0; k < taps; ++k) sum += row[first[x] + k] * weights[k * n + x];
        sums[x] = sum;
    }
}

// Products with the plane's weight first, then the row's, then the column's, added up in raster order.
template <int taps, class T>
void spline_samples(const double* image, i64 height, i64 width, const Samples* axes, T* to) {
    const Samples &planes = axes[0], &rows = axes[1], &columns = axes[2];
    bool deep = planes.count > 0;
    Scratch<double> products(width), sums(columns.count);
    i64 begin = width, end = 0;
    for (i64 x = 0; x < columns.count; ++x) {
        begin = std::min(begin, columns.first[x]);
        end = std::max(end, columns.first[x] + taps);
    }
    auto take = [&](const double* __restrict line, double plane_weight, double row_weight) {
        double* __restrict row = products;
        if (deep)
            for (i64 x = begin; x < end; ++x) row[x] = line[x] * plane_weight * row_weight;
        else
            for (i64 x = begin; x < end; ++x) row[x] = line[x] * row_weight;
        add_row<taps>(row, columns, sums);
    };
    for (i64 z = 0; z < (deep ? planes.count : 1); ++z)
        for (i64 y = 0; y < rows.count; ++y, to += columns.count) {
            std::fill(sums.get(), sums.get() + columns.count, 0.0);
            for (int p = 0; p < (deep ? taps : 1); ++p)
                for (int q = 0; q < taps; ++q) {
                    i64 plane = deep ? planes.first[z] + p : 0;
                    take(image + (plane * height + rows.first[y] + q) * width,
                         deep ? planes.weights[p * planes.count + z] : 1.0,
                         rows.weights[q * rows.count + y]);
                }
            const double* __restrict from = sums;
            for (i64 x = 0; x < columns.count; ++x) to[x] = static_cast<T>(from[x]);
        }
}

template <class T>
std::int32_t spline_samples(const double* image, i64 height, i64 width, const Samples* axes, i64 order, T* to) {
    switch (order) {
        case 2: return spline_samples<3>(image, height, width, axes, to), ok;
        case 3: return spline_samples<4>(image, height, width, axes, to), ok;
        case 4: return spline_samples<5>(image, height, width, axes, to), ok;
        case 5: return spline_samples<6>(image, height, width, axes, to), ok;
        default: return no_such_type;
    }
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// How many parts the lines along an axis fall into; `shape`: what lies before, along and behind it.
TILEWISE_API std::int32_t tilewise_line_parts(const i64* shape, i64* count) {
    *count = units_of({shape[0], shape[1], shape[2]});
    return ok;
}

// Means of `size` numbers along an axis, the first of them `before` places before the pixel.
TILEWISE_API std::int32_t tilewise_running_means(const void* from, void* to, i64 type, const i64* shape,
                                                 i64 before, i64 size, i64 mode, double value,
                                                 const i64* part) {
    return guarded([&]() -> std::int32_t {
        Lines lines{shape[0], shape[1], shape[2]};
        Window window{before, size, mode, value};
        if (type == type_f32)
            means_along(static_cast<const float*>(from), static_cast<float*>(to), lines, window, part);
        else if (type == type_f64)
            means_along(static_cast<const double*>(from), static_cast<double*>(to), lines, window, part);
        else
            return no_such_type;
        return ok;
    });
}

// The coefficients of a spline along an axis of two or more numbers, in the place of the numbers.
TILEWISE_API std::int32_t tilewise_spline_filter(double* values, const i64* shape, const double* poles,
                                                 i64 count, i64 mode, const i64* part) {
    return guarded([&]() -> std::int32_t {
        splines_along(values, {shape[0], shape[1], shape[2]}, poles, count, mode, part);
        return ok;
    });
}

// Samples of a spline, given its coefficients: of an image of one plane those along planes are none.
TILEWISE_API std::int32_t tilewise_spline_samples(const double* image, i64 height, i64 width, i64 order,
                                                  const i64* planes, const double* plane_weights, i64 plane_count,
                                                  const i64* rows, const double* row_weights, i64 row_count,
                                                  const i64* columns, const double* column_weights,
                                                  i64 column_count, i64 type, void* to) {
    return guarded([&]() -> std::int32_t {
        Samples axes[3] = {{planes, plane_weights, plane_count},
                           {rows, row_weights, row_count},
                           {columns, column_weights, column_count}};
        if (type == type_f32) return spline_samples(image, height, width, axes, order, static_cast<float*>(to));
        if (type == type_f64) return spline_samples(image, height, width, axes, order, static_cast<double*>(to));
        return no_such_type;
    });
}
