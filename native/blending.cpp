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

// Maps of the blocks of one row of pixels, and what their rows and planes weigh.
struct Source {
    const double* maps;
    double row, plane;
};

// `sources`: 2 rows of blocks, or 4 in a volume; each has a block on either side of a pixel.
template <int sources>
void blend_row(const std::uint16_t* __restrict line, i64 nx, const Source* source, const i64* __restrict near_block,
               const i64* __restrict far_block, const double* __restrict near, const double* __restrict far,
               std::uint16_t* __restrict to) {
    for (i64 x = 0; x < nx; ++x) {
        i64 bin = line[x], left = near_block[x] + bin, right = far_block[x] + bin;
        float sum = 0;
        for (int k = 0; k < sources; ++k) {
            sum += static_cast<float>(source[k].maps[left] * (near[x] * source[k].row * source[k].plane));
            sum += static_cast<float>(source[k].maps[right] * (far[x] * source[k].row * source[k].plane));
        }
        to[x] = static_cast<std::uint16_t>(static_cast<std::int32_t>(sum));
    }
}

struct Maps {
    const double* values;
    i64 rows, columns, bins;  // blocks of a plane, bins of a block
};

// An image without planes has none around it either.
void blend(const std::uint16_t* bins, const i64* sizes, const Around* planes, const Around& rows,
           const Around& columns, const Maps& maps, std::uint16_t* to) {
    i64 nz = sizes[0], ny = sizes[1], nx = sizes[2];
    Scratch<double> near(nx), far(nx);
    Scratch<i64> near_block(nx), far_block(nx);
    for (i64 x = 0; x < nx; ++x) {
        near_block[x] = columns.blocks[2 * x] * maps.bins;
        far_block[x] = columns.blocks[2 * x + 1] * maps.bins;
        near[x] = columns.weights[2 * x];
        far[x] = columns.weights[2 * x + 1];
    }
    i64 row_size = maps.columns * maps.bins, plane_size = maps.rows * row_size;
    for (i64 z = 0; z < nz; ++z)
        for (i64 y = 0; y < ny; ++y, bins += nx, to += nx) {
            Source sources[4];
            for (int k = 0; k < (planes ? 4 : 2); ++k) {
                i64 row = 2 * y + k % 2, plane = 2 * z + k / 2;
                sources[k].maps = maps.values + rows.blocks[row] * row_size +
                                  (planes ? planes->blocks[plane] * plane_size : 0);
                sources[k].row = rows.weights[row];
                sources[k].plane = planes ? planes->weights[plane] : 1.0;
            }
            if (planes)
                blend_row<4>(bins, nx, sources, near_block, far_block, near, far, to);
            else
                blend_row<2>(bins, nx, sources, near_block, far_block, near, far, to);
        }
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// blocks and weights: two of each plane (null in an image), of each row, and of each column. sizes: of
// the pixels. map_sizes: planes, rows, columns of blocks, and bins.
TILEWISE_API std::int32_t tilewise_blend(const void* bins, const i64* sizes, const i64* plane_blocks,
                                         const double* plane_weights, const i64* row_blocks,
                                         const double* row_weights, const i64* column_blocks,
                                         const double* column_weights, const double* maps,
                                         const i64* map_sizes, void* to) {
    return guarded([&]() -> std::int32_t {
        Around planes{plane_blocks, plane_weights};
        blend(static_cast<const std::uint16_t*>(bins), sizes, plane_blocks ? &planes : nullptr,
              Around{row_blocks, row_weights}, Around{column_blocks, column_weights},
              Maps{maps, map_sizes[1], map_sizes[2], map_sizes[3]}, static_cast<std::uint16_t*>(to));
        return ok;
    });
}

// Adds 1 to counts[plane block, row block, column block, bin] at every crossing of a plane, a row and a
// column; each axis is a list of positions and of their blocks. sizes: of the pixels' rows and columns.
TILEWISE_API std::int32_t tilewise_block_counts(const void* bins, const i64* sizes, const i64* planes,
                                                const i64* plane_blocks, i64 plane_count, const i64* rows,
                                                const i64* row_blocks, i64 row_count, const i64* columns,
                                                const i64* column_blocks, i64 column_count,
                                                const i64* map_sizes, i64* counts) {
    return guarded([&]() -> std::int32_t {
        i64 ny = sizes[1], nx = sizes[2], row_size = map_sizes[2] * map_sizes[3];
        Scratch<i64> offsets(column_count);
        for (i64 k = 0; k < column_count; ++k) offsets[k] = column_blocks[k] * map_sizes[3];
        for (i64 z = 0; z < plane_count; ++z)
            for (i64 y = 0; y < row_count; ++y) {
                const std::uint16_t* line =
                    static_cast<const std::uint16_t*>(bins) + (planes[z] * ny + rows[y]) * nx;
                i64* __restrict row = counts + (plane_blocks[z] * map_sizes[1] + row_blocks[y]) * row_size;
                for (i64 k = 0; k < column_count; ++k) ++row[offsets[k] + line[columns[k]]];
            }
        return ok;
    });
}
