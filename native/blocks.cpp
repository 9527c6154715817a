// Sums of blocks of pixels, and their means.
//
// Sums of whole numbers are exact in any order. Those of floating-point numbers are added up as NumPy
// does over the last axes of a view of blocks: the pixels of a row of a block in its pairwise order,
// one such row after the other.
#include "windows.h"

#include <algorithm>

namespace tilewise {
namespace {

// NumPy's pairwise order of up to 128 numbers; N is their number where it is known, or 0.
template <int N, class T>
inline T row_sum(const T* from, int length) {
    const int n = N ? N : length;
    if (n < 8) {
        T sum = from[0];
#pragma GCC unroll 8
        for (int k = 1; k < n; ++k) sum = sum + from[k];
        return sum;
    }
    T parts[8];
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) parts[k] = from[k];
    int begin = 8;
#pragma GCC unroll 2
    for (; begin + 8 <= n; begin += 8) {
#pragma GCC unroll 8
        for (int k = 0; k < 8; ++k) parts[k] = parts[k] + from[begin + k];
    }
    T sum = ((parts[0] + parts[1]) + (parts[2] + parts[3])) + ((parts[4] + parts[5]) + (parts[6] + parts[7]));
#pragma GCC unroll 8
    for (; begin < n; ++begin) sum = sum + from[begin];
    return sum;
}

template <int N, class T, class S>
void add_rows(const T* __restrict from, int length, i64 count, S* __restrict sums) {
    const int n = N ? N : length;
    for (i64 x = 0; x < count; ++x) sums[x] = sums[x] + row_sum<N>(from + x * n, n);
}

// Adds the sum of every `length` neighbours to the sums.
template <class T, class S>
void add_neighbours(const T* from, int length, i64 count, S* sums) {
    switch (length) {
        case 1: return add_rows<1>(from, length, count, sums);
        case 2: return add_rows<2>(from, length, count, sums);
        case 3: return add_rows<3>(from, length, count, sums);
        case 4: return add_rows<4>(from, length, count, sums);
        case 5: return add_rows<5>(from, length, count, sums);
        case 6: return add_rows<6>(from, length, count, sums);
        case 7: return add_rows<7>(from, length, count, sums);
        case 8: return add_rows<8>(from, length, count, sums);
        case 10: return add_rows<10>(from, length, count, sums);
        case 12: return add_rows<12>(from, length, count, sums);
        case 16: return add_rows<16>(from, length, count, sums);
        default: return add_rows<0>(from, length, count, sums);
    }
}

// The image, the blocks it is cut into, and the value of pixels beyond it.
template <class T>
struct Blocks {
    Blocks(const void* from, const i64* sizes, const i64* blocks, const void* beyond)
        : image(static_cast<const T*>(from)), volume(sizes), depth(blocks[0]), height(blocks[1]), width(blocks[2]),
          outside(*static_cast<const T*>(beyond)), whole(volume.nx / width), count((volume.nx + width - 1) / width),
          lines((volume.ny + height - 1) / height) {}

    // row(pixels, blocks, first block) for every row of a line of blocks, in raster order: the whole
    // blocks of the image, then the last one, filled up.
    template <class Row>
    void each_row(i64 line, T* beyond, T* last, Row row) const {
        i64 plane = line / lines, first = line % lines * height;
        i64 rest = volume.nx - whole * width;
        for (i64 z = plane * depth; z < (plane + 1) * depth; ++z)
            for (i64 y = first; y < first + height; ++y) {
                if (z >= volume.nz || y >= volume.ny) {
                    row(beyond, count, i64(0));
                    continue;
                }
                const T* pixels = image + (z * volume.ny + y) * volume.nx;
                if (whole) row(pixels, whole, i64(0));
                if (!rest) continue;
                std::copy(pixels + whole * width, pixels + volume.nx, last);
                row(last, i64(1), whole);
            }
    }

    const T* image;
    Volume volume;
    i64 depth, height, width;
    T outside;
    i64 whole, count, lines;
};

template <class T>
void float_blocks(const Blocks<T>& blocks, i64 begin, i64 end, bool mean, T* to) {
    auto width = static_cast<int>(blocks.width);
    Scratch<T> beyond(blocks.count * width), last(width);
    std::fill(beyond.get(), beyond.get() + blocks.count * width, blocks.outside);
    std::fill(last.get(), last.get() + width, blocks.outside);
    auto pixels = static_cast<double>(blocks.depth * blocks.height * blocks.width);
    for (i64 line = begin; line < end; ++line) {
        T* sums = to + line * blocks.count;
        std::fill(sums, sums + blocks.count, T(0));
        blocks.each_row(line, beyond, last, [&](const T* from, i64 count, i64 first) {
            add_neighbours(from, width, count, sums + first);
        });
        if (!mean) continue;
        // NumPy divides in double precision, whatever the sum has.
        for (i64 x = 0; x < blocks.count; ++x) sums[x] = static_cast<T>(static_cast<double>(sums[x]) / pixels);
    }
}

// S holds the sum of a column of a block, `to` is of double or 64-bit integers.
template <class S, class T, class R>
void whole_blocks(const Blocks<T>& blocks, i64 begin, i64 end, bool mean, R* to) {
    auto width = static_cast<int>(blocks.width);
    i64 length = blocks.count * width;
    Scratch<T> beyond(length), last(width);
    Scratch<S> columns(length);
    Scratch<i64> totals(blocks.count);
    std::fill(beyond.get(), beyond.get() + length, blocks.outside);
    std::fill(last.get(), last.get() + width, blocks.outside);
    auto pixels = static_cast<double>(blocks.depth * blocks.height * blocks.width);
    for (i64 line = begin; line < end; ++line) {
        std::fill(columns.get(), columns.get() + length, S(0));
        blocks.each_row(line, beyond, last, [&](const T* __restrict from, i64 count, i64 first) {
            S* __restrict into = columns.get() + first * width;
            for (i64 x = 0; x < count * width; ++x) into[x] = static_cast<S>(into[x] + from[x]);
        });
        R* results = to + line * blocks.count;
        for (i64 x = 0; x < blocks.count; ++x) {
            const S* from = columns.get() + x * width;
            i64 total = 0;
            for (int k = 0; k < width; ++k) total += from[k];
            results[x] = mean ? static_cast<R>(static_cast<double>(total) / pixels) : static_cast<R>(total);
        }
    }
}

template <class S, class T>
void whole_blocks_of(const Blocks<T>& blocks, i64 begin, i64 end, bool mean, void* to) {
    if (mean)
        whole_blocks<S>(blocks, begin, end, true, static_cast<double*>(to));
    else
        whole_blocks<S>(blocks, begin, end, false, static_cast<i64*>(to));
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// Lines [begin, end) of the blocks of an image of three axes; a row of a block is at most 128 pixels
// long, and a block has at most 257 rows. Pixels beyond the image are `outside`, a value of its type.
// Sums of integers are 64-bit integers, their means doubles.
TILEWISE_API std::int32_t tilewise_block_sums(const void* from, i64 type, const i64* sizes, const i64* blocks,
                                              const void* outside, i64 mean, i64 begin, i64 end, void* to) {
    return guarded([&] {
        return for_every(type, [&](auto tag) -> std::int32_t {
            using T = typename decltype(tag)::type;
            Blocks<T> image(from, sizes, blocks, outside);
            if constexpr (std::is_floating_point_v<T>)
                float_blocks(image, begin, end, mean != 0, static_cast<T*>(to));
            else if constexpr (std::is_same_v<T, std::uint8_t>)
                whole_blocks_of<std::uint16_t>(image, begin, end, mean != 0, to);
            else if constexpr (std::is_same_v<T, std::int8_t>)
                whole_blocks_of<std::int16_t>(image, begin, end, mean != 0, to);
            else if constexpr (std::is_same_v<T, std::uint16_t>)
                whole_blocks_of<std::uint32_t>(image, begin, end, mean != 0, to);
            else if constexpr (std::is_same_v<T, std::int16_t>)
                whole_blocks_of<std::int32_t>(image, begin, end, mean != 0, to);
            else if constexpr (sizeof(T) == 4)
                whole_blocks_of<i64>(image, begin, end, mean != 0, to);
            else
                return no_such_type;
            return ok;
        });
    });
}
