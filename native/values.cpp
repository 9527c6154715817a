// Questions about pixel values that decide whether a kernel may run.
#include "tilewise.h"

using namespace tilewise;

// answer: 1 where any value is NaN; 2 where any is infinite or as large as `limit`, 3 for both.
TILEWISE_API std::int32_t tilewise_unusual(const void* from, i64 type, i64 count, double limit,
                                           i64* answer) {
    auto ask = [&](auto tag) -> std::int32_t {
        using T = typename decltype(tag)::type;
        auto values = static_cast<const T*>(from);
        i64 result = 0;
        T most = static_cast<T>(limit);
        for (i64 begin = 0; begin < count; begin += 4096) {
            i64 end = begin + 4096 < count ? begin + 4096 : count;
            int nan = 0, large = 0;
            for (i64 k = begin; k < end; ++k) {
                nan |= values[k] != values[k];
                large |= !(values[k] < most && values[k] > -most);
            }
            result |= nan | (large ? 2 : 0);
        }
        *answer = result;
        return ok;
    };
    if (type == type_f32) return ask(Tag<float>());
    if (type == type_f64) return ask(Tag<double>());
    return no_such_type;
}
