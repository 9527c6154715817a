// Local maxima: neighbours are compared as lanes, and only pixels that are level with a neighbour
// are flooded.
#include "windows.h"

namespace tilewise {
namespace {

enum State : std::uint8_t { lower = 0, highest = 1, level = 2 };

template <class T>
inline void judge(const T* __restrict values, const T* __restrict best, i64 n,
                  std::uint8_t* __restrict states) {
    for (i64 x = 0; x < n; ++x)
        states[x] = static_cast<std::uint8_t>((best[x] < values[x]) | ((best[x] == values[x]) << 1));
}

template <class T>
void maxima(const T* from, std::uint8_t* to, const Volume& volume, const Reach& reach, const i64* offsets,
            i64 count, T outside, bool at_borders) {
    constexpr int lanes = Lanes<T>::count;
    // The pixels around the image are lower, or level and no maxima.
    Padded<T> image(from, volume, reach, constant, outside);
    i64 places = image.width * image.height * image.depth;
    std::vector<std::uint8_t> states(static_cast<std::size_t>(places), lower);
    const T* origin = image.row(0, 0) - image.offset(reach.low[0], reach.low[1], reach.low[2]);
    std::vector<i64> steps;
    for (i64 k = 0; k < count; ++k)
        steps.push_back(image.offset(offsets[3 * k], offsets[3 * k + 1], offsets[3 * k + 2]));
    Scratch<T> best(volume.nx + 2 * lanes);
    for (i64 z = 0; z < volume.nz; ++z)
        for (i64 y = 0; y < volume.ny; ++y) {
            const T* line = image.row(z, y);
            for (i64 x = 0; x < volume.nx; x += lanes) {
                Vector<T> most = load(line + x + steps[0]);
                for (std::size_t k = 1; k < steps.size(); ++k)
                    most = larger<T>(most, load(line + x + steps[k]));
                store(best + x, most);
            }
            std::uint8_t* row_states = states.data() + (line - origin);
            judge<T>(line, best.get(), volume.nx, row_states);
            if (at_borders) continue;
            bool outer = (reach.low[0] && (z == 0 || z + 1 == volume.nz)) ||
                         (reach.low[1] && (y == 0 || y + 1 == volume.ny));
            if (outer) std::fill(row_states, row_states + volume.nx, std::uint8_t(lower));
            row_states[0] = row_states[volume.nx - 1] = lower;
        }
    // A plateau is a maximum where none of its pixels has a higher neighbour.
    std::vector<i64> plateau;
    const std::uint8_t* end = states.data() + places;
    for (const std::uint8_t* place = states.data();; ++place) {
        place = static_cast<const std::uint8_t*>(
            std::memchr(place, level, static_cast<std::size_t>(end - place)));
        if (!place) break;
        i64 start = place - states.data();
        T value = origin[start];
        bool maximum = true;
        plateau.assign(1, start);
        states[static_cast<std::size_t>(start)] = highest;
        for (std::size_t k = 0; k < plateau.size(); ++k)
            for (i64 step : steps) {
                i64 next = plateau[k] + step;
                if (origin[next] != value) continue;
                std::uint8_t& state = states[static_cast<std::size_t>(next)];
                if (state == level) {
                    state = highest;
                    plateau.push_back(next);
                } else if (state == lower) {
                    maximum = false;
                }
            }
        if (!maximum)
            for (i64 pixel : plateau) states[static_cast<std::size_t>(pixel)] = lower;
    }
    for (i64 z = 0; z < volume.nz; ++z)
        for (i64 y = 0; y < volume.ny; ++y)
            std::memcpy(to + (z * volume.ny + y) * volume.nx,
                        states.data() + (image.row(z, y) - origin), static_cast<std::size_t>(volume.nx));
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// 1 at the local maxima, among the neighbours at the offsets (dz, dy, dx). The image has a border of
// one pixel of the value `outside`, which belongs to no maximum; without at_borders neither do its own
// outermost pixels.
TILEWISE_API std::int32_t tilewise_maxima(const void* from, i64 type, void* to, const i64* sizes,
                                          const i64* reach, const i64* offsets, i64 count,
                                          double outside, i64 at_borders) {
    return guarded([&] {
        return for_grey(type, [&](auto tag) -> std::int32_t {
            using T = typename decltype(tag)::type;
            maxima(static_cast<const T*>(from), static_cast<std::uint8_t*>(to), Volume(sizes), Reach(reach),
                   offsets, count, static_cast<T>(outside), at_borders != 0);
            return ok;
        });
    });
}
