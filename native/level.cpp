// Which instruction sets this processor runs. Only the baseline library is asked.
#include "tilewise.h"

#if defined(__x86_64__) || defined(_M_X64)
#if defined(_WIN32)
#include <cpuid.h>

namespace {
// What `__builtin_cpu_supports` says, which asks a library that Clang does not link on Windows.
bool has_all(unsigned bits, unsigned wanted) {
    return (bits & wanted) == wanted;
}

int level_of_processor() {
    constexpr unsigned fma = 1u << 12, popcnt = 1u << 23, saves = 1u << 27, avx = 1u << 28;
    constexpr unsigned bmi = 1u << 3, avx2 = 1u << 5, bmi2 = 1u << 8, lzcnt = 1u << 5;
    constexpr unsigned f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31;
    unsigned eax, ebx, ecx, edx, states, high;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !has_all(ecx, fma | popcnt | saves | avx)) return 0;
    __asm__ volatile("xgetbv" : "=a"(states), "=d"(high) : "c"(0));
    if (!has_all(states, 0x06)) return 0;  // the system saves vectors of 32 bytes
    if (!__get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) || !has_all(ecx, lzcnt)) return 0;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || !has_all(ebx, bmi | avx2 | bmi2)) return 0;
    return has_all(states, 0xe6) && has_all(ebx, f | dq | bw | vl) ? 2 : 1;
}
}  // namespace
#else
namespace {
int level_of_processor() {
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt") &&
                __builtin_cpu_supports("fma");
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return avx2 ? (avx512 ? 2 : 1) : 0;
}
}  // namespace
#endif
#else
namespace {
int level_of_processor() {
    return 0;
}
}  // namespace
#endif

// 0 baseline, 1 AVX2, 2 AVX-512 with the subsets that the library is compiled for.
TILEWISE_API std::int32_t tilewise_level() {
    return level_of_processor();
}

// Counts up whenever a function's parameters change: Python takes no other library than its own.
TILEWISE_API std::int32_t tilewise_interface() {
    return 18;
}
