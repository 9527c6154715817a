// The bilateral filter of grey images: weights from two tables, one by place, one by difference.
#include <cmath>

#include "windows.h"

namespace tilewise {
namespace {

template <class T>
struct Weights {
    i64 window;
    const T* colours;
    i64 bins;
    const T* places;
    T scale;
};

template <class T>
void bilateral(Padded<T>& image, T* to, const Volume& volume, const Box& box, const Weights<T>& tables) {
    i64 window = tables.window, radius = (window - 1) / 2;
    const T *places = tables.places, *colours = tables.colours;
    T scale = tables.scale, last = static_cast<T>(tables.bins - 1);
    Scratch<T> totals(volume.nx), weights(volume.nx);
    Scratch<std::int32_t> at(volume.nx);
    for (i64 y = box.y_begin; y < box.y_end; ++y) {
        const T* centres = image.row(0, y);
        std::fill(totals.get(), totals.get() + volume.nx, T(0));
        std::fill(weights.get(), weights.get() + volume.nx, T(0));
        for (i64 dy = -radius; dy <= radius; ++dy)
            for (i64 dx = -radius; dx <= radius; ++dx) {
                const T* __restrict centre = centres;
                const T* __restrict values = image.row(0, y + dy) + dx;
                T place = places[(dy + radius) * window + dx + radius];
                std::int32_t* __restrict bin = at;
                T* __restrict total = totals;
                T* __restrict weight = weights;
                for (i64 x = 0; x < volume.nx; ++x) {
                    T difference = std::fabs(centre[x] - values[x]);
                    T k = difference * scale;
                    bin[x] = static_cast<std::int32_t>(k < last ? k : last);
                }
                for (i64 x = 0; x < volume.nx; ++x) {
                    T product = place * colours[bin[x]];
                    total[x] += values[x] * product;
                    weight[x] += product;
                }
            }
        T* __restrict target = to + y * volume.nx;
        for (i64 x = 0; x < volume.nx; ++x) target[x] = totals[x] / weights[x];
    }
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// part: the rows from one up to another.
TILEWISE_API std::int32_t tilewise_bilateral(const void* from, void* to, i64 type, i64 ny, i64 nx,
                                             i64 window, const void* colours, i64 bins, const void* places,
                                             double scale, i64 mode, double value, const i64* part) {
    return guarded([&]() -> std::int32_t {
        const i64 sizes[3] = {1, ny, nx}, radius = (window - 1) / 2;
        const i64 reach[6] = {0, 0, radius, radius, radius, radius};
        Volume volume(sizes);
        auto body = [&](auto tag) {
            using T = typename decltype(tag)::type;
            Weights<T> tables{window, static_cast<const T*>(colours), bins, static_cast<const T*>(places),
                              static_cast<T>(scale)};
            for_boxes<T>(static_cast<const T*>(from), volume, Reach(reach), mode, static_cast<T>(value), part,
                         [&](Padded<T>& image, const Box& box) {
                             bilateral(image, static_cast<T*>(to), volume, box, tables);
                         });
        };
        if (type == type_f32) return body(Tag<float>()), ok;
        if (type == type_f64) return body(Tag<double>()), ok;
        return no_such_type;
    });
}
