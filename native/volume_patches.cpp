// Fast non-local means of one volume: as of a plane, with the third axis outermost.
//
// scikit-image keeps one integral for all shifts. Where a shift begins below the first row, the row
// before it still holds what the last shifts of the plane shift before left there: distances do not
// depend on it, but their last bits do.
#include <algorithm>

#include "patches.h"

namespace tilewise {
namespace {

struct Patches {
    const double* pixels;  // padded by `pad` all around; rows are `stride` apart, zeros behind them
    i64 planes, rows, columns, stride, pad, reach, radius;
    double area, variance;  // h squared times the patch's pixels; twice the noise's variance
};

struct Shift {
    i64 z, y, x;  // of the first lane; the others follow along x
    bool is_back() const { return z < 0 || (z == 0 && y < 0); }
};

// The rows that a shift leaves behind for those that begin below the first one.
class Remains {
  public:
    explicit Remains(const Patches& p)
        : rows_(p.reach + 1), columns_(p.columns), values_(p.planes * rows_ * columns_) {
        std::fill_n(values_.get(), p.planes * rows_ * columns_, 0.0);
    }
    double* row(i64 plane, i64 row) { return values_ + (plane * rows_ + row) * columns_; }

  private:
    i64 rows_, columns_;
    Scratch<double> values_;
};

template <class V>
inline V wide(const double* from) {
    V values;
    __builtin_memcpy(&values, from, sizeof values);
    return values;
}

template <class V>
inline void put(double* to, const V& values) {
    __builtin_memcpy(to, &values, sizeof values);
}

template <class V>
class ShiftedPatches {
  public:
    static constexpr i64 lanes = PatchLanes<V>::count;

    ShiftedPatches(const Patches& patches, Remains& remains, double* weights, double* sums)
        : p_(patches), remains_(remains), weights_(weights), sums_(sums), depth_(2 * p_.radius + 2),
          ring_(p_.reach + 1), line_(p_.columns * lanes), integral_(depth_ * p_.rows * line_),
          shares_(ring_ * p_.rows * line_) {
        std::fill_n(integral_.get(), depth_ * p_.rows * line_, 0.0);
    }

    void run(const Shift& shift) {
        i64 begin = std::max<i64>(1, -shift.z), end = std::min(p_.planes, p_.planes - shift.z);
        i64 first_row = std::max<i64>(1, -shift.y), last_row = std::min(p_.rows, p_.rows - shift.y);
        i64 first = p_.pad - std::max<i64>(shift.z, 0), last = p_.planes - p_.pad - std::min<i64>(shift.z, 0);
        i64 low = p_.pad - std::max<i64>(shift.y, 0), high = p_.rows - p_.pad - std::min<i64>(shift.y, 0);
        std::fill_n(integral(begin - 1, first_row - 1), (last_row - first_row + 1) * line_, 0.0);
        for (i64 plane = begin; plane < end; ++plane) {
            restore(plane, first_row - 1);
            i64 row = first_row;
            for (; row + together <= last_row; row += together) add_rows<together>(plane, row, shift);
            for (; row < last_row; ++row) add_rows<1>(plane, row, shift);
            if (shift.y == p_.reach) retain(plane, shift.x);
            i64 centre = plane - p_.radius;
            if (centre < first || centre >= last) continue;
            i64 target = shift.is_back() ? centre + shift.z : centre;
            bool is_inside = target >= p_.pad && target < p_.planes - p_.pad;
            for (row = low; row < high; ++row) {
                share_row(centre, row, shift.x);
                i64 target_row = shift.is_back() ? row + shift.y : row;
                if (is_inside && target_row >= p_.pad && target_row < p_.rows - p_.pad)
                    collect(target, target_row, shift);
            }
        }
    }

  private:
    static constexpr int together = 4;  // rows: the sums of one follow one another

    double* integral(i64 plane, i64 row) { return integral_.get() + (plane % depth_ * p_.rows + row) * line_; }
    double* shares(i64 plane, i64 row, i64 lane) {
        return shares_.get() + (plane % ring_ * p_.rows + row) * line_ + lane * p_.columns;
    }

    // The row before the first one: what earlier shifts left.
    void restore(i64 plane, i64 row) {
        double* to = integral(plane, row);
        const double* from = row < p_.reach ? remains_.row(plane, row) : nullptr;
        for (i64 x = 0; x < p_.columns; ++x) put<V>(to + x * lanes, V{} + (from ? from[x] : 0.0));
    }
    void retain(i64 plane, i64 right) {
        i64 count = std::min(lanes, p_.reach - right + 1);
        for (i64 row = 1; row < p_.reach; ++row) {
            const double* from = integral(plane, row);
            double* to = remains_.row(plane, row);
            for (i64 x = 1; x < p_.columns; ++x) {
                // The last lane that reaches this column is the last to write there.
                i64 lane = std::min(count - 1, p_.columns - 1 - x - right);
                if (lane >= 0) to[x] = from[x * lanes + lane];
            }
        }
    }

    template <int count>
    void add_rows(i64 plane, i64 row, const Shift& shift) {
        const double *here[count], *there[count], *before[count + 1], *above[count];
        double* to[count];
        V left[count], old_before[count + 1], old_above[count], variance = V{} + p_.variance;
        for (int k = 0; k <= count; ++k) {
            before[k] = integral(plane - 1, row + k - 1);
            old_before[k] = wide<V>(before[k]);
        }
        for (int k = 0; k < count; ++k) {
            here[k] = p_.pixels + (plane * p_.rows + row + k) * p_.stride;
            there[k] = here[k] + (shift.z * p_.rows + shift.y) * p_.stride + shift.x;
            above[k] = integral(plane, row + k - 1);
            to[k] = integral(plane, row + k);
            left[k] = V{};
            old_above[k] = V{};
            put<V>(to[k], left[k]);
        }
        old_above[0] = wide<V>(above[0]);
        V corner[count];
        for (int k = 0; k < count; ++k) corner[k] = old_before[k];
        V behind[count];
        for (int k = 0; k < count; ++k) behind[k] = old_before[k + 1];
        auto step = [&](int k, i64 x) __attribute__((always_inline)) {
            V difference = V{} + here[k][x] - wide<V>(there[k] + x);
            V same = wide<V>(before[k + 1] + x * lanes), up = wide<V>(above[k] + x * lanes);
            V both = wide<V>(before[k] + x * lanes);
            V sum = (difference * difference - variance) + same + up + left[k] + corner[k] - both -
                    old_above[k] - behind[k];
            corner[k] = both, old_above[k] = up, behind[k] = same, left[k] = sum;
            put<V>(to[k] + x * lanes, sum);
        };
        // Each row is a column behind the one above it.
        for (i64 x = 1; x < count; ++x)
            for (int k = 0; k < count; ++k)
                if (x - k >= 1) step(k, x - k);
        for (i64 x = count; x < p_.columns; ++x)
            for (int k = 0; k < count; ++k) step(k, x - k);
        for (i64 x = p_.columns; x < p_.columns + count - 1; ++x)
            for (int k = 0; k < count; ++k)
                if (x - k < p_.columns) step(k, x - k);
    }

    // The weights of all patches of a row, turned round.
    void share_row(i64 plane, i64 row, i64 right) {
        i64 radius = p_.radius, r = radius * lanes;
        const double* nn = integral(plane - radius, row - radius);
        const double* np = integral(plane - radius, row + radius);
        const double* pn = integral(plane + radius, row - radius);
        const double* pp = integral(plane + radius, row + radius);
        V factors = V{} + 1.0, area = V{} + p_.area, far = V{} + far_from(p_.area);
        if (right == 0) factors[0] = 0.5;
        constexpr i64 block = 32;
        double turned[block * lanes];
        for (i64 x = p_.pad - p_.reach; x < p_.columns - p_.pad; x += block) {
            i64 n = std::min(block, p_.columns - p_.pad - x);
            for (i64 k = 0; k < n; ++k) {
                i64 low = (x + k) * lanes - r, high = (x + k) * lanes + r;
                V distance = wide<V>(pp + high) - wide<V>(nn + low) + wide<V>(nn + high) + wide<V>(np + low) +
                             wide<V>(pn + low) - wide<V>(np + high) - wide<V>(pn + high) - wide<V>(pp + low);
                put<V>(turned + k * lanes, share_of(distance, factors, area, far));
            }
            for (int lane = 0; lane < lanes; ++lane) {
                double* to = shares(plane, row, lane) + x;
                for (i64 k = 0; k < n; ++k) to[k] = turned[k * lanes + lane];
            }
        }
    }

    // Add the shares of the patch here, and of the patch that this one is the shifted one of, in the
    // order in which the function meets them.
    void collect(i64 plane, i64 row, const Shift& shift) {
        i64 n = p_.columns - 2 * p_.pad, count = std::min(lanes, p_.reach - shift.x + 1);
        i64 first = ((plane - p_.pad) * (p_.rows - 2 * p_.pad) + row - p_.pad) * n;
        double* __restrict weight = weights_ + first;
        double* __restrict sum = sums_ + first;
        i64 away = (shift.z * p_.rows + shift.y) * p_.stride;
        const double* pixels = p_.pixels + (plane * p_.rows + row) * p_.stride + p_.pad;
        for (i64 lane = 0; lane < count; ++lane) {
            i64 step = shift.x + lane;
            const double* own = shares(plane, row, lane) + p_.pad;
            const double* other = shares(plane - shift.z, row - shift.y, lane) + p_.pad - step;
            const double *ahead = pixels + away + step, *behind = pixels - away - step;
            if (shift.is_back()) {
                std::swap(own, other);
                std::swap(ahead, behind);
            }
            // First the earlier centre in raster order, which lies behind.
            for (i64 x = 0; x < n; ++x) {
                double first_share = other[x], second = own[x];
                weight[x] = weight[x] + first_share + second;
                sum[x] = sum[x] + first_share * behind[x] + second * ahead[x];
            }
        }
    }

    const Patches p_;
    Remains& remains_;
    double *weights_, *sums_;
    i64 depth_, ring_, line_;
    Scratch<double> integral_, shares_;
};

template <class V>
void run_shifts(const Patches& p, double* weights, double* sums) {
    Remains remains(p);
    ShiftedPatches<V> shifted(p, remains, weights, sums);
    for (i64 z = -p.reach; z <= p.reach; ++z)
        for (i64 y = -p.reach; y <= p.reach; ++y)
            for (i64 x = 0; x <= p.reach; x += ShiftedPatches<V>::lanes) shifted.run({z, y, x});
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// sizes: planes, rows, columns of the padded volume, the length of its rows with at least a vector and
// the reach of zeros behind them, pad, reach, radius. weights and sums: the volume without its padding;
// zeros.
TILEWISE_API std::int32_t tilewise_volume_means(const double* pixels, const i64* sizes, double area,
                                                double variance, double* weights, double* sums) {
    return guarded([&]() -> std::int32_t {
        Patches patches{pixels,   sizes[0], sizes[1], sizes[2], sizes[3],
                        sizes[4], sizes[5], sizes[6], area,     variance};
        if (patches.reach + 1 <= PatchLanes<HalfVector>::count)
            run_shifts<HalfVector>(patches, weights, sums);
        else
            run_shifts<Vector<double>>(patches, weights, sums);
        return ok;
    });
}
