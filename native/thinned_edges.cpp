// Canny's edges before hysteresis: the gradient of a smoothed plane, and its magnitude where that is
// the largest along the gradient, in the order of SciPy's and scikit-image's arithmetic.
#include <algorithm>
#include <cmath>

#include "tilewise.h"

namespace tilewise {
namespace {

template <class T>
struct Gradient {
    T *down, *right, *magnitude;
};

template <class T>
class Edges {
  public:
    Edges(const T* image, i64 ny, i64 nx)
        : image_(image), ny_(ny), nx_(nx), steps_(4 * nx + 2), rows_(9 * nx) {}

    void run(const std::uint8_t* mask, float least, T* to) {
        for (i64 y = -1; y < ny_; ++y) {
            if (y + 1 < ny_) derive(y + 1);
            if (y < 0) continue;
            // Pixels of the frame have no neighbours to be compared with.
            std::fill(to + y * nx_, to + (y + 1) * nx_, T(0));
            if (y > 0 && y + 1 < ny_) thin(y, mask ? mask + y * nx_ : nullptr, least, to + y * nx_);
        }
    }

  private:
    const T* line(i64 y) const { return image_ + mapped(y, ny_, reflect) * nx_; }

    Gradient<T> gradient(i64 y) {
        T* first = rows_ + (y + 3) % 3 * 3 * nx_;
        return {first, first + nx_, first + 2 * nx_};
    }

    // Differences along the row, rounded to T: each is the difference of two pixels.
    void across(const T* __restrict from, T* __restrict to) {
        for (i64 x = 1; x + 1 < nx_; ++x) to[x] = from[x + 1] - from[x - 1];
        to[0] = from[mapped(1, nx_, reflect)] - from[0];
        to[nx_ - 1] = from[nx_ - 1] - from[mapped(nx_ - 2, nx_, reflect)];
    }

    // The middle twice and both sides, in double precision.
    static T smoothed(T before, T middle, T after) {
        return static_cast<T>(static_cast<double>(middle) * 2 +
                              (static_cast<double>(before) + static_cast<double>(after)));
    }

    void derive(i64 y) {
        Gradient<T> g = gradient(y);
        T* __restrict above = steps_;
        T* __restrict here = steps_ + nx_;
        T* __restrict below = steps_ + 2 * nx_;
        across(line(y - 1), above);
        across(line(y), here);
        across(line(y + 1), below);
        for (i64 x = 0; x < nx_; ++x) g.right[x] = smoothed(above[x], here[x], below[x]);
        // Padded by one on either side.
        T* __restrict step = steps_ + 3 * nx_ + 1;
        const T* __restrict before = line(y - 1);
        const T* __restrict after = line(y + 1);
        for (i64 x = 0; x < nx_; ++x) step[x] = after[x] - before[x];
        step[-1] = step[0];
        step[nx_] = step[nx_ - 1];
        for (i64 x = 0; x < nx_; ++x) g.down[x] = smoothed(step[x - 1], step[x], step[x + 1]);
        for (i64 x = 0; x < nx_; ++x) {
            T square = g.down[x] * g.down[x];
            square += g.right[x] * g.right[x];
            g.magnitude[x] = std::sqrt(square);
        }
    }

    // Whether no value between two neighbours on one side is larger; doubles, as 1.0 - w is one.
    static bool exceeds(T near, T diagonal, T w, T m) {
        return diagonal * w + near * (1.0 - w) <= m;
    }

    void thin(i64 y, const std::uint8_t* mask, float least, T* to) {
        Gradient<T> g = gradient(y);
        const T* above = gradient(y - 1).magnitude;
        const T* below = gradient(y + 1).magnitude;
        for (i64 x = 1; x + 1 < nx_; ++x) {
            T m = g.magnitude[x];
            if (!(m >= least) || (mask && !mask[x])) continue;
            T down = std::fabs(g.down[x]), right = std::fabs(g.right[x]);
            bool alike = (g.down[x] <= 0) == (g.right[x] <= 0);
            // The diagonal neighbours lie towards the gradient and away from it.
            T one = alike ? below[x + 1] : above[x + 1], other = alike ? above[x - 1] : below[x - 1];
            bool steep = alike ? down > right : !(down < right);
            T w = steep ? right / down : down / right;
            T near_one = steep ? (alike ? below[x] : above[x]) : g.magnitude[x + 1];
            T near_other = steep ? (alike ? above[x] : below[x]) : g.magnitude[x - 1];
            if (exceeds(near_one, one, w, m) && exceeds(near_other, other, w, m)) to[x] = m;
        }
    }

    const T* image_;
    i64 ny_, nx_;
    Scratch<T> steps_, rows_;
};

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// mask: bytes of the pixels that may be edges, or null; those of the frame never are. least: the
// smallest magnitude, above 0.
TILEWISE_API std::int32_t tilewise_thinned_edges(const void* image, i64 type, i64 ny, i64 nx,
                                                 const void* mask, double least, void* to) {
    return guarded([&]() -> std::int32_t {
        auto body = [&](auto tag) {
            using T = typename decltype(tag)::type;
            Edges<T>(static_cast<const T*>(image), ny, nx)
                .run(static_cast<const std::uint8_t*>(mask), static_cast<float>(least), static_cast<T*>(to));
            return ok;
        };
        if (type == type_f32) return body(Tag<float>());
        if (type == type_f64) return body(Tag<double>());
        return no_such_type;
    });
}
