// Eigenvalues of symmetric 3 x 3 matrices in the order of LAPACK's arithmetic: dsyevd without vectors,
// which is dsytd2 (lower triangle) and dsterf. NumPy's eigvalsh calls it, in double precision always.
//
// Whether LAPACK's BLAS fuses products with sums depends on the processor: `fused` says so. Matrices
// that LAPACK would scale, and those with NaN or infinity, are left to it.
#include <algorithm>
#include <cmath>
#include <limits>

#include "tilewise.h"

// Every processor with AVX2 that the libraries are loaded on fuses too. Nothing is contracted by this.
#if defined(__AVX2__) && defined(__clang__)
#pragma clang attribute push(__attribute__((target("fma"))), apply_to = function)
#elif defined(__AVX2__)
#pragma GCC push_options
#pragma GCC target("fma")
#endif

namespace tilewise {
namespace {

constexpr int lanes = 8;
constexpr int most_rounds = 60;
constexpr double eps = std::numeric_limits<double>::epsilon() / 2;
constexpr double eps_squared = eps * eps;
// Beyond these LAPACK scales, or makes its reflection in several steps.
constexpr double least = 1e-120, most = 1e120, tiny = 1e-280;

template <bool fused>
inline double product_sum(double a, double b, double c) {
    return fused ? __builtin_fma(a, b, c) : a * b + c;
}

inline double larger(double a, double b) {
    return a > b ? a : b;
}

// dlapy2
inline double hypotenuse(double x, double y) {
    double a = std::fabs(x), b = std::fabs(y);
    double large = a > b ? a : b, little = a > b ? b : a;
    double ratio = little / large;
    double length = large * std::sqrt(1.0 + ratio * ratio);
    return little == 0.0 ? large : length;
}

// dlae2: the eigenvalues of [[a, b], [b, c]], that of the larger magnitude first.
inline void eigenvalues_of_two(double a, double b, double c, double& first, double& second) {
    double sum = a + c, difference = std::fabs(a - c), twice = std::fabs(b + b);
    bool is_first = std::fabs(a) > std::fabs(c);
    double large = is_first ? a : c, little = is_first ? c : a;
    double longer = difference > twice ? difference : twice;
    double shorter = difference > twice ? twice : difference;
    double ratio = shorter / longer;
    double factor = difference == twice ? 2.0 : 1.0 + ratio * ratio;
    double root = longer * std::sqrt(factor);
    double one = 0.5 * (sum < 0.0 ? sum - root : sum + root);
    double other = (large / one) * little - (b / one) * b;
    first = sum == 0.0 ? 0.5 * root : one;
    second = sum == 0.0 ? -0.5 * root : other;
}

// A matrix made tridiagonal: dsytd2.
struct Tridiagonal {
    double d0, d1, d2, e0, e1;
};

template <bool fused>
inline Tridiagonal tridiagonal(double a00, double a10, double a20, double a11, double a21, double a22) {
    double length = hypotenuse(a10, a20);
    double beta = -std::copysign(length, a10);
    double tau = (beta - a10) / beta, v = (1.0 / (a10 - beta)) * a20;
    double w0 = product_sum<fused>(tau, a21 * v, tau * a11);
    double w1 = product_sum<fused>(tau * v, a22, tau * a21);
    double dot = product_sum<fused>(w1, v, w0);
    double alpha = -0.5 * tau * dot;
    w0 = w0 + alpha;
    w1 = product_sum<fused>(alpha, v, w1);
    double b11 = (a11 - w0) - w0;
    double b21 = product_sum<fused>(-w0, v, a21 - w1);
    double b22 = product_sum<fused>(-v, w1, a22);
    b22 = product_sum<fused>(-w1, v, b22);
    bool is_reflected = a20 != 0.0;
    return {a00, is_reflected ? b11 : a11, is_reflected ? b22 : a22, is_reflected ? beta : a10,
            is_reflected ? b21 : a21};
}

// `lanes` matrices at once: element k of matrix `lane` is at from[k * lanes + lane].
template <bool fused>
void solve(const double* __restrict from, double* __restrict to, i64* __restrict is_solved) {
    double d0[lanes], d1[lanes], d2[lanes], e0[lanes], e1[lanes];
    i64 is_good[lanes], is_turned[lanes], is_active[lanes], is_last[lanes];
    for (int k = 0; k < lanes; ++k) {
        const double* a = from + k;
        double a00 = a[0], a10 = a[lanes], a20 = a[2 * lanes];
        double a11 = a[3 * lanes], a21 = a[4 * lanes], a22 = a[5 * lanes];
        double highest = larger(larger(std::fabs(a00), std::fabs(a10)), std::fabs(a20));
        highest = larger(highest, larger(larger(std::fabs(a11), std::fabs(a21)), std::fabs(a22)));
        // NaN and infinity times 0 are NaN.
        double is_finite = (a00 + a10 + a20 + a11 + a21 + a22) * 0.0;
        Tridiagonal t = tridiagonal<fused>(a00, a10, a20, a11, a21, a22);
        double s0 = std::sqrt(std::fabs(t.d0)), s1 = std::sqrt(std::fabs(t.d1)),
               s2 = std::sqrt(std::fabs(t.d2));
        // What falls apart at the start has blocks of its own, each from its smaller end.
        bool is_split = (std::fabs(t.e0) <= s0 * s1 * eps) | (std::fabs(t.e1) <= s1 * s2 * eps);
        bool is_diagonal = (t.e0 == 0.0) & (t.e1 == 0.0);
        bool is_scaled = (highest > most) | ((highest < least) & (highest != 0.0));
        bool is_tiny = (a20 != 0.0) & (std::fabs(t.e0) < tiny);
        bool is_left = is_scaled | is_tiny | (is_finite != 0.0) | (is_split & !is_diagonal);
        is_good[k] = is_left ? 0 : 1;
        is_active[k] = is_left | is_diagonal ? 0 : 1;
        is_last[k] = is_diagonal ? 1 : 0;
        bool turned = std::fabs(t.d2) < std::fabs(t.d0);
        is_turned[k] = turned ? 1 : 0;
        d0[k] = turned ? t.d2 : t.d0;
        d1[k] = t.d1;
        d2[k] = turned ? t.d0 : t.d2;
        e0[k] = turned ? t.e1 * t.e1 : t.e0 * t.e0;
        e1[k] = turned ? t.e0 * t.e0 : t.e1 * t.e1;
    }
    for (int round = 0; round <= most_rounds; ++round) {
        i64 active = 0;
        for (int k = 0; k < lanes; ++k) {
            bool splits_first = std::fabs(e0[k]) <= eps_squared * std::fabs(d0[k] * d1[k]);
            bool splits_last = std::fabs(e1[k]) <= eps_squared * std::fabs(d1[k] * d2[k]);
            // Of the first value alone two are left behind it; else the last value is alone.
            is_last[k] = is_active[k] ? (splits_first ? 1 : 0) : is_last[k];
            is_active[k] = splits_first | splits_last ? 0 : is_active[k];
            active |= is_active[k];
        }
        if (!active) break;
        if (round == most_rounds) {
            for (int k = 0; k < lanes; ++k) is_good[k] = is_active[k] ? 0 : is_good[k];
            break;
        }
        for (int k = 0; k < lanes; ++k) {
            double p = d0[k], root = std::sqrt(e0[k]);
            double shift = (d1[k] - p) / (2.0 * root);
            double length = hypotenuse(shift, 1.0);
            shift = p - root / (shift + std::copysign(length, shift));
            double gamma = d2[k] - shift, square = e1[k], alpha = d1[k];
            p = gamma * gamma;
            double r = p + square, c = p / r, s = square / r, before = gamma;
            gamma = c * (alpha - shift) - s * before;
            double n2 = before + (alpha - gamma);
            p = c != 0.0 ? (gamma * gamma) / c : square;
            square = e0[k];
            alpha = d0[k];
            r = p + square;
            double n_e1 = s * r, old_c = c;
            c = p / r;
            s = square / r;
            before = gamma;
            gamma = c * (alpha - shift) - s * before;
            double n1 = before + (alpha - gamma);
            p = c != 0.0 ? (gamma * gamma) / c : old_c * square;
            bool moves = is_active[k] != 0;
            d2[k] = moves ? n2 : d2[k];
            d1[k] = moves ? n1 : d1[k];
            d0[k] = moves ? shift + gamma : d0[k];
            e1[k] = moves ? n_e1 : e1[k];
            e0[k] = moves ? s * p : e0[k];
        }
    }
    for (int k = 0; k < lanes; ++k) {
        bool last = is_last[k] != 0;
        double a = last ? d1[k] : d0[k], b = last ? e1[k] : e0[k], c = last ? d2[k] : d1[k];
        double one, other;
        eigenvalues_of_two(a, std::sqrt(b), c, one, other);
        bool is_apart = last & (std::fabs(b) <= eps_squared * std::fabs(a * c));
        one = is_apart ? a : one;
        other = is_apart ? c : other;
        double x = last ? d0[k] : d2[k];
        // In the order that dlasrt finds them in: the ends of a turned matrix change places again.
        double v0 = last ? x : one, v1 = last ? one : other, v2 = last ? other : x;
        double first = is_turned[k] != 0 ? v2 : v0, second = v1;
        double third = is_turned[k] != 0 ? v0 : v2;
        double low = second < first ? second : first, high = second < first ? first : second;
        double middle = third < high ? third : high;
        third = third < high ? high : third;
        first = middle < low ? middle : low;
        second = middle < low ? low : middle;
        to[k] = third;
        to[lanes + k] = second;
        to[2 * lanes + k] = first;
        is_solved[k] = is_good[k];
    }
}

template <class T, bool fused>
void solve_all(const T* const* elements, i64 count, T* to, i64 stride, std::uint8_t* is_left) {
    double from[6 * lanes], values[3 * lanes];
    i64 is_solved[lanes];
    for (i64 begin = 0; begin < count; begin += lanes) {
        int length = static_cast<int>(std::min<i64>(lanes, count - begin));
        for (int i = 0; i < 6; ++i)
            for (int k = 0; k < lanes; ++k)
                from[i * lanes + k] = k < length ? static_cast<double>(elements[i][begin + k]) : 1.0;
        solve<fused>(from, values, is_solved);
        for (int i = 0; i < 3; ++i)
            for (int k = 0; k < length; ++k)
                to[i * stride + begin + k] = static_cast<T>(values[i * lanes + k]);
        for (int k = 0; k < length; ++k) is_left[begin + k] = is_solved[k] == 0;
    }
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// The matrices' elements 00, 01, 02, 11, 12 and 22, `count` of each. to: the largest eigenvalues, the
// middle ones, the smallest ones, each `stride` behind the one before. is_left: 1 for a matrix whose
// eigenvalues are left to LAPACK.
TILEWISE_API std::int32_t tilewise_volume_eigenvalues(const void* a, const void* b, const void* c,
                                                      const void* d, const void* e, const void* f,
                                                      i64 type, i64 count, i64 fused, void* to,
                                                      i64 stride, std::uint8_t* is_left) {
    auto body = [&](auto tag) {
        using T = typename decltype(tag)::type;
        const T* elements[6] = {static_cast<const T*>(a), static_cast<const T*>(b),
                                static_cast<const T*>(c), static_cast<const T*>(d),
                                static_cast<const T*>(e), static_cast<const T*>(f)};
        auto run = fused ? solve_all<T, true> : solve_all<T, false>;
        run(elements, count, static_cast<T*>(to), stride, is_left);
    };
    if (type == type_f32) return body(Tag<float>()), ok;
    if (type == type_f64) return body(Tag<double>()), ok;
    return no_such_type;
}

#if defined(__AVX2__) && defined(__clang__)
#pragma clang attribute pop
#elif defined(__AVX2__)
#pragma GCC pop_options
#endif
