// Erosion and dilation by any footprint. The minimum of every run length of the footprint is made
// by doubling, once for each row of the image, and the rows of the footprint are put together in
// registers: the cost follows the footprint's rows, not its area.
#include "columns.h"
#include "windows.h"

namespace tilewise {
namespace {

template <class T, bool largest>
inline Vector<T> extreme(const Vector<T>& a, const Vector<T>& b) {
    return largest ? larger<T>(a, b) : smaller<T>(a, b);
}

// to[x] = extreme of a[x] and b[x]; lines have room for one vector past their end.
template <class T, bool largest>
void extreme_line(const T* a, const T* b, i64 n, T* to) {
    constexpr int lanes = Lanes<T>::count;
    for (i64 x = 0; x < n; x += lanes) store(to + x, extreme<T, largest>(load(a + x), load(b + x)));
}

struct Interval {
    i64 begin, end;
    bool operator==(const Interval& other) const { return begin == other.begin && end == other.end; }
    i64 length() const { return end - begin; }
};

// The footprint's distinct runs along x, the shortest first.
std::vector<Interval> intervals_of(const std::vector<FootprintRun>& runs) {
    std::vector<Interval> intervals;
    for (const auto& run : runs) {
        Interval interval{run.begin, run.end};
        if (std::find(intervals.begin(), intervals.end(), interval) == intervals.end())
            intervals.push_back(interval);
    }
    std::sort(intervals.begin(), intervals.end(), [](const Interval& a, const Interval& b) {
        return a.length() < b.length() || (a.length() == b.length() && a.begin < b.begin);
    });
    return intervals;
}

// A ring of rows, each with the extremes over every interval.
template <class T, bool largest>
class RowExtremes {
  public:
    RowExtremes(i64 low, i64 high, i64 width, std::vector<Interval> intervals)
        : low_(low), rows_(low + high + 1), width_(width),
          stride_((width + 8 * lanes) / lanes * lanes), intervals_(std::move(intervals)),
          values_(rows_ * count() * stride_) {
        nested_ = intervals_.back().length() <= 40;
        for (std::size_t k = 1; k < intervals_.size(); ++k)
            nested_ = nested_ && intervals_[k].begin <= intervals_[k - 1].begin &&
                      intervals_[k].end >= intervals_[k - 1].end;
        // Each interval adds these places to the one before.
        i64 begin = intervals_[0].begin, end = begin + 1;
        for (const auto& interval : intervals_) {
            if (!nested_) break;
            while (begin > interval.begin) places_.push_back(--begin);
            while (end < interval.end) places_.push_back(end++);
            bounds_.push_back(places_.size());
        }
        if (!nested_) {
            low_x_ = 0;
            i64 high_x = 0;
            for (const auto& interval : intervals_) {
                low_x_ = std::max(low_x_, -interval.begin);
                high_x = std::max(high_x, interval.end);
            }
            reach_ = width + low_x_ + high_x;
            doubled_stride_ = (reach_ + 8 * lanes) / lanes * lanes;
            doubled_.reset(new Scratch<T>(42 * doubled_stride_));
        }
        std::fill(values_.get(), values_.get() + rows_ * count() * stride_, T(0));
    }
    // Take in the row whose first pixel is at `line`.
    void enter(const T* line, i64 y) {
        if (!nested_) return enter_by_doubling(line, y);
        T* target = row(y, 0);
        i64 x = 0;
        for (; x + 4 * lanes <= width_; x += 4 * lanes) grow<4>(line + x, target + x);
        for (; x < width_; x += lanes) grow<1>(line + x, target + x);
    }
    T* row(i64 y, i64 interval) {
        return values_ + ((y + low_) % rows_ * count() + interval) * stride_;
    }

  private:
    static constexpr int lanes = Lanes<T>::count;
    i64 count() const { return static_cast<i64>(intervals_.size()); }

    template <int vectors>
    inline void grow(const T* line, T* target) {
        Vector<T> best[vectors];
        const T* first = line + intervals_[0].begin;
        for (int k = 0; k < vectors; ++k) best[k] = load(first + k * lanes);
        const i64* places = places_.data();
        std::size_t place = 0;
        for (std::size_t bound : bounds_) {
            for (; place < bound; ++place) {
                const T* values = line + places[place];
                for (int k = 0; k < vectors; ++k)
                    best[k] = extreme<T, largest>(best[k], load(values + k * lanes));
            }
            for (int k = 0; k < vectors; ++k) store(target + k * lanes, best[k]);
            target += stride_;
        }
    }
    void enter_by_doubling(const T* line, i64 y) {
        // powers[k]: the extreme of 2^k values that begin at x, from the lowest place on
        const T* powers[42];
        powers[0] = line - low_x_;
        int made = 0;
        for (i64 k = 0; k < count(); ++k) {
            Interval interval = intervals_[static_cast<std::size_t>(k)];
            i64 length = interval.length();
            int power = 63 - __builtin_clzll(static_cast<unsigned long long>(length));
            for (; made < power; ++made) {
                i64 half = i64(1) << made;
                T* next = doubled_->get() + (made + 1) * doubled_stride_;
                extreme_line<T, largest>(powers[made], powers[made] + half, reach_ - 2 * half + 1, next);
                powers[made + 1] = next;
            }
            const T* start = powers[power] + low_x_ + interval.begin;
            extreme_line<T, largest>(start, start + length - (i64(1) << power), width_, row(y, k));
        }
    }

    i64 low_, rows_, width_, stride_, low_x_ = 0, reach_ = 0, doubled_stride_ = 0;
    bool nested_;
    std::vector<Interval> intervals_;
    std::vector<i64> places_;
    std::vector<std::size_t> bounds_;
    Scratch<T> values_;
    std::unique_ptr<Scratch<T>> doubled_;
};

struct Piece {
    i64 dy, interval;
};

template <class T, bool largest, int vectors>
inline void put_together(const T* const* lines, i64 count, i64 x, T* to) {
    constexpr int lanes = Lanes<T>::count;
    Vector<T> best[vectors];
    for (int k = 0; k < vectors; ++k) best[k] = load(lines[0] + x + k * lanes);
    for (i64 line = 1; line < count; ++line)
        for (int k = 0; k < vectors; ++k)
            best[k] = extreme<T, largest>(best[k], load(lines[line] + x + k * lanes));
    for (int k = 0; k < vectors; ++k) store(to + x + k * lanes, best[k]);
}

// Rows of a plane of the result take in one plane of the image under one plane of the footprint.
template <class T, bool largest>
void plane(Padded<T>& image, i64 source_z, const Box& box, i64 nx,
           const std::vector<FootprintRun>& runs, bool first, T* to) {
    constexpr int lanes = Lanes<T>::count;
    auto intervals = intervals_of(runs);
    std::vector<Piece> pieces;
    i64 low = 0, high = 0;
    for (const auto& run : runs) {
        auto place = std::find(intervals.begin(), intervals.end(), Interval{run.begin, run.end});
        pieces.push_back({run.dy, place - intervals.begin()});
        low = std::max(low, -run.dy);
        high = std::max(high, run.dy);
    }
    RowExtremes<T, largest> rows(low, high, nx, intervals);
    std::vector<const T*> lines(pieces.size() + 1);
    Scratch<T> line(nx + 8 * lanes), previous(nx + 8 * lanes);
    for (i64 y = box.y_begin - low; y < box.y_begin + high; ++y) rows.enter(image.row(source_z, y), y);
    for (i64 y = box.y_begin; y < box.y_end; ++y) {
        rows.enter(image.row(source_z, y + high), y + high);
        std::size_t count = 0;
        for (const auto& piece : pieces) lines[count++] = rows.row(y + piece.dy, piece.interval);
        T* target = to + y * nx;
        if (!first) {
            std::memcpy(previous.get(), target, static_cast<std::size_t>(nx) * sizeof(T));
            lines[count++] = previous;
        }
        i64 x = 0;
        auto number = static_cast<i64>(count);
        for (; x + 4 * lanes <= nx; x += 4 * lanes)
            put_together<T, largest, 4>(lines.data(), number, x, target);
        i64 rest = x;
        for (; x < nx; x += lanes)
            put_together<T, largest, 1>(lines.data(), number, x, line.get());
        std::copy(line.get() + rest, line.get() + nx, target + rest);
    }
}

// Boxes of few pixels: the extremes of the columns, then those of the rows of these.
template <class T, bool largest>
struct BoxExtreme {
    i64 height, width;
    static constexpr i64 lines = 1;
    inline void columns(const T* const* rows, i64 x, T* to, i64) const {
        Vector<T> best = load(rows[0] + x);
        for (i64 k = 1; k < height; ++k) best = extreme<T, largest>(best, load(rows[k] + x));
        store(to, best);
    }
    inline Vector<T> window(const T* from, i64) const {
        Vector<T> best = load(from);
        for (i64 k = 1; k < width; ++k) best = extreme<T, largest>(best, load(from + k));
        return best;
    }
};

// Rows of one run each that together fill a box of at most so many rows and columns.
bool is_small_box(const std::vector<FootprintRun>& runs, const Reach& reach) {
    constexpr i64 most = 9;
    i64 height = reach.low[1] + reach.high[1] + 1, width = reach.low[2] + reach.high[2] + 1;
    bool fills = static_cast<i64>(runs.size()) == height && height <= most && width <= most;
    for (const auto& run : runs) fills = fills && run.end - run.begin == width;
    return fills;
}

template <class T, bool largest>
void filter(const T* from, T* to, const Volume& volume, const Reach& reach,
            const std::vector<FootprintRun>& runs, i64 mode, T value, const i64* part) {
    if (suits_columns<T>(reach) && is_small_box(runs, reach)) {
        BoxExtreme<T, largest> box{reach.low[1] + reach.high[1] + 1, reach.low[2] + reach.high[2] + 1};
        return filter_by_columns(from, to, volume, reach, mode, value, part, box);
    }
    for_boxes<T>(from, volume, reach, mode, value, part, [&](Padded<T>& image, const Box& box) {
        for (i64 z = box.z_begin; z < box.z_end; ++z) {
            bool first = true;
            for (i64 dz = -reach.low[0]; dz <= reach.high[0]; ++dz) {
                std::vector<FootprintRun> slice;
                for (const auto& run : runs)
                    if (run.dz == dz) slice.push_back(run);
                if (slice.empty()) continue;
                plane<T, largest>(image, z + dz, box, volume.nx, slice, first,
                                  to + z * volume.ny * volume.nx);
                first = false;
            }
        }
    });
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// runs: dz, dy, begin, end of each run of the footprint, relative to the pixel.
// reach: before and after the pixel, along each of three axes.
// part: the planes of the result (of an image: its rows) to write, begin and end.
TILEWISE_API std::int32_t tilewise_extreme(const void* from, void* to, i64 type, const i64* sizes,
                                           const i64* reach, const i64* runs, i64 run_count, const i64* part,
                                           i64 mode, double value, i64 largest) {
    return guarded([&] {
        return for_grey(type, [&](auto tag) -> std::int32_t {
            using T = typename decltype(tag)::type;
            Volume volume(sizes);
            auto footprint = runs_from(runs, run_count);
            auto image = static_cast<const T*>(from);
            auto result = static_cast<T*>(to);
            auto outside = static_cast<T>(value);
            if (largest)
                filter<T, true>(image, result, volume, Reach(reach), footprint, mode, outside, part);
            else
                filter<T, false>(image, result, volume, Reach(reach), footprint, mode, outside, part);
            return ok;
        });
    });
}
