// Grey reconstruction: a seed grows under a limit. Two sweeps, there and back, carry most values as far
// as they go; what could still grow then spreads from a queue.
#include <algorithm>
#include <limits>
#include <queue>
#include <utility>
#include <vector>

#include "tilewise.h"

namespace tilewise {
namespace {

template <class T>
class Reconstruction {
  public:
    // steps: dz, dy and dx of each neighbour, which is as far away as the margins at most.
    Reconstruction(const i64* sizes, const i64* margins, const i64* steps, i64 count)
        : nz_(sizes[0]), ny_(sizes[1]), nx_(sizes[2]), mz_(margins[0]), my_(margins[1]), mx_(margins[2]),
          wide_(nx_ + 2 * mx_), plane_((ny_ + 2 * my_) * wide_), size_((nz_ + 2 * mz_) * plane_),
          state_(size_), limit_(size_) {
        for (i64 n = 0; n < count; ++n) {
            i64 step = steps[3 * n] * plane_ + steps[3 * n + 1] * wide_ + steps[3 * n + 2];
            (step < 0 ? before_ : after_).push_back(step);
            all_.push_back(step);
        }
    }

    // sign: 1, or -1 where the seed shrinks above the limit.
    void run(const T* seed, const T* mask, T sign, T* to) {
        std::fill_n(state_.get(), size_, -std::numeric_limits<T>::infinity());
        std::fill_n(limit_.get(), size_, -std::numeric_limits<T>::infinity());
        for_rows([&](i64 from, i64 at) {
            for (i64 x = 0; x < nx_; ++x) state_[at + x] = sign * seed[from + x];
            for (i64 x = 0; x < nx_; ++x) limit_[at + x] = sign * mask[from + x];
        });
        for_rows([&](i64, i64 at) {
            for (i64 p = at; p < at + nx_; ++p) state_[p] = grown(p, before_);
        });
        sweep_back();
        spread();
        for_rows([&](i64 from, i64 at) {
            for (i64 x = 0; x < nx_; ++x) to[from + x] = sign * state_[at + x];
        });
    }

  private:
    // Call with the beginning of each row, in the image and within its margins.
    template <class Visit>
    void for_rows(Visit visit) {
        for (i64 z = 0; z < nz_; ++z)
            for (i64 y = 0; y < ny_; ++y) visit((z * ny_ + y) * nx_, start(z, y));
    }

    i64 start(i64 z, i64 y) { return (z + mz_) * plane_ + (y + my_) * wide_ + mx_; }

    T grown(i64 p, const std::vector<i64>& steps) {
        T best = state_[p];
        for (i64 step : steps) best = std::max(best, state_[p + step]);
        return std::min(best, limit_[p]);
    }

    bool may_grow(i64 p, T value) { return state_[p] < value && state_[p] < limit_[p]; }

    void sweep_back() {
        for (i64 z = nz_ - 1; z >= 0; --z)
            for (i64 y = ny_ - 1; y >= 0; --y)
                for (i64 p = start(z, y) + nx_ - 1; p >= start(z, y); --p) {
                    T value = state_[p] = grown(p, after_);
                    for (i64 step : after_)
                        if (may_grow(p + step, value)) {
                            queue_.push_back(p);
                            break;
                        }
                }
    }

    // Raise what a pixel reaches, and call with each of them.
    template <class Raised>
    void raise_around(i64 p, Raised raised) {
        T value = state_[p];
        for (i64 step : all_) {
            i64 q = p + step;
            if (!may_grow(q, value)) continue;
            state_[q] = std::min(value, limit_[q]);
            raised(q);
        }
    }

    // First come, first served is quick while few pixels are raised more than once.
    void spread() {
        std::vector<i64> next;
        i64 patience = nz_ * ny_ * nx_ / 2;
        while (!queue_.empty() && patience > 0) {
            patience -= static_cast<i64>(queue_.size());
            next.clear();
            for (i64 p : queue_) raise_around(p, [&](i64 q) { next.push_back(q); });
            queue_.swap(next);
        }
        if (!queue_.empty()) spread_in_order();
    }

    // The highest first: what it raises is final.
    void spread_in_order() {
        std::priority_queue<std::pair<T, i64>> heap;
        for (i64 p : queue_) heap.emplace(state_[p], p);
        while (!heap.empty()) {
            auto [value, p] = heap.top();
            heap.pop();
            if (value != state_[p]) continue;  // raised since
            raise_around(p, [&](i64 q) { heap.emplace(state_[q], q); });
        }
    }

    i64 nz_, ny_, nx_, mz_, my_, mx_, wide_, plane_, size_;
    Scratch<T> state_, limit_;
    std::vector<i64> before_, after_, all_, queue_;
};

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// sizes, margins: planes, rows, columns. steps: count times three. No pixel of the seed is beyond the
// mask, and none is NaN.
TILEWISE_API std::int32_t tilewise_reconstruct(const void* seed, const void* mask, void* to, i64 type,
                                               const i64* sizes, const i64* margins, const i64* steps,
                                               i64 count, double sign) {
    return guarded([&]() -> std::int32_t {
        auto body = [&](auto tag) -> std::int32_t {
            using T = typename decltype(tag)::type;
            Reconstruction<T>(sizes, margins, steps, count)
                .run(static_cast<const T*>(seed), static_cast<const T*>(mask), static_cast<T>(sign),
                     static_cast<T*>(to));
            return ok;
        };
        if (type == type_f32) return body(Tag<float>());
        if (type == type_f64) return body(Tag<double>());
        return no_such_type;
    });
}
