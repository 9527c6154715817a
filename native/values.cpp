// Questions about pixel values that decide whether a kernel may run.
#include <cstring>
#include <limits>

#include "tilewise.h"

using namespace tilewise;

namespace {

// The bits of a number without its sign are in the order of its size, NaN above infinity.
template <class T, class Bits>
i64 unusual(const void* from, i64 count, double limit) {
    constexpr Bits without_sign = std::numeric_limits<Bits>::max();
    auto bits_of = [](T value) {
        Bits bits;
        std::memcpy(&bits, &value, sizeof bits);
        return bits;
    };
    auto bits = static_cast<const Bits*>(from);
    Bits largest = 0;
    for (i64 k = 0; k < count; ++k) {
        Bits size = bits[k] & without_sign;
        largest = size > largest ? size : largest;
    }
    bool has_nan = largest > bits_of(std::numeric_limits<T>::infinity());
    return (has_nan ? 1 : 0) | (largest >= bits_of(static_cast<T>(limit)) ? 2 : 0);
}

}  // namespace

// answer: 1 where any value is NaN; 2 where any is infinite or as large as `limit`, 3 for both.
TILEWISE_API std::int32_t tilewise_unusual(const void* from, i64 type, i64 count, double limit,
                                           i64* answer) {
    if (type == type_f32) return *answer = unusual<float, std::int32_t>(from, count, limit), ok;
    if (type == type_f64) return *answer = unusual<double, i64>(from, count, limit), ok;
    return no_such_type;
}
