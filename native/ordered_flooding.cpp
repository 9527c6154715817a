// The watershed in slices, over arrays that may be larger than memory: scikit-image's queue and
// binary heap as they are, so that pixels leave it in the same order, ties between markers included.
// A pixel's place says whence it was reached, so that the flood itself touches no labels.
#include <algorithm>
#include <cmath>
#include <vector>

#include "tilewise.h"

namespace tilewise {
namespace {

using u8 = std::uint8_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

// A pixel's place in the flood: not reached, a marker, reached by a step (numbered from `reached`),
// or nowhere: beyond the image, or outside the mask.
enum Place : u8 { dry = 0, marker = 1, reached = 2, outside = 255 };

// What survives between two slices, as 64-bit integers.
enum State { heap_size = 0, heap_capacity = 1, last_age = 2, popped = 3, next_pixel = 4 };

// Levels of up to 32 bits without NaN, in integers of the same order.
struct NarrowEntry {
    using Level = u32;
    using Number = u32;
    u32 level, age, pixel;
    static Level level_of(u8 value) { return value; }
    static Level level_of(std::uint16_t value) { return value; }
    static Level level_of(float value) {
        value += 0.0f;  // zeros are equal
        u32 bits;
        std::memcpy(&bits, &value, sizeof bits);
        return bits ^ (bits >> 31 ? 0xffffffffu : 0x80000000u);
    }
    static Level level_of(double) { return 0; }  // never: these take wider entries
    u64 number() const { return static_cast<u64>(level) << 32 | age; }
    bool before(const NarrowEntry& other) const { return number() < other.number(); }
};

template <class N>
struct WideEntry {
    using Level = double;
    using Number = N;
    double level;
    N age, pixel;
    static Level level_of(double value) { return value; }
    // NaN is neither before nor behind anything, as there. No branches, which nothing could foretell.
    bool before(const WideEntry& other) const {
        return bool(int(level < other.level) | (int(level == other.level) & int(age < other.age)));
    }
};

struct TracedEntry {
    double level;
    u64 age, pixel, source;
    bool before(const TracedEntry& other) const {
        return bool(int(level < other.level) | (int(level == other.level) & int(age < other.age)));
    }
};

template <class E>
class StoredHeap {
  public:
    StoredHeap(void* entries, i64* state)
        : entries_(static_cast<E*>(entries)), size_(state[heap_size]), capacity_(state[heap_capacity]) {}
    bool empty() const { return size_ == 0; }
    // What leaves next, unless something is pushed before it.
    const E& first() const { return entries_[0]; }
    i64 size() const { return size_; }
    bool has_room(i64 count) const { return capacity_ - size_ >= count; }
    void push(const E& entry) {
        i64 child = size_++;
        while (child > 0) {
            i64 parent = (child + 1) / 2 - 1;
            if (!entry.before(entries_[parent])) break;
            entries_[child] = entries_[parent];
            child = parent;
        }
        entries_[child] = entry;
    }
    E pop() {
        E first = entries_[0];
        if (--size_ == 0) return first;
        E moved = entries_[size_];
        i64 place = 0, left = 1;
        // Of equal entries the one higher up stays, and of equal children the left one goes. The
        // right one is compared with the smaller of the others: with NaN among three there is no
        // smallest.
        for (; left + 1 < size_; left = 2 * place + 1) {
            __builtin_prefetch(entries_ + 8 * place + 7);
            bool is_left = entries_[left].before(moved);
            const E& smaller = is_left ? entries_[left] : moved;
            i64 next = entries_[left + 1].before(smaller) ? left + 1 : is_left ? left : place;
            if (next == place) break;
            entries_[place] = entries_[next];
            place = next;
        }
        if (left + 1 == size_ && left == 2 * place + 1 && entries_[left].before(moved)) {
            entries_[place] = entries_[left];
            place = left;
        }
        entries_[place] = moved;
        return first;
    }

  private:
    E* entries_;
    i64 size_, capacity_;
};

template <class E, class S>
void push_markers(const S* image, const u8* places, void* entries, i64* state, i64 end) {
    StoredHeap<E> heap(entries, state);
    i64 pixel = state[next_pixel];
    for (; pixel < end && heap.has_room(1); ++pixel)
        if (places[pixel] == marker)
            heap.push({E::level_of(image[pixel]), 0, static_cast<typename E::Number>(pixel)});
    state[next_pixel] = pixel;
    state[heap_size] = heap.size();
}

// Have memory load what is around a pixel, while another one is flooded.
template <class T>
void load_around(const T* pixels, i64 pixel, const i64* steps, i64 count) {
    for (i64 k = 0; k < count; ++k) __builtin_prefetch(pixels + pixel + steps[k]);
}

template <class E, class S>
void flood(const S* image, u8* places, void* entries, i64* state, const i64* steps, i64 count,
           i64 pops) {
    using Number = typename E::Number;
    StoredHeap<E> heap(entries, state);
    Number age = static_cast<Number>(state[last_age]);
    i64 before = pops;
    for (; pops > 0 && !heap.empty() && heap.has_room(count); --pops) {
        E entry = heap.pop();
        if (!heap.empty()) {
            i64 next = static_cast<i64>(heap.first().pixel);
            load_around(places, next, steps, count);
            load_around(image, next, steps, count);
        }
        for (i64 k = 0; k < count; ++k) {
            i64 next = static_cast<i64>(entry.pixel) + steps[k];
            if (places[next] != dry) continue;
            places[next] = static_cast<u8>(reached + k);
            auto level = E::level_of(image[next]);
            // Water does not run below the level that it has risen to.
            heap.push({level < entry.level ? entry.level : level, ++age, static_cast<Number>(next)});
        }
    }
    state[last_age] = static_cast<i64>(age);
    state[heap_size] = heap.size();
    state[popped] += before - pops;
}

// Give every pixel of a range that was reached its marker's label, and those on the way there.
template <class L>
void label(const u8* places, L* labels, const i64* steps, i64 first, i64 last) {
    for (i64 pixel = first; pixel < last; ++pixel) {
        if (places[pixel] < reached || places[pixel] == outside || labels[pixel]) continue;
        i64 origin = pixel;
        while (!labels[origin]) origin -= steps[places[origin] - reached];
        for (i64 next = pixel; next != origin; next -= steps[places[next] - reached])
            labels[next] = labels[origin];
    }
}

// What a flood needs to know that measures distances or leaves lines.
struct Manner {
    const i64* steps;
    i64 count;
    const i64* strides;
    i64 ndim;
    double compactness;
    bool lines;
    bool labels_late() const { return compactness > 0 || lines; }
};

// The distances of a pixel's neighbours from the marker that it was reached from.
class Distances {
  public:
    explicit Distances(const Manner& manner)
        : manner_(manner), offsets_(manner.count * manner.ndim), between_(manner.ndim) {
        for (i64 k = 0; k < manner.count; ++k) {
            i64 rest = manner.steps[k];
            for (i64 axis = 0; axis < manner.ndim; ++axis) {
                // A step is shorter than half an axis: the nearest multiple of the stride.
                i64 stride = manner.strides[axis], half = rest + (rest < 0 ? -stride / 2 : stride / 2);
                offsets_[k * manner.ndim + axis] = half / stride;
                rest -= half / stride * stride;
            }
        }
    }
    void start(i64 pixel, i64 source) {
        for (i64 axis = 0; axis < manner_.ndim; ++axis) {
            i64 stride = manner_.strides[axis];
            between_[axis] = pixel / stride - source / stride;
            pixel %= stride;
            source %= stride;
        }
    }
    double of_neighbour(i64 k) const {
        double total = 0;
        for (i64 axis = 0; axis < manner_.ndim; ++axis) {
            double along = static_cast<double>(between_[axis] + offsets_[k * manner_.ndim + axis]);
            total += along * along;
        }
        return std::sqrt(total);
    }

  private:
    const Manner& manner_;
    std::vector<i64> offsets_, between_;
};

// Whether a pixel is on a line, or becomes one: it has neighbours with another label.
template <class L>
bool is_line(u8* places, const L* labels, const Manner& manner, i64 pixel, L own) {
    if (places[pixel] == outside) return true;
    for (i64 k = 0; k < manner.count; ++k) {
        i64 next = pixel + manner.steps[k];
        if (places[next] == outside || !labels[next] || labels[next] == own) continue;
        places[pixel] = outside;
        return true;
    }
    return false;
}

template <class S, class L>
void push_traced_markers(const S* image, const L* labels, void* entries, i64* state, i64 end) {
    StoredHeap<TracedEntry> heap(entries, state);
    i64 pixel = state[next_pixel];
    for (; pixel < end && heap.has_room(1); ++pixel) {
        if (!labels[pixel]) continue;
        u64 number = static_cast<u64>(pixel);
        heap.push({static_cast<double>(image[pixel]), 0, number, number});
    }
    state[next_pixel] = pixel;
    state[heap_size] = heap.size();
}

template <class S, class L>
void trace(const S* image, u8* places, L* labels, void* entries, i64* state, const Manner& manner,
           i64 pops) {
    StoredHeap<TracedEntry> heap(entries, state);
    u64 age = static_cast<u64>(state[last_age]);
    Distances distances(manner);
    i64 before = pops;
    for (; pops > 0 && !heap.empty() && heap.has_room(manner.count); --pops) {
        TracedEntry entry = heap.pop();
        if (!heap.empty()) {
            i64 next = static_cast<i64>(heap.first().pixel);
            load_around(places, next, manner.steps, manner.count);
            load_around(labels, next, manner.steps, manner.count);
            load_around(image, next, manner.steps, manner.count);
            __builtin_prefetch(labels + heap.first().source);
        }
        i64 pixel = static_cast<i64>(entry.pixel);
        L own = labels[entry.source];
        if (manner.labels_late()) {
            if (labels[pixel] && entry.pixel != entry.source) continue;
            if (manner.compactness > 0 || !is_line(places, labels, manner, pixel, own))
                labels[pixel] = own;
        }
        if (manner.compactness > 0) distances.start(pixel, static_cast<i64>(entry.source));
        for (i64 k = 0; k < manner.count; ++k) {
            i64 next = pixel + manner.steps[k];
            if (places[next] == outside || labels[next]) continue;
            double level = static_cast<double>(image[next]);
            if (manner.compactness > 0)
                level += manner.compactness * distances.of_neighbour(k);
            else if (!manner.lines)
                labels[next] = labels[pixel];
            if (level < entry.level) level = entry.level;
            heap.push({level, ++age, static_cast<u64>(next), entry.source});
        }
    }
    state[last_age] = static_cast<i64>(age);
    state[heap_size] = heap.size();
    state[popped] += before - pops;
}

// Run a body for the entries of so many bytes.
template <class Body>
std::int32_t for_entries(i64 bytes, Body body) {
    switch (bytes) {
        case sizeof(NarrowEntry): return body(Tag<NarrowEntry>());
        case sizeof(WideEntry<u32>): return body(Tag<WideEntry<u32>>());
        case sizeof(WideEntry<u64>): return body(Tag<WideEntry<u64>>());
        default: return no_such_type;
    }
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// Of all of these: image, places and labels are padded so that no step from a pixel within the mask
// leaves them. A slice ends early where the heap has no room for the neighbours of one more pixel.

TILEWISE_API std::int32_t tilewise_flood_markers(const void* image, i64 type, const void* places,
                                                 void* entries, i64 entry_bytes, void* state,
                                                 i64 end) {
    return for_grey(type, [&](auto tag) -> std::int32_t {
        using S = typename decltype(tag)::type;
        return for_entries(entry_bytes, [&](auto entry) -> std::int32_t {
            using E = typename decltype(entry)::type;
            push_markers<E>(static_cast<const S*>(image), static_cast<const u8*>(places), entries,
                            static_cast<i64*>(state), end);
            return ok;
        });
    });
}

TILEWISE_API std::int32_t tilewise_flood_slice(const void* image, i64 type, void* places, void* entries,
                                               i64 entry_bytes, void* state, const i64* steps,
                                               i64 count, i64 pops) {
    return for_grey(type, [&](auto tag) -> std::int32_t {
        using S = typename decltype(tag)::type;
        return for_entries(entry_bytes, [&](auto entry) -> std::int32_t {
            using E = typename decltype(entry)::type;
            flood<E>(static_cast<const S*>(image), static_cast<u8*>(places), entries,
                     static_cast<i64*>(state), steps, count, pops);
            return ok;
        });
    });
}

TILEWISE_API std::int32_t tilewise_flood_labels(const void* places, void* labels, i64 label_bytes,
                                                const i64* steps, i64 first, i64 last) {
    return for_labels(label_bytes, [&](auto tag) -> std::int32_t {
        using L = typename decltype(tag)::type;
        label(static_cast<const u8*>(places), static_cast<L*>(labels), steps, first, last);
        return ok;
    });
}

// With distances or lines; markers are what has a label at the start.
TILEWISE_API std::int32_t tilewise_trace_markers(const void* image, i64 type, const void* labels,
                                                 i64 label_bytes, void* entries, void* state, i64 end) {
    return for_grey(type, [&](auto tag) -> std::int32_t {
        using S = typename decltype(tag)::type;
        return for_labels(label_bytes, [&](auto label_tag) -> std::int32_t {
            using L = typename decltype(label_tag)::type;
            push_traced_markers(static_cast<const S*>(image), static_cast<const L*>(labels), entries,
                                static_cast<i64*>(state), end);
            return ok;
        });
    });
}

TILEWISE_API std::int32_t tilewise_trace_slice(const void* image, i64 type, void* places, void* labels,
                                               i64 label_bytes, void* entries, void* state,
                                               const i64* steps, i64 count, const i64* strides, i64 ndim,
                                               double compactness, i64 lines, i64 pops) {
    Manner manner{steps, count, strides, ndim, compactness, lines != 0};
    return guarded([&] {
        return for_grey(type, [&](auto tag) -> std::int32_t {
            using S = typename decltype(tag)::type;
            return for_labels(label_bytes, [&](auto label_tag) -> std::int32_t {
                using L = typename decltype(label_tag)::type;
                trace(static_cast<const S*>(image), static_cast<u8*>(places), static_cast<L*>(labels),
                      entries, static_cast<i64*>(state), manner, pops);
                return ok;
            });
        });
    });
}
