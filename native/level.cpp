// Which instruction sets this processor runs. Only the baseline library is asked.
#include "tilewise.h"

// 0 baseline, 1 AVX2, 2 AVX-512 with the subsets that the library is compiled for.
TILEWISE_API std::int32_t tilewise_level() {
#if defined(__x86_64__) || defined(_M_X64)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt") &&
                __builtin_cpu_supports("fma");
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return avx2 ? (avx512 ? 2 : 1) : 0;
#else
    return 0;
#endif
}

// Counts up whenever a function's parameters change: Python takes no other library than its own.
TILEWISE_API std::int32_t tilewise_interface() {
    return 5;
}
