// The calls of XLA: sizes are checked, then the kernel of this processor runs.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "kernel.h"
#include "team.h"
#include "xla/ffi/api/ffi.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace ffi = xla::ffi;

namespace lstm {

#if defined(__x86_64__)
extern const Kernel avx512, avx2;
const Kernel *kernel_of_this_processor() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4")) return &avx512;
  if (__builtin_cpu_supports("x86-64-v3")) return &avx2;
  return nullptr;
}
#elif defined(__aarch64__)
extern const Kernel neon;
const Kernel *kernel_of_this_processor() { return &neon; }
#else
const Kernel *kernel_of_this_processor() { return nullptr; }
#endif

namespace {

using Floats = ffi::Buffer<ffi::F32>;
using Bools = ffi::Buffer<ffi::PRED>;
using Written = ffi::Result<Floats>;

// Fewer multiplications than this are done before a second thread is awake.
constexpr double kAlone = 400000;

struct Freed {
  void operator()(void *memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<void, Freed>;

Memory floats(Index count) {
  return Memory(std::aligned_alloc(64, (count * 4 / 64 + 1) * 64));
}

// Fresh memory comes by pages of 4 KiB, each a fault, or of 2 MiB where asked for.
void by_large_pages(const void *memory, std::size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  auto begin = (reinterpret_cast<std::uintptr_t>(memory) + 4095) & ~std::uintptr_t(4095);
  auto end = (reinterpret_cast<std::uintptr_t>(memory) + bytes) & ~std::uintptr_t(4095);
  if (end > begin + (4u << 20))
    (void)madvise(reinterpret_cast<void *>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

// Whether arrays have the shapes of a call: of no elements where there is none.
class Shapes {
 public:
  template <class Buffer>
  void is(const char *name, const Buffer &buffer, std::initializer_list<Index> shape) {
    auto found = buffer.dimensions();
    bool same = found.size() == shape.size();
    auto wanted = shape.begin();
    for (std::size_t k = 0; same && k < found.size(); k++) same = found[k] == wanted[k];
    if (!same && wrong_.empty()) wrong_ = name;
  }
  template <class Buffer>
  bool has(const char *name, const Buffer &buffer, std::initializer_list<Index> shape) {
    if (buffer.element_count() == 0) return false;
    is(name, buffer, shape);
    return true;
  }
  void that(const char *name, bool right) {
    if (!right && wrong_.empty()) wrong_ = name;
  }
  ffi::Error error() const {
    if (wrong_.empty()) return ffi::Error::Success();
    return ffi::Error::InvalidArgument("lstm_jax: " + wrong_ + " has another shape.");
  }

 private:
  std::string wrong_;
};

template <class Call>
ffi::Error run(ffi::ThreadPool &pool, Call call, double multiplications,
               void (*plan)(Call &, Index), void (*task)(const Call &, Index, Index)) {
  Index threads = multiplications < kAlone ? 1 : pool.num_threads();
  plan(call, threads);
  Memory memory = floats(call.floats);
  if (!memory) return ffi::Error(ffi::ErrorCode::kResourceExhausted, "lstm_jax: memory");
  by_large_pages(memory.get(), call.floats * 4);
  call.scratch = static_cast<float *>(memory.get());
  plan(call, threads);
  auto one = [&](Index phase, Index panel) { task(call, phase, panel); };
  Team<ffi::ThreadPool, decltype(one)>::run(pool, threads, call.phases, call.panels, one);
  return ffi::Error::Success();
}

double work(const Sizes &n) {
  double a_step = 4.0 * n.units * (n.inputs + n.outputs);
  return double(n.steps) * n.rows * (a_step + (n.projected ? n.units * n.outputs : 0));
}

Masks masks_of(Shapes &shapes, const Sizes &n, const Bools &reset, const Bools &valid,
               const Floats &fresh_h, const Floats &fresh_c) {
  Masks masks = {};
  if (shapes.has("reset", reset, {n.steps, n.rows})) {
    shapes.is("fresh_h", fresh_h, {n.rows, n.outputs});
    shapes.is("fresh_c", fresh_c, {n.rows, n.units});
    masks.reset = reset.typed_data();
    masks.fresh_h = fresh_h.typed_data(), masks.fresh_c = fresh_c.typed_data();
  }
  if (shapes.has("valid", valid, {n.steps, n.rows})) masks.valid = valid.typed_data();
  return masks;
}

Sizes sizes_of(Shapes &shapes, bool reverse, const Floats &x, const Floats &weight_hh,
               const Floats &weight_hr) {
  Sizes n = {};
  auto of_x = x.dimensions(), of_hh = weight_hh.dimensions();
  shapes.that("x", of_x.size() == 3 && x.element_count() > 0);
  shapes.that("weight_hh", of_hh.size() == 2 && of_hh[0] % 4 == 0 && of_hh[0] > 0);
  if (shapes.error().failure()) return n;
  n = {of_x[0], of_x[1], of_x[2], of_hh[0] / 4, of_hh[1], false, reverse};
  n.projected = shapes.has("weight_hr", weight_hr, {n.outputs, n.units});
  shapes.that("weight_hh", n.outputs > 0 && (n.projected || n.outputs == n.units));
  return n;
}

ffi::Error forward(ffi::ThreadPool pool, bool reverse, Floats x, Floats weight_ih,
                   Floats weight_hh, Floats bias, Floats weight_hr, Floats h_0,
                   Floats c_0, Bools reset, Bools valid, Floats fresh_h, Floats fresh_c,
                   Written h, Written c_n, Written c, Written i, Written forget,
                   Written g, Written o) {
  const Kernel *kernel = kernel_of_this_processor();
  if (!kernel) return ffi::Error(ffi::ErrorCode::kUnimplemented, "lstm_jax: processor");
  Shapes shapes;
  Forward f = {};
  Sizes n = f.size = sizes_of(shapes, reverse, x, weight_hh, weight_hr);
  shapes.is("weight_ih", weight_ih, {4 * n.units, n.inputs});
  shapes.is("bias", bias, {4 * n.units});
  shapes.is("h_0", h_0, {n.rows, n.outputs});
  shapes.is("c_0", c_0, {n.rows, n.units});
  f.masks = masks_of(shapes, n, reset, valid, fresh_h, fresh_c);
  shapes.is("h", *h, {n.steps, n.rows, n.outputs});
  shapes.is("c_n", *c_n, {n.rows, n.units});
  Written kept[] = {c, i, forget, g, o};
  bool keeps = c->element_count() > 0;
  for (Written &one : kept)
    if (keeps) shapes.is("gates", *one, {n.steps, n.rows, n.units});
  if (ffi::Error error = shapes.error(); error.failure()) return error;
  f.x = x.typed_data(), f.weight_ih = weight_ih.typed_data();
  f.weight_hh = weight_hh.typed_data(), f.bias = bias.typed_data();
  f.weight_hr = weight_hr.typed_data();
  f.h_0 = h_0.typed_data(), f.c_0 = c_0.typed_data();
  f.h = h->typed_data(), f.c_n = c_n->typed_data();
  by_large_pages(f.h, h->size_bytes());
  if (keeps) {
    f.c = c->typed_data();
    for (int k = 0; k < 4; k++) f.gates[k] = kept[k + 1]->typed_data();
    for (Written &one : kept) by_large_pages(one->typed_data(), one->size_bytes());
  }
  return run(pool, f, work(n), kernel->plan_forward, kernel->run_forward);
}

ffi::Error backward(ffi::ThreadPool pool, bool reverse, Floats x, Floats weight_ih,
                    Floats weight_hh, Floats weight_hr, Floats h_0, Floats c_0, Bools reset, Bools valid,
                    Floats fresh_h, Floats fresh_c, Floats h, Floats c, Floats i,
                    Floats forget, Floats g, Floats o, Floats d_h, Floats d_h_n,
                    Floats d_c_n, Written d_x, Written d_weight_ih,
                    Written d_weight_hh, Written d_bias, Written d_weight_hr,
                    Written d_h_0, Written d_c_0, Written d_fresh_h,
                    Written d_fresh_c) {
  const Kernel *kernel = kernel_of_this_processor();
  if (!kernel) return ffi::Error(ffi::ErrorCode::kUnimplemented, "lstm_jax: processor");
  Shapes shapes;
  Backward f = {};
  Sizes n = f.size = sizes_of(shapes, reverse, x, weight_hh, weight_hr);
  shapes.is("h_0", h_0, {n.rows, n.outputs});
  shapes.is("c_0", c_0, {n.rows, n.units});
  f.masks = masks_of(shapes, n, reset, valid, fresh_h, fresh_c);
  shapes.is("h", h, {n.steps, n.rows, n.outputs});
  Floats kept[] = {c, i, forget, g, o};
  for (Floats &one : kept) shapes.is("gates", one, {n.steps, n.rows, n.units});
  shapes.is("d_h", d_h, {n.steps, n.rows, n.outputs});
  shapes.is("d_h_n", d_h_n, {n.rows, n.outputs});
  shapes.is("d_c_n", d_c_n, {n.rows, n.units});
  shapes.is("weight_ih", weight_ih, {4 * n.units, n.inputs});
  bool inputs = shapes.has("d_x", *d_x, {n.steps, n.rows, n.inputs});
  bool weights = shapes.has("d_weight_ih", *d_weight_ih, {4 * n.units, n.inputs});
  if (weights) {
    shapes.is("d_weight_hh", *d_weight_hh, {4 * n.units, n.outputs});
    shapes.is("d_bias", *d_bias, {4 * n.units});
    if (n.projected) shapes.is("d_weight_hr", *d_weight_hr, {n.outputs, n.units});
  }
  shapes.is("d_h_0", *d_h_0, {n.rows, n.outputs});
  shapes.is("d_c_0", *d_c_0, {n.rows, n.units});
  if (f.masks.reset) {
    shapes.is("d_fresh_h", *d_fresh_h, {n.rows, n.outputs});
    shapes.is("d_fresh_c", *d_fresh_c, {n.rows, n.units});
  }
  if (ffi::Error error = shapes.error(); error.failure()) return error;
  f.x = x.typed_data(), f.weight_ih = weight_ih.typed_data();
  f.weight_hh = weight_hh.typed_data(), f.weight_hr = weight_hr.typed_data();
  f.h_0 = h_0.typed_data(), f.c_0 = c_0.typed_data();
  f.h = h.typed_data(), f.c = c.typed_data();
  for (int k = 0; k < 4; k++) f.gates[k] = kept[k + 1].typed_data();
  f.d_h = d_h.typed_data(), f.d_h_n = d_h_n.typed_data();
  f.d_c_n = d_c_n.typed_data();
  if (inputs) {
    f.d_x = d_x->typed_data();
    by_large_pages(f.d_x, d_x->size_bytes());
  }
  if (weights) {
    f.d_weight_ih = d_weight_ih->typed_data(), f.d_weight_hh = d_weight_hh->typed_data();
    f.d_bias = d_bias->typed_data(), f.d_weight_hr = d_weight_hr->typed_data();
  }
  f.d_h_0 = d_h_0->typed_data(), f.d_c_0 = d_c_0->typed_data();
  if (f.masks.reset) {
    f.d_fresh_h = d_fresh_h->typed_data(), f.d_fresh_c = d_fresh_c->typed_data();
  }
  return run(pool, f, 3 * work(n), kernel->plan_backward, kernel->run_backward);
}

}  // namespace

// Everything else is hidden: another library may hold the same of XLA's headers.
#pragma GCC visibility push(default)
XLA_FFI_DEFINE_HANDLER_SYMBOL(lstm_jax_forward, forward,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Attr<bool>("reverse")
                                  .Arg<Floats>()   // x
                                  .Arg<Floats>()   // weight_ih
                                  .Arg<Floats>()   // weight_hh
                                  .Arg<Floats>()   // bias
                                  .Arg<Floats>()   // weight_hr
                                  .Arg<Floats>()   // h_0
                                  .Arg<Floats>()   // c_0
                                  .Arg<Bools>()    // reset
                                  .Arg<Bools>()    // valid
                                  .Arg<Floats>()   // fresh_h
                                  .Arg<Floats>()   // fresh_c
                                  .Ret<Floats>()   // h
                                  .Ret<Floats>()   // c_n
                                  .Ret<Floats>()   // c
                                  .Ret<Floats>()   // i
                                  .Ret<Floats>()   // f
                                  .Ret<Floats>()   // g
                                  .Ret<Floats>());  // o
XLA_FFI_DEFINE_HANDLER_SYMBOL(lstm_jax_backward, backward,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Attr<bool>("reverse")
                                  .Arg<Floats>()   // x
                                  .Arg<Floats>()   // weight_ih
                                  .Arg<Floats>()   // weight_hh
                                  .Arg<Floats>()   // weight_hr
                                  .Arg<Floats>()   // h_0
                                  .Arg<Floats>()   // c_0
                                  .Arg<Bools>()    // reset
                                  .Arg<Bools>()    // valid
                                  .Arg<Floats>()   // fresh_h
                                  .Arg<Floats>()   // fresh_c
                                  .Arg<Floats>()   // h
                                  .Arg<Floats>()   // c
                                  .Arg<Floats>()   // i
                                  .Arg<Floats>()   // f
                                  .Arg<Floats>()   // g
                                  .Arg<Floats>()   // o
                                  .Arg<Floats>()   // d_h
                                  .Arg<Floats>()   // d_h_n
                                  .Arg<Floats>()   // d_c_n
                                  .Ret<Floats>()   // d_x
                                  .Ret<Floats>()   // d_weight_ih
                                  .Ret<Floats>()   // d_weight_hh
                                  .Ret<Floats>()   // d_bias
                                  .Ret<Floats>()   // d_weight_hr
                                  .Ret<Floats>()   // d_h_0
                                  .Ret<Floats>()   // d_c_0
                                  .Ret<Floats>()   // d_fresh_h
                                  .Ret<Floats>());  // d_fresh_c

}  // namespace lstm

// What Python asks before it registers a handler: the FFI that this was compiled for,
// and the kernel that would run.
extern "C" {
int lstm_jax_ffi_major() { return XLA_FFI_API_MAJOR; }
int lstm_jax_ffi_minor() { return XLA_FFI_API_MINOR; }
const char *lstm_jax_kernel() {
  const lstm::Kernel *kernel = lstm::kernel_of_this_processor();
  return kernel ? kernel->name : "";
}
}
#pragma GCC visibility pop
