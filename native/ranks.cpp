// Filters by rank over windows: networks of exchanges with pixels as lanes for small footprints,
// sliding histograms for the others, sums of runs for the mean.
#include <utility>

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
                 const Volume& volume, T* to) {
    constexpr i64 stride = Network::stride;
    Network network(steps, exchanges);
    Scratch<T> last(stride);
    for (i64 z = 0; z < volume.nz; ++z)
        for (i64 y = 0; y < volume.ny; ++y) {
            const T* line = image.row(z, y);
            T* target = to + (z * volume.ny + y) * volume.nx;
            i64 x = 0;
            for (; x + stride <= volume.nx; x += stride) network(line + x, target + x);
            if (x == volume.nx) continue;
            network(line + x, last);
            std::memcpy(target + x, last.get(), static_cast<std::size_t>(volume.nx - x) * sizeof(T));
        }
}

template <class T>
void network(const T* from, T* to, const Volume& volume, const Reach& reach, const i64* offsets,
             i64 taps, const Exchanges& exchanges, i64 mode, T value) {
    Padded<T> image(from, volume, reach, mode, value);
    std::vector<i64> steps;
    for (i64 k = 0; k < taps; ++k)
        steps.push_back(image.offset(offsets[3 * k], offsets[3 * k + 1], offsets[3 * k + 2]));
    bool median = exchanges.rank == taps / 2;
    if (median && taps == 9)
        for_windows<FixedNetwork<T, 9>>(image, steps, exchanges, volume, to);
    else if (median && taps == 25)
        for_windows<FixedNetwork<T, 25>>(image, steps, exchanges, volume, to);
    else if (median && taps == 27)
        for_windows<FixedNetwork<T, 27>>(image, steps, exchanges, volume, to);
    else
        for_windows<AnyNetwork<T>>(image, steps, exchanges, volume, to);
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
void slide(Padded<P>& image, T* to, const Volume& volume, const std::vector<FootprintRun>& runs,
           i64 bins, std::int32_t rank, std::uint32_t outside) {
    Histogram histogram(bins);
    std::vector<i64> leaving, entering, all;
    for (const auto& run : runs) {
        leaving.push_back(image.offset(run.dz, run.dy, run.begin));
        entering.push_back(image.offset(run.dz, run.dy, run.end - 1));
        for (i64 dx = run.begin; dx < run.end; ++dx) all.push_back(image.offset(run.dz, run.dy, dx));
    }
    auto total = static_cast<std::int32_t>(all.size());
    std::size_t edges = leaving.size();
    for (i64 z = 0; z < volume.nz; ++z)
        for (i64 y = 0; y < volume.ny; ++y) {
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
                    histogram.add<jumps>(old[leaving[k]], -1);
                    histogram.add<jumps>(next[entering[k]], 1);
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

template <class T>
void mean(const T* from, T* to, const Volume& volume, const Reach& reach,
          const std::vector<FootprintRun>& runs) {
    Padded<std::uint32_t> sums(from, volume, reach, constant, 0);
    // Prefix sums, one place to the right: the sum before the pixel. Differences are exact, for the
    // sum over a window fits 32 bits.
    i64 lines = sums.height * sums.depth;
    Scratch<std::uint32_t> prefix(lines * (sums.width + 1) + 64);
    std::uint32_t* to_line = prefix;
    const std::uint32_t* line = sums.row(0, 0) - sums.offset(reach.low[0], reach.low[1], sums.low_x);
    for (i64 k = 0; k < lines; ++k, line += sums.width, to_line += sums.width + 1) {
        std::uint32_t sum = 0;
        to_line[0] = 0;
        for (i64 x = 0; x < sums.width; ++x) to_line[x + 1] = sum += line[x];
    }
    Population population(volume, runs);
    std::vector<std::uint32_t> totals(static_cast<std::size_t>(volume.nx));
    i64 stride = sums.width + 1;
    for (i64 z = 0; z < volume.nz; ++z)
        for (i64 y = 0; y < volume.ny; ++y) {
            const double* counts = population.of(z, y).data();
            std::uint32_t* __restrict total = totals.data();
            std::fill(totals.begin(), totals.end(), 0u);
            for (const auto& run : runs) {
                i64 row = (z + run.dz + reach.low[0]) * sums.height + y + run.dy + reach.low[1];
                const std::uint32_t* low = prefix + row * stride + sums.low_x + run.begin;
                const std::uint32_t* high = prefix + row * stride + sums.low_x + run.end;
                for (i64 x = 0; x < volume.nx; ++x) total[x] += high[x] - low[x];
            }
            T* __restrict target = to + (z * volume.ny + y) * volume.nx;
            for (i64 x = 0; x < volume.nx; ++x) {
                // The quotient's whole part is right: it lies further from a whole number than
                // rounding moves it.
                double quotient = static_cast<double>(total[x]) / (counts[x] > 0 ? counts[x] : 1.0);
                target[x] = static_cast<T>(static_cast<std::int32_t>(quotient));
            }
        }
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// The value at place `rank` after the exchanges, for every window.
TILEWISE_API std::int32_t tilewise_network(const void* from, void* to, i64 type, const i64* sizes,
                                           const i64* reach, const i64* offsets, i64 taps,
                                           const i64* exchanges, i64 exchange_count, i64 rank,
                                           i64 mode, double value) {
    return guarded([&] {
        return for_grey(type, [&](auto tag) -> std::int32_t {
            using T = typename decltype(tag)::type;
            network(static_cast<const T*>(from), static_cast<T*>(to), Volume(sizes), Reach(reach),
                    offsets, taps, Exchanges{exchanges, exchange_count, rank}, mode,
                    static_cast<T>(value));
            return ok;
        });
    });
}

// The value of the given rank in every window of 8- or 16-bit images; below 0: the median of the
// pixels inside the image.
TILEWISE_API std::int32_t tilewise_rank(const void* from, void* to, i64 type, const i64* sizes,
                                        const i64* reach, const i64* runs, i64 run_count, i64 rank,
                                        i64 mode, double value) {
    return guarded([&]() -> std::int32_t {
        Volume volume(sizes);
        auto footprint = runs_from(runs, run_count);
        auto r = static_cast<std::int32_t>(rank);
        if (type == type_u8) {
            using T = std::uint8_t;
            auto image = static_cast<const T*>(from);
            if (rank >= 0) {
                Padded<T> padded(image, volume, Reach(reach), mode, static_cast<T>(value));
                slide<T, T, false, false>(padded, static_cast<T*>(to), volume, footprint, 256, r, 0);
            } else {
                Padded<std::uint16_t> padded(image, volume, Reach(reach), constant, 256);
                slide<std::uint16_t, T, false, true>(padded, static_cast<T*>(to), volume, footprint, 257,
                                                     0, 256);
            }
            return ok;
        }
        if (type != type_u16) return no_such_type;
        using T = std::uint16_t;
        auto image = static_cast<const T*>(from);
        if (rank >= 0) {
            Padded<T> padded(image, volume, Reach(reach), mode, static_cast<T>(value));
            slide<T, T, true, false>(padded, static_cast<T*>(to), volume, footprint, 65536, r, 0);
        } else {
            Padded<std::uint32_t> padded(image, volume, Reach(reach), constant, 65536);
            slide<std::uint32_t, T, true, true>(padded, static_cast<T*>(to), volume, footprint, 65537, 0,
                                                65536);
        }
        return ok;
    });
}

// The mean of the pixels inside the image, rounded down, of 8- or 16-bit images.
TILEWISE_API std::int32_t tilewise_mean(const void* from, void* to, i64 type, const i64* sizes,
                                        const i64* reach, const i64* runs, i64 run_count) {
    return guarded([&]() -> std::int32_t {
        Volume volume(sizes);
        auto footprint = runs_from(runs, run_count);
        if (type == type_u8)
            mean(static_cast<const std::uint8_t*>(from), static_cast<std::uint8_t*>(to), volume,
                 Reach(reach), footprint);
        else if (type == type_u16)
            mean(static_cast<const std::uint16_t*>(from), static_cast<std::uint16_t*>(to), volume,
                 Reach(reach), footprint);
        else
            return no_such_type;
        return ok;
    });
}
