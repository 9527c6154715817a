// Histograms of floating-point values over bins of equal width, and lines between points, as NumPy
// counts and draws them.
#include <algorithm>

#include "tilewise.h"

namespace tilewise {
namespace {

// The bin comes from a quotient, which may be off by one beside an edge: the edges decide.
template <class T>
void count_bins(const T* from, i64 n, const T* edges, i64 bins, T denominator, i64* counts) {
    constexpr i64 piece = 1024, tables = 4;
    T first = edges[0], last = edges[bins], factor = static_cast<T>(bins);
    auto highest = static_cast<std::int32_t>(bins - 1);
    Scratch<std::int32_t> places(piece);
    Scratch<i64> partial(tables * (bins + 1));  // one bin more: for values out of range
    std::fill(partial.get(), partial.get() + tables * (bins + 1), i64(0));
    for (i64 begin = 0; begin < n; begin += piece) {
        i64 length = std::min(piece, n - begin);
        const T* __restrict values = from + begin;
        std::int32_t* __restrict place = places;
        for (i64 k = 0; k < length; ++k) {
            T value = values[k];
            bool is_inside = (value >= first) & (value <= last);
            T position = (value - first) / denominator * factor;
            position = is_inside ? position : T(0);
            place[k] = std::min(static_cast<std::int32_t>(position), highest);
        }
        for (i64 k = 0; k < length; ++k) {
            T value = values[k];
            i64 bin = place[k];
            bin -= value < edges[bin];
            bin += (value >= edges[bin + 1]) & (bin != highest);
            bin = (value >= first) & (value <= last) ? bin : bins;
            ++partial[(k % tables) * (bins + 1) + bin];
        }
    }
    for (i64 bin = 0; bin < bins; ++bin)
        for (i64 table = 0; table < tables; ++table)
            counts[bin] += partial[table * (bins + 1) + bin];
}

// Straight lines between places in ascending order, in NumPy's steps. Where the places are apart by
// about the same, the quotient tells between which two a value lies, or beside them.
template <class T>
void interpolate(const T* from, i64 n, const double* places, const double* values, const double* slopes,
                 i64 count, double* to) {
    double first = places[0], last = places[count - 1];
    double scale = static_cast<double>(count - 1) / (last - first);
    for (i64 k = 0; k < n; ++k) {
        double x = from[k];
        if (x >= first && x < last) {
            i64 place = std::min(static_cast<i64>((x - first) * scale), count - 2);
            while (places[place] > x) --place;
            while (places[place + 1] <= x) ++place;
            to[k] = slopes[place] * (x - places[place]) + values[place];
        } else {
            to[k] = x < first ? values[0] : x >= last ? values[count - 1] : x;
        }
    }
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// counts[bins] gets the values from edges[0] to edges[bins], which all are finite, added.
// denominator: the last edge less the first one, rounded to the type.
TILEWISE_API std::int32_t tilewise_histogram(const void* from, i64 type, i64 n, const void* edges,
                                             i64 bins, double denominator, i64* counts) {
    auto count = [&](auto tag) -> std::int32_t {
        using T = typename decltype(tag)::type;
        return guarded([&]() -> std::int32_t {
            count_bins(static_cast<const T*>(from), n, static_cast<const T*>(edges), bins,
                       static_cast<T>(denominator), counts);
            return ok;
        });
    };
    if (type == type_f32) return count(Tag<float>());
    if (type == type_f64) return count(Tag<double>());
    return no_such_type;
}

// slopes: from each place to the next. All places, values and slopes are finite; NaN stays NaN.
TILEWISE_API std::int32_t tilewise_interpolate(const void* from, i64 type, i64 n, const double* places,
                                               const double* values, const double* slopes, i64 count,
                                               double* to) {
    auto draw = [&](auto tag) -> std::int32_t {
        using T = typename decltype(tag)::type;
        return interpolate(static_cast<const T*>(from), n, places, values, slopes, count, to), ok;
    };
    if (type == type_f32) return draw(Tag<float>());
    if (type == type_f64) return draw(Tag<double>());
    return no_such_type;
}
