// Total variation by Chambolle's iteration, one sweep over the image per iteration: divergence,
// gradient, norm and the dual variable of a slice follow from the slices beside it.
#include <algorithm>
#include <cmath>
#include <vector>

#include "tilewise.h"

namespace tilewise {
namespace {

// An image is a volume whose slices have one row; `axes` counts the ones that exist.
struct Box {
    i64 nz, ny, nx;
    int axes;
    i64 plane() const { return ny * nx; }
};

// Where energies are summed.
struct Core {
    i64 begin[3], end[3];
};

constexpr i64 parts = 8;

// d and out of one row. `before` are the dual rows one step back along each axis, or null.
template <class T>
void divergence_row(const T* __restrict image, const T* __restrict p0, const T* __restrict p1,
                    const T* __restrict p2, const T* __restrict before0, const T* __restrict before1,
                    i64 n, T* __restrict d, T* __restrict out) {
    if (p2)
        for (i64 x = 0; x < n; ++x) d[x] = -((p0[x] + p1[x]) + p2[x]);
    else
        for (i64 x = 0; x < n; ++x) d[x] = -(p0[x] + p1[x]);
    const T* __restrict last = p2 ? p2 : p1;
    if (before0)
        for (i64 x = 0; x < n; ++x) d[x] += before0[x];
    if (before1)
        for (i64 x = 0; x < n; ++x) d[x] += before1[x];
    for (i64 x = 1; x < n; ++x) d[x] += last[x - 1];
    for (i64 x = 0; x < n; ++x) out[x] = image[x] + d[x];
}

template <class T>
void gradient_row(const T* __restrict out, const T* __restrict next, i64 n, T* __restrict g) {
    if (next)
        for (i64 x = 0; x < n; ++x) g[x] = next[x] - out[x];
    else
        std::fill(g, g + n, T(0));
}

template <class T>
void last_gradient_row(const T* __restrict out, i64 n, T* __restrict g) {
    for (i64 x = 0; x + 1 < n; ++x) g[x] = out[x + 1] - out[x];
    g[n - 1] = T(0);
}

template <class T>
void norm_row(const T* __restrict g0, const T* __restrict g1, const T* __restrict g2, i64 n,
              T* __restrict norm) {
    if (g2)
        for (i64 x = 0; x < n; ++x) norm[x] = std::sqrt((g0[x] * g0[x] + g1[x] * g1[x]) + g2[x] * g2[x]);
    else
        for (i64 x = 0; x < n; ++x) norm[x] = std::sqrt(g0[x] * g0[x] + g1[x] * g1[x]);
}

template <class T>
void dual_row(T* __restrict p, const T* __restrict g, const T* __restrict divisor, T tau, i64 n) {
    for (i64 x = 0; x < n; ++x) p[x] = (p[x] - tau * g[x]) / divisor[x];
}

template <class T>
void divisor_row(const T* __restrict norm, T factor, i64 n, T* __restrict divisor) {
    for (i64 x = 0; x < n; ++x) divisor[x] = norm[x] * factor + T(1);
}

// Sum in double precision; the order is nobody's business.
template <class T, class Value>
double sum_of(i64 begin, i64 end, Value value) {
    double totals[parts] = {};
    i64 x = begin;
    for (; x + parts <= end; x += parts)
        for (i64 k = 0; k < parts; ++k) totals[k] += static_cast<double>(value(x + k));
    double total = 0;
    for (; x < end; ++x) total += static_cast<double>(value(x));
    for (double part : totals) total += part;
    return total;
}

template <class T>
class Iteration {
  public:
    Iteration(const T* image, T* p, const Box& box, T tau, T factor)
        : image_(image), box_(box), tau_(tau), factor_(factor), out_(2 * box.plane()),
          d_(2 * box.plane()), rows_(5 * box.nx) {
        i64 size = box.nz * box.plane();
        for (int axis = 0; axis < 3; ++axis) p_[axis] = axis < box.axes ? p + axis * size : nullptr;
    }

    // One iteration; `first`: the dual variable is still zero. squares, norms: arrays of the whole
    // image, or null. sums: of both over the core, and whether any gradient in it is not zero.
    // result: the denoised image that the dual variable stood for before.
    void run(bool first, T* squares, T* norms, const Core* core, double* sums, T* result) {
        slice(0, first);
        for (i64 z = 0; z < box_.nz; ++z) {
            if (z + 1 < box_.nz) slice(z + 1, first);
            for (i64 y = 0; y < box_.ny; ++y) row(z, y, first, squares, norms, core, sums);
            if (result) std::copy(out(z), out(z) + box_.plane(), result + z * box_.plane());
        }
    }
    // The denoised image that the dual variable stands for.
    void result(bool first, T* to) {
        for (i64 z = 0; z < box_.nz; ++z) {
            slice(z, first);
            std::copy(out(z), out(z) + box_.plane(), to + z * box_.plane());
        }
    }

  private:
    T* out(i64 z) { return out_ + z % 2 * box_.plane(); }
    T* d(i64 z) { return d_ + z % 2 * box_.plane(); }
    bool flat() const { return box_.axes == 2; }
    T* dual(int axis, i64 z, i64 y) {
        return p_[axis] ? p_[axis] + z * box_.plane() + y * box_.nx : nullptr;
    }
    void slice(i64 z, bool first) {
        i64 n = box_.nx;
        const T* image = image_ + z * box_.plane();
        if (first) {
            std::copy(image, image + box_.plane(), out(z));
            std::fill(d(z), d(z) + box_.plane(), T(0));
            return;
        }
        for (i64 y = 0; y < box_.ny; ++y) {
            const T* before0 = z ? dual(0, z - 1, y) : nullptr;
            const T* before1 = !flat() && y ? dual(1, z, y - 1) : nullptr;
            divergence_row<T>(image + y * n, dual(0, z, y), dual(1, z, y), dual(2, z, y), before0, before1,
                              n, d(z) + y * n, out(z) + y * n);
        }
    }
    void row(i64 z, i64 y, bool first, T* squares, T* norms, const Core* core, double* sums) {
        i64 n = box_.nx, at = z * box_.plane() + y * n;
        const T* here = out(z) + y * n;
        T *g0 = rows_, *g1 = g0 + n, *g2 = g1 + n, *norm = g2 + n, *divisor = norm + n;
        gradient_row<T>(here, z + 1 < box_.nz ? out(z + 1) + y * n : nullptr, n, g0);
        if (flat()) {
            last_gradient_row<T>(here, n, g1);
            norm_row<T>(g0, g1, nullptr, n, norm);
        } else {
            gradient_row<T>(here, y + 1 < box_.ny ? here + n : nullptr, n, g1);
            last_gradient_row<T>(here, n, g2);
            norm_row<T>(g0, g1, g2, n, norm);
        }
        const T* change = d(z) + y * n;
        if (squares)
            for (i64 x = 0; x < n; ++x) squares[at + x] = change[x] * change[x];
        if (norms) std::copy(norm, norm + n, norms + at);
        if (core && z >= core->begin[0] && z < core->end[0] && y >= core->begin[1] && y < core->end[1]) {
            sums[0] += sum_of<T>(core->begin[2], core->end[2], [=](i64 x) { return change[x] * change[x]; });
            sums[1] += sum_of<T>(core->begin[2], core->end[2], [=](i64 x) { return norm[x]; });
            if (first)
                for (i64 x = core->begin[2]; x < core->end[2]; ++x)
                    if (g0[x] != 0 || g1[x] != 0 || (!flat() && g2[x] != 0)) sums[2] = 1;
        }
        divisor_row<T>(norm, factor_, n, divisor);
        dual_row<T>(dual(0, z, y), g0, divisor, tau_, n);
        dual_row<T>(dual(1, z, y), g1, divisor, tau_, n);
        if (!flat()) dual_row<T>(dual(2, z, y), g2, divisor, tau_, n);
    }

    const T* image_;
    T* p_[3];
    Box box_;
    T tau_, factor_;
    Scratch<T> out_, d_, rows_;
};

template <class T>
void iterate(const T* image, T* p, const Box& box, double tau, double factor, i64 begin, i64 end,
             T* squares, T* norms, const i64* core_numbers, double* sums, T* result) {
    Iteration<T> iteration(image, p, box, static_cast<T>(tau), static_cast<T>(factor));
    Core core;
    if (core_numbers)
        for (int axis = 0; axis < 3; ++axis) {
            core.begin[axis] = core_numbers[2 * axis];
            core.end[axis] = core_numbers[2 * axis + 1];
        }
    for (i64 i = begin; i < end; ++i)
        iteration.run(i == 0, squares, norms, core_numbers ? &core : nullptr,
                      sums ? sums + 3 * (i - begin) : nullptr, i + 1 == end ? result : nullptr);
    if (begin == end && result) iteration.result(end == 0, result);
}

}  // namespace
}  // namespace tilewise

using namespace tilewise;

// Iterations `begin` to `end` on the dual variable p (axes x image, zeros at first). Of the last one
// squares and norms are kept, of each the sums over the core. result: the image before the last
// iteration, or after all of them where there is none to do.
TILEWISE_API std::int32_t tilewise_variation(const void* image, i64 type, void* p, i64 axes,
                                             const i64* sizes, double tau, double factor, i64 begin,
                                             i64 end, void* squares, void* norms, const i64* core,
                                             double* sums, void* result) {
    return guarded([&]() -> std::int32_t {
        Box box{sizes[0], sizes[1], sizes[2], static_cast<int>(axes)};
        auto body = [&](auto tag) {
            using T = typename decltype(tag)::type;
            iterate(static_cast<const T*>(image), static_cast<T*>(p), box, tau, factor, begin, end,
                    static_cast<T*>(squares), static_cast<T*>(norms), core, sums, static_cast<T*>(result));
        };
        if (type == type_f32)
            body(Tag<float>());
        else if (type == type_f64)
            body(Tag<double>());
        else
            return no_such_type;
        return ok;
    });
}
