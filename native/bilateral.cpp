// The bilateral filter of grey images: weights from two tables, one by place, one by difference.
#include <cmath>

#include "windows.h"

namespace tilewise {
namespace {

template <class T>
void bilateral(const T* from, T* to, const Volume& volume, i64 window, const T* colours, i64 bins,
               const T* places, T scale, i64 mode, T value) {
    i64 radius = (window - 1) / 2;
    const i64 numbers[6] = {0, 0, radius, radius, radius, radius};
    Padded<T> image(from, volume, Reach(numbers), mode, value);
    Scratch<T> totals(volume.nx), weights(volume.nx);
    Scratch<std::int32_t> at(volume.nx);
    T last = static_cast<T>(bins - 1);
    for (i64 y = 0; y < volume.ny; ++y) {
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

TILEWISE_API std::int32_t tilewise_bilateral(const void* from, void* to, i64 type, i64 ny, i64 nx,
                                             i64 window, const void* colours, i64 bins,
                                             const void* places, double scale, i64 mode, double value) {
    return guarded([&]() -> std::int32_t {
        const i64 sizes[3] = {1, ny, nx};
        auto body = [&](auto tag) {
            using T = typename decltype(tag)::type;
            bilateral(static_cast<const T*>(from), static_cast<T*>(to), Volume(sizes), window,
                      static_cast<const T*>(colours), bins, static_cast<const T*>(places), static_cast<T>(scale),
                      mode,
                      static_cast<T>(value));
        };
        if (type == type_f32) return body(Tag<float>()), ok;
        if (type == type_f64) return body(Tag<double>()), ok;
        return no_such_type;
    });
}
