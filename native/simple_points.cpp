// Lee's thinning of masks with two or three axes: in turns from each side, the border pixels without
// which nothing falls apart are listed and then removed one by one, each looked at again.
//
// The condition on a neighbourhood is read off the surface of the pixel itself, a cube: the corners,
// edges and sides that it shares with neighbours. Removing the pixel keeps the Euler characteristic
// where corners - edges + sides is 1, and keeps its neighbours together where the shared corners,
// joined by the shared edges, are one piece. Only pixels near a change are looked at again.
#include <algorithm>
#include <array>
#include <vector>

#include "bits.h"

namespace tilewise {
namespace {

using Word = std::uint64_t;
using Bits = std::uint32_t;

constexpr Bits corners = 0xff, edges = 0xfff00, centre = 1u << 13;
constexpr int edges_at = 8, sides_at = 20;

// What a cube shares with its neighbours, by the nine pixels of each plane of the neighbourhood.
class Surface {
  public:
    Surface() {
        for (int number = 0; number < 27; ++number) {
            if (number == 13) continue;
            Bits bits = shared_with(number / 9 - 1, number / 3 % 3 - 1, number % 3 - 1);
            for (int pixels = 0; pixels < 512; ++pixels)
                if (pixels >> (number % 9) & 1) planes_[number / 9][pixels] |= bits;
        }
        for (int joined = 0; joined < 4096; ++joined) join(joined);
    }
    // Of 27 pixels: bits of corners, edges and sides.
    Bits of(Bits pixels) const {
        return planes_[0][pixels & 511] | planes_[1][pixels >> 9 & 511] | planes_[2][pixels >> 18];
    }
    static bool keeps_euler(Bits surface) {
        return __builtin_popcount(surface & corners) - __builtin_popcount(surface & edges) +
                   __builtin_popcount(surface >> sides_at) == 1;
    }
    bool is_one_piece(Bits surface) const {
        Bits joined = (surface & edges) >> edges_at;
        return pieces_[joined] + __builtin_popcount(surface & corners & ~ends_[joined]) <= 1;
    }

  private:
    // Corners are numbered by their coordinates 0 and 1. The edges along an axis are numbered by
    // those on the other two, the sides by the axis and which of the two it is.
    static Bits shared_with(int dz, int dy, int dx) {
        int step[3] = {dz, dy, dx};
        Bits bits = 0;
        for (int corner = 0; corner < 8; ++corner) {
            bool touches = true;
            for (int axis = 0; axis < 3; ++axis) touches = touches && on(step[axis], corner >> axis & 1);
            if (touches) bits |= 1u << corner;
        }
        for (int axis = 0; axis < 3; ++axis) {
            int first = (axis + 1) % 3, second = (axis + 2) % 3;
            for (int edge = 0; edge < 4; ++edge)
                if (step[axis] == 0 && on(step[first], edge & 1) && on(step[second], edge >> 1))
                    bits |= 1u << (edges_at + 4 * axis + edge);
            if (step[axis] != 0 && step[first] == 0 && step[second] == 0)
                bits |= 1u << (sides_at + 2 * axis + (step[axis] > 0));
        }
        return bits;
    }
    // Whether a neighbour that lies a step away touches the end 0 or 1 of the cube on that axis.
    static bool on(int step, int end) { return step == 0 || (step > 0) == (end == 1); }

    void join(int joined) {
        int piece[8] = {0, 1, 2, 3, 4, 5, 6, 7};
        Bits ends = 0;
        for (int number = 0; number < 12; ++number) {
            if (!(joined >> number & 1)) continue;
            int axis = number / 4;
            int begin = (number & 1) << (axis + 1) % 3 | (number >> 1 & 1) << (axis + 2) % 3;
            int end = begin | 1 << axis, from = piece[end], to = piece[begin];
            for (int& value : piece)
                if (value == from) value = to;
            ends |= 1u << begin | 1u << end;
        }
        int count = 0;
        for (int corner = 0; corner < 8; ++corner) {
            bool is_first = ends >> corner & 1;
            for (int before = 0; before < corner; ++before) is_first = is_first && piece[before] != piece[corner];
            count += is_first;
        }
        ends_[static_cast<std::size_t>(joined)] = static_cast<std::uint8_t>(ends);
        pieces_[static_cast<std::size_t>(joined)] = static_cast<std::uint8_t>(count);
    }

    std::array<std::array<Bits, 512>, 3> planes_{};
    std::array<std::uint8_t, 4096> ends_{}, pieces_{};
};

// A volume of bits with background all around: a row and a plane, and a word at either end of a row.
class BitVolume {
  public:
    BitVolume(i64 nz, i64 ny, i64 nx)
        : ny_(ny), words((nx + 63) / 64), stride(words + 2), plane((ny + 2) * stride),
          bits_(static_cast<std::size_t>((nz + 2) * plane), 0) {}
    // The first word of a row.
    Word* row(i64 z, i64 y) { return bits_.data() + (z + 1) * plane + (y + 1) * stride + 1; }

  private:
    i64 ny_;

  public:
    const i64 words, stride, plane;

  private:
    std::vector<Word> bits_;
};

struct Position {
    i64 z, y, x;
};

class SimplePoints {
    static constexpr int directions = 6;

  public:
    SimplePoints(const std::uint8_t* from, i64 nz, i64 ny, i64 nx)
        : nz_(nz), ny_(ny), nx_(nx), mask_(nz, ny, nx), near_(directions, mask_),
          rows_(static_cast<std::size_t>((nz + 2) * (ny + 2)), 0) {
        for (i64 z = 0; z < nz; ++z)
            for (i64 y = 0; y < ny; ++y) {
                const std::uint8_t* line = from + (z * ny + y) * nx;
                for (i64 x = 0; x < nx; x += 64)
                    mask_.row(z, y)[x / 64] = nx - x >= 64 ? bits_of(line + x) : last_bits_of(line + x, nx - x);
            }
    }

    void run() {
        // A plane has no sides along the first axis.
        int count = nz_ == 1 ? 4 : directions, unchanged = 0;
        for (bool first = true; unchanged < count; first = false) {
            unchanged = 0;
            for (int direction = 0; direction < count; ++direction) {
                list(direction, first);
                unchanged += !remove(direction);
            }
        }
    }

    void write(std::uint8_t* to) {
        for (i64 z = 0; z < nz_; ++z)
            for (i64 y = 0; y < ny_; ++y, to += nx_) {
                const Word* line = mask_.row(z, y);
                i64 x = 0;
                for (; x + 64 <= nx_; x += 64) bytes_of(line[x / 64], to + x);
                for (; x < nx_; ++x) to[x] = line[x / 64] >> (x % 64) & 1;
            }
    }

  private:
    // The side that has to be background: of the row before and after, the column after and before,
    // the plane after and before.
    Word outside(int direction, const Word* line) const {
        switch (direction) {
            case 0: return ~line[-mask_.stride];
            case 1: return ~line[mask_.stride];
            case 2: return ~(line[0] >> 1 | line[1] << 63);
            case 3: return ~(line[0] << 1 | line[-1] >> 63);
            case 4: return ~line[mask_.plane];
            default: return ~line[-mask_.plane];
        }
    }

    std::size_t row_number(i64 z, i64 y) const {
        return static_cast<std::size_t>((z + 1) * (ny_ + 2) + y + 1);
    }

    // The pixels that may go, of those near which something changed since this was asked last.
    void list(int direction, bool everything) {
        listed_.clear();
        char mark = static_cast<char>(1 << direction);
        for (i64 z = 0; z < nz_; ++z)
            for (i64 y = 0; y < ny_; ++y) {
                char& marks = rows_[row_number(z, y)];
                if (!marks && !everything) continue;
                list_row(direction, z, y, everything);
                if (!(marks & mark)) continue;
                marks = static_cast<char>(marks & ~mark);
                Word* near = near_[static_cast<std::size_t>(direction)].row(z, y);
                std::fill_n(near, mask_.words, Word(0));
            }
    }

    void list_row(int direction, i64 z, i64 y, bool everything) {
        const Word* line = mask_.row(z, y);
        for (i64 k = 0; k < mask_.words; ++k) {
            if (!line[k]) continue;
            Word due = everything ? ~Word(0) : 0;
            for (BitVolume& near : near_) due |= near.row(z, y)[k];
            due &= line[k];
            if (!due) continue;
            due &= outside(direction, line + k);
            for (; due; due &= due - 1) {
                i64 x = k * 64 + __builtin_ctzll(due);
                Bits pixels = neighbourhood(line, x), others = pixels & ~centre;
                bool is_end = others && !(others & (others - 1));
                if (is_end) continue;
                Bits surface = surface_.of(pixels);
                if (Surface::keeps_euler(surface) && surface_.is_one_piece(surface)) listed_.push_back({z, y, x});
            }
        }
    }

    // Remove what is listed where it may still go; whether anything went. What nothing went near to
    // is as it was when it was listed.
    bool remove(int direction) {
        bool any = false;
        for (const Position& at : listed_) {
            Word* line = mask_.row(at.z, at.y);
            Word bit = Word(1) << at.x % 64;
            bool is_due = near_[static_cast<std::size_t>(direction)].row(at.z, at.y)[at.x / 64] & bit;
            if (is_due && !surface_.is_one_piece(surface_.of(neighbourhood(line, at.x)))) continue;
            line[at.x / 64] &= ~bit;
            mark(direction, at);
            any = true;
        }
        return any;
    }

    void mark(int direction, const Position& at) {
        auto index = static_cast<std::size_t>(direction);
        i64 bit = at.x % 64, k = at.x / 64;
        Word three = bit ? Word(7) << (bit - 1) : Word(3);
        for (i64 z = at.z - 1; z <= at.z + 1; ++z)
            for (i64 y = at.y - 1; y <= at.y + 1; ++y) {
                Word* line = near_[index].row(z, y) + k;
                line[0] |= three;
                if (bit == 0) line[-1] |= Word(1) << 63;
                if (bit == 63) line[1] |= 1;
                rows_[row_number(z, y)] |= static_cast<char>(1 << direction);
            }
    }

    // The 27 pixels around one, three planes of three rows.
    Bits neighbourhood(const Word* line, i64 x) const {
        i64 bit = (x + 63) % 64;
        const Word* words = line + (x + 63) / 64 - 1;
        if (bit <= 61)
            return gathered(words, [=](const Word* at) { return at[0] >> bit; });
        return gathered(words, [=](const Word* at) { return at[0] >> bit | at[1] << (64 - bit); });
    }
    template <class Three>
    Bits gathered(const Word* words, Three three) const {
        auto plane = [&](const Word* at) {
            return static_cast<Bits>((three(at - mask_.stride) & 7) | (three(at) & 7) << 3 |
                                     (three(at + mask_.stride) & 7) << 6);
        };
        return plane(words - mask_.plane) | plane(words) << 9 | plane(words + mask_.plane) << 18;
    }

    i64 nz_, ny_, nx_;
    BitVolume mask_;
    std::vector<BitVolume> near_;
    std::vector<char> rows_;  // for each, the directions in which something was marked
    std::vector<Position> listed_;
    const Surface surface_;
};

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// Thin a mask (planes, rows, columns) until nothing changes any more; nothing lies beyond it.
TILEWISE_API std::int32_t tilewise_thin_simple(const void* from, void* to, i64 nz, i64 ny, i64 nx) {
    return guarded([&]() -> std::int32_t {
        SimplePoints points(static_cast<const std::uint8_t*>(from), nz, ny, nx);
        points.run();
        points.write(static_cast<std::uint8_t*>(to));
        return ok;
    });
}
