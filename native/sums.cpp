// Sums of whole numbers: over bins, over labelled regions. All are exact.
#include "windows.h"

namespace tilewise {
namespace {

template <class S>
void count(const S* from, i64 n, i64 bins, i64* counts) {
    // Four tables: equal neighbours need not wait for each other.
    Scratch<std::uint32_t> tables(4 * bins);
    i64 piece = i64(1) << 31;
    for (i64 begin = 0; begin < n; begin += piece) {
        i64 end = std::min(n, begin + piece), k = begin;
        std::uint32_t* table = tables;
        std::fill(table, table + 4 * bins, 0u);
        for (; k + 4 <= end; k += 4) {
            ++table[from[k]];
            ++table[bins + from[k + 1]];
            ++table[2 * bins + from[k + 2]];
            ++table[3 * bins + from[k + 3]];
        }
        for (; k < end; ++k) ++table[from[k]];
        for (i64 bin = 0; bin < bins; ++bin)
            counts[bin] += i64(table[bin]) + table[bins + bin] + table[2 * bins + bin] + table[3 * bins + bin];
    }
}

// Moves by the size of the elements alone, whatever they mean.
template <class S, class T>
void look_up(const S* __restrict from, i64 n, const T* __restrict table, T* __restrict to) {
    for (i64 k = 0; k < n; ++k) to[k] = table[from[k]];
}

template <class S>
std::int32_t look_up_bytes(const S* from, i64 n, i64 bytes, const void* table, void* to) {
    switch (bytes) {
        case 1: return look_up(from, n, static_cast<const std::uint8_t*>(table), static_cast<std::uint8_t*>(to)), ok;
        case 2: return look_up(from, n, static_cast<const std::uint16_t*>(table), static_cast<std::uint16_t*>(to)), ok;
        case 4: return look_up(from, n, static_cast<const std::uint32_t*>(table), static_cast<std::uint32_t*>(to)), ok;
        case 8: return look_up(from, n, static_cast<const std::uint64_t*>(table), static_cast<std::uint64_t*>(to)), ok;
        default: return no_such_type;
    }
}

// Per label: pixels, sums of the three coordinates, the box (low and high of each), and the sum,
// smallest and largest of the intensity.
struct Columns {
    i64 *areas, *sums, *boxes, *totals, *lows, *highs;
};

// label(x), value(x); the runs of a row are added at once.
template <class L, class I>
void regions(const L* labels, const I* values, const Volume& volume, i64 least, i64 most,
             const Columns& columns) {
    for (i64 z = 0; z < volume.nz; ++z)
        for (i64 y = 0; y < volume.ny; ++y) {
            const L* line = labels + (z * volume.ny + y) * volume.nx;
            const I* intensities = values ? values + (z * volume.ny + y) * volume.nx : nullptr;
            for (i64 x = 0; x < volume.nx;) {
                auto id = static_cast<i64>(line[x]);
                i64 begin = x++;
                while (x < volume.nx && line[x] == line[begin]) ++x;
                if (id < least || id > most) continue;
                id -= least - 1;
                i64 n = x - begin;
                columns.areas[id] += n;
                i64* sum = columns.sums + 3 * id;
                sum[0] += n * z;
                sum[1] += n * y;
                sum[2] += (begin + x - 1) * n / 2;
                i64* box = columns.boxes + 6 * id;
                const i64 low[3] = {z, y, begin}, high[3] = {z + 1, y + 1, x};
                for (int axis = 0; axis < 3; ++axis) {
                    box[2 * axis] = std::min(box[2 * axis], low[axis]);
                    box[2 * axis + 1] = std::max(box[2 * axis + 1], high[axis]);
                }
                if (!intensities) continue;
                i64 total = 0;
                I least = intensities[begin], largest = least;
                for (i64 k = begin; k < x; ++k) {
                    total += static_cast<i64>(intensities[k]);
                    least = std::min(least, intensities[k]);
                    largest = std::max(largest, intensities[k]);
                }
                columns.totals[id] += total;
                columns.lows[id] = std::min(columns.lows[id], static_cast<i64>(least));
                columns.highs[id] = std::max(columns.highs[id], static_cast<i64>(largest));
            }
        }
}

// Adds to the pixels and the sum of each label: doubles, one pixel after the other in raster order, as
// NumPy's bincount adds weights; whole numbers of up to 16 bits, whose sums are exact, in any order. With
// centers (one per label) the squares of the differences from them are added up instead.
template <bool centered, class L, class I>
void label_sums(const L* labels, const I* values, i64 n, i64 least, i64 most, const double* centers, i64* counts,
                double* sums) {
    constexpr bool is_exact = !centered && std::is_integral_v<I> && sizeof(I) <= 2;
    using Total = std::conditional_t<is_exact, i64, double>;
    for (i64 k = 0; k < n;) {
        const L label = labels[k];
        auto id = static_cast<i64>(label);
        i64 begin = k++;
        if (id < least || id > most) {
            while (k < n && labels[k] == label) ++k;
            continue;
        }
        id -= least;
        Total total = is_exact ? Total(0) : static_cast<Total>(sums[id]);
        const double center = centered ? centers[id] : 0;
        auto add = [&](I value) {
            if constexpr (centered) {
                double difference = static_cast<double>(value) - center;
                total += difference * difference;
            } else {
                total += static_cast<Total>(value);
            }
        };
        add(values[begin]);
        for (; k < n && labels[k] == label; ++k) add(values[k]);
        counts[id] += k - begin;
        sums[id] = is_exact ? sums[id] + static_cast<double>(total) : static_cast<double>(total);
    }
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// Adds to counts of 256 or 65536 bins.
TILEWISE_API std::int32_t tilewise_count(const void* from, i64 type, i64 n, i64* counts) {
    return guarded([&]() -> std::int32_t {
        if (type == type_u8)
            count(static_cast<const std::uint8_t*>(from), n, 256, counts);
        else if (type == type_u16)
            count(static_cast<const std::uint16_t*>(from), n, 65536, counts);
        else
            return no_such_type;
        return ok;
    });
}

// to[k] = table[from[k]]; elements of the table have this many bytes.
TILEWISE_API std::int32_t tilewise_look_up(const void* from, i64 type, i64 n, i64 bytes, const void* table,
                                           void* to) {
    if (type == type_u8) return look_up_bytes(static_cast<const std::uint8_t*>(from), n, bytes, table, to);
    if (type == type_u16) return look_up_bytes(static_cast<const std::uint16_t*>(from), n, bytes, table, to);
    return no_such_type;
}

// Adds to the columns of the labels from `least`, above 0, to `most`; `least` has row 1. Values may be
// null.
TILEWISE_API std::int32_t tilewise_regions(const void* labels, i64 type, const void* values,
                                           i64 value_type, const i64* sizes, i64 least, i64 most,
                                           i64* areas, i64* sums, i64* boxes, i64* totals, i64* lows, i64* highs) {
    Volume volume(sizes);
    Columns columns{areas, sums, boxes, totals, lows, highs};
    auto with_values = [&](auto label_tag) -> std::int32_t {
        using L = typename decltype(label_tag)::type;
        auto ids = static_cast<const L*>(labels);
        switch (value_type) {
            case type_u8: return regions(ids, static_cast<const std::uint8_t*>(values), volume, least, most, columns), ok;
            case type_u16: return regions(ids, static_cast<const std::uint16_t*>(values), volume, least, most, columns), ok;
            case type_i32: return regions(ids, static_cast<const std::int32_t*>(values), volume, least, most, columns), ok;
            default: return no_such_type;
        }
    };
    switch (type) {
        case type_u8: return with_values(Tag<std::uint8_t>());
        case type_u16: return with_values(Tag<std::uint16_t>());
        case type_i32: return with_values(Tag<std::int32_t>());
        case type_i64: return with_values(Tag<i64>());
        default: return no_such_type;
    }
}

// Adds to the pixels and the sums of the labels from `least` to `most`; `least` has row 0. Centers may be
// null.
TILEWISE_API std::int32_t tilewise_label_sums(const void* labels, i64 type, const void* values, i64 value_type, i64 n,
                                              i64 least, i64 most, const double* centers, i64* counts,
                                              double* sums) {
    auto with_values = [&](auto label_tag) -> std::int32_t {
        using L = typename decltype(label_tag)::type;
        auto ids = static_cast<const L*>(labels);
        return for_every(value_type, [&](auto value_tag) -> std::int32_t {
            auto pixels = static_cast<const typename decltype(value_tag)::type*>(values);
            if (centers)
                label_sums<true>(ids, pixels, n, least, most, centers, counts, sums);
            else
                label_sums<false>(ids, pixels, n, least, most, centers, counts, sums);
            return ok;
        });
    };
    switch (type) {
        case type_u8: return with_values(Tag<std::uint8_t>());
        case type_u16: return with_values(Tag<std::uint16_t>());
        case type_u32: return with_values(Tag<std::uint32_t>());
        case type_i32: return with_values(Tag<std::int32_t>());
        case type_i64: return with_values(Tag<i64>());
        default: return no_such_type;
    }
}
