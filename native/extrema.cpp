// Local maxima: neighbours are compared as lanes, and pixels that are level with a neighbour are joined
// to plateaus, a row's run at a time.
#include <cstdlib>
#include <cstring>
#include <utility>

#include "windows.h"

namespace tilewise {
namespace {

enum State : std::uint8_t { lower = 0, highest = 1, level = 2 };

template <class T>
inline void judge(const T* __restrict values, const T* __restrict best, i64 n,
                  std::uint8_t* __restrict states) {
    for (i64 x = 0; x < n; ++x)
        states[x] = static_cast<std::uint8_t>((best[x] < values[x]) | ((best[x] == values[x]) << 1));
}

// Level pixels of one value beside each other in a row.
struct LevelRun {
    i64 begin, end;  // places in the padded image
    i64 parent;
    bool is_lower;  // whether an equal pixel beside it has a higher neighbour
};

// Which runs of an earlier row touch those of a row.
struct RowStep {
    i64 rows, places, reach;  // back in the list of rows and in the padded image; along the row
};

template <class T>
class Plateaus {
  public:
    Plateaus(const T* values, std::uint8_t* states, std::vector<i64> steps)
        : values_(values), states_(states), steps_(std::move(steps)), starts_(1, 0) {}

    // Take in the runs of the next row, whose n pixels begin at this place.
    void add_row(i64 place, i64 n, const std::vector<RowStep>& before) {
        i64 end = place + n;
        for (i64 x = place; (x = next_level(x, end)) < end;) {
            LevelRun run{x, x + 1, static_cast<i64>(runs_.size()), false};
            while (run.end < end && states_[run.end] == level && values_[run.end] == values_[x]) ++run.end;
            run.is_lower = touches_lower(run);
            runs_.push_back(run);
            x = run.end;
        }
        auto row = static_cast<i64>(starts_.size()) - 1;
        starts_.push_back(static_cast<i64>(runs_.size()));
        for (const RowStep& step : before)
            if (row >= step.rows) join(row, step);
    }

    // Tell the pixels of maxima from those of other plateaus.
    void finish() {
        for (i64 k = 0; k < static_cast<i64>(runs_.size()); ++k) {
            const LevelRun& run = runs_[static_cast<std::size_t>(k)];
            bool is_lower = runs_[static_cast<std::size_t>(root(k))].is_lower;
            std::fill(states_ + run.begin, states_ + run.end, std::uint8_t(is_lower ? lower : highest));
        }
    }

  private:
    i64 next_level(i64 x, i64 end) const {
        const void* place = std::memchr(states_ + x, level, static_cast<std::size_t>(end - x));
        return place ? static_cast<const std::uint8_t*>(place) - states_ : end;
    }

    bool touches_lower(const LevelRun& run) const {
        T value = values_[run.begin];
        for (i64 step : steps_) {
            int found = 0;
            for (i64 x = run.begin + step; x < run.end + step; ++x)
                found |= int(values_[x] == value) & int(states_[x] == lower);
            if (found) return true;
        }
        return false;
    }

    i64 root(i64 k) {
        for (;;) {
            i64& parent = runs_[static_cast<std::size_t>(k)].parent;
            if (parent == k) return k;
            parent = runs_[static_cast<std::size_t>(parent)].parent;
            k = parent;
        }
    }

    void join(i64 row, const RowStep& step) {
        i64 other = starts_[static_cast<std::size_t>(row - step.rows)];
        i64 last = starts_[static_cast<std::size_t>(row - step.rows) + 1];
        for (i64 k = starts_[static_cast<std::size_t>(row)]; k < static_cast<i64>(runs_.size()); ++k) {
            const LevelRun& run = runs_[static_cast<std::size_t>(k)];
            i64 begin = run.begin - step.places - step.reach, end = run.end - step.places + step.reach;
            while (other < last && runs_[static_cast<std::size_t>(other)].end <= begin) ++other;
            for (i64 m = other; m < last && runs_[static_cast<std::size_t>(m)].begin < end; ++m) {
                if (values_[runs_[static_cast<std::size_t>(m)].begin] != values_[run.begin]) continue;
                i64 one = root(m), two = root(k);
                LevelRun& first = runs_[static_cast<std::size_t>(std::min(one, two))];
                LevelRun& second = runs_[static_cast<std::size_t>(std::max(one, two))];
                first.is_lower = first.is_lower || second.is_lower;
                second.parent = std::min(one, two);
            }
        }
    }

    const T* values_;
    std::uint8_t* states_;
    std::vector<i64> steps_, starts_;
    std::vector<LevelRun> runs_;
};

// The earlier rows that hold neighbours.
template <class T>
std::vector<RowStep> rows_before(const Padded<T>& image, const Volume& volume, const i64* offsets, i64 count) {
    std::vector<RowStep> before;
    for (i64 k = 0; k < count; ++k, offsets += 3) {
        i64 rows = -(offsets[0] * volume.ny + offsets[1]), places = -image.offset(offsets[0], offsets[1], 0);
        if (offsets[0] > 0 || (offsets[0] == 0 && offsets[1] >= 0)) continue;
        auto same = std::find_if(before.begin(), before.end(),
                                 [&](const RowStep& step) { return step.places == places; });
        if (same == before.end()) same = before.insert(before.end(), RowStep{rows, places, 0});
        same->reach = std::max(same->reach, std::abs(offsets[2]));
    }
    return before;
}

template <class T>
void maxima(const T* from, std::uint8_t* to, const Volume& volume, const Reach& reach, const i64* offsets,
            i64 count, T outside, bool at_borders) {
    constexpr int lanes = Lanes<T>::count;
    // The pixels around the image are lower, or level and no maxima.
    Padded<T> image(from, volume, reach, constant, outside);
    i64 places = image.width * image.height * image.depth;
    Scratch<std::uint8_t> states(places);
    std::memset(states.get(), lower, static_cast<std::size_t>(places));
    const T* origin = image.row(0, 0) - image.offset(reach.low[0], reach.low[1], reach.low[2]);
    std::vector<i64> steps;
    for (i64 k = 0; k < count; ++k)
        steps.push_back(image.offset(offsets[3 * k], offsets[3 * k + 1], offsets[3 * k + 2]));
    Scratch<T> best(volume.nx + 2 * lanes);
    for (i64 z = 0; z < volume.nz; ++z)
        for (i64 y = 0; y < volume.ny; ++y) {
            const T* line = image.row(z, y);
            for (i64 x = 0; x < volume.nx; x += lanes) {
                Vector<T> most = load(line + x + steps[0]);
                for (std::size_t k = 1; k < steps.size(); ++k)
                    most = larger<T>(most, load(line + x + steps[k]));
                store(best + x, most);
            }
            std::uint8_t* row_states = states.get() + (line - origin);
            judge<T>(line, best.get(), volume.nx, row_states);
            if (at_borders) continue;
            bool outer = (reach.low[0] && (z == 0 || z + 1 == volume.nz)) ||
                         (reach.low[1] && (y == 0 || y + 1 == volume.ny));
            if (outer) std::fill(row_states, row_states + volume.nx, std::uint8_t(lower));
            row_states[0] = row_states[volume.nx - 1] = lower;
        }
    // A plateau is a maximum where none of its pixels has a higher neighbour.
    Plateaus<T> plateaus(origin, states.get(), steps);
    auto before = rows_before(image, volume, offsets, count);
    for (i64 z = 0; z < volume.nz; ++z)
        for (i64 y = 0; y < volume.ny; ++y)
            plateaus.add_row(image.row(z, y) - origin, volume.nx, before);
    plateaus.finish();
    for (i64 z = 0; z < volume.nz; ++z)
        for (i64 y = 0; y < volume.ny; ++y)
            std::memcpy(to + (z * volume.ny + y) * volume.nx,
                        states.get() + (image.row(z, y) - origin), static_cast<std::size_t>(volume.nx));
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// 1 at the local maxima, among the neighbours at the offsets (dz, dy, dx). The image has a border of
// one pixel of the value `outside`, which belongs to no maximum; without at_borders neither do its own
// outermost pixels.
TILEWISE_API std::int32_t tilewise_maxima(const void* from, i64 type, void* to, const i64* sizes,
                                          const i64* reach, const i64* offsets, i64 count,
                                          double outside, i64 at_borders) {
    return guarded([&] {
        return for_grey(type, [&](auto tag) -> std::int32_t {
            using T = typename decltype(tag)::type;
            maxima(static_cast<const T*>(from), static_cast<std::uint8_t*>(to), Volume(sizes), Reach(reach),
                   offsets, count, static_cast<T>(outside), at_borders != 0);
            return ok;
        });
    });
}
