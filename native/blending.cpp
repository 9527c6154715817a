// Grey levels counted block by block, and the contrast maps of the blocks around a pixel, blended by
// distance as scikit-image's CLAHE blends them: products in double precision, sums in single
// precision, corner by corner.
#include <cmath>

#include "tilewise.h"

namespace tilewise {
namespace {

// Along one axis, for each pixel: two blocks and their weights.
struct Around {
    const i64* blocks;
    const double* weights;
};

void blend(const std::uint16_t* bins, i64 ny, i64 nx, const Around& rows, const Around& columns,
           const double* maps, i64 blocks_per_row, i64 bin_count, std::uint16_t* to) {
    Scratch<double> near(nx), far(nx);
    Scratch<i64> near_block(nx), far_block(nx);
    for (i64 x = 0; x < nx; ++x) {
        near_block[x] = columns.blocks[2 * x] * bin_count;
        far_block[x] = columns.blocks[2 * x + 1] * bin_count;
        near[x] = columns.weights[2 * x];
        far[x] = columns.weights[2 * x + 1];
    }
    for (i64 y = 0; y < ny; ++y) {
        const double* above = maps + rows.blocks[2 * y] * blocks_per_row * bin_count;
        const double* below = maps + rows.blocks[2 * y + 1] * blocks_per_row * bin_count;
        double up = rows.weights[2 * y], down = rows.weights[2 * y + 1];
        const std::uint16_t* __restrict line = bins + y * nx;
        std::uint16_t* __restrict target = to + y * nx;
        const double* __restrict n = near;
        const double* __restrict f = far;
        const i64* __restrict nb = near_block;
        const i64* __restrict fb = far_block;
        for (i64 x = 0; x < nx; ++x) {
            i64 bin = line[x];
            auto sum = static_cast<float>(above[nb[x] + bin] * (n[x] * up));
            sum += static_cast<float>(above[fb[x] + bin] * (f[x] * up));
            sum += static_cast<float>(below[nb[x] + bin] * (n[x] * down));
            sum += static_cast<float>(below[fb[x] + bin] * (f[x] * down));
            target[x] = static_cast<std::uint16_t>(static_cast<std::int32_t>(sum));
        }
    }
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// blocks and weights: two of each row, and two of each column. maps: block rows x blocks x bins.
TILEWISE_API std::int32_t tilewise_blend(const void* bins, i64 ny, i64 nx, const i64* row_blocks,
                                         const double* row_weights, const i64* column_blocks,
                                         const double* column_weights, const double* maps,
                                         i64 blocks_per_row, i64 bin_count, void* to) {
    return guarded([&]() -> std::int32_t {
        blend(static_cast<const std::uint16_t*>(bins), ny, nx, Around{row_blocks, row_weights},
              Around{column_blocks, column_weights}, maps, blocks_per_row, bin_count,
              static_cast<std::uint16_t*>(to));
        return ok;
    });
}

// Adds 1 to counts[row block, column block, bin] at every pair of a row and a column; an axis is a list
// of positions, each with its block. counts: row blocks x column blocks x bins.
TILEWISE_API std::int32_t tilewise_block_counts(const void* bins, i64 width, const i64* rows,
                                                const i64* row_blocks, i64 row_count, const i64* columns,
                                                const i64* column_blocks, i64 column_count,
                                                i64 blocks_per_row, i64 bin_count, i64* counts) {
    return guarded([&]() -> std::int32_t {
        Scratch<i64> offsets(column_count);
        for (i64 k = 0; k < column_count; ++k) offsets[k] = column_blocks[k] * bin_count;
        for (i64 y = 0; y < row_count; ++y) {
            const std::uint16_t* line = static_cast<const std::uint16_t*>(bins) + rows[y] * width;
            i64* __restrict row = counts + row_blocks[y] * blocks_per_row * bin_count;
            for (i64 k = 0; k < column_count; ++k) ++row[offsets[k] + line[columns[k]]];
        }
        return ok;
    });
}
