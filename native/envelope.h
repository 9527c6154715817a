// The nearest of many sites to every pixel of a line, in whole numbers: along the first axis by two
// sweeps, along the others by the lower envelope of the sites' parabolas.
#pragma once

#include <cstdint>

#include "tilewise.h"

namespace tilewise {

using Index = std::int32_t;
constexpr Index nowhere = -1;

// For each position of the first axis that of the nearest label in its line, the first of two equally
// near ones.
template <class T>
void nearest_along_first(const T* labels, i64 n, i64 size, Index* nearest) {
    for (i64 k = 0; k < size; ++k) nearest[k] = labels[k] ? 0 : nowhere;
    for (i64 at = 1; at < n; ++at) {
        const Index* __restrict before = nearest + (at - 1) * size;
        const T* __restrict line = labels + at * size;
        Index* __restrict row = nearest + at * size;
        auto here = static_cast<Index>(at);
        for (i64 k = 0; k < size; ++k) row[k] = line[k] ? here : before[k];
    }
    for (i64 at = n - 2; at >= 0; --at) {
        const Index* __restrict after = nearest + (at + 1) * size;
        Index* __restrict row = nearest + at * size;
        auto here = static_cast<Index>(at);
        for (i64 k = 0; k < size; ++k) {
            // From behind comes the nearest of all that follow or, where none is nearer, one before.
            Index up = row[k], down = after[k];
            bool nearer = down > here && (up == nowhere || down - here < here - up);
            row[k] = nearer ? down : up;
        }
    }
}

// The sites of a line, each with the square of its distance from it, of which none is hidden by
// others: a pixel's nearest one is the first that the next one is not nearer than.
class Envelope {
  public:
    explicit Envelope(i64 n) : sites_(n), squares_(n) {}

    void start() { last_ = -1, site_ = 0; }
    void add(i64 x, i64 square) {
        while (last_ >= 1) {
            i64 a = sites_[last_] - sites_[last_ - 1], b = x - sites_[last_], c = a + b;
            if (c * squares_[last_] - b * squares_[last_ - 1] - a * square - a * b * c <= 0) break;
            --last_;
        }
        sites_[++last_] = x;
        squares_[last_] = square;
    }
    bool is_empty() const { return last_ < 0; }
    // The square of the distance of the nearest site from a pixel; pixels are asked for in order.
    i64 nearest(i64 x) {
        i64 best = distance_to(site_, x);
        while (site_ < last_) {
            i64 next = distance_to(site_ + 1, x);
            if (best <= next) break;
            best = next;
            ++site_;
        }
        return best;
    }
    i64 site() { return sites_[site_]; }

  private:
    i64 distance_to(i64 site, i64 x) {
        i64 step = sites_[site] - x;
        return step * step + squares_[site];
    }
    i64 last_ = -1, site_ = 0;
    Scratch<i64> sites_, squares_;
};

}  // namespace tilewise
