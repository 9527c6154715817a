// Filters over small boxes that first make something of every column of the box (its extreme, or its
// values in order), which the boxes of neighbouring pixels share. Rows are read where they are: only
// the few columns that lie outside the image are put together.
#pragma once

#include "windows.h"

namespace tilewise {

// The rows of a volume, those outside of it by its border mode.
template <class T>
class BorderedRows {
  public:
    BorderedRows(const T* from, const Volume& volume, i64 mode, T value)
        : from_(from), volume_(volume), mode_(mode), value_(value), pitch_(volume.nx),
          constant_(volume.nx + lanes), copies_(volume.nx < lanes ? volume.nz * volume.ny * lanes : 0) {
        std::fill(constant_.get(), constant_.get() + volume.nx + lanes, value);
        if (volume.nx >= lanes) return;
        pitch_ = lanes;  // of shorter rows a vector would read more than there is
        for (i64 row = 0; row < volume.nz * volume.ny; ++row) {
            std::fill(copies_ + row * lanes, copies_ + (row + 1) * lanes, value);
            std::copy(from + row * volume.nx, from + (row + 1) * volume.nx, copies_ + row * lanes);
        }
        from_ = copies_;
    }
    const T* row(i64 z, i64 y) {
        i64 inside = mapped(y, volume_.ny, mode_);
        return inside < 0 ? constant_.get() : from_ + (z * volume_.ny + inside) * pitch_;
    }
    T at(const T* row, i64 x) const {
        i64 inside = mapped(x, volume_.nx, mode_);
        return inside < 0 ? value_ : row[inside];
    }
    // The last place in a row that a vector is read from.
    i64 last() const { return pitch_ - lanes; }

  private:
    static constexpr i64 lanes = Lanes<T>::count;
    const T* from_;
    const Volume volume_;
    const i64 mode_;
    const T value_;
    i64 pitch_;
    Scratch<T> constant_, copies_;
};

// Whether boxes of this reach can be filtered by columns.
template <class T>
bool suits_columns(const Reach& reach) {
    return reach.low[0] == 0 && reach.high[0] == 0 && reach.low[2] <= Lanes<T>::count &&
           reach.high[2] <= Lanes<T>::count;
}

// filter.lines: how many values there are of a column; filter.columns(rows, x, to, stride): write them
// for a vector of columns from x on; filter.window(values, stride): the result for the vector of pixels
// whose boxes begin with these columns. `part` as in `for_boxes`.
template <class T, class Filter>
void filter_by_columns(const T* from, T* to, const Volume& volume, const Reach& reach, i64 mode, T value,
                       const i64* part, const Filter& filter) {
    constexpr i64 lanes = Lanes<T>::count, strip = 4096 / sizeof(T);
    i64 low = reach.low[2], high = reach.high[2], height = reach.low[1] + reach.high[1] + 1;
    i64 stride = strip + 5 * lanes;
    BorderedRows<T> image(from, volume, mode, value);
    Scratch<T> scratch(filter.lines * stride), border(height * lanes), edge(filter.lines * lanes), last(lanes);
    T* values = scratch.get() + lanes;  // the last vector of a row may begin before its strip
    std::vector<const T*> rows(static_cast<std::size_t>(height)), border_rows(rows);
    for (i64 k = 0; k < height; ++k) border_rows[static_cast<std::size_t>(k)] = border + k * lanes;
    std::fill(border.get(), border.get() + height * lanes, value);

    auto put_outside = [&](i64 begin, i64 end, T* place) {
        if (begin >= end) return;
        for (i64 k = 0; k < height; ++k)
            for (i64 x = begin; x < end; ++x)
                border[k * lanes + x - begin] = image.at(rows[static_cast<std::size_t>(k)], x);
        filter.columns(border_rows.data(), 0, edge.get(), lanes);
        for (i64 k = 0; k < filter.lines; ++k)
            std::copy(edge + k * lanes, edge + k * lanes + end - begin, place + k * stride);
    };
    auto filter_row = [&](i64 z, i64 y) {
        for (i64 k = 0; k < height; ++k)
            rows[static_cast<std::size_t>(k)] = image.row(z, y + k - reach.low[1]);
        T* target = to + (z * volume.ny + y) * volume.nx;
        for (i64 begin = 0; begin < volume.nx; begin += strip) {
            i64 width = std::min(strip, volume.nx - begin);
            i64 first = std::max<i64>(0, begin - low), end = std::min(volume.nx, begin + width + high);
            T* origin = values + low - begin;  // of the column 0
            put_outside(begin - low, first, values);
            for (i64 x = first; x < end; x += lanes) {
                i64 place = std::min(x, image.last());
                filter.columns(rows.data(), place, origin + place, stride);
            }
            put_outside(end, begin + width + high, origin + end);
            for (i64 x = 0; x < width; x += lanes) {
                Vector<T> result = filter.window(values + x, stride);
                if (x + lanes <= width) {
                    store(target + begin + x, result);
                } else {
                    store(last.get(), result);
                    std::copy(last.get(), last.get() + width - x, target + begin + x);
                }
            }
        }
    };
    if (volume.nz > 1) {
        for (i64 z = part[0]; z < part[1]; ++z)
            for (i64 y = 0; y < volume.ny; ++y) filter_row(z, y);
    } else {
        for (i64 y = part[0]; y < part[1]; ++y) filter_row(0, y);
    }
}

}  // namespace tilewise
