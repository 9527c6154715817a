// Fast non-local means of one plane: for every shift, distances of patches from an integral of squared
// differences, and weights added to both pixels, in scikit-image's order of shifts.
//
// An integral's sums follow one another, so shifts along the row lie side by side in a vector; the
// weights are turned round, so that pixels do when they are added up.
#include <algorithm>

#include "patches.h"

namespace tilewise {
namespace {

using Wide = Vector<double>;
using Mask = PatchLanes<Wide>::Mask;
constexpr int lanes = Lanes<double>::count;

struct Plane {
    const double* pixels;  // padded by `pad` all around; rows are `stride` apart, zeros behind them
    i64 rows, columns, stride, pad, reach, radius;
    double area, variance;  // h squared times the patch's pixels; twice the noise's variance
};

class Means {
  public:
    Means(const Plane& plane, double* weights, double* sums)
        : plane_(plane), weights_(weights), sums_(sums), ring_(plane.reach + 1),
          integral_((2 * plane.radius + 2) * plane.columns * lanes),
          shares_(ring_ * lanes * plane.columns) {}

    void run() {
        for (i64 down = -plane_.reach; down <= plane_.reach; ++down)
            for (i64 right = 0; right <= plane_.reach; right += lanes) shift(down, right);
    }

  private:
    double* integral(i64 row) { return integral_.get() + row % (2 * plane_.radius + 2) * plane_.columns * lanes; }
    double* shares(i64 row, i64 lane) {
        return shares_.get() + (row % ring_ * lanes + lane) * plane_.columns;
    }

    // All shifts by `down` rows and `right` to `right + lanes - 1` columns.
    void shift(i64 down, i64 right) {
        const Plane& p = plane_;
        i64 begin = std::max<i64>(1, -down), end = std::min(p.rows, p.rows - down);
        std::fill_n(integral(begin - 1), p.columns * lanes, 0.0);
        i64 first = p.pad - std::max<i64>(down, 0), last = p.rows - p.pad - std::min<i64>(down, 0);
        for (i64 row = begin; row < end; ++row) {
            add_row(row, down, right);
            i64 centre = row - p.radius;
            if (centre < first || centre >= last) continue;
            share_row(centre, right);
            i64 target = down >= 0 ? centre : centre + down;
            if (target >= p.pad && target < p.rows - p.pad) collect(target, down, right);
        }
    }

    void add_row(i64 row, i64 down, i64 right) {
        const Plane& p = plane_;
        const double* here = p.pixels + row * p.stride;
        const double* there = p.pixels + (row + down) * p.stride + right;
        const double* above = integral(row - 1);
        double* to = integral(row);
        Wide left = Wide{}, corner = load(above), variance = spread(p.variance);
        store(to, left);
        for (i64 x = 1; x < p.columns; ++x) {
            Wide difference = spread(here[x]) - load(there + x), up = load(above + x * lanes);
            left = (difference * difference - variance) + up + left - corner;
            corner = up;
            store(to + x * lanes, left);
        }
    }

    // The weights of all patches of a row, turned round.
    void share_row(i64 row, i64 right) {
        const Plane& p = plane_;
        i64 r = p.radius * lanes;
        const double* above = integral(row - p.radius);
        const double* below = integral(row + p.radius);
        Wide factors = spread(1.0), area = spread(p.area), far = spread(far_from(p.area));
        if (right == 0) factors[0] = 0.5;
        constexpr i64 block = 32;
        double turned[block * lanes];
        for (i64 x = p.pad - p.reach; x < p.columns - p.pad; x += block) {
            i64 n = std::min(block, p.columns - p.pad - x);
            for (i64 k = 0; k < n; ++k) {
                i64 at = (x + k) * lanes;
                Wide distance = load(below + at + r) + load(above + at - r) - load(above + at + r) -
                                load(below + at - r);
                Wide share = share_of(distance, factors, area, far);
                store(turned + k * lanes, share);
            }
            for (int lane = 0; lane < lanes; ++lane) {
                double* to = shares(row, lane) + x;
                for (i64 k = 0; k < n; ++k) to[k] = turned[k * lanes + lane];
            }
        }
    }

    // Add the shares of the patch here, and of the patch that this one is the shifted one of, in the
    // order in which the function meets them.
    void collect(i64 row, i64 down, i64 right) {
        const Plane& p = plane_;
        i64 n = p.columns - 2 * p.pad, count = std::min<i64>(lanes, p.reach - right + 1);
        double* __restrict weight = weights_ + (row - p.pad) * n;
        double* __restrict sum = sums_ + (row - p.pad) * n;
        for (i64 lane = 0; lane < count; ++lane) {
            i64 step = right + lane;
            const double* own = shares(row, lane) + p.pad;
            const double* other = shares(row - down, lane) + p.pad - step;
            const double* ahead = p.pixels + (row + down) * p.stride + p.pad + step;
            const double* behind = p.pixels + (row - down) * p.stride + p.pad - step;
            if (down < 0) {
                std::swap(own, other);
                std::swap(ahead, behind);
            }
            // First the earlier centre in raster order, which lies behind.
            for (i64 x = 0; x < n; ++x) {
                double first = other[x], second = own[x];
                weight[x] = weight[x] + first + second;
                sum[x] = sum[x] + first * behind[x] + second * ahead[x];
            }
        }
    }

    Plane plane_;
    double *weights_, *sums_;
    i64 ring_;
    Scratch<double> integral_, shares_;
};

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// pixels: rows x stride, of which `columns` are the padded plane's and the others, at least as many as
// a vector and the reach together, are zeros. weights and sums: the plane without its padding; zeros.
TILEWISE_API std::int32_t tilewise_patch_means(const double* pixels, i64 rows, i64 columns, i64 stride,
                                               i64 pad, i64 reach, i64 radius, double area,
                                               double variance, double* weights, double* sums) {
    return guarded([&]() -> std::int32_t {
        Plane plane{pixels, rows, columns, stride, pad, reach, radius, area, variance};
        Means(plane, weights, sums).run();
        return ok;
    });
}
