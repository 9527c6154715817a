// Histograms of oriented gradients: gradients, votes into cells, normalised blocks of cells.
//
// The bin of an angle follows from the side of each bin's border that the gradient lies on, without
// the angle itself. Where it is so near a border that rounding decides, the caller computes the angle.
#include <algorithm>
#include <cmath>

#include "tilewise.h"

namespace tilewise {
namespace {

using Byte = std::uint8_t;
using Wide = Vector<double>;
typedef i64 Mask __attribute__((vector_size(vector_bytes)));

constexpr double doubtful_share = 1e-12;  // far above the rounding of an arctangent in degrees
constexpr double tiny = 1e-290;           // below, products lose bits

inline Mask bits_of(const Wide& values) {
    Mask bits;
    __builtin_memcpy(&bits, &values, sizeof bits);
    return bits;
}

inline Wide values_of(const Mask& bits) {
    Wide values;
    __builtin_memcpy(&values, &bits, sizeof values);
    return values;
}

// Differences of the neighbours in the image's type, 0 at its border.
template <class T>
void gradients(const T* image, i64 ny, i64 nx, i64 begin, i64 end, double* down, double* right) {
    for (i64 y = begin; y < end; ++y, down += nx, right += nx) {
        const T* line = image + y * nx;
        bool inner = y > 0 && y + 1 < ny;
        const T* above = inner ? line - nx : line;
        const T* below = inner ? line + nx : line;
        for (i64 x = 0; x < nx; ++x) down[x] = static_cast<double>(static_cast<T>(below[x] - above[x]));
        for (i64 x = 1; x + 1 < nx; ++x)
            right[x] = static_cast<double>(static_cast<T>(line[x + 1] - line[x - 1]));
        right[0] = right[nx - 1] = 0;
    }
}

// Bins of angles in [0, 180), and the indices of pixels whose angle has to be computed.
i64 find_bins(const double* down, const double* right, i64 n, const double* cosines, const double* sines,
              i64 borders, Byte* bins, i64* doubtful) {
    constexpr int lanes = Lanes<double>::count;
    const Mask sign = bits_of(spread(-0.0));
    i64 count = 0;
    for (i64 x = 0; x < n; x += lanes) {
        double rows[lanes] = {}, columns[lanes] = {};
        int here = static_cast<int>(std::min<i64>(lanes, n - x));
        std::memcpy(rows, down + x, sizeof(double) * static_cast<std::size_t>(here));
        std::memcpy(columns, right + x, sizeof(double) * static_cast<std::size_t>(here));
        Mask flip = bits_of(load(rows)) & sign;  // opposite gradients have one angle
        Wide r = values_of(bits_of(load(rows)) ^ flip), c = values_of(bits_of(load(columns)) ^ flip);
        Wide size = r + values_of(bits_of(c) & ~sign), margin = size * doubtful_share;
        Mask doubt = (r <= margin) | ~(size > spread(tiny));
        Mask bin = Mask{};
        for (i64 k = 0; k < borders; ++k) {
            Wide side = r * cosines[k] - c * sines[k];
            bin -= side >= Wide{};
            doubt |= values_of(bits_of(side) & ~sign) <= margin;
        }
        for (int lane = 0; lane < here; ++lane) {
            bins[x + lane] = static_cast<Byte>(bin[lane]);
            if (doubt[lane]) doubtful[count++] = x + lane;
        }
    }
    return count;
}

// NumPy's sum of a contiguous array.
double pairwise(const double* values, i64 n) {
    if (n < 8) {
        double sum = 0;
        for (i64 k = 0; k < n; ++k) sum = k ? sum + values[k] : values[k];
        return sum;
    }
    if (n <= 128) {
        double part[8];
        for (int k = 0; k < 8; ++k) part[k] = values[k];
        i64 k = 8;
        for (; k < n - n % 8; k += 8)
            for (int j = 0; j < 8; ++j) part[j] += values[k + j];
        double sum = ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
        for (; k < n; ++k) sum += values[k];
        return sum;
    }
    i64 half = n / 2;
    half -= half % 8;
    return pairwise(values, half) + pairwise(values + half, n - half);
}

enum Norm : i64 { l1 = 0, l1_sqrt = 1, l2 = 2, l2_hys = 3 };

double length_of(const double* values, double* squares, i64 n, double eps) {
    for (i64 k = 0; k < n; ++k) squares[k] = values[k] * values[k];
    return std::sqrt(pairwise(squares, n) + eps);
}

void normalise(double* block, double* other, i64 n, i64 norm, double eps, double eps_squared) {
    if (norm == l1 || norm == l1_sqrt) {
        for (i64 k = 0; k < n; ++k) other[k] = std::fabs(block[k]);
        double size = pairwise(other, n) + eps;
        for (i64 k = 0; k < n; ++k) block[k] = norm == l1 ? block[k] / size : std::sqrt(block[k] / size);
        return;
    }
    double size = length_of(block, other, n, eps_squared);
    for (i64 k = 0; k < n; ++k) block[k] /= size;
    if (norm == l2) return;
    for (i64 k = 0; k < n; ++k) block[k] = block[k] < 0.2 ? block[k] : 0.2;
    size = length_of(block, other, n, eps_squared);
    for (i64 k = 0; k < n; ++k) block[k] /= size;
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// Rows from begin to end; down and right are arrays of these rows.
TILEWISE_API std::int32_t tilewise_cell_gradients(const void* image, i64 type, i64 ny, i64 nx, i64 begin,
                                                  i64 end, double* down, double* right) {
    if (type == type_f32)
        gradients(static_cast<const float*>(image), ny, nx, begin, end, down, right);
    else if (type == type_f64)
        gradients(static_cast<const double*>(image), ny, nx, begin, end, down, right);
    else
        return no_such_type;
    return ok;
}

TILEWISE_API std::int32_t tilewise_cell_bins(const double* down, const double* right, i64 n,
                                             const double* cosines, const double* sines, i64 borders,
                                             void* bins, i64* doubtful, i64* count) {
    *count = find_bins(down, right, n, cosines, sines, borders, static_cast<Byte*>(bins), doubtful);
    return ok;
}

// Adds magnitudes to cells x bins, in raster order and to totals in single precision, as
// scikit-image does; a row of cells is `height` rows of pixels. Bins from `bin_count` on are dropped.
TILEWISE_API std::int32_t tilewise_cell_votes(const double* magnitudes, const void* bins, i64 rows, i64 nx,
                                              i64 height, i64 width, i64 cells_per_row, i64 bin_count,
                                              float* cells) {
    for (i64 y = 0; y < rows; ++y) {
        float* cell = cells + y / height * cells_per_row * bin_count;
        const double* line = magnitudes + y * nx;
        const Byte* bin = static_cast<const Byte*>(bins) + y * nx;
        for (i64 k = 0; k < cells_per_row; ++k, cell += bin_count)
            for (i64 x = k * width; x < (k + 1) * width; ++x)
                if (bin[x] < bin_count) cell[bin[x]] = static_cast<float>(cell[bin[x]] + line[x]);
    }
    return ok;
}

// cells: rows x columns x bins; to: blocks, each of `high` x `wide` cells x bins.
TILEWISE_API std::int32_t tilewise_cell_blocks(const double* cells, i64 rows, i64 columns, i64 bin_count,
                                               i64 high, i64 wide, i64 norm, double eps, double eps_squared,
                                               void* to, i64 type) {
    return guarded([&]() -> std::int32_t {
        i64 n = high * wide * bin_count, line = wide * bin_count;
        Scratch<double> block(n), other(n);
        i64 offset = 0;
        for (i64 y = 0; y + high <= rows; ++y)
            for (i64 x = 0; x + wide <= columns; ++x, offset += n) {
                for (i64 k = 0; k < high; ++k)
                    std::copy_n(cells + ((y + k) * columns + x) * bin_count, line, block.get() + k * line);
                normalise(block, other, n, norm, eps, eps_squared);
                if (type == type_f32)
                    for (i64 k = 0; k < n; ++k)
                        static_cast<float*>(to)[offset + k] = static_cast<float>(block[k]);
                else if (type == type_f64)
                    std::copy_n(block.get(), n, static_cast<double*>(to) + offset);
                else
                    return no_such_type;
            }
        return ok;
    });
}
