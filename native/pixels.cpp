// Integers pixel by pixel, where runs of equal ones are so short that lists of them cost more: the
// components of noise, and labels of few pixels.
#include <limits>
#include <vector>

#include "bits.h"
#include "union_find.h"
#include "windows.h"

namespace tilewise {
namespace {

using Index = std::int32_t;
using Byte = std::uint8_t;

template <class Work>
inline void for_set(const Byte* bytes, i64 n, Work work) {
    for (i64 x = 0; x < n; x += 64) {
        std::uint64_t word = n - x >= 64 ? bits_of(bytes + x) : last_bits_of(bytes + x, n - x);
        for (; word; word &= word - 1) work(x + __builtin_ctzll(word));
    }
}

// Unites the equal pixels of rows that touch; a root is its component's first pixel.
template <class T>
class PixelUnion {
  public:
    PixelUnion(const T* from, const Volume& volume, i64 connectivity, Index* parent)
        : from_(from), volume_(volume), connectivity_(connectivity), parent_(parent),
          inside_(volume.nx + 64), left_(inside_), straight_(inside_), aslant_(inside_) {}

    void add_row(i64 z, i64 y, bool has_background, T background) {
        i64 nx = volume_.nx, start = place(z, y);
        const T* row = from_ + start;
        Index* parent = parent_ + start;
        for (i64 x = 0; x < nx; ++x) parent[x] = static_cast<Index>(start + x);
        Byte* __restrict inside = inside_.data();
        for (i64 x = 0; x < nx; ++x) inside[x] = !has_background | (row[x] != background);
        Byte* __restrict left = left_.data();
        left[0] = 0;
        for (i64 x = 1; x < nx; ++x) left[x] = inside[x] & (row[x] == row[x - 1]);
        for_set(left, nx, [&](i64 x) { parent[x] = parent[x - 1]; });
        for (i64 dz = -1; dz <= 0; ++dz)
            for (i64 dy = -1; dy <= (dz ? 1 : -1); ++dy) {
                bool exists = z + dz >= 0 && y + dy >= 0 && y + dy < volume_.ny;
                i64 reach = (dz != 0) + (dy != 0);
                if (exists && reach <= connectivity_)
                    unite_with(row, start, place(z + dz, y + dy), reach < connectivity_);
            }
    }

  private:
    i64 place(i64 z, i64 y) const { return (z * volume_.ny + y) * volume_.nx; }

    // Pixels aslant are reached through the one between them, where that is equal too; and a pixel
    // through the one on its left, where both touch equal pixels.
    void unite_with(const T* row, i64 start, i64 other_start, bool also_aslant) {
        i64 nx = volume_.nx;
        const T* other = from_ + other_start;
        const Byte* __restrict inside = inside_.data();
        const Byte* __restrict left = left_.data();
        Byte* __restrict straight = straight_.data();
        Byte* __restrict needed = aslant_.data();
        for (i64 x = 0; x < nx; ++x) straight[x] = inside[x] & (row[x] == other[x]);
        needed[0] = straight[0];
        for (i64 x = 1; x < nx; ++x)
            needed[x] = straight[x] & ~(left[x] & straight[x - 1]) & 1;
        unite_set(needed, 0, nx, start, other_start);
        if (!also_aslant) return;
        for (i64 x = 1; x < nx; ++x)
            needed[x - 1] = inside[x] & (row[x] == other[x - 1]) & ~straight[x] & ~left[x] & 1;
        unite_set(needed, 0, nx - 1, start + 1, other_start);
        for (i64 x = 0; x + 1 < nx; ++x)
            needed[x] = inside[x] & (row[x] == other[x + 1]) & ~straight[x] & 1;
        unite_set(needed, 0, nx - 1, start, other_start + 1);
    }
    void unite_set(const Byte* bytes, i64 begin, i64 end, i64 start, i64 other_start) {
        for_set(bytes + begin, end - begin, [&](i64 x) {
            unite(parent_, static_cast<Index>(start + x), static_cast<Index>(other_start + x));
        });
    }

    const T* from_;
    const Volume volume_;
    const i64 connectivity_;
    Index* parent_;
    std::vector<Byte> inside_, left_, straight_, aslant_;
};

template <class T>
i64 label(const T* from, const Volume& volume, i64 connectivity, i64 background, i64* __restrict to) {
    i64 size = volume.nz * volume.ny * volume.nx;
    Scratch<Index> parents(size);
    Index* parent = parents;
    auto nothing = static_cast<T>(background);
    bool has_background = static_cast<i64>(nothing) == background;
    PixelUnion<T> pixels(from, volume, connectivity, parent);
    for (i64 z = 0; z < volume.nz; ++z)
        for (i64 y = 0; y < volume.ny; ++y) pixels.add_row(z, y, has_background, nothing);
    // A parent comes before its children: where it was, its component's number is now.
    Index count = 0;
    for (i64 k = 0; k < size; ++k) {
        Index above = parent[k];
        bool is_inside = !has_background | (from[k] != nothing), is_root = above == k;
        count += is_inside & is_root;
        Index number = is_root ? count : parent[above];
        parent[k] = number;
        to[k] = is_inside ? number : 0;
    }
    return count;
}

// Labels of up to `most` pixels become 0; false where a label is negative or beyond the limit.
template <class T>
bool clear_small(const T* __restrict from, T* __restrict to, i64 size, i64 limit, double most, i64* levels) {
    T low = 0, high = 0;
    for (i64 k = 0; k < size; ++k) {
        low = from[k] < low ? from[k] : low;
        high = from[k] > high ? from[k] : high;
    }
    if (low < 0 || static_cast<std::uint64_t>(high) > static_cast<std::uint64_t>(limit)) return false;
    i64 count = static_cast<i64>(high) + 1;
    // Two tables: equal neighbours need not wait for each other.
    Scratch<i64> tables(2 * count);
    std::fill(tables.get(), tables.get() + 2 * count, i64(0));
    i64* even = tables;
    i64* odd = even + count;
    for (i64 k = 0; k + 2 <= size; k += 2) {
        ++even[from[k]];
        ++odd[from[k + 1]];
    }
    if (size % 2) ++even[from[size - 1]];
    Scratch<T> values(count);
    T* value = values;
    for (i64 label = 0; label < count; ++label)
        value[label] = static_cast<double>(even[label] + odd[label]) <= most ? T(0) : static_cast<T>(label);
    for (i64 k = 0; k < size; ++k) to[k] = value[from[k]];
    *levels = count;
    return true;
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// to: the component of each pixel, numbered by first pixels; the background is 0. count: components.
TILEWISE_API std::int32_t tilewise_label_pixels(const void* from, i64 type, i64 background, const i64* sizes,
                                                i64 connectivity, i64* to, i64* count) {
    return guarded([&]() -> std::int32_t {
        return for_every(type, [&](auto tag) -> std::int32_t {
            using T = typename decltype(tag)::type;
            if constexpr (std::is_integral<T>::value) {
                *count = label(static_cast<const T*>(from), Volume(sizes), connectivity, background, to);
                return ok;
            } else {
                return no_such_type;
            }
        });
    });
}

// levels: the largest label and one; 0, and nothing is done, where a label is negative or above `limit`.
TILEWISE_API std::int32_t tilewise_clear_small(const void* from, void* to, i64 type, i64 size, i64 limit,
                                               double most, i64* levels) {
    return guarded([&]() -> std::int32_t {
        return for_every(type, [&](auto tag) -> std::int32_t {
            using T = typename decltype(tag)::type;
            if constexpr (std::is_integral<T>::value) {
                *levels = 0;
                clear_small(static_cast<const T*>(from), static_cast<T*>(to), size, limit, most, levels);
                return ok;
            } else {
                return no_such_type;
            }
        });
    });
}
