// The watershed by a queue: a binary heap like scikit-image's, so that markers, which all have the
// same age, leave it in the same order.
#include <algorithm>
#include <vector>

#include "tilewise.h"

namespace tilewise {
namespace {

struct Entry {
    double value;
    std::int32_t age, pixel;
    bool before(const Entry& other) const {
        return value != other.value ? value < other.value : age < other.age;
    }
};

class Heap {
  public:
    bool empty() const { return entries_.empty(); }
    void push(const Entry& entry) {
        entries_.push_back(entry);
        std::size_t child = entries_.size() - 1;
        while (child > 0) {
            std::size_t parent = (child + 1) / 2 - 1;
            if (!entry.before(entries_[parent])) break;
            entries_[child] = entries_[parent];
            child = parent;
        }
        entries_[child] = entry;
    }
    Entry pop() {
        Entry first = entries_[0], moved = entries_.back();
        entries_.pop_back();
        std::size_t size = entries_.size();
        if (!size) return first;
        std::size_t place = 0;
        for (;;) {
            std::size_t left = 2 * place + 1, right = left + 1;
            if (left >= size) break;
            // Of equal entries the one higher up stays, and of the children the left one goes.
            bool down = entries_[left].before(moved);
            std::size_t next = down ? left : place;
            const Entry& best = down ? entries_[left] : moved;
            if (right < size && entries_[right].before(best)) next = right;
            if (next == place) break;
            entries_[place] = entries_[next];
            place = next;
        }
        entries_[place] = moved;
        return first;
    }

  private:
    std::vector<Entry> entries_;
};

template <class S, class L>
void flood(const S* image, const std::uint8_t* mask, L* labels, i64 pixels, const i64* steps, i64 count) {
    Heap heap;
    for (i64 pixel = 0; pixel < pixels; ++pixel)
        if (labels[pixel])
            heap.push({static_cast<double>(image[pixel]), 0, static_cast<std::int32_t>(pixel)});
    std::int32_t age = 1;
    while (!heap.empty()) {
        Entry entry = heap.pop();
        for (i64 k = 0; k < count; ++k) {
            i64 next = entry.pixel + steps[k];
            if (!mask[next] || labels[next]) continue;
            ++age;
            labels[next] = labels[entry.pixel];
            // Water does not run below the level that it has risen to.
            double level = std::max(entry.value, static_cast<double>(image[next]));
            heap.push({level, age, static_cast<std::int32_t>(next)});
        }
    }
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// Image, mask and labels are padded so that no step from a pixel of the mask leaves them; the labels
// hold the markers and become the result.
TILEWISE_API std::int32_t tilewise_flood(const void* image, i64 type, const void* mask, void* labels,
                                         i64 label_type, i64 pixels, const i64* steps, i64 count) {
    return guarded([&] {
        return for_grey(type, [&](auto tag) -> std::int32_t {
            using S = typename decltype(tag)::type;
            auto values = static_cast<const S*>(image);
            auto inside = static_cast<const std::uint8_t*>(mask);
            if (label_type == type_i32)
                flood(values, inside, static_cast<std::int32_t*>(labels), pixels, steps, count);
            else if (label_type == type_i64)
                flood(values, inside, static_cast<i64*>(labels), pixels, steps, count);
            else
                return no_such_type;
            return ok;
        });
    });
}
