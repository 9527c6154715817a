// What every family shares: the C interface's conventions, border modes, vectors of a fixed size.
//
// Every function of the interface takes pointers, 64-bit integers and doubles only, and returns 0,
// or a status above 0. Arrays are C-contiguous. Nothing here knows Python.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#if defined(_WIN32)
#define TILEWISE_API extern "C" __declspec(dllexport)
#else
#define TILEWISE_API extern "C" __attribute__((visibility("default")))
#endif

namespace tilewise {

using i64 = std::int64_t;

enum Status : std::int32_t { ok = 0, no_memory = 1, no_such_type = 2 };

// The longest vector that this instruction set holds in one register. Longer ones spill.
#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

template <class T>
struct Lanes {
    static constexpr int count = vector_bytes / sizeof(T);
    typedef T vector __attribute__((vector_size(vector_bytes)));
};

template <class T>
using Vector = typename Lanes<T>::vector;

template <class T>
inline Vector<T> load(const T* from) {
    Vector<T> values;
    __builtin_memcpy(&values, from, sizeof values);
    return values;
}

template <class T>
inline void store(T* to, const Vector<T>& values) {
    __builtin_memcpy(to, &values, sizeof values);
}

template <class T>
inline Vector<T> spread(T value) {
    Vector<T> values;
    for (int lane = 0; lane < Lanes<T>::count; ++lane) values[lane] = value;
    return values;
}

// NumPy's border modes, numbered as SciPy numbers them.
enum Mode : i64 { nearest = 0, wrap = 1, reflect = 2, mirror = 3, constant = 4 };

// The index inside [0, n) that stands for index i outside, or -1 for the constant.
inline i64 mapped(i64 i, i64 n, i64 mode) {
    if (i >= 0 && i < n) return i;
    switch (mode) {
        case nearest:
            return i < 0 ? 0 : n - 1;
        case wrap: {
            i64 rest = i % n;
            return rest < 0 ? rest + n : rest;
        }
        case reflect: {
            i64 period = 2 * n, rest = i % period;
            if (rest < 0) rest += period;
            return rest < n ? rest : period - 1 - rest;
        }
        case mirror: {
            if (n == 1) return 0;
            i64 period = 2 * n - 2, rest = i % period;
            if (rest < 0) rest += period;
            return rest < n ? rest : period - rest;
        }
        default:
            return -1;
    }
}

// Ask for large pages where much memory is written for the first time, as NumPy does for its arrays:
// every small page costs a fault, which may take longer than what is computed in it.
inline void prefer_large_pages(void* memory, std::size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    constexpr std::uintptr_t page = 4096, enough = 4 << 20;
    if (bytes < enough) return;
    auto address = reinterpret_cast<std::uintptr_t>(memory);
    std::uintptr_t begin = (address + page - 1) / page * page, end = (address + bytes) / page * page;
    madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);  // refused: small ones do
#else
    (void)memory, (void)bytes;
#endif
}

// Scratch memory, aligned to a cache line, freed at the end of its scope.
template <class T>
class Scratch {
  public:
    explicit Scratch(i64 count) : memory_(::operator new(bytes(count) + 64)) {
        prefer_large_pages(memory_, bytes(count));
        auto address = reinterpret_cast<std::uintptr_t>(memory_);
        values_ = reinterpret_cast<T*>((address + 63) / 64 * 64);
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch() { ::operator delete(memory_); }
    operator T*() { return values_; }
    T* get() { return values_; }

  private:
    static std::size_t bytes(i64 count) {
        return static_cast<std::size_t>(count > 0 ? count : 0) * sizeof(T);
    }
    void* memory_;
    T* values_;
};

// Data types as the Python side numbers them.
enum Type : i64 {
    type_u8 = 0, type_u16 = 1, type_f32 = 2, type_f64 = 3, type_i32 = 4, type_i64 = 5,
    type_i8 = 6, type_i16 = 7, type_u32 = 8, type_u64 = 9
};

template <class T>
struct Tag {
    using type = T;
};

// Run a body for the grey-level types u8, u16, f32, f64. The body returns a status.
template <class Body>
std::int32_t for_grey(i64 type, Body body) {
    switch (type) {
        case type_u8: return body(Tag<std::uint8_t>());
        case type_u16: return body(Tag<std::uint16_t>());
        case type_f32: return body(Tag<float>());
        case type_f64: return body(Tag<double>());
        default: return no_such_type;
    }
}

// Run a body for every type that a kernel knows.
template <class Body>
std::int32_t for_every(i64 type, Body body) {
    switch (type) {
        case type_i32: return body(Tag<std::int32_t>());
        case type_i64: return body(Tag<i64>());
        case type_i8: return body(Tag<std::int8_t>());
        case type_i16: return body(Tag<std::int16_t>());
        case type_u32: return body(Tag<std::uint32_t>());
        case type_u64: return body(Tag<std::uint64_t>());
        default: return for_grey(type, body);
    }
}

// Run a body for labels, which are only copied and compared: their size in bytes says it all.
template <class Body>
std::int32_t for_labels(i64 bytes, Body body) {
    switch (bytes) {
        case 1: return body(Tag<std::uint8_t>());
        case 2: return body(Tag<std::uint16_t>());
        case 4: return body(Tag<std::uint32_t>());
        case 8: return body(Tag<std::uint64_t>());
        default: return no_such_type;
    }
}

// Nothing is thrown through the C interface.
template <class Body>
std::int32_t guarded(Body body) {
    try {
        return body();
    } catch (const std::bad_alloc&) {
        return no_memory;
    }
}

}  // namespace tilewise
