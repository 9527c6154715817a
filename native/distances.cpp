// The Euclidean distance of every pixel of a mask to the nearest one outside it, or where that is, with
// SciPy's choice among equally near ones: as labels grow, without an end to it.
#include <cmath>

#include "envelope.h"

namespace tilewise {
namespace {

class Distances {
  public:
    Distances(const Index* planes, const i64* sizes)
        : planes_(planes), nz_(sizes[0]), ny_(sizes[1]), nx_(sizes[2]), rows_(ny_ * nx_), squares_(ny_ * nx_) {}

    // Distances, places along each axis, or both; what is not asked for is null.
    void run(i64 begin, i64 end, double* to, Index* places) {
        Envelope columns(ny_), row(nx_);
        for (i64 z = begin; z < end; ++z) {
            for (i64 x = 0; x < nx_; ++x) column(columns, z, x);
            for (i64 y = 0; y < ny_; ++y) line(row, z, y, to, places);
        }
    }

  private:
    // The row of the nearest site to each pixel of a column of a plane, and its square.
    void column(Envelope& envelope, i64 z, i64 x) {
        const Index* planes = planes_ + z * ny_ * nx_ + x;
        if (ny_ == 1) {
            i64 step = planes[0] - z;
            rows_[x] = planes[0] == nowhere ? nowhere : 0;
            squares_[x] = step * step;
            return;
        }
        envelope.start();
        for (i64 y = 0; y < ny_; ++y) {
            Index plane = planes[y * nx_];
            if (plane != nowhere) envelope.add(y, (plane - z) * (plane - z));
        }
        bool is_empty = envelope.is_empty();
        for (i64 y = 0; y < ny_; ++y) {
            squares_[y * nx_ + x] = is_empty ? 0 : envelope.nearest(y);
            rows_[y * nx_ + x] = is_empty ? nowhere : static_cast<Index>(envelope.site());
        }
    }

    void line(Envelope& envelope, i64 z, i64 y, double* to, Index* places) {
        const Index* rows = rows_ + y * nx_;
        const i64* squares = squares_ + y * nx_;
        envelope.start();
        for (i64 x = 0; x < nx_; ++x)
            if (rows[x] != nowhere) envelope.add(x, squares[x]);
        i64 begin = (z * ny_ + y) * nx_, size = nz_ * ny_ * nx_;
        for (i64 x = 0; x < nx_; ++x) {
            i64 best = envelope.nearest(x);
            if (to) to[begin + x] = std::sqrt(static_cast<double>(best));
            if (!places) continue;
            i64 column = envelope.site(), row = rows[column];
            places[begin + x] = planes_[(z * ny_ + row) * nx_ + column];
            places[size + begin + x] = static_cast<Index>(row);
            places[2 * size + begin + x] = static_cast<Index>(column);
        }
    }

    const Index* planes_;
    i64 nz_, ny_, nx_;
    Scratch<Index> rows_;
    Scratch<i64> squares_;
};

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// sizes: planes, rows, columns, as `tilewise_expand` has them. For each pixel the plane of the nearest
// site in its line along the first axis.
TILEWISE_API std::int32_t tilewise_nearest_planes(const std::uint8_t* sites, const i64* sizes,
                                                  std::int32_t* planes) {
    return guarded([&]() -> std::int32_t {
        nearest_along_first(sites, sizes[0], sizes[1] * sizes[2], planes);
        return ok;
    });
}

// Of the planes from begin to end: distances, places (three axes), or both. There is a site.
TILEWISE_API std::int32_t tilewise_distances(const std::int32_t* planes, const i64* sizes, i64 begin,
                                             i64 end, double* to, std::int32_t* places) {
    return guarded([&]() -> std::int32_t {
        Distances(planes, sizes).run(begin, end, to, places);
        return ok;
    });
}
