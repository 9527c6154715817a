// Samples of an image between its pixels, linear along its two or three axes, and points that keep a distance.
#include <cmath>
#include <unordered_map>
#include <vector>

#include "tilewise.h"

namespace tilewise {
namespace {

struct Axis {
    std::vector<i64> first;
    std::vector<double> near, far;
    Axis(const double* positions, i64 n) {
        for (i64 k = 0; k < n; ++k) {
            double below = std::floor(positions[k]), share = 1.0 - (positions[k] - below);
            first.push_back(static_cast<i64>(below));
            near.push_back(share);
            far.push_back(1.0 - share);  // as SciPy has it
        }
    }
};

// Products with the plane's weight first, then the row's, added up in raster order from zero. A plane
// on its own has no weights: `planes` of its samples is null.
template <class T>
void sample(const T* image, i64 height, i64 width, const Axis* planes, const Axis& rows,
            const Axis& columns, T* to) {
    auto n = static_cast<i64>(columns.first.size());
    const i64* __restrict first = columns.first.data();
    const double* __restrict near = columns.near.data();
    const double* __restrict far = columns.far.data();
    std::size_t depth = planes ? planes->first.size() : 1;
    for (std::size_t z = 0; z < depth; ++z)
        for (std::size_t y = 0; y < rows.first.size(); ++y, to += n) {
            const T* above = image + rows.first[y] * width;
            const T* below = above + width;
            double up = rows.near[y], down = rows.far[y];
            T* __restrict line = to;
            if (!planes) {
                for (i64 x = 0; x < n; ++x) {
                    i64 k = first[x];
                    double sum = 0.0;
                    sum += static_cast<double>(above[k]) * up * near[x];
                    sum += static_cast<double>(above[k + 1]) * up * far[x];
                    sum += static_cast<double>(below[k]) * down * near[x];
                    sum += static_cast<double>(below[k + 1]) * down * far[x];
                    line[x] = static_cast<T>(sum);
                }
                continue;
            }
            i64 plane = height * width, offset = planes->first[z] * plane;
            double front = planes->near[z], back = planes->far[z];
            for (i64 x = 0; x < n; ++x) {
                i64 k = first[x] + offset;
                double sum = 0.0;
                sum += static_cast<double>(above[k]) * front * up * near[x];
                sum += static_cast<double>(above[k + 1]) * front * up * far[x];
                sum += static_cast<double>(below[k]) * front * down * near[x];
                sum += static_cast<double>(below[k + 1]) * front * down * far[x];
                k += plane;
                sum += static_cast<double>(above[k]) * back * up * near[x];
                sum += static_cast<double>(above[k + 1]) * back * up * far[x];
                sum += static_cast<double>(below[k]) * back * down * near[x];
                sum += static_cast<double>(below[k + 1]) * back * down * far[x];
                line[x] = static_cast<T>(sum);
            }
        }
}

constexpr int most_axes = 3;

// 0: the largest difference along an axis; 1: their sum; 2: the root of their squares' sum.
inline bool is_near(const i64* a, const i64* b, i64 axes, i64 spacing, i64 norm) {
    i64 total = 0;
    for (i64 axis = 0; axis < axes; ++axis) {
        i64 step = a[axis] < b[axis] ? b[axis] - a[axis] : a[axis] - b[axis];
        if (step >= spacing) return false;
        total += norm == 2 ? step * step : norm == 1 ? step : 0;
    }
    return norm == 2 ? total < spacing * spacing : norm == 1 ? total < spacing : true;
}

i64 spread_out(const i64* points, i64 count, i64 axes, i64 spacing, i64 norm, i64 most, i64* chosen) {
    std::unordered_map<i64, std::vector<i64>> cells;  // what is chosen in a box as long as the spacing
    auto cell_of = [&](const i64* point, i64 code) {
        i64 cell = 0;
        for (i64 axis = 0; axis < axes; ++axis, code /= 3)
            cell = cell * (i64(1) << 20) + point[axis] / spacing + code % 3;
        return cell;
    };
    i64 neighbours = axes == 1 ? 3 : axes == 2 ? 9 : 27, used = 0;
    for (i64 k = 0; k < count && used < most; ++k) {
        const i64* point = points + k * axes;
        bool is_free = true;
        for (i64 code = 0; code < neighbours && is_free; ++code) {
            auto cell = cells.find(cell_of(point, code));
            if (cell == cells.end()) continue;
            for (i64 other : cell->second)
                if (is_near(point, points + other * axes, axes, spacing, norm)) {
                    is_free = false;
                    break;
                }
        }
        if (!is_free) continue;
        chosen[used++] = k;
        cells[cell_of(point, neighbours / 2)].push_back(k);
    }
    return used;
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// Positions lie between the first and the last pixel along each axis; an image that is one plane has
// no positions of planes (null). height, width: of the image's planes.
TILEWISE_API std::int32_t tilewise_sample(const void* image, i64 type, i64 height, i64 width,
                                          const double* planes, i64 plane_count, const double* rows,
                                          i64 row_count, const double* columns, i64 column_count, void* to) {
    return guarded([&]() -> std::int32_t {
        Axis in(planes, planes ? plane_count : 0), down(rows, row_count), right(columns, column_count);
        const Axis* depth = planes ? &in : nullptr;
        if (type == type_f32)
            sample(static_cast<const float*>(image), height, width, depth, down, right, static_cast<float*>(to));
        else if (type == type_f64)
            sample(static_cast<const double*>(image), height, width, depth, down, right, static_cast<double*>(to));
        else
            return no_such_type;
        return ok;
    });
}

// Indices of the points, in order, that are at least the spacing away from every one chosen before.
// Coordinates are from 0 to 2**19 times the spacing.
TILEWISE_API std::int32_t tilewise_spaced(const i64* points, i64 count, i64 axes, i64 spacing, i64 norm,
                                          i64 most, i64* chosen, i64* used) {
    return guarded([&]() -> std::int32_t {
        if (axes > most_axes) return no_such_type;
        *used = spread_out(points, count, axes, spacing, norm, most, chosen);
        return ok;
    });
}
