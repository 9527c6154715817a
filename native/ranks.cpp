// Filters by rank over windows: networks of exchanges with pixels as lanes for small footprints,
// sliding histograms for the others, sums of runs for the mean.
#include <utility>

#include "columns.h"
#include "windows.h"

namespace tilewise {
namespace {

// -- networks ---------------------------------------------------------------------------------

// Exchanges are pairs of places: the smaller value goes to the first, the larger to the second.
struct Exchanges {
    const i64* pairs;
    i64 count, rank;
};

// Offsets of the window's pixels and how to bring the value of the rank to its place, with the
// window's values in memory: any footprint.
template <class T>
class AnyNetwork {
  public:
    AnyNetwork(const std::vector<i64>& steps, const Exchanges& exchanges)
        : steps_(steps), rank_(exchanges.rank), values_(static_cast<i64>(steps.size()) * stride) {
        for (i64 k = 0; k < 2 * exchanges.count; ++k) places_.push_back(exchanges.pairs[k] * stride);
    }
    // Results for `stride` pixels from `line` on.
    static constexpr int stride = 2 * Lanes<T>::count;
    void operator()(const T* line, T* to) {
        constexpr int lanes = Lanes<T>::count;
        T* place = values_;
        for (std::size_t k = 0; k < steps_.size(); ++k)
            std::memcpy(place + static_cast<i64>(k) * stride, line + steps_[k], stride * sizeof(T));
        for (std::size_t k = 0; k < places_.size(); k += 2) {
            T* a = place + places_[k];
            T* b = place + places_[k + 1];
            for (int part = 0; part < stride; part += lanes) {
                Vector<T> left = load(a + part), right = load(b + part);
                store(a + part, smaller<T>(left, right));
                store(b + part, larger<T>(left, right));
            }
        }
        std::memcpy(to, place + rank_ * stride, stride * sizeof(T));
    }

  private:
    const std::vector<i64>& steps_;
    i64 rank_;
    std::vector<i64> places_;
    Scratch<T> values_;
};

// Batcher's exchanges for the median of a fixed number of values, in registers: the compiler drops
// what the median does not depend on.
template <int count, class Do>
constexpr void for_exchanges(Do exchange) {
    int top = 1;
    while (2 * top < count) top *= 2;
    for (int p = top; p > 0; p /= 2) {
        int q = top, r = 0, d = p;
        for (;;) {
            for (int i = 0; i < count - d; ++i)
                if ((i & p) == r) exchange(i, i + d);
            if (q == p) break;
            d = q - p;
            q /= 2;
            r = p;
        }
    }
}

template <int count>
struct Pairs {
    int size = 0;
    unsigned char low[count * 12] = {}, high[count * 12] = {};
    constexpr Pairs() {
        for_exchanges<count>([this](int a, int b) {
            low[size] = static_cast<unsigned char>(a);
            high[size++] = static_cast<unsigned char>(b);
        });
    }
};

template <class T, int count>
class FixedNetwork {
  public:
    FixedNetwork(const std::vector<i64>& steps, const Exchanges&) : steps_(steps.data()) {}
    static constexpr int stride = Lanes<T>::count;
    void operator()(const T* line, T* to) {
        Vector<T> values[count];
        for (int k = 0; k < count; ++k) values[k] = load(line + steps_[k]);
        all(values, std::make_integer_sequence<int, pairs.size>());
        store(to, values[count / 2]);
    }

  private:
    static constexpr Pairs<count> pairs{};
    template <int... k>
    static inline void all(Vector<T>* values, std::integer_sequence<int, k...>) {
        (exchange(values[pairs.low[k]], values[pairs.high[k]]), ...);
    }
    static inline void exchange(Vector<T>& a, Vector<T>& b) {
        Vector<T> low = smaller<T>(a, b);
        b = larger<T>(a, b);
        a = low;
    }
    const i64* steps_;
};

template <class Network, class T>
void for_windows(Padded<T>& image, const std::vector<i64>& steps, const Exchanges& exchanges,
                 const Volume& volume, const Box& box, T* to) {
    constexpr i64 stride = Network::stride;
    Network network(steps, exchanges);
    Scratch<T> last(stride);
    for (i64 z = box.z_begin; z < box.z_end; ++z)
        for (i64 y = box.y_begin; y < box.y_end; ++y) {
            const T* line = image.row(z, y);
            T* target = to + (z * volume.ny + y) * volume.nx;
            i64 x = 0;
            for (; x + stride <= volume.nx; x += stride) network(line + x, target + x);
            if (x == volume.nx) continue;
            network(line + x, last);
            std::memcpy(target + x, last.get(), static_cast<std::size_t>(volume.nx - x) * sizeof(T));
        }
}

// -- medians of squares -----------------------------------------------------------------------

// The columns of a window belong to its neighbours' windows too: each column is sorted once, a row of
// columns at a time, into one line for every rank. What is between the lines is a network of its own,
// with fewer exchanges, as each column is in order.

template <class T>
inline void put_in_order(Vector<T>& a, Vector<T>& b) {
    Vector<T> low = smaller<T>(a, b);
    b = larger<T>(a, b);
    a = low;
}

template <class T>
struct Square3 {
    static constexpr int length = 3;
    static inline void sort(Vector<T>* v) {
        put_in_order<T>(v[0], v[1]);
        put_in_order<T>(v[1], v[2]);
        put_in_order<T>(v[0], v[1]);
    }
    // The median: that of the largest of the smallest, the median of the middle ones, and the smallest
    // of the largest.
    static inline Vector<T> median(Vector<T> (*v)[3]) {
        Vector<T> low = larger<T>(larger<T>(v[0][0], v[0][1]), v[0][2]);
        Vector<T> high = smaller<T>(smaller<T>(v[2][0], v[2][1]), v[2][2]);
        Vector<T> middle = middle_of(v[1][0], v[1][1], v[1][2]);
        return middle_of(low, middle, high);
    }

  private:
    static inline Vector<T> middle_of(Vector<T> a, Vector<T> b, const Vector<T>& c) {
        put_in_order<T>(a, b);
        return larger<T>(a, smaller<T>(b, c));
    }
};

struct Square5Exchanges {
    static constexpr int size = 55;
    // Found by taking exchanges away, and putting others in, for as long as every choice of zeros and
    // ones in five columns that are in order (7776 of them) came out right, by which every image does.
    // Places are 5 * rank + column; the median is at 12.
    static constexpr int places[size][2] = {
        {10, 11}, {7, 9}, {5, 9}, {1, 2}, {3, 4}, {5, 18}, {0, 4}, {6, 8}, {13, 14}, {22, 21},
        {10, 14}, {10, 12}, {16, 18}, {11, 12}, {0, 3}, {12, 14}, {16, 17}, {2, 3}, {23, 24},
        {6, 7}, {22, 20}, {8, 9}, {15, 24}, {1, 10}, {11, 13}, {18, 19}, {15, 18}, {20, 23},
        {5, 7}, {12, 13}, {17, 18}, {15, 16}, {10, 4}, {16, 17}, {20, 22}, {21, 22}, {9, 17},
        {7, 8}, {4, 12}, {20, 13}, {8, 16}, {4, 20}, {3, 11}, {12, 21}, {11, 20}, {11, 15},
        {16, 9}, {15, 12}, {7, 8}, {15, 8}, {4, 8}, {12, 20}, {12, 16}, {8, 20}, {8, 12}};
};

template <class T>
struct Square5 {
    static constexpr int length = 5;
    static inline void sort(Vector<T>* v) {
        constexpr int pairs[9][2] = {{0, 3}, {1, 4}, {0, 2}, {1, 3}, {0, 1}, {2, 4}, {1, 2}, {3, 4}, {2, 3}};
        for (const auto& pair : pairs) put_in_order<T>(v[pair[0]], v[pair[1]]);
    }
    static inline Vector<T> median(Vector<T> (*v)[5]) {
        all(*v, std::make_integer_sequence<int, Square5Exchanges::size>());
        return v[2][2];
    }

  private:
    template <int... k>
    static inline void all(Vector<T>* v, std::integer_sequence<int, k...>) {
        constexpr auto& places = Square5Exchanges::places;
        (put_in_order<T>(v[places[k][0]], v[places[k][1]]), ...);
    }
};

template <class T, class Square>
struct SquareMedian {
    static constexpr i64 lines = Square::length;
    static inline void columns(const T* const* rows, i64 x, T* to, i64 stride) {
        Vector<T> column[lines];
        for (int k = 0; k < lines; ++k) column[k] = load(rows[k] + x);
        Square::sort(column);
        for (int k = 0; k < lines; ++k) store(to + k * stride, column[k]);
    }
    static inline Vector<T> window(const T* from, i64 stride) {
        Vector<T> values[lines][lines];
        for (int k = 0; k < lines; ++k)
            for (int column = 0; column < lines; ++column) values[k][column] = load(from + k * stride + column);
        return Square::median(values);
    }
};

template <class T>
void network(const T* from, T* to, const Volume& volume, const Reach& reach, const i64* offsets,
             i64 taps, const Exchanges& exchanges, i64 mode, T value, const i64* part) {
    bool median = exchanges.rank == taps / 2;
    // As many pixels as the box that the reach spans.
    bool full = taps == (reach.low[0] + reach.high[0] + 1) * (reach.low[1] + reach.high[1] + 1) *
                            (reach.low[2] + reach.high[2] + 1);
    bool by_columns = median && full && suits_columns<T>(reach);
    i64 height = reach.low[1] + reach.high[1] + 1;
    if (by_columns && taps == 9 && height == 3)
        return filter_by_columns(from, to, volume, reach, mode, value, part, SquareMedian<T, Square3<T>>());
    if (by_columns && taps == 25 && height == 5)
        return filter_by_columns(from, to, volume, reach, mode, value, part, SquareMedian<T, Square5<T>>());
    for_boxes<T>(from, volume, reach, mode, value, part, [&](Padded<T>& image, const Box& box) {
        std::vector<i64> steps;
        for (i64 k = 0; k < taps; ++k)
            steps.push_back(image.offset(offsets[3 * k], offsets[3 * k + 1], offsets[3 * k + 2]));
        if (median && taps == 9)
            for_windows<FixedNetwork<T, 9>>(image, steps, exchanges, volume, box, to);
        else if (median && taps == 25)
            for_windows<FixedNetwork<T, 25>>(image, steps, exchanges, volume, box, to);
        else if (median && taps == 27)
            for_windows<FixedNetwork<T, 27>>(image, steps, exchanges, volume, box, to);
        else
            for_windows<AnyNetwork<T>>(image, steps, exchanges, volume, box, to);
    });
}

// -- sliding histograms -----------------------------------------------------------------------

// Values of the window in bins; `below` counts those under `level`. Coarse bins of 2^6 let the
// level jump where there are many bins.
class Histogram {
  public:
    explicit Histogram(i64 bins) : bins_(bins), fine_(bins + 64), coarse_(bins / 64 + 2) {
        std::fill(fine_.get(), fine_.get() + bins + 64, 0);
        std::fill(coarse_.get(), coarse_.get() + bins / 64 + 2, 0);
    }
    template <bool jumps>
    void add(std::uint32_t bin, std::int32_t step) {
        fine_[bin] += step;
        if (jumps) coarse_[bin >> 6] += step;
        below_ += bin < level_ ? step : 0;
    }
    // The value of the given rank, which lies below the number of values.
    template <bool jumps>
    std::uint32_t at_rank(std::int32_t rank) {
        while (below_ > rank) {
            if (jumps && level_ % 64 == 0 && below_ - coarse_[level_ / 64 - 1] > rank) {
                level_ -= 64;
                below_ -= coarse_[level_ / 64];
            } else {
                below_ -= fine_[--level_];
            }
        }
        while (below_ + fine_[level_] <= rank) {
            if (jumps && level_ % 64 == 0 && below_ + coarse_[level_ / 64] <= rank) {
                below_ += coarse_[level_ / 64];
                level_ += 64;
            } else {
                below_ += fine_[level_++];
            }
        }
        return level_;
    }
    std::int32_t count(std::uint32_t bin) { return fine_[bin]; }

  private:
    i64 bins_;
    Scratch<std::int32_t> fine_, coarse_;
    std::uint32_t level_ = 0;
    std::int32_t below_ = 0;
};

// P holds the bins and one more, `outside`, for pixels that do not count (partial), or no such.
template <class P, class T, bool jumps, bool partial>
void slide(Padded<P>& image, T* to, const Volume& volume, const Box& box,
           const std::vector<FootprintRun>& runs, i64 bins, std::int32_t rank, std::uint32_t outside) {
    Histogram histogram(bins);
    std::vector<i64> leaving, entering, all;
    for (const auto& run : runs) {
        leaving.push_back(image.offset(run.dz, run.dy, run.begin));
        entering.push_back(image.offset(run.dz, run.dy, run.end - 1));
        for (i64 dx = run.begin; dx < run.end; ++dx) all.push_back(image.offset(run.dz, run.dy, dx));
    }
    auto total = static_cast<std::int32_t>(all.size());
    std::size_t edges = leaving.size();
    for (i64 z = box.z_begin; z < box.z_end; ++z)
        for (i64 y = box.y_begin; y < box.y_end; ++y) {
            const P* line = image.row(z, y);
            T* target = to + (z * volume.ny + y) * volume.nx;
            for (i64 step : all) histogram.add<jumps>(line[step], 1);
            for (i64 x = 0;; ++x) {
                if (partial) {
                    std::int32_t population = total - histogram.count(outside);
                    target[x] = population ? static_cast<T>(histogram.at_rank<jumps>(population / 2)) : T(0);
                } else {
                    target[x] = static_cast<T>(histogram.at_rank<jumps>(rank));
                }
                if (x + 1 == volume.nx) break;
                const P* old = line + x;
                const P* next = line + x + 1;
                for (std::size_t k = 0; k < edges; ++k) {
                    P out = old[leaving[k]], in = next[entering[k]];
                    if (out == in) continue;
                    histogram.add<jumps>(out, -1);
                    histogram.add<jumps>(in, 1);
                }
            }
            const P* end = line + volume.nx - 1;
            for (i64 step : all) histogram.add<jumps>(end[step], -1);
        }
}

// -- means ------------------------------------------------------------------------------------

// How many pixels of each window of a row lie inside the image.
class Population {
  public:
    Population(const Volume& volume, const std::vector<FootprintRun>& runs)
        : volume_(volume), runs_(runs), counts_(static_cast<std::size_t>(volume.nx + 1)),
          inside_(runs.size(), 2) {}
    const std::vector<double>& of(i64 z, i64 y) {
        bool same = true;
        for (std::size_t k = 0; k < runs_.size(); ++k) {
            i64 p = z + runs_[k].dz, q = y + runs_[k].dy;
            char inside = p >= 0 && p < volume_.nz && q >= 0 && q < volume_.ny;
            same = same && inside == inside_[k];
            inside_[k] = inside;
        }
        if (!same) count();
        return counts_;
    }

  private:
    void count() {
        std::vector<i64> steps(static_cast<std::size_t>(volume_.nx + 1), 0);
        std::fill(counts_.begin(), counts_.end(), 0.0);
        for (std::size_t k = 0; k < runs_.size(); ++k) {
            if (!inside_[k]) continue;
            for (i64 x = 0; x < volume_.nx; ++x) {
                i64 begin = std::max<i64>(0, x + runs_[k].begin);
                i64 end = std::min(volume_.nx, x + runs_[k].end);
                counts_[static_cast<std::size_t>(x)] += static_cast<double>(std::max<i64>(0, end - begin));
            }
        }
    }
    Volume volume_;
    const std::vector<FootprintRun>& runs_;
    std::vector<double> counts_;
    std::vector<char> inside_;
};

// The sum of a window, with the number of its pixels that count: all of them where the mask is missing.
struct PlainSums {
    using Sum = std::uint32_t;
    static double total(Sum sum) { return static_cast<double>(sum); }
    static double count(Sum, double inside) { return inside; }
};

struct CountedSums {
    using Sum = std::uint64_t;
    static double total(Sum sum) { return static_cast<double>(static_cast<i64>(sum & 0xffffffffu)); }
    static double count(Sum sum, double) { return static_cast<double>(static_cast<std::int32_t>(sum >> 32)); }
};

template <class Sums, class T>
void mean(Padded<typename Sums::Sum>& sums, T* to, const Volume& volume, const Reach& reach, const Box& box,
          const std::vector<FootprintRun>& runs, Scratch<typename Sums::Sum>& prefix) {
    using Sum = typename Sums::Sum;
    // Prefix sums, one place to the right: the sum before the pixel. Differences are exact, for the
    // sum over a window fits 32 bits, as its count does.
    i64 lines = sums.height * sums.depth;
    Sum* to_line = prefix;
    const Sum* line = sums.row(box.z_begin, box.y_begin) -
                      sums.offset(reach.low[0], reach.low[1], sums.low_x);
    for (i64 k = 0; k < lines; ++k, line += sums.width, to_line += sums.width + 1) {
        Sum sum = 0;
        to_line[0] = 0;
        for (i64 x = 0; x < sums.width; ++x) to_line[x + 1] = sum += line[x];
    }
    Population population(volume, runs);
    std::vector<Sum> totals(static_cast<std::size_t>(volume.nx));
    i64 stride = sums.width + 1;
    for (i64 z = box.z_begin; z < box.z_end; ++z)
        for (i64 y = box.y_begin; y < box.y_end; ++y) {
            const double* inside = population.of(z, y).data();
            Sum* __restrict total = totals.data();
            std::fill(totals.begin(), totals.end(), Sum(0));
            for (const auto& run : runs) {
                i64 row = (z - box.z_begin + run.dz + reach.low[0]) * sums.height + y - box.y_begin +
                          run.dy + reach.low[1];
                const Sum* low = prefix + row * stride + sums.low_x + run.begin;
                const Sum* high = prefix + row * stride + sums.low_x + run.end;
                for (i64 x = 0; x < volume.nx; ++x) total[x] += high[x] - low[x];
            }
            T* __restrict target = to + (z * volume.ny + y) * volume.nx;
            for (i64 x = 0; x < volume.nx; ++x) {
                // The quotient's whole part is right: it lies further from a whole number than
                // rounding moves it.
                double count = Sums::count(total[x], inside[x]);
                double quotient = Sums::total(total[x]) / (count > 0 ? count : 1.0);
                target[x] = static_cast<T>(static_cast<std::int32_t>(quotient));
            }
        }
}

template <class Sums, class From, class T>
void means(From from, T* to, const Volume& volume, const Reach& reach,
           const std::vector<FootprintRun>& runs, const i64* part) {
    using Sum = typename Sums::Sum;
    std::unique_ptr<Scratch<Sum>> prefix;
    auto work = [&](Padded<Sum>& sums, const Box& box) {
        // The first box is the largest.
        if (!prefix) prefix.reset(new Scratch<Sum>(sums.height * sums.depth * (sums.width + 1) + 64));
        mean<Sums>(sums, to, volume, reach, box, runs, *prefix);
    };
    for_boxes<Sum>(from, volume, reach, constant, Sum(0), part, work);
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// The value at place `rank` after the exchanges, for every window.
TILEWISE_API std::int32_t tilewise_network(const void* from, void* to, i64 type, const i64* sizes,
                                           const i64* reach, const i64* offsets, i64 taps,
                                           const i64* exchanges, i64 exchange_count, i64 rank,
                                           i64 mode, double value, const i64* part) {
    return guarded([&] {
        return for_grey(type, [&](auto tag) -> std::int32_t {
            using T = typename decltype(tag)::type;
            network(static_cast<const T*>(from), static_cast<T*>(to), Volume(sizes), Reach(reach),
                    offsets, taps, Exchanges{exchanges, exchange_count, rank}, mode,
                    static_cast<T>(value), part);
            return ok;
        });
    });
}

// The value of the given rank in every window of 8- or 16-bit images; below 0: the median of the
// pixels inside the image, and where the mask, which may be null, is not 0.
TILEWISE_API std::int32_t tilewise_rank(const void* from, const std::uint8_t* mask, void* to, i64 type,
                                        const i64* sizes, const i64* reach, const i64* runs,
                                        i64 run_count, i64 rank, i64 mode, double value, const i64* part) {
    return guarded([&]() -> std::int32_t {
        Volume volume(sizes);
        auto footprint = runs_from(runs, run_count);
        auto slid = [&](auto pixel, auto place, auto jumps, i64 bins) {
            using T = typename decltype(pixel)::type;
            using P = typename decltype(place)::type;  // holds `bins`, which stands for outside
            auto image = static_cast<const T*>(from);
            auto result = static_cast<T*>(to);
            auto inside = [&](Padded<P>& padded, const Box& box) {
                slide<P, T, decltype(jumps)::value, true>(padded, result, volume, box, footprint, bins + 1,
                                                          0, static_cast<std::uint32_t>(bins));
            };
            if (rank >= 0)
                for_boxes<T>(image, volume, Reach(reach), mode, static_cast<T>(value), part,
                             [&](Padded<T>& padded, const Box& box) {
                                 slide<T, T, decltype(jumps)::value, false>(
                                     padded, result, volume, box, footprint, bins,
                                     static_cast<std::int32_t>(rank), 0);
                             });
            else if (mask)
                for_boxes<P>(MaskedPixels<T, P>{image, mask, static_cast<P>(bins)}, volume, Reach(reach),
                             constant, static_cast<P>(bins), part, inside);
            else
                for_boxes<P>(image, volume, Reach(reach), constant, static_cast<P>(bins), part, inside);
        };
        if (type == type_u8)
            slid(Tag<std::uint8_t>(), Tag<std::uint16_t>(), std::false_type(), 256);
        else if (type == type_u16)
            slid(Tag<std::uint16_t>(), Tag<std::uint32_t>(), std::true_type(), 65536);
        else
            return no_such_type;
        return ok;
    });
}

// The mean of the pixels inside the image, and where the mask, which may be null, is not 0; rounded
// down, of 8- or 16-bit images.
TILEWISE_API std::int32_t tilewise_mean(const void* from, const std::uint8_t* mask, void* to, i64 type,
                                        const i64* sizes, const i64* reach, const i64* runs,
                                        i64 run_count, const i64* part) {
    return guarded([&]() -> std::int32_t {
        Volume volume(sizes);
        auto footprint = runs_from(runs, run_count);
        auto averaged = [&](auto pixel) {
            using T = typename decltype(pixel)::type;
            auto image = static_cast<const T*>(from);
            auto result = static_cast<T*>(to);
            if (mask)
                means<CountedSums>(CountedPixels<T>{image, mask}, result, volume, Reach(reach), footprint, part);
            else
                means<PlainSums>(image, result, volume, Reach(reach), footprint, part);
        };
        if (type == type_u8)
            averaged(Tag<std::uint8_t>());
        else if (type == type_u16)
            averaged(Tag<std::uint16_t>());
        else
            return no_such_type;
        return ok;
    });
}
