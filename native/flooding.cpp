// The watershed by a queue: a binary heap like scikit-image's, so that markers, which all have the
// same age, leave it in the same order.
#include <algorithm>
#include <vector>

#include "tilewise.h"

namespace tilewise {
namespace {

// Level and age in one number that orders them, for levels of up to 32 bits.
struct NarrowKey {
    std::uint64_t number;
    template <class S>
    static NarrowKey of(S level, std::uint32_t age) {
        std::uint32_t bits;
        if constexpr (std::is_same<S, float>::value) {
            level += 0.0f;  // zeros are equal
            std::memcpy(&bits, &level, sizeof bits);
            bits ^= bits >> 31 ? 0xffffffffu : 0x80000000u;
        } else {
            bits = level;
        }
        return {static_cast<std::uint64_t>(bits) << 32 | age};
    }
    bool before(const NarrowKey& other) const { return number < other.number; }
};

struct WideKey {
    double level;
    std::uint32_t age;
    static WideKey of(double level, std::uint32_t age) { return {level, age}; }
    // Without branches, which nothing could foretell.
    bool before(const WideKey& other) const {
        return bool(int(level < other.level) | (int(level == other.level) & int(age < other.age)));
    }
};

template <class S>
struct Entry {
    using Key = std::conditional_t<std::is_same<S, double>::value, WideKey, NarrowKey>;
    Key key;
    std::int32_t pixel;
    S level;
};

template <class S>
class Heap {
  public:
    bool empty() const { return entries_.empty(); }
    void push(S level, std::uint32_t age, i64 pixel) {
        Entry<S> entry{Entry<S>::Key::of(level, age), static_cast<std::int32_t>(pixel), level};
        entries_.push_back(entry);
        std::size_t child = entries_.size() - 1;
        while (child > 0) {
            std::size_t parent = (child + 1) / 2 - 1;
            if (!entry.key.before(entries_[parent].key)) break;
            entries_[child] = entries_[parent];
            child = parent;
        }
        entries_[child] = entry;
    }
    Entry<S> pop() {
        Entry<S> first = entries_[0], moved = entries_.back();
        entries_.pop_back();
        std::size_t size = entries_.size();
        if (!size) return first;
        std::size_t place = 0, next = 1;
        // Of equal entries the one higher up stays, and of equal children the left one goes.
        for (; next + 1 < size; next = 2 * place + 1) {
            next += entries_[next + 1].key.before(entries_[next].key);
            if (!entries_[next].key.before(moved.key)) break;
            entries_[place] = entries_[next];
            place = next;
        }
        if (next + 1 == size && next == 2 * place + 1 && entries_[next].key.before(moved.key)) {
            entries_[place] = entries_[next];
            place = next;
        }
        entries_[place] = moved;
        return first;
    }

  private:
    std::vector<Entry<S>> entries_;
};

template <class S, class L>
void flood(const S* image, const std::uint8_t* mask, L* labels, i64 pixels, const i64* steps, i64 count) {
    Heap<S> heap;
    for (i64 pixel = 0; pixel < pixels; ++pixel)
        if (labels[pixel]) heap.push(image[pixel], 0, pixel);
    std::uint32_t age = 1;
    while (!heap.empty()) {
        Entry<S> entry = heap.pop();
        for (i64 k = 0; k < count; ++k) {
            i64 next = entry.pixel + steps[k];
            if (!mask[next] || labels[next]) continue;
            labels[next] = labels[entry.pixel];
            // Water does not run below the level that it has risen to.
            heap.push(std::max(entry.level, image[next]), ++age, next);
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
