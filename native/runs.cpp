// Connected components on runs: rows become lists of runs, runs that touch are united, and each
// component's number, area and first pixel follow from the lists. Runs are in raster order and a
// component's root is its first run, so numbers follow first pixels, as scikit-image's do.
#include <algorithm>
#include <vector>

#include "bits.h"
#include "union_find.h"

namespace tilewise {
namespace {

using Byte = std::uint8_t;
using Index = std::int32_t;

struct Run {
    Index begin, end;
};

// An array that grows without writing to memory that nobody uses yet.
template <class T>
class Growing {
  public:
    Growing() = default;
    Growing(const Growing&) = delete;
    Growing& operator=(const Growing&) = delete;
    ~Growing() { std::free(values_); }
    void reserve(i64 count) {
        if (count <= capacity_) return;
        capacity_ = std::max(count, 2 * capacity_);
        auto bytes = static_cast<std::size_t>(capacity_) * sizeof(T);
        auto values = static_cast<T*>(std::realloc(values_, bytes));
        if (!values) throw std::bad_alloc();
        values_ = values;
    }
    T* data() { return values_; }
    const T* data() const { return values_; }

  private:
    T* values_ = nullptr;
    i64 capacity_ = 0;
};

struct Runs {
    i64 rows = 0, width = 0, count = 0;
    std::vector<i64> row_start;  // the row's first run
    Growing<Run> runs;
    Growing<Index> ids;  // while uniting: the parent of each run; then its component, from 1
    i64 total() const { return row_start.back(); }
};

// Call edge(x) at every x where the bit differs from the one before; before the row lies 0.
template <class Edge>
inline void for_edges(const Byte* bytes, i64 width, std::uint64_t flip, Edge edge) {
    std::uint64_t carry = 0;
    for (i64 x = 0; x < width; x += 64) {
        i64 n = std::min<i64>(64, width - x);
        std::uint64_t word = n == 64 ? bits_of(bytes + x) : last_bits_of(bytes + x, n);
        word ^= flip;
        if (n < 64) word &= (std::uint64_t(1) << n) - 1;
        std::uint64_t edges = word ^ (word << 1 | carry);
        carry = word >> 63;
        for (; edges; edges &= edges - 1) edge(x + __builtin_ctzll(edges));
    }
}

void find_binary(const Byte* from, bool inverted, Runs& result) {
    i64 used = 0;
    for (i64 row = 0; row < result.rows; ++row) {
        result.row_start[static_cast<std::size_t>(row)] = used;
        result.runs.reserve(used + result.width + 2);
        auto* ends = reinterpret_cast<Index*>(result.runs.data() + used);
        i64 count = 0;
        for_edges(from + row * result.width, result.width, inverted ? ~std::uint64_t(0) : 0,
                  [&](i64 x) { ends[count++] = static_cast<Index>(x); });
        // Where the width is no multiple of 64 the last word ends in zeros and closes the run.
        if (count % 2) ends[count++] = static_cast<Index>(result.width);
        used += count / 2;
    }
    result.row_start[static_cast<std::size_t>(result.rows)] = used;
}

template <class T>
void find_equal(const T* from, i64 background, Runs& result) {
    i64 used = 0, width = result.width;
    std::vector<Byte> changes(static_cast<std::size_t>(width + 64));
    std::vector<Index> starts(static_cast<std::size_t>(width + 2));
    bool has_background = static_cast<i64>(static_cast<T>(background)) == background;
    T nothing = static_cast<T>(background);
    for (i64 row = 0; row < result.rows; ++row) {
        result.row_start[static_cast<std::size_t>(row)] = used;
        result.runs.reserve(used + width + 2);
        Run* runs = result.runs.data() + used;
        const T* values = from + row * width;
        Byte* __restrict change = changes.data();
        change[0] = 1;
        for (i64 x = 1; x < width; ++x) change[x] = values[x] != values[x - 1];
        i64 count = 0;
        for (i64 x = 0; x < width; x += 64) {
            i64 n = std::min<i64>(64, width - x);
            std::uint64_t word = n == 64 ? bits_of(change + x) : last_bits_of(change + x, n);
            for (; word; word &= word - 1)
                starts[static_cast<std::size_t>(count++)] =
                    static_cast<Index>(x + __builtin_ctzll(word));
        }
        starts[static_cast<std::size_t>(count)] = static_cast<Index>(width);
        i64 kept = 0;
        for (i64 k = 0; k < count; ++k) {
            Index begin = starts[static_cast<std::size_t>(k)];
            runs[kept] = Run{begin, starts[static_cast<std::size_t>(k + 1)]};
            kept += !(has_background && values[begin] == nothing);
        }
        used += kept;
    }
    result.row_start[static_cast<std::size_t>(result.rows)] = used;
}

// Unite runs of two rows where they touch; `same` compares their values. Runs of integers may
// touch each other, so one run of the row above may touch several that end and begin together.
template <class Same>
inline void unite_rows(const Run* runs, Index* parent, i64 above, i64 above_end, i64 row, i64 row_end,
                       Index extent, Same same) {
    for (i64 i = row; i < row_end; ++i) {
        Index begin = runs[i].begin - extent, end = runs[i].end + extent;
        while (above < above_end && runs[above].end <= begin) ++above;
        for (i64 j = above; j < above_end && runs[j].begin < end; ++j)
            if (same(i, j)) unite(parent, static_cast<Index>(i), static_cast<Index>(j));
    }
}

// The rows before a row that it may touch: how far back, and by how much runs are lengthened.
struct Neighbour {
    std::vector<i64> step;
    i64 back;
    Index extent;
};

std::vector<Neighbour> neighbours_of(i64 ndim, const i64* sizes, i64 connectivity) {
    std::vector<Neighbour> found;
    i64 axes = ndim - 1, total = 1;
    for (i64 axis = 0; axis < axes; ++axis) total *= 3;
    for (i64 code = 0; code < total / 2; ++code) {  // the first half lies before in raster order
        Neighbour neighbour;
        i64 rest = code, reach = 0, back = 0, stride = 1;
        neighbour.step.resize(static_cast<std::size_t>(axes));
        for (i64 axis = axes - 1; axis >= 0; --axis) {
            i64 step = rest % 3 - 1;
            rest /= 3;
            neighbour.step[static_cast<std::size_t>(axis)] = step;
            reach += step != 0;
            back -= step * stride;
            stride *= sizes[axis];
        }
        if (reach > connectivity) continue;
        neighbour.back = back;
        neighbour.extent = reach < connectivity;
        found.push_back(neighbour);
    }
    return found;
}

template <class Same>
void unite_all(i64 ndim, const i64* sizes, i64 connectivity, Runs& result, Same same) {
    auto neighbours = neighbours_of(ndim, sizes, connectivity);
    i64 axes = ndim - 1;
    std::vector<i64> position(static_cast<std::size_t>(axes), 0);
    const Run* runs = result.runs.data();
    Index* parent = result.ids.data();
    const i64* start = result.row_start.data();
    for (i64 row = 0; row < result.rows; ++row) {
        if (start[row] < start[row + 1])
            for (const Neighbour& neighbour : neighbours) {
                bool inside = true;
                for (i64 axis = 0; axis < axes; ++axis) {
                    i64 p = position[static_cast<std::size_t>(axis)] +
                            neighbour.step[static_cast<std::size_t>(axis)];
                    inside = inside && p >= 0 && p < sizes[axis];
                }
                if (!inside) continue;
                i64 above = row - neighbour.back;
                unite_rows(runs, parent, start[above], start[above + 1], start[row], start[row + 1],
                           neighbour.extent, [&](i64 i, i64 j) { return same(i, row, j, above); });
            }
        for (i64 axis = axes - 1; axis >= 0; --axis) {
            if (++position[static_cast<std::size_t>(axis)] < sizes[axis]) break;
            position[static_cast<std::size_t>(axis)] = 0;
        }
    }
}

// Give every run its component's number. A root is its component's first run, and a parent comes
// before its children.
void number(Runs& result) {
    Index* ids = result.ids.data();
    auto total = static_cast<Index>(result.total());
    Index count = 0;
    for (Index run = 0; run < total; ++run) {
        Index parent = ids[run];
        ids[run] = parent == run ? ++count : ids[parent];
    }
    result.count = count;
}

// Where rows are written one after the other, a short run is written as one vector: what it spills
// over is written later. Only the very end of what is written needs care.
template <class T>
inline void fill(T* to, i64 n, T value, const T* limit) {
    constexpr int lanes = Lanes<T>::count;
    if (to + n + lanes > limit) {
        for (i64 k = 0; k < n; ++k) to[k] = value;
        return;
    }
    Vector<T> values = spread(value);
    store(to, values);
    for (i64 k = lanes; k < n; k += lanes) store(to + k, values);
}

template <class T, class Value>
void paint(const Runs& runs, T* to, i64 first, i64 behind, T background, Value value) {
    const T* limit = to + behind * runs.width;
    const Run* pieces = runs.runs.data();
    const Index* ids = runs.ids.data();
    i64 run = runs.row_start[static_cast<std::size_t>(first)];
    for (i64 row = first; row < behind; ++row) {
        T* line = to + row * runs.width;
        i64 x = 0, end = runs.row_start[static_cast<std::size_t>(row) + 1];
        for (; run < end; ++run) {
            Run piece = pieces[run];
            fill(line + x, piece.begin - x, background, limit);
            fill<T>(line + piece.begin, piece.end - piece.begin, value(ids[run]), limit);
            x = piece.end;
        }
        fill(line + x, runs.width - x, background, limit);
    }
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// kind 0: runs of equal values other than the background; 1: of non-zero bytes; 2: of zero bytes.
// result: the handle, the number of components, the number of runs.
TILEWISE_API std::int32_t tilewise_runs_new(const void* from, i64 type, i64 kind, i64 background,
                                            i64 ndim, const i64* sizes, i64 connectivity,
                                            i64* result) {
    return guarded([&]() -> std::int32_t {
        auto runs = std::make_unique<Runs>();
        runs->rows = 1;
        for (i64 axis = 0; axis + 1 < ndim; ++axis) runs->rows *= sizes[axis];
        runs->width = sizes[ndim - 1];
        runs->row_start.resize(static_cast<std::size_t>(runs->rows) + 1);
        auto prepare = [&] {
            runs->ids.reserve(runs->total() + 1);
            Index* parents = runs->ids.data();
            for (i64 run = 0; run < runs->total(); ++run) parents[run] = static_cast<Index>(run);
        };
        if (kind) {
            find_binary(static_cast<const Byte*>(from), kind == 2, *runs);
            prepare();
            unite_all(ndim, sizes, connectivity, *runs, [](i64, i64, i64, i64) { return true; });
        } else {
            std::int32_t status = for_every(type, [&](auto tag) -> std::int32_t {
                using T = typename decltype(tag)::type;
                if (!std::is_integral<T>::value) return no_such_type;
                auto values = static_cast<const T*>(from);
                find_equal(values, background, *runs);
                prepare();
                const Run* pieces = runs->runs.data();
                i64 width = runs->width;
                unite_all(ndim, sizes, connectivity, *runs, [=](i64 i, i64 row, i64 j, i64 above) {
                    return values[row * width + pieces[i].begin] ==
                           values[above * width + pieces[j].begin];
                });
                return ok;
            });
            if (status) return status;
        }
        number(*runs);
        result[1] = runs->count;
        result[2] = runs->total();
        result[0] = static_cast<i64>(reinterpret_cast<std::intptr_t>(runs.release()));
        return ok;
    });
}

static Runs* runs_of(i64 handle) {
    return reinterpret_cast<Runs*>(static_cast<std::intptr_t>(handle));
}

TILEWISE_API std::int32_t tilewise_runs_free(i64 handle) {
    delete runs_of(handle);
    return ok;
}

// Pixels and first pixel, as an index in raster order, of each component from 1. Both come as zeros.
TILEWISE_API std::int32_t tilewise_runs_measures(i64 handle, i64* areas, i64* firsts) {
    const Runs& runs = *runs_of(handle);
    const Run* pieces = runs.runs.data();
    const Index* ids = runs.ids.data();
    Index seen = 0;
    i64 run = 0;
    for (i64 row = 0; row < runs.rows; ++row)
        for (; run < runs.row_start[static_cast<std::size_t>(row) + 1]; ++run) {
            Index id = ids[run];
            areas[id] += pieces[run].end - pieces[run].begin;
            if (id > seen) {
                seen = id;  // numbers follow first pixels
                firsts[id] = row * runs.width + pieces[run].begin;
            }
        }
    return ok;
}

// Write table[component] at every pixel of the rows from `first` up to `behind`, or the component's
// number where there is no table.
TILEWISE_API std::int32_t tilewise_runs_paint_rows(i64 handle, void* to, i64 type, const void* table,
                                                   i64 first, i64 behind) {
    const Runs* runs = runs_of(handle);
    return for_every(type, [&](auto tag) -> std::int32_t {
        using T = typename decltype(tag)::type;
        auto values = static_cast<const T*>(table);
        auto target = static_cast<T*>(to);
        if (values)
            paint(*runs, target, first, behind, values[0], [&](Index id) { return values[id]; });
        else
            paint(*runs, target, first, behind, T(0), [](Index id) { return static_cast<T>(id); });
        return ok;
    });
}

// Write the component's number at every pixel of some rows (indices in raster order).
TILEWISE_API std::int32_t tilewise_runs_rows(i64 handle, const i64* rows, i64 count, i64* to) {
    const Runs& runs = *runs_of(handle);
    for (i64 k = 0; k < count; ++k) {
        i64* line = to + k * runs.width;
        std::fill_n(line, runs.width, 0);
        auto row = static_cast<std::size_t>(rows[k]);
        for (i64 run = runs.row_start[row]; run < runs.row_start[row + 1]; ++run)
            std::fill(line + runs.runs.data()[run].begin, line + runs.runs.data()[run].end,
                      runs.ids.data()[run]);
    }
    return ok;
}

// Write the component's number at the first and at the last pixel of every row.
TILEWISE_API std::int32_t tilewise_runs_ends(i64 handle, i64* first, i64* last) {
    const Runs& runs = *runs_of(handle);
    const Run* pieces = runs.runs.data();
    const Index* ids = runs.ids.data();
    for (i64 row = 0; row < runs.rows; ++row) {
        i64 begin = runs.row_start[static_cast<std::size_t>(row)];
        i64 end = runs.row_start[static_cast<std::size_t>(row) + 1] - 1;
        first[row] = begin <= end && pieces[begin].begin == 0 ? ids[begin] : 0;
        last[row] = begin <= end && pieces[end].end == runs.width ? ids[end] : 0;
    }
    return ok;
}

// Set table[component] to 1 for each component that holds a pixel which is not 0.
TILEWISE_API std::int32_t tilewise_runs_touched(i64 handle, const void* pixels, void* table) {
    const Runs& runs = *runs_of(handle);
    const Run* pieces = runs.runs.data();
    const Index* ids = runs.ids.data();
    auto touched = static_cast<Byte*>(table);
    i64 run = 0;
    for (i64 row = 0; row < runs.rows; ++row) {
        const Byte* line = static_cast<const Byte*>(pixels) + row * runs.width;
        i64 x = 0;
        auto any = [&](i64 begin, i64 end) {
            return end > begin && (line[begin] || std::memchr(line + begin, 1,
                                                              static_cast<std::size_t>(end - begin)));
        };
        for (; run < runs.row_start[static_cast<std::size_t>(row) + 1]; ++run) {
            if (!touched[0] && any(x, pieces[run].begin)) touched[0] = 1;
            if (!touched[ids[run]] && any(pieces[run].begin, pieces[run].end)) touched[ids[run]] = 1;
            x = pieces[run].end;
        }
        if (!touched[0] && any(x, runs.width)) touched[0] = 1;
    }
    return ok;
}
