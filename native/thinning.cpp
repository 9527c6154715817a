// Thinning by tables of neighbourhoods, 64 pixels a word: a table is a decision diagram whose nodes
// are evaluated for all pixels of a row at once. Rows near which nothing changes are left out.
#include <deque>
#include <utility>
#include <vector>

#include "bits.h"

namespace tilewise {
namespace {

using Word = std::uint64_t;
constexpr i64 group = 8;  // words evaluated together

// Node k is `high` where the neighbour is set and `low` elsewhere; 0 and 1 are the constants.
struct Node {
    i64 neighbour, low, high;
};

struct Diagram {
    std::vector<Node> nodes;  // from index 2 on
    i64 root;
};

class Bits {
  public:
    Bits(const std::uint8_t* mask, i64 ny, i64 nx)
        : ny_(ny), nx_(nx), words_((nx + 63) / 64), groups_((words_ + group - 1) / group),
          stride_(groups_ * group + 2), rows_(static_cast<std::size_t>((ny + 2) * stride_), 0) {
        for (i64 y = 0; y < ny; ++y) {
            Word* line = row(y);
            const std::uint8_t* from = mask + y * nx;
            for (i64 x = 0; x < nx; x += 64)
                line[x / 64] = nx - x >= 64 ? bits_of(from + x) : last_bits_of(from + x, nx - x);
        }
    }
    void write(std::uint8_t* to) {
        for (i64 y = 0; y < ny_; ++y) {
            const Word* line = row(y);
            std::uint8_t* target = to + y * nx_;
            i64 x = 0;
            for (; x + 64 <= nx_; x += 64) bytes_of(line[x / 64], target + x);
            for (; x < nx_; ++x) target[x] = line[x / 64] >> (x % 64) & 1;
        }
    }
    // The first word of a row; one zero word lies before it, and a zero row above and below.
    Word* row(i64 y) { return rows_.data() + (y + 1) * stride_ + 1; }
    i64 groups() const { return groups_; }

  private:
    i64 ny_, nx_, words_, groups_, stride_;
    std::vector<Word> rows_;
};

// The bit of the neighbour at (dy, dx) for every pixel of a group of words.
inline void shifted(const Word* line, i64 dx, Word* __restrict to) {
    if (dx == 0)
        for (i64 k = 0; k < group; ++k) to[k] = line[k];
    else if (dx < 0)
        for (i64 k = 0; k < group; ++k) to[k] = line[k] << 1 | line[k - 1] >> 63;
    else
        for (i64 k = 0; k < group; ++k) to[k] = line[k] >> 1 | line[k + 1] << 63;
}

// Which groups of words have to be looked at in either half: those near which something changed.
// One group more on every side spares the checks at the borders.
class Due {
  public:
    Due(i64 ny, i64 groups)
        : stride_(groups + 2), flags_(static_cast<std::size_t>((ny + 2) * stride_), 1) {}
    char* row(i64 y) { return flags_.data() + (y + 1) * stride_ + 1; }
    void mark(i64 y, i64 word_group) {
        for (i64 near = y - 1; near <= y + 1; ++near)
            for (i64 k = word_group - 1; k <= word_group + 1; ++k) row(near)[k] = 1;
    }

  private:
    i64 stride_;
    std::vector<char> flags_;
};

class Thinning {
  public:
    Thinning(Bits& bits, i64 ny, const i64* offsets)
        : bits_(bits), ny_(ny), offsets_(offsets), now_(static_cast<std::size_t>(bits.groups())),
          gone_(static_cast<std::size_t>(2 * bits.groups() * group), 0),
          changed_(static_cast<std::size_t>(2 * bits.groups()), 0) {}

    // One half of an iteration; whether anything changed.
    bool half(const Diagram& diagram, Due& due, Due& other) {
        values_.resize((diagram.nodes.size() + 2) * group);
        for (i64 k = 0; k < group; ++k) {
            values_[static_cast<std::size_t>(k)] = 0;
            values_[static_cast<std::size_t>(group + k)] = ~Word(0);
        }
        bool any = false;
        for (i64 y = 0; y < ny_; ++y) {
            bool changes = look(diagram, y, due);
            // The row before is changed only now: this one still needed it as it was.
            if (y) apply(y - 1, due, other);
            any = any || changes;
        }
        apply(ny_ - 1, due, other);
        return any;
    }

  private:
    Word* gone(i64 y) { return gone_.data() + y % 2 * bits_.groups() * group; }
    char* changed(i64 y) { return changed_.data() + y % 2 * bits_.groups(); }

    bool look(const Diagram& diagram, i64 y, Due& due) {
        bool any = false;
        char* flags = due.row(y);
        for (i64 k = 0; k < bits_.groups(); ++k) {
            bool now = flags[k];
            flags[k] = 0;
            changed(y)[k] = now && evaluate(diagram, y, k * group, gone(y) + k * group);
            any = any || changed(y)[k];
        }
        return any;
    }
    // What is due in the next iteration includes what changes in this half.
    void apply(i64 y, Due& due, Due& other) {
        Word* words = bits_.row(y);
        for (i64 k = 0; k < bits_.groups(); ++k) {
            if (!changed(y)[k]) continue;
            for (i64 word = k * group; word < (k + 1) * group; ++word) words[word] &= ~gone(y)[word];
            next_.emplace_back(y, k);
        }
        // Rows up to y + 1 have been looked at; marking them earlier would look at them too soon.
        while (!next_.empty() && (next_.front().first < y - 1 || y + 1 >= ny_)) {
            auto [row, k] = next_.front();
            next_.pop_front();
            due.mark(row, k);
            other.mark(row, k);
        }
    }
    bool evaluate(const Diagram& diagram, i64 y, i64 word, Word* gone) {
        const Word* middle = bits_.row(y) + word;
        Word set = 0;
        for (i64 k = 0; k < group; ++k) set |= middle[k];
        if (!set) return false;
        Word neighbours[8][group];
        for (i64 n = 0; n < 8; ++n)
            shifted(bits_.row(y + offsets_[2 * n]) + word, offsets_[2 * n + 1], neighbours[n]);
        Word* values = values_.data();
        Word* value = values + 2 * group;
        for (const Node& node : diagram.nodes) {
            const Word* choice = neighbours[node.neighbour];
            const Word* low = values + node.low * group;
            const Word* high = values + node.high * group;
            Word mixed[group];
            for (i64 k = 0; k < group; ++k) mixed[k] = low[k] ^ (choice[k] & (low[k] ^ high[k]));
            for (i64 k = 0; k < group; ++k) value[k] = mixed[k];
            value += group;
        }
        const Word* result = values + diagram.root * group;
        Word any = 0;
        for (i64 k = 0; k < group; ++k) any |= gone[k] = result[k] & middle[k];
        return any != 0;
    }

    Bits& bits_;
    i64 ny_;
    const i64* offsets_;
    std::vector<char> now_;
    std::vector<Word> gone_, values_;
    std::vector<char> changed_;
    std::deque<std::pair<i64, i64>> next_;
};

Diagram diagram_of(const i64* nodes, i64 count, i64 root) {
    Diagram diagram;
    for (i64 k = 0; k < count; ++k) diagram.nodes.push_back({nodes[3 * k], nodes[3 * k + 1], nodes[3 * k + 2]});
    diagram.root = root;
    return diagram;
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// Up to `most` iterations of two halves, each with a diagram of the pixels that go; nothing lies
// beyond the mask. offsets: (dy, dx) of the eight neighbours.
TILEWISE_API std::int32_t tilewise_thin(const void* from, void* to, i64 ny, i64 nx, const i64* offsets,
                                        const i64* first, i64 first_count, i64 first_root,
                                        const i64* second, i64 second_count, i64 second_root, i64 most,
                                        i64* iterations) {
    return guarded([&]() -> std::int32_t {
        Bits bits(static_cast<const std::uint8_t*>(from), ny, nx);
        Diagram diagrams[2] = {diagram_of(first, first_count, first_root),
                               diagram_of(second, second_count, second_root)};
        Due due[2] = {Due(ny, bits.groups()), Due(ny, bits.groups())};
        Thinning thinning(bits, ny, offsets);
        i64 done = 0;
        for (bool changes = true; changes && done < most; ++done) {
            changes = thinning.half(diagrams[0], due[0], due[1]);
            changes = thinning.half(diagrams[1], due[1], due[0]) || changes;
        }
        *iterations = done;
        bits.write(static_cast<std::uint8_t*>(to));
        return ok;
    });
}
