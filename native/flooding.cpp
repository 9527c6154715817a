// The watershed by levels: pixels are sorted once, and the queue is one bit for each place in their
// order. Markers at one level leave scikit-image's heap in an order that only this heap knows: where
// that may matter, the image is flooded again with a heap like it.
#include <algorithm>
#include <vector>

#include "sorted_levels.h"
#include "tilewise.h"

namespace tilewise {
namespace {

// Numbers that are 0 until they are used; memory for them is taken then.
class Sparse {
  public:
    explicit Sparse(i64 count) : numbers_(static_cast<u32*>(std::calloc(count + 1, sizeof(u32)))) {
        if (!numbers_) throw std::bad_alloc();
    }
    Sparse(const Sparse&) = delete;
    Sparse& operator=(const Sparse&) = delete;
    ~Sparse() { std::free(numbers_); }
    u32& operator[](i64 index) { return numbers_[index]; }

  private:
    u32* numbers_;
};

// The flood by places in the sorted order: pixels at one level leave in the order in which they came.
//
// Among markers at one level the order is not known. It matters only where two pixels, both reached
// from such markers through the same sequence of levels, meet a third with different labels: pixels
// of one such sequence are a kindred, and `go` ends with false there.
template <class L>
class LevelFlood {
  public:
    LevelFlood(Basin& basin, const std::vector<L>& labels)
        : basin_(basin),
          cells_(basin.cells()),
          order_(basin.order()),
          waiting_(basin.sorted() / 64 + 1),
          filled_(basin.sorted()),
          labels_(labels),
          kindred_(basin.pixels()),
          last_parent_(basin.sorted()),
          last_child_(basin.sorted()) {
        push_markers();
    }

    bool go() {
        i64 words = static_cast<i64>(waiting_.size());
        for (i64 word = 0; word < words; ++word) {
            while (waiting_[word]) {
                i64 place = word * 64 + __builtin_ctzll(waiting_[word]);
                waiting_[word] &= waiting_[word] - 1;
                if (!basin_.is_counted()) load_rows(order_[std::min(place + ahead, basin_.sorted() - 1)]);
                if (!flood_level(place)) return false;
            }
        }
        return true;
    }

  private:
    L label(u32 marker) const { return labels_[(marker & ~tied) - 1]; }

    static constexpr i64 ahead = 12;

    void push_markers() {
        std::vector<u32> sources;
        for (i64 pixel = 0; pixel < basin_.pixels(); ++pixel)
            if (basin_.is_marker(pixel) && basin_.is_source(pixel))
                sources.push_back(static_cast<u32>(pixel));
        Sparse seen(basin_.sorted());  // the marker that a level was first met at
        for (u32 pixel : sources) {
            u32 level = cells_[pixel].level & ~shared, marker = cells_[pixel].marker;
            if (!seen[level]) seen[level] = marker;
            else if (label(seen[level]) != label(marker)) seen[level] |= tied;
            push(pixel, cells_[pixel].level);
        }
        for (u32 pixel : sources) {
            u32 level = cells_[pixel].level & ~shared;
            if (!(seen[level] & tied)) continue;
            cells_[pixel].marker |= tied;
            if (!last_child_[level]) last_child_[level] = ++kindreds_;
            kindred_[pixel] = last_child_[level];
        }
    }

    void load_rows(u32 pixel) {
        for (i64 row : basin_.steps().rows) __builtin_prefetch(cells_ + (pixel + row), 1);
    }

    void push(u32 pixel, u32 level) {
        i64 place = level & ~shared;
        if (level & shared) order_[place + filled_[place]++] = pixel;
        waiting_[place / 64] |= u64(1) << place % 64;
    }

    bool flood_level(i64 place) {
        u32 first = order_[place];
        bool is_shared = cells_[first].level & shared;
        if (!flood_from(first, place)) return false;
        if (is_shared) {
            for (i64 i = 1, count = filled_[place]; i < count; ++i) {
                if (i + ahead < count) load_rows(order_[place + i + ahead]);
                if (!flood_from(order_[place + i], place)) return false;
            }
        }
        // What was below the level stands at it now.
        for (std::size_t i = 0; i < risen_.size(); ++i)
            if (!flood_from(risen_[i], place)) return false;
        risen_.clear();
        return true;
    }

    bool flood_from(u32 pixel, i64 level) {
        u32 marker = cells_[pixel].marker;
        if (marker & tied) return flood_from_tied(pixel, level);
        const Steps& steps = basin_.steps();
        for (i64 k = 0; k < steps.count; ++k) {
            u32 next = static_cast<u32>(pixel + steps.all[k]);
            Cell& cell = cells_[next];
            if (cell.marker != dry) continue;
            cell.marker = marker;
            if ((cell.level & ~shared) <= level)
                risen_.push_back(next);
            else
                push(next, cell.level);
        }
        return true;
    }

    bool flood_from_tied(u32 pixel, i64 level) {
        u32 marker = cells_[pixel].marker, parent = kindred_[pixel];
        const Steps& steps = basin_.steps();
        for (i64 k = 0; k < steps.count; ++k) {
            u32 next = static_cast<u32>(pixel + steps.all[k]);
            Cell& cell = cells_[next];
            i64 own = cell.level & ~shared, reached = std::max(own, level);
            if (cell.marker == dry) {
                cell.marker = marker;
                if (last_parent_[reached] != parent) {
                    last_parent_[reached] = parent;
                    last_child_[reached] = ++kindreds_;
                }
                kindred_[next] = last_child_[reached];
                if (own <= level)
                    risen_.push_back(next);
                else
                    push(next, cell.level);
            } else if (cell.marker != wall && cell.marker & tied && last_parent_[reached] == parent &&
                       last_child_[reached] == kindred_[next] && label(cell.marker) != label(marker)) {
                return false;
            }
        }
        return true;
    }

    Basin& basin_;
    Cell* cells_;
    u32* order_;
    std::vector<u64> waiting_;  // a bit for the first place of each level that has pixels
    Sparse filled_;             // how many pixels a shared level has, at its first place
    std::vector<u32> risen_;    // in order, at the level that the water has now
    const std::vector<L>& labels_;
    Sparse kindred_, last_parent_, last_child_;  // of tied pixels, and at first places
    u32 kindreds_ = 0;
};

// An entry of the heap in one number, for few levels: level, age and pixel, the last not compared.
struct PackedEntry {
    u64 number;
    bool before(const PackedEntry& other, int bits) const { return number >> bits < other.number >> bits; }
};

struct NarrowEntry {
    u64 number;  // level and age
    u32 pixel;
    bool before(const NarrowEntry& other, int) const { return number < other.number; }
};

template <class E>
class Heap {
  public:
    explicit Heap(int bits = 0) : bits_(bits) {}
    bool empty() const { return entries_.empty(); }
    // What leaves next, unless something is pushed before it.
    const E& first() const { return entries_[0]; }
    void push(const E& entry) {
        entries_.push_back(entry);
        std::size_t child = entries_.size() - 1;
        while (child > 0) {
            std::size_t parent = (child + 1) / 2 - 1;
            if (!entry.before(entries_[parent], bits_)) break;
            entries_[child] = entries_[parent];
            child = parent;
        }
        entries_[child] = entry;
    }
    E pop() {
        E first = entries_[0], moved = entries_.back();
        entries_.pop_back();
        std::size_t size = entries_.size();
        if (!size) return first;
        std::size_t place = 0, next = 1;
        // Of equal entries the one higher up stays, and of equal children the left one goes.
        for (; next + 1 < size; next = 2 * place + 1) {
            __builtin_prefetch(entries_.data() + 8 * place + 7);
            next += entries_[next + 1].before(entries_[next], bits_);
            if (!entries_[next].before(moved, bits_)) break;
            entries_[place] = entries_[next];
            place = next;
        }
        if (next + 1 == size && next == 2 * place + 1 && entries_[next].before(moved, bits_)) {
            entries_[place] = entries_[next];
            place = next;
        }
        entries_[place] = moved;
        return first;
    }

  private:
    int bits_;
    std::vector<E> entries_;
};

// Flood cells as scikit-image does, with every marker in the heap.
template <class E, class Make, class Split>
void flood_by_heap(Basin& basin, int bits, Make make, Split split) {
    Heap<E> heap(bits);
    Cell* cells = basin.cells();
    const Steps& steps = basin.steps();
    for (i64 pixel = 0; pixel < basin.pixels(); ++pixel)
        if (basin.is_marker(pixel)) heap.push(make(cells[pixel].level, 0, static_cast<u32>(pixel)));
    u32 age = 1;
    while (!heap.empty()) {
        Cell popped = split(heap.pop());  // its level, and the pixel
        if (!heap.empty())
            for (i64 row : steps.rows) __builtin_prefetch(cells + (split(heap.first()).marker + row));
        u32 marker = cells[popped.marker].marker;
        for (i64 k = 0; k < steps.count; ++k) {
            u32 next = static_cast<u32>(popped.marker + steps.all[k]);
            if (cells[next].marker != dry) continue;
            cells[next].marker = marker;
            // Water does not run below the level that it has risen to.
            heap.push(make(std::max(popped.level, cells[next].level), ++age, next));
        }
    }
}

void flood_by_heap(Basin& basin) {
    Cell* cells = basin.cells();
    const std::vector<u32>& levels = basin.levels();
    int bits = bits_of(static_cast<u64>(basin.pixels()) + 1);
    bool is_packed = bits_of(levels.size()) + 2 * bits <= 64 && levels.size() <= Basin::most_levels;
    std::vector<u32> ranks(is_packed ? basin.sorted() : 0);
    for (std::size_t i = 0; is_packed && i < levels.size(); ++i) ranks[levels[i]] = static_cast<u32>(i);
    for (i64 pixel = 0; pixel < basin.pixels(); ++pixel) {
        if (cells[pixel].marker == wall) continue;
        u32 place = cells[pixel].level & ~shared;
        cells[pixel].level = is_packed ? ranks[place] : place;
    }
    if (is_packed) {
        u64 pixels = (u64(1) << bits) - 1;
        flood_by_heap<PackedEntry>(
            basin, bits,
            [=](u32 level, u32 age, u32 pixel) {
                return PackedEntry{static_cast<u64>(level) << 2 * bits | static_cast<u64>(age) << bits |
                                   pixel};
            },
            [=](PackedEntry entry) {
                return Cell{static_cast<u32>(entry.number >> 2 * bits),
                            static_cast<u32>(entry.number & pixels)};
            });
    } else {
        flood_by_heap<NarrowEntry>(
            basin, 0,
            [](u32 level, u32 age, u32 pixel) {
                return NarrowEntry{static_cast<u64>(level) << 32 | age, pixel};
            },
            [](const NarrowEntry& entry) {
                return Cell{static_cast<u32>(entry.number >> 32), entry.pixel};
            });
    }
}

template <class S, class L>
void flood(const S* image, const std::uint8_t* mask, L* labels, i64 pixels, const Steps& steps) {
    Basin basin(image, mask, labels, pixels, steps);
    std::vector<L> table;
    for (i64 pixel = 0; pixel < pixels; ++pixel)
        if (basin.is_marker(pixel)) table.push_back(labels[pixel]);
    if (!LevelFlood<L>(basin, table).go()) {
        basin.set_markers(mask, labels);
        flood_by_heap(basin);
    }
    const Cell* cells = basin.cells();
    for (i64 pixel = 0; pixel < pixels; ++pixel)
        if (cells[pixel].marker != dry && cells[pixel].marker != wall)
            labels[pixel] = table[(cells[pixel].marker & ~tied) - 1];
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// Image, mask and labels are padded so that no step from a pixel of the mask leaves them; the labels
// hold the markers and become the result. No level is NaN.
TILEWISE_API std::int32_t tilewise_flood(const void* image, i64 type, const void* mask, void* labels,
                                         i64 label_bytes, i64 pixels, const i64* steps, i64 count) {
    return guarded([&] {
        Steps around(steps, count);
        auto inside = static_cast<const std::uint8_t*>(mask);
        return for_labels(label_bytes, [&](auto label_tag) -> std::int32_t {
            auto result = static_cast<typename decltype(label_tag)::type*>(labels);
            return for_every(type, [&](auto tag) -> std::int32_t {
                using S = typename decltype(tag)::type;
                flood(static_cast<const S*>(image), inside, result, pixels, around);
                return ok;
            });
        });
    });
}
