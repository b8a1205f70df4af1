// Calls of random sizes on several threads, late ones among them, against one thread:
// the same bits. Compiled with a sanitizer, it is what `make sanitize` runs.
//
//     driver THREADS CALLS SEED [FILE]
//
// FILE is given what the calls wrote: another width of vectors, or another processor,
// writes the same but for rounding.
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <random>
#include <vector>

#include "kernel.h"
#include "team.h"

namespace lstm {
extern const Kernel KERNEL;
namespace {

using Array = std::vector<float>;
std::mt19937 draws;

Index below(Index n) { return std::uniform_int_distribution<Index>(0, n - 1)(draws); }

// A pool with the interface of XLA's, some of whose threads come late, or when the call
// is over.
class Pool {
 public:
  explicit Pool(Index threads) {
    for (Index k = 0; k < threads; k++) threads_.emplace_back([this] { work(); });
  }
  ~Pool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      closed_ = true;
    }
    wake_.notify_all();
    for (std::thread &one : threads_) one.join();
  }
  void Schedule(std::function<void()> task) {
    bool late = luck_() % 3 == 0;
    auto run = [task, late] {
      if (late) std::this_thread::sleep_for(std::chrono::microseconds(200));
      task();
    };
    {
      std::lock_guard<std::mutex> lock(mutex_);
      tasks_.push_back(run);
    }
    wake_.notify_one();
  }

 private:
  void work() {
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [this] { return closed_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      auto task = tasks_.front();
      tasks_.pop_front();
      lock.unlock();
      task();
    }
  }
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  std::vector<std::thread> threads_;
  bool closed_ = false;
  std::mt19937 luck_;  // of its own: every width of vectors draws the same calls
};

Array drawn(Index count, float scale = 1) {
  Array array(count);
  std::normal_distribution<float> normal(0, scale);
  for (float &one : array) one = normal(draws);
  return array;
}

struct Free {
  void operator()(float *memory) const { std::free(memory); }
};

template <class Call>
void run(Pool &pool, Call call, Index threads, void (*plan)(Call &, Index),
         void (*task)(const Call &, Index, Index)) {
  plan(call, 2);  // the same panels for any number of threads
  std::size_t bytes = (call.floats * 4 / 64 + 1) * 64;
  std::unique_ptr<float, Free> scratch(static_cast<float *>(std::aligned_alloc(64, bytes)));
  std::memset(scratch.get(), 0xff, bytes);  // NaN: what is read before it is written
  call.scratch = scratch.get();
  plan(call, 2);
  auto one = [&](Index phase, Index panel) { task(call, phase, panel); };
  Team<Pool, decltype(one)>::run(pool, threads, call.phases, call.panels, one);
}

struct Given {
  Sizes n;
  Array x, weight_ih, weight_hh, bias, weight_hr, h_0, c_0, fresh_h, fresh_c;
  std::unique_ptr<bool[]> reset, valid;
  Array d_h, d_h_n, d_c_n;
};

Given given() {
  Given a;
  Sizes &n = a.n;
  n = {1 + below(9), 1 + below(15), 1 + below(40), 1 + below(90), 0, below(2) == 0,
       below(2) == 0};
  n.outputs = n.projected ? 1 + below(70) : n.units;
  Index gates = 4 * n.units, steps = n.steps * n.rows;
  a.x = drawn(steps * n.inputs), a.weight_ih = drawn(gates * n.inputs, 0.2f);
  a.weight_hh = drawn(gates * n.outputs, 0.1f), a.bias = drawn(gates);
  if (n.projected) a.weight_hr = drawn(n.outputs * n.units, 0.1f);
  a.h_0 = drawn(n.rows * n.outputs), a.c_0 = drawn(n.rows * n.units);
  a.d_h = drawn(steps * n.outputs), a.d_h_n = drawn(n.rows * n.outputs);
  a.d_c_n = drawn(n.rows * n.units);
  if (below(2)) {
    a.reset.reset(new bool[steps]);
    for (Index k = 0; k < steps; k++) a.reset[k] = below(3) == 0;
    a.fresh_h = drawn(n.rows * n.outputs), a.fresh_c = drawn(n.rows * n.units);
  }
  if (below(2)) {
    a.valid.reset(new bool[steps]);
    for (Index k = 0; k < steps; k++) a.valid[k] = below(3) != 0;
  }
  return a;
}

// Everything that both calls write, on so many threads.
std::vector<Array> written(Pool &pool, const Given &a, Index threads, bool weights,
                           bool inputs) {
  const Sizes &n = a.n;
  Index steps = n.steps * n.rows, gates = 4 * n.units;
  Masks masks = {a.reset.get(), a.valid.get(), a.fresh_h.data(), a.fresh_c.data()};
  Array h(steps * n.outputs), c_n(n.rows * n.units), kept[5];
  Forward f = {};
  f.size = n, f.masks = masks, f.x = a.x.data(), f.weight_ih = a.weight_ih.data();
  f.weight_hh = a.weight_hh.data(), f.bias = a.bias.data();
  f.weight_hr = a.weight_hr.data(), f.h_0 = a.h_0.data(), f.c_0 = a.c_0.data();
  f.h = h.data(), f.c_n = c_n.data();
  run(pool, f, threads, KERNEL.plan_forward, KERNEL.run_forward);
  Array alone = h;
  for (Array &one : kept) one.resize(steps * n.units);
  f.c = kept[0].data();
  for (int k = 0; k < 4; k++) f.gates[k] = kept[k + 1].data();
  run(pool, f, threads, KERNEL.plan_forward, KERNEL.run_forward);
  if (std::memcmp(alone.data(), h.data(), h.size() * 4)) std::puts("kept: other h"), exit(1);
  Array d_x(steps * n.inputs), d_ih(gates * n.inputs), d_hh(gates * n.outputs);
  Array d_bias(gates), d_hr(a.weight_hr.size()), d_h_0(n.rows * n.outputs);
  Array d_c_0(n.rows * n.units), d_fresh_h(d_h_0.size()), d_fresh_c(d_c_0.size());
  Backward b = {};
  b.size = n, b.masks = masks, b.x = f.x, b.weight_hh = f.weight_hh;
  b.weight_ih = f.weight_ih;
  b.weight_hr = f.weight_hr, b.h_0 = f.h_0, b.c_0 = f.c_0, b.h = h.data();
  b.c = f.c;
  for (int k = 0; k < 4; k++) b.gates[k] = f.gates[k];
  b.d_h = a.d_h.data(), b.d_h_n = a.d_h_n.data(), b.d_c_n = a.d_c_n.data();
  if (inputs) b.d_x = d_x.data();
  b.d_h_0 = d_h_0.data(), b.d_c_0 = d_c_0.data();
  if (weights) {
    b.d_weight_ih = d_ih.data(), b.d_weight_hh = d_hh.data();
    b.d_bias = d_bias.data(), b.d_weight_hr = d_hr.data();
  }
  if (a.reset) b.d_fresh_h = d_fresh_h.data(), b.d_fresh_c = d_fresh_c.data();
  run(pool, b, threads, KERNEL.plan_backward, KERNEL.run_backward);
  return {h, c_n, kept[0], kept[1], d_x, d_ih, d_hh, d_bias, d_hr, d_h_0, d_c_0,
          d_fresh_h, d_fresh_c};
}

int main_of(Index threads, Index calls, unsigned seed, std::FILE *file) {
  draws.seed(seed);
  Pool pool(threads);
  for (Index call = 0; call < calls; call++) {
    Given a = given();
    bool weights = below(4) != 0;
    bool inputs = below(4) != 0;
    auto one = written(pool, a, 1, weights, inputs);
    auto many = written(pool, a, threads, weights, inputs);
    for (std::size_t k = 0; k < one.size(); k++) {
      for (float value : many[k]) {
        if (value != value) return std::printf("call %td: NaN in %zu\n", call, k), 1;
      }
      if (!one[k].empty() &&
          std::memcmp(one[k].data(), many[k].data(), one[k].size() * 4))
        return std::printf("call %td: other bits in %zu\n", call, k), 1;
      if (file) std::fwrite(one[k].data(), 4, one[k].size(), file);
    }
  }
  std::printf("%td calls on %td threads: the same bits as on one\n", calls, threads);
  return 0;
}

}  // namespace
}  // namespace lstm

int main(int count, char **words) {
  if (count < 4) return std::puts("driver THREADS CALLS SEED [FILE]"), 2;
  std::FILE *file = count > 4 ? std::fopen(words[4], "wb") : nullptr;
  if (count > 4 && !file) return std::puts("FILE cannot be written"), 2;
  int code = lstm::main_of(std::atol(words[1]), std::atol(words[2]), std::atol(words[3]), file);
  if (file && std::fclose(file)) return std::puts("FILE cannot be written"), 2;
  return code;
}
