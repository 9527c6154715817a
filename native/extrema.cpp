// Local maxima: neighbours are compared as lanes; pixels that are level with a neighbour are lowered
// beside equal ones that have a higher neighbour, and the rest joined to plateaus, a row's run at a time.
#include <cstdlib>
#include <cstring>
#include <utility>

#include "windows.h"

namespace tilewise {
namespace {

enum State : std::uint8_t { lower = 0, highest = 1, level = 2 };

// What is as low as the outside is no maximum, and what is as high as the top is one, where borders may
// be: a plateau has a higher neighbour, or none has.
template <class T>
inline void judge(const T* __restrict values, const T* __restrict best, i64 n, T outside, T top,
                  std::uint8_t* __restrict states) {
    for (i64 x = 0; x < n; ++x) {
        bool is_highest = (best[x] < values[x]) | ((values[x] == top) & (values[x] != outside));
        bool is_level = (best[x] == values[x]) & (values[x] != outside) & (values[x] != top);
        states[x] = static_cast<std::uint8_t>(is_highest | (is_level << 1));
    }
}

template <class T>
inline bool all_equal(const T* __restrict values, i64 n, T value) {
    constexpr i64 piece = 256;
    for (i64 begin = 0; begin < n; begin += piece) {
        i64 end = std::min(begin + piece, n);
        int differs = 0;
        for (i64 x = begin; x < end; ++x) differs |= values[x] != value;
        if (differs) return false;
    }
    return true;
}

// Lower level pixels that are as high as another pixel that is lower.
template <class T>
inline void lower_beside(const T* __restrict values, const T* __restrict others,
                         const std::uint8_t* __restrict other_states, i64 n, std::uint8_t* __restrict states) {
    for (i64 x = 0; x < n; ++x) {
        bool falls = (states[x] == level) & (other_states[x] == lower) & (values[x] == others[x]);
        states[x] = falls ? std::uint8_t(lower) : states[x];
    }
}

// Level pixels of one value beside each other in a row.
struct LevelRun {
    i64 begin, end;  // along the row
    i64 parent;
    bool is_lower;  // whether an equal pixel beside it has a higher neighbour
};

// A row that holds neighbours of another one: how far away, and which columns of it, at most and each.
struct NeighbourRow {
    i64 dz, dy, reach;
    std::vector<i64> columns;
};

std::vector<NeighbourRow> neighbour_rows(const i64* offsets, i64 count) {
    std::vector<NeighbourRow> rows;
    for (i64 k = 0; k < count; ++k, offsets += 3) {
        auto same = std::find_if(rows.begin(), rows.end(), [&](const NeighbourRow& row) {
            return row.dz == offsets[0] && row.dy == offsets[1];
        });
        if (same == rows.end()) same = rows.insert(same, NeighbourRow{offsets[0], offsets[1], 0, {}});
        same->reach = std::max(same->reach, std::abs(offsets[2]));
        same->columns.push_back(offsets[2]);
    }
    return rows;
}

template <class T>
class Plateaus {
  public:
    Plateaus(const T* values, std::uint8_t* states, const Volume& volume, std::vector<NeighbourRow> rows,
             T outside)
        : values_(values), states_(states), volume_(volume), rows_(std::move(rows)), outside_(outside),
          starts_(1, 0) {}

    // Lower the runs of a row beside equal pixels that are lower, of which most lie in the rows that
    // were looked at before: those a step lower, or higher.
    void lower_row(i64 z, i64 y, i64 step) {
        std::uint8_t* states = states_ + place(z, y);
        if (next_level(states, 0, volume_.nx) == volume_.nx) return;
        for (i64 axis = 0; axis < 2; ++axis) {
            i64 other_z = z + (axis == 0 ? step : 0), other_y = y + (axis == 0 ? 0 : step);
            if (!is_inside(other_z, other_y)) continue;
            i64 other = place(other_z, other_y);
            lower_beside(values_ + place(z, y), values_ + other, states_ + other, volume_.nx, states);
        }
        for_runs(z, y, [&](const LevelRun& run) {
            if (touches_lower(run, z, y)) std::fill(states + run.begin, states + run.end, std::uint8_t(lower));
        });
    }

    // Take in the runs of the next row.
    void add_row(i64 z, i64 y) {
        for_runs(z, y, [&](LevelRun& run) {
            run.is_lower = touches_lower(run, z, y);
            runs_.push_back(run);
        });
        starts_.push_back(static_cast<i64>(runs_.size()));
        for (const NeighbourRow& row : rows_) {
            bool is_before = row.dz < 0 || (row.dz == 0 && row.dy < 0);
            if (is_before && is_inside(z + row.dz, y + row.dy)) join(z, y, row);
        }
    }

    // Tell the pixels of maxima from those of other plateaus.
    void finish() {
        for (i64 row = 0; row + 1 < static_cast<i64>(starts_.size()); ++row) {
            std::uint8_t* states = states_ + row * volume_.nx;
            for (i64 k = starts_[static_cast<std::size_t>(row)]; k < starts_[static_cast<std::size_t>(row) + 1]; ++k) {
                const LevelRun& run = runs_[static_cast<std::size_t>(k)];
                bool is_lower = runs_[static_cast<std::size_t>(root(k))].is_lower;
                std::fill(states + run.begin, states + run.end, std::uint8_t(is_lower ? lower : highest));
            }
        }
    }

  private:
    i64 place(i64 z, i64 y) const { return (z * volume_.ny + y) * volume_.nx; }

    bool is_inside(i64 z, i64 y) const { return z >= 0 && z < volume_.nz && y >= 0 && y < volume_.ny; }

    template <class Work>
    void for_runs(i64 z, i64 y, Work work) {
        i64 n = volume_.nx;
        const T* values = values_ + place(z, y);
        const std::uint8_t* states = states_ + place(z, y);
        for (i64 x = 0; (x = next_level(states, x, n)) < n;) {
            LevelRun run{x, x + 1, static_cast<i64>(runs_.size()), false};
            while (run.end < n && states[run.end] == level && values[run.end] == values[x]) ++run.end;
            x = run.end;
            work(run);
        }
    }

    static i64 next_level(const std::uint8_t* states, i64 x, i64 end) {
        const void* found = std::memchr(states + x, level, static_cast<std::size_t>(end - x));
        return found ? static_cast<const std::uint8_t*>(found) - states : end;
    }

    // The pixels around the image are lower, whatever their value.
    bool touches_lower(const LevelRun& run, i64 z, i64 y) const {
        T value = values_[place(z, y) + run.begin];
        for (const NeighbourRow& row : rows_) {
            bool is_row = is_inside(z + row.dz, y + row.dy);
            if (!is_row && value == outside_) return true;
            if (!is_row) continue;
            const T* values = values_ + place(z + row.dz, y + row.dy);
            const std::uint8_t* states = states_ + place(z + row.dz, y + row.dy);
            for (i64 step : row.columns) {
                i64 begin = run.begin + step, end = run.end + step;
                if ((begin < 0 || end > volume_.nx) && value == outside_) return true;
                begin = std::max<i64>(begin, 0);
                end = std::min(end, volume_.nx);
                int found = 0;
                for (i64 x = begin; x < end; ++x) found |= int(values[x] == value) & int(states[x] == lower);
                if (found) return true;
            }
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

    void join(i64 z, i64 y, const NeighbourRow& row) {
        i64 number = z * volume_.ny + y, other_number = (z + row.dz) * volume_.ny + y + row.dy;
        const T* values = values_ + place(z, y);
        const T* other_values = values_ + place(z + row.dz, y + row.dy);
        i64 other = starts_[static_cast<std::size_t>(other_number)];
        i64 last = starts_[static_cast<std::size_t>(other_number) + 1];
        for (i64 k = starts_[static_cast<std::size_t>(number)]; k < static_cast<i64>(runs_.size()); ++k) {
            const LevelRun& run = runs_[static_cast<std::size_t>(k)];
            i64 begin = run.begin - row.reach, end = run.end + row.reach;
            while (other < last && runs_[static_cast<std::size_t>(other)].end <= begin) ++other;
            for (i64 m = other; m < last && runs_[static_cast<std::size_t>(m)].begin < end; ++m) {
                if (other_values[runs_[static_cast<std::size_t>(m)].begin] != values[run.begin]) continue;
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
    const Volume volume_;
    std::vector<NeighbourRow> rows_;
    const T outside_;
    std::vector<i64> starts_;
    std::vector<LevelRun> runs_;
};

template <class T>
void states_of(const T* from, std::uint8_t* to, const Volume& volume, const Reach& reach,
               const i64* offsets, i64 count, T outside, T top, bool at_borders, const i64* part) {
    constexpr int lanes = Lanes<T>::count;
    Scratch<T> best(volume.nx + 2 * lanes);
    // The pixels around the image are lower, or level.
    for_boxes<T>(from, volume, reach, constant, outside, part, [&](Padded<T>& image, const Box& box) {
        std::vector<i64> steps;
        for (i64 k = 0; k < count; ++k)
            steps.push_back(image.offset(offsets[3 * k], offsets[3 * k + 1], offsets[3 * k + 2]));
        for (i64 z = box.z_begin; z < box.z_end; ++z)
            for (i64 y = box.y_begin; y < box.y_end; ++y) {
                const T* line = image.row(z, y);
                std::uint8_t* row = to + (z * volume.ny + y) * volume.nx;
                if (all_equal(line, volume.nx, outside)) {
                    std::fill(row, row + volume.nx, std::uint8_t(lower));
                    continue;
                }
                for (i64 x = 0; x < volume.nx; x += lanes) {
                    Vector<T> most = load(line + x + steps[0]);
                    for (std::size_t k = 1; k < steps.size(); ++k)
                        most = larger<T>(most, load(line + x + steps[k]));
                    store(best + x, most);
                }
                judge<T>(line, best.get(), volume.nx, outside, at_borders ? top : outside, row);
                if (at_borders) continue;
                bool outer = (reach.low[0] && (z == 0 || z + 1 == volume.nz)) ||
                             (reach.low[1] && (y == 0 || y + 1 == volume.ny));
                if (outer) std::fill(row, row + volume.nx, std::uint8_t(lower));
                row[0] = row[volume.nx - 1] = lower;
            }
    });
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// For a part of the planes (of an image: rows), 1 at pixels that are higher than their neighbours at
// the offsets (dz, dy, dx), 2 at those that are as high as one of them, else 0. The image has a border
// of the value `outside`, the least of all; `top` is the greatest. Without at_borders its own outermost
// pixels count as lower.
TILEWISE_API std::int32_t tilewise_peaks(const void* from, i64 type, void* to, const i64* sizes,
                                         const i64* reach, const i64* offsets, i64 count, double outside,
                                         double top, i64 at_borders, const i64* part) {
    return guarded([&] {
        return for_grey(type, [&](auto tag) -> std::int32_t {
            using T = typename decltype(tag)::type;
            states_of(static_cast<const T*>(from), static_cast<std::uint8_t*>(to), Volume(sizes),
                      Reach(reach), offsets, count, static_cast<T>(outside), static_cast<T>(top),
                      at_borders != 0, part);
            return ok;
        });
    });
}

// Of what `peaks` wrote for the whole image, leave 1 at the local maxima and 0 elsewhere: a plateau is
// a maximum where none of its pixels has a higher neighbour, nor lies at a border as high as itself.
TILEWISE_API std::int32_t tilewise_plateaus(const void* from, i64 type, void* states, const i64* sizes,
                                            const i64* offsets, i64 count, double outside) {
    return guarded([&] {
        return for_grey(type, [&](auto tag) -> std::int32_t {
            using T = typename decltype(tag)::type;
            Volume volume(sizes);
            Plateaus<T> plateaus(static_cast<const T*>(from), static_cast<std::uint8_t*>(states), volume,
                                 neighbour_rows(offsets, count), static_cast<T>(outside));
            i64 rows = volume.nz * volume.ny;
            // Most plateaus are no maxima: what one pixel knows goes down the image, and up again.
            for (i64 k = 0; k < rows; ++k) plateaus.lower_row(k / volume.ny, k % volume.ny, -1);
            for (i64 k = rows; k-- > 0;) plateaus.lower_row(k / volume.ny, k % volume.ny, 1);
            for (i64 k = 0; k < rows; ++k) plateaus.add_row(k / volume.ny, k % volume.ny);
            plateaus.finish();
            return ok;
        });
    });
}
