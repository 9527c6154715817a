// Bytes of a mask as bits, 64 pixels a word.
#pragma once

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "tilewise.h"

namespace tilewise {

// The bits of 64 bytes: 1 where a byte is not 0.
inline std::uint64_t bits_of(const std::uint8_t* bytes) {
#if defined(__AVX2__)
    __m256i zero = _mm256_setzero_si256();
    __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));
    __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes + 32));
    auto l = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, zero)));
    auto h = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, zero)));
    return ~(static_cast<std::uint64_t>(h) << 32 | l);
#elif defined(__SSE2__)
    std::uint64_t word = 0;
    for (int part = 0; part < 4; ++part) {
        __m128i piece = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + 16 * part));
        auto mask = static_cast<std::uint64_t>(
            _mm_movemask_epi8(_mm_cmpeq_epi8(piece, _mm_setzero_si128())));
        word |= mask << (16 * part);
    }
    return ~word;
#else
    std::uint64_t word = 0;
    for (int part = 0; part < 8; ++part) {
        std::uint64_t piece = 0;
        for (int k = 0; k < 8; ++k) piece |= static_cast<std::uint64_t>(bytes[8 * part + k] != 0) << k;
        word |= piece << (8 * part);
    }
    return word;
#endif
}

inline std::uint64_t last_bits_of(const std::uint8_t* bytes, i64 n) {
    std::uint8_t rest[64] = {};
    std::memcpy(rest, bytes, static_cast<std::size_t>(n));
    return bits_of(rest);
}

// 64 bytes of 0 and 1 from a word.
inline void bytes_of(std::uint64_t word, std::uint8_t* to) {
    for (int part = 0; part < 8; ++part, word >>= 8) {
        // Each byte keeps its own bit of eight copies, moved to the lowest place.
        std::uint64_t spread = (word & 255) * 0x0101010101010101u & 0x8040201008040201u;
        spread = (spread + 0x7f7f7f7f7f7f7f7fu) >> 7 & 0x0101010101010101u;
        __builtin_memcpy(to + 8 * part, &spread, 8);
    }
}

}  // namespace tilewise
