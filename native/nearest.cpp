// Labels grown to the nearest one up to a distance, with SciPy's choice among equally near ones: the
// feature transform along columns, then along rows by a lower envelope, in whole numbers.
#include <algorithm>
#include <cmath>
#include <vector>

#include "tilewise.h"

namespace tilewise {
namespace {

using Index = std::int32_t;
constexpr Index nowhere = -1;

// For each row the row of the nearest label in each column, the upper of two equally near ones.
template <class T>
void nearest_rows(const T* labels, i64 ny, i64 nx, Index* rows) {
    for (i64 x = 0; x < nx; ++x) rows[x] = labels[x] ? 0 : nowhere;
    for (i64 y = 1; y < ny; ++y) {
        const Index* __restrict above = rows + (y - 1) * nx;
        const T* __restrict line = labels + y * nx;
        Index* __restrict row = rows + y * nx;
        auto here = static_cast<Index>(y);
        for (i64 x = 0; x < nx; ++x) row[x] = line[x] ? here : above[x];
    }
    for (i64 y = ny - 2; y >= 0; --y) {
        const Index* __restrict below = rows + (y + 1) * nx;
        Index* __restrict row = rows + y * nx;
        auto here = static_cast<Index>(y);
        for (i64 x = 0; x < nx; ++x) {
            // From below comes the nearest of all rows below or, where none is nearer, one above.
            Index up = row[x], down = below[x];
            bool nearer = down > here && (up == nowhere || down - here < here - up);
            row[x] = nearer ? down : up;
        }
    }
}

// The envelope of one row: sites are columns with a label near enough.
template <class T>
class Envelope {
  public:
    Envelope(const T* labels, i64 nx, i64 most) : labels_(labels), nx_(nx), most_(most), sites_(nx), squares_(nx) {}

    void row(const Index* rows, i64 y, double distance, T* to) {
        i64 last = -1;
        for (i64 x = 0; x < nx_; ++x) {
            if (rows[x] == nowhere) continue;
            i64 step = rows[x] - y, square = step * step;
            if (square > most_) continue;
            while (last >= 1) {
                i64 a = sites_[last] - sites_[last - 1], b = x - sites_[last], c = a + b;
                if (c * squares_[last] - b * squares_[last - 1] - a * square - a * b * c <= 0) break;
                --last;
            }
            sites_[++last] = x;
            squares_[last] = square;
        }
        i64 site = 0;
        for (i64 x = 0; x < nx_; ++x) {
            T label = 0;
            if (last >= 0) {
                i64 best = distance_to(site, x);
                while (site < last) {
                    i64 next = distance_to(site + 1, x);
                    if (best <= next) break;
                    best = next;
                    ++site;
                }
                if (best <= most_ && std::sqrt(static_cast<double>(best)) <= distance)
                    label = labels_[rows[sites_[site]] * nx_ + sites_[site]];
            }
            to[x] = label;
        }
    }

  private:
    i64 distance_to(i64 site, i64 x) {
        i64 step = sites_[site] - x;
        return step * step + squares_[site];
    }
    const T* labels_;
    i64 nx_, most_;
    Scratch<i64> sites_, squares_;
};

template <class T>
void expand(const T* labels, T* to, i64 ny, i64 nx, double distance) {
    Scratch<Index> rows(ny * nx);
    nearest_rows(labels, ny, nx, rows.get());
    double largest = std::min(distance, 3e4) + 1;
    auto most = static_cast<i64>(largest * largest);
    Envelope<T> envelope(labels, nx, most);
    for (i64 y = 0; y < ny; ++y) envelope.row(rows + y * nx, y, distance, to + y * nx);
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// Labels are looked at as whole numbers of this many bytes.
TILEWISE_API std::int32_t tilewise_expand(const void* labels, void* to, i64 bytes, i64 ny, i64 nx,
                                          double distance) {
    return guarded([&]() -> std::int32_t {
        auto body = [&](auto tag) {
            using T = typename decltype(tag)::type;
            expand(static_cast<const T*>(labels), static_cast<T*>(to), ny, nx, distance);
        };
        switch (bytes) {
            case 1: return body(Tag<std::uint8_t>()), ok;
            case 2: return body(Tag<std::uint16_t>()), ok;
            case 4: return body(Tag<std::uint32_t>()), ok;
            case 8: return body(Tag<std::uint64_t>()), ok;
            default: return no_such_type;
        }
    });
}
