// Labels grown to the nearest one up to a distance, with SciPy's choice among equally near ones: the
// feature transform along planes, rows and columns in turn, the latter two by a lower envelope, in
// whole numbers.
#include <algorithm>
#include <cmath>

#include "envelope.h"

namespace tilewise {
namespace {

template <class T>
class Growing {
  public:
    Growing(const T* labels, const i64* sizes, double distance)
        : labels_(labels), nz_(sizes[0]), ny_(sizes[1]), nx_(sizes[2]), distance_(distance),
          most_(most_of(distance)), planes_(nz_ * ny_ * nx_), rows_(ny_ * nx_), squares_(ny_ * nx_) {}

    void run(T* to) {
        nearest_along_first(labels_, nz_, ny_ * nx_, planes_.get());
        Envelope columns(ny_), row(nx_);
        for (i64 z = 0; z < nz_; ++z) {
            for (i64 x = 0; x < nx_; ++x) column(columns, z, x);
            for (i64 y = 0; y < ny_; ++y) grow(row, z, y, to + (z * ny_ + y) * nx_);
        }
    }

  private:
    // Sites farther than the distance are nobody's: a pixel that is nearest to one gets no label.
    static i64 most_of(double distance) {
        double largest = std::min(distance, 3e4) + 1;
        return static_cast<i64>(largest * largest);
    }

    // The row of the nearest label to each pixel of a column of a plane, and its square.
    void column(Envelope& envelope, i64 z, i64 x) {
        const Index* planes = planes_ + z * ny_ * nx_ + x;
        envelope.start();
        for (i64 y = 0; y < ny_; ++y) {
            Index plane = planes[y * nx_];
            i64 square = (plane - z) * (plane - z);
            if (plane != nowhere && square <= most_) envelope.add(y, square);
        }
        for (i64 y = 0; y < ny_; ++y) {
            i64 square = envelope.is_empty() ? most_ + 1 : envelope.nearest(y);
            bool is_near = square <= most_;
            rows_[y * nx_ + x] = is_near ? static_cast<Index>(envelope.site()) : nowhere;
            squares_[y * nx_ + x] = square;
        }
    }

    void grow(Envelope& envelope, i64 z, i64 y, T* to) {
        const Index* rows = rows_ + y * nx_;
        const i64* squares = squares_ + y * nx_;
        envelope.start();
        for (i64 x = 0; x < nx_; ++x)
            if (rows[x] != nowhere) envelope.add(x, squares[x]);
        if (envelope.is_empty()) {
            std::fill_n(to, nx_, T(0));
            return;
        }
        for (i64 x = 0; x < nx_; ++x) {
            i64 best = envelope.nearest(x);
            bool is_near = best <= most_ && std::sqrt(static_cast<double>(best)) <= distance_;
            to[x] = is_near ? label(z, rows[envelope.site()], envelope.site()) : T(0);
        }
    }

    T label(i64 z, i64 y, i64 x) {
        i64 plane = planes_[(z * ny_ + y) * nx_ + x];
        return labels_[(plane * ny_ + y) * nx_ + x];
    }

    const T* labels_;
    i64 nz_, ny_, nx_;
    double distance_;
    i64 most_;
    Scratch<Index> planes_, rows_;
    Scratch<i64> squares_;
};

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// sizes: planes, rows, columns; a plane alone is given as (rows, 1, columns). Labels are looked at as
// whole numbers of this many bytes.
TILEWISE_API std::int32_t tilewise_expand(const void* labels, void* to, i64 bytes, const i64* sizes,
                                          double distance) {
    return guarded([&]() -> std::int32_t {
        return for_labels(bytes, [&](auto tag) -> std::int32_t {
            using T = typename decltype(tag)::type;
            Growing<T>(static_cast<const T*>(labels), sizes, distance).run(static_cast<T*>(to));
            return ok;
        });
    });
}
