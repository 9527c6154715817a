// The levels of an image, sorted: each pixel's level is its first place in the order of all pixels.
#pragma once

#include <algorithm>
#include <vector>

#include "tilewise.h"

namespace tilewise {

using u32 = std::uint32_t;
using u64 = std::uint64_t;

// A pixel: its level's first place among all sorted pixels, and the number of the marker that it was
// flooded from.
struct Cell {
    u32 level, marker;
};
constexpr u32 shared = 1u << 31;  // of a level: several pixels have it
constexpr u32 tied = 1u << 31;    // of a marker: others at its level have another label
constexpr u32 wall = 0xffffffffu;
constexpr u32 dry = 0;

// Numbers in the order of the levels, without NaN.
template <class S>
u64 number_of(S level) {
    if constexpr (std::is_same<S, float>::value) {
        level += 0.0f;  // zeros are equal
        u32 bits;
        std::memcpy(&bits, &level, sizeof bits);
        return bits ^ (bits >> 31 ? 0xffffffffu : 0x80000000u);
    } else if constexpr (sizeof(S) == 8) {
        double value = static_cast<double>(level) + 0.0;  // 64-bit integers too, as there
        u64 bits;
        std::memcpy(&bits, &value, sizeof bits);
        return bits ^ (bits >> 63 ? ~u64(0) : u64(1) << 63);
    } else {
        return static_cast<u64>(static_cast<i64>(level) + (i64(1) << 31));
    }
}

inline int bits_of(u64 number) {
    int bits = 0;
    for (; number; number >>= 1) ++bits;
    return bits;
}

// Sorts numbers by their upper 32 bits, of which so many are used.
struct RadixSort {
    int passes, width;
    explicit RadixSort(int bits) : passes((bits + 10) / 11), width(passes ? (bits + passes - 1) / passes : 0) {}

    // Numbers begin in `result` where the passes are even, in `other` where they are odd.
    void run(u64* result, u64* other, i64 count) const {
        i64 bins = i64(1) << width;
        std::vector<i64> begins(passes * bins);
        u64* numbers = passes % 2 ? other : result;
        for (i64 i = 0; i < count; ++i)
            for (int pass = 0; pass < passes; ++pass)
                ++begins[pass * bins + (numbers[i] >> (32 + pass * width) & (bins - 1))];
        u64* sorted = passes % 2 ? result : other;
        for (int pass = 0; pass < passes; ++pass) {
            i64* begin = begins.data() + pass * bins;
            for (i64 bin = 0, total = 0; bin < bins; ++bin) {
                i64 size = begin[bin];
                begin[bin] = total;
                total += size;
            }
            for (i64 i = 0; i < count; ++i)
                sorted[begin[numbers[i] >> (32 + pass * width) & (bins - 1)]++] = numbers[i];
            std::swap(numbers, sorted);
        }
    }
};

struct Steps {
    const i64* all;
    i64 count;
    std::vector<i64> rows;  // one of each row of neighbours, to be loaded ahead

    Steps(const i64* steps, i64 number) : all(steps), count(number) {
        std::vector<i64> sorted(steps, steps + number);
        sorted.push_back(0);
        std::sort(sorted.begin(), sorted.end());
        for (std::size_t i = 0, begin = 0; i < sorted.size(); ++i) {
            if (i + 1 < sorted.size() && sorted[i + 1] == sorted[i] + 1) continue;
            rows.push_back(sorted[(begin + i) / 2]);
            begin = i + 1;
        }
    }
};

// An image as it is flooded.
class Basin {
  public:
    template <class S, class L>
    Basin(const S* image, const std::uint8_t* mask, const L* labels, i64 pixels, const Steps& steps)
        : steps_(steps), pixels_(pixels), cells_(pixels), order_(pixels) {
        sort_levels(image, mask, labels);
    }

    // Number the markers in raster order; other pixels are dry, or walls.
    template <class L>
    void set_markers(const std::uint8_t* mask, const L* labels) {
        u32 markers = 0;
        for (i64 pixel = 0; pixel < pixels_; ++pixel)
            cells_[pixel].marker = !mask[pixel] ? wall : labels[pixel] ? ++markers : dry;
    }

    Cell* cells() { return cells_; }
    u32* order() { return order_; }
    i64 pixels() const { return pixels_; }
    i64 sorted() const { return sorted_; }
    const Steps& steps() const { return steps_; }
    // Each level's first place, of up to `most_levels`.
    const std::vector<u32>& levels() const { return levels_; }
    static constexpr std::size_t most_levels = 1 << 16;
    // Whether levels were counted: the order has pixels only where they were pushed.
    bool is_counted() const { return is_counted_; }
    bool is_marker(i64 pixel) { return cells_[pixel].marker != dry && cells_[pixel].marker != wall; }
    // Water flows from it: not all of its neighbours are markers or walls.
    bool is_source(i64 pixel) {
        for (i64 k = 0; k < steps_.count; ++k)
            if (cells_[pixel + steps_.all[k]].marker == dry) return true;
        return false;
    }

  private:
    template <class S, class L>
    void sort_levels(const S* image, const std::uint8_t* mask, const L* labels) {
        u64 least = ~u64(0), most = 0;
        for (i64 pixel = 0; pixel < pixels_; ++pixel) {
            if (!mask[pixel]) continue;
            u64 number = number_of(image[pixel]);
            least = std::min(least, number);
            most = std::max(most, number);
        }
        is_counted_ = least > most || most - least < static_cast<u64>(std::min(pixels_, i64(most_levels)));
        if (is_counted_) {
            set_markers(mask, labels);
            if (least <= most) count_levels(image, least, static_cast<i64>(most - least) + 1);
            return;
        }
        int bits = bits_of(most - least), shift = std::max(0, bits - 32);
        static_assert(sizeof(Cell) == sizeof(u64), "cells are lent to the sort");
        Scratch<u64> numbers(pixels_);
        u64* other = reinterpret_cast<u64*>(cells_.get());
        RadixSort sort(bits - shift);
        u64* unsorted = sort.passes % 2 ? other : numbers.get();
        for (i64 pixel = 0; pixel < pixels_; ++pixel) {
            if (!mask[pixel]) continue;
            u64 upper = (number_of(image[pixel]) - least) >> shift;
            unsorted[sorted_++] = upper << 32 | static_cast<u64>(pixel);
        }
        sort.run(numbers, other, sorted_);
        set_markers(mask, labels);
        for (i64 begin = 0, end; begin < sorted_; begin = end) {
            u64 upper = numbers[begin] >> 32;
            for (end = begin + 1; end < sorted_ && numbers[end] >> 32 == upper; ++end) {}
            if (!shift || end == begin + 1)
                place(numbers, begin, end);
            else
                place_by_numbers(image, numbers.get(), begin, end);
        }
    }

    // Few numbers are counted; which pixels a level has shows when they are flooded.
    template <class S>
    void count_levels(const S* image, u64 least, i64 numbers) {
        std::vector<u32> counts(numbers);
        for (i64 pixel = 0; pixel < pixels_; ++pixel)
            if (cells_[pixel].marker != wall) ++counts[number_of(image[pixel]) - least];
        for (u32& count : counts) {
            if (count) levels_.push_back(static_cast<u32>(sorted_));
            sorted_ += count;
            count = static_cast<u32>(sorted_ - count) | shared;
        }
        for (i64 pixel = 0; pixel < pixels_; ++pixel)
            if (cells_[pixel].marker != wall)
                cells_[pixel].level = counts[number_of(image[pixel]) - least];
    }

    void place(const u64* entries, i64 begin, i64 end) {
        u32 level = static_cast<u32>(begin) | (end > begin + 1 ? shared : 0);
        if (levels_.size() <= most_levels) levels_.push_back(static_cast<u32>(begin));
        for (i64 i = begin; i < end; ++i) {
            u32 pixel = static_cast<u32>(entries[i]);
            order_[i] = pixel;
            cells_[pixel].level = level;
        }
    }

    // Of numbers with more bits than were sorted.
    template <class S>
    void place_by_numbers(const S* image, u64* entries, i64 begin, i64 end) {
        auto number = [&](u64 entry) { return number_of(image[static_cast<u32>(entry)]); };
        u64 first_number = number(entries[begin]);
        if (std::all_of(entries + begin + 1, entries + end,
                        [&](u64 entry) { return number(entry) == first_number; }))
            return place(entries, begin, end);
        std::sort(entries + begin, entries + end,
                  [&](u64 a, u64 b) { return number(a) < number(b); });
        for (i64 first = begin, last; first < end; first = last) {
            for (last = first + 1; last < end && number(entries[last]) == number(entries[first]);)
                ++last;
            place(entries, first, last);
        }
    }

    const Steps& steps_;
    i64 pixels_, sorted_ = 0;
    Scratch<Cell> cells_;
    Scratch<u32> order_;
    std::vector<u32> levels_;
    bool is_counted_ = false;
};

}  // namespace tilewise
