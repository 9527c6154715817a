// Thresholds from the mean and the deviation of a window around every pixel, out of sums over the whole
// image before each place, in double precision and in the order of cumulative sums axis by axis.
#include <cmath>
#include <vector>

#include "windows.h"

namespace tilewise {
namespace {

// m * (1 + k * (s / r - 1)) of a window's mean m and deviation s, or m - k * s where r is 0.
template <class T>
struct Rule {
    T area, k, r;
    T operator()(double sum, double squares) const {
        T mean = static_cast<T>(sum) / area;
        T variance = static_cast<T>(squares) / area - mean * mean;
        T deviation = std::sqrt(variance < 0 ? T(0) : variance);
        return r != 0 ? mean * (1 + k * (deviation / r - 1)) : mean - k * deviation;
    }
};

// Rows whose cumulative sums are made at once: each waits for its own last one only.
constexpr i64 together = 4;

void add_up(double* const* rows, i64 n) {
    double a = -0.0, b = -0.0, c = -0.0, d = -0.0, e = -0.0, f = -0.0, g = -0.0, h = -0.0;
    for (i64 x = 0; x < n; ++x) {
        rows[0][x] = a += rows[0][x];
        rows[1][x] = b += rows[1][x];
        rows[2][x] = c += rows[2][x];
        rows[3][x] = d += rows[3][x];
        rows[4][x] = e += rows[4][x];
        rows[5][x] = f += rows[5][x];
        rows[6][x] = g += rows[6][x];
        rows[7][x] = h += rows[7][x];
    }
}

// S: the image's data type; T: the floating-point one that it is computed in. Along every axis the
// image is mirrored, half a window and one pixel before it and half a window behind.
template <class S, class T>
class WindowThresholds {
  public:
    WindowThresholds(const S* from, T* to, const Volume& volume, const i64* window, bool deep, const Rule<T>& rule)
        : from_(from), to_(to), volume_(volume), deep_(deep), rule_(rule), size_{window[0], window[1], window[2]},
          // Of an image the lines along the first axis are its rows.
          length_(deep ? volume.nz : volume.ny), height_(deep ? volume.ny + window[1] : 1),
          width_(volume.nx + window[2]), slice_(height_ * width_), window_(deep ? window[0] : window[1]),
          ring_(window_ + together), before_(slice_), before_squares_(slice_), sums_(ring_ * slice_ + width_),
          squares_(ring_ * slice_ + width_), spare_(8 * width_), columns_(static_cast<std::size_t>(width_)) {
        for (i64 x = 0; x < width_; ++x)
            columns_[static_cast<std::size_t>(x)] = mapped(x - window[2] / 2 - 1, volume.nx, mirror);
    }

    // From one line (or plane) up to another.
    void run(i64 begin, i64 end) {
        std::fill(before_.get(), before_.get() + slice_, -0.0);
        std::fill(before_squares_.get(), before_squares_.get() + slice_, -0.0);
        for (i64 k = 0; k < begin; ++k) accumulate(k);
        for (i64 k = begin; k < end + window_; k += together) {
            i64 stop = std::min(k + together, end + window_);
            for (i64 line = k; line < stop; ++line) {
                accumulate(line);
                if (deep_) add_along_rows(line);
                else copy(line);
            }
            if (!deep_) add_along_columns(k, stop);
            for (i64 line = std::max(k - window_, begin); line < stop - window_; ++line) write(line);
        }
    }

  private:
    double* sums_of(i64 line) { return sums_ + line % ring_ * slice_; }
    double* squares_of(i64 line) { return squares_ + line % ring_ * slice_; }

    void accumulate(i64 line) {
        i64 inside = mapped(line - window_ / 2 - 1, length_, mirror);
        for (i64 y = 0; y < height_; ++y) {
            i64 row = deep_ ? inside * volume_.ny + mapped(y - size_[1] / 2 - 1, volume_.ny, mirror) : inside;
            add_row(from_ + row * volume_.nx, before_ + y * width_, before_squares_ + y * width_);
        }
    }

    void add_row(const S* __restrict row, double* __restrict sums, double* __restrict squares) {
        i64 low = size_[2] / 2 + 1, high = low + volume_.nx;
        auto add = [&](i64 x, i64 column) {
            T value = static_cast<T>(row[column]);
            sums[x] += static_cast<double>(value);
            squares[x] += static_cast<double>(value * value);
        };
        for (i64 x = 0; x < low; ++x) add(x, columns_[static_cast<std::size_t>(x)]);
        for (i64 x = low; x < high; ++x) add(x, x - low);
        for (i64 x = high; x < width_; ++x) add(x, columns_[static_cast<std::size_t>(x)]);
    }

    void copy(i64 line) {
        std::copy(before_.get(), before_.get() + slice_, sums_of(line));
        std::copy(before_squares_.get(), before_squares_.get() + slice_, squares_of(line));
    }

    void add_along_columns(i64 begin, i64 stop) {
        double* rows[2 * together];
        for (i64 k = 0; k < together; ++k) {
            bool there = begin + k < stop;
            rows[2 * k] = there ? sums_of(begin + k) : spare_ + 2 * k * width_;
            rows[2 * k + 1] = there ? squares_of(begin + k) : spare_ + (2 * k + 1) * width_;
        }
        if (stop - begin < together) std::fill(spare_.get(), spare_.get() + 8 * width_, 0.0);
        add_up(rows, width_);
    }

    // The sums along the rows of a plane, then along its columns.
    void add_along_rows(i64 plane) {
        double* sums = sums_of(plane);
        double* squares = squares_of(plane);
        copy(plane);
        for (i64 y = 1; y < height_; ++y) {
            add_line(sums + (y - 1) * width_, sums + y * width_);
            add_line(squares + (y - 1) * width_, squares + y * width_);
        }
        std::fill(spare_.get(), spare_.get() + 8 * width_, 0.0);
        for (i64 y = 0; y < height_; y += together) {
            double* rows[2 * together];
            for (i64 k = 0; k < together; ++k) {
                bool there = y + k < height_;
                rows[2 * k] = there ? sums + (y + k) * width_ : spare_ + 2 * k * width_;
                rows[2 * k + 1] = there ? squares + (y + k) * width_ : spare_ + (2 * k + 1) * width_;
            }
            add_up(rows, width_);
        }
    }

    void add_line(const double* __restrict before, double* __restrict line) {
        for (i64 x = 0; x < width_; ++x) line[x] += before[x];
    }

    void write(i64 line) {
        i64 wx = size_[2];
        const double *near = sums_of(line), *far = sums_of(line + window_);
        const double *near_squares = squares_of(line), *far_squares = squares_of(line + window_);
        if (!deep_) {
            write_row(near, far, near_squares, far_squares, wx, to_ + line * volume_.nx);
            return;
        }
        for (i64 y = 0; y < volume_.ny; ++y) {
            i64 low = y * width_, high = (y + size_[1]) * width_;
            T* __restrict target = to_ + (line * volume_.ny + y) * volume_.nx;
            const double *a = near + low, *b = near + high, *c = far + low, *d = far + high;
            const double *p = near_squares + low, *q = near_squares + high, *r = far_squares + low,
                         *s = far_squares + high;
            for (i64 x = 0; x < volume_.nx; ++x) {
                i64 e = x + wx;
                double sum = -a[x] + a[e] + b[x] - b[e] + c[x] - c[e] - d[x] + d[e];
                double square = -p[x] + p[e] + q[x] - q[e] + r[x] - r[e] - s[x] + s[e];
                target[x] = rule_(sum, square);
            }
        }
    }

    void write_row(const double* near, const double* far, const double* near_squares, const double* far_squares,
                   i64 wx, T* __restrict target) {
        for (i64 x = 0; x < volume_.nx; ++x) {
            double sum = near[x] - near[x + wx] - far[x] + far[x + wx];
            double square = near_squares[x] - near_squares[x + wx] - far_squares[x] + far_squares[x + wx];
            target[x] = rule_(sum, square);
        }
    }

    const S* from_;
    T* to_;
    const Volume volume_;
    const bool deep_;
    const Rule<T> rule_;
    const i64 size_[3], length_, height_, width_, slice_, window_, ring_;
    Scratch<double> before_, before_squares_, sums_, squares_, spare_;
    std::vector<i64> columns_;
};

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// window: planes, rows and columns, odd; of an image of two axes (deep: 0) one plane. part: from one row
// up to another, of a volume from one plane. Single precision gives single precision, all else double.
TILEWISE_API std::int32_t tilewise_thresholds(const void* from, i64 type, void* to, const i64* sizes,
                                              const i64* window, i64 deep, double k, double r,
                                              const i64* part) {
    return guarded([&]() -> std::int32_t {
        Volume volume(sizes);
        return for_every(type, [&](auto tag) -> std::int32_t {
            using S = typename decltype(tag)::type;
            using T = std::conditional_t<std::is_same<S, float>::value, float, double>;
            Rule<T> rule{static_cast<T>(window[0] * window[1] * window[2]), static_cast<T>(k), static_cast<T>(r)};
            WindowThresholds<S, T> thresholds(static_cast<const S*>(from), static_cast<T*>(to), volume, window,
                                              deep != 0, rule);
            thresholds.run(part[0], part[1]);
            return ok;
        });
    });
}
