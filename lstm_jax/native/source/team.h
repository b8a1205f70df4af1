// The threads of a call: those of a pool, awake for as long as the call runs.
//
// A task of a phase may begin when every task of the phase before has ended. A thread
// prefers tasks of its own, whose weights are in its cache, and takes over what nobody
// has begun: a thread that the system does not run holds nobody up.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <thread>

#if defined(__x86_64__)
#define LSTM_PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define LSTM_PAUSE() asm volatile("yield")
#else
#define LSTM_PAUSE()
#endif

namespace lstm {

// Run `task(phase, panel)` for every phase and panel, in the order of the phases, on the
// calling thread and on up to `threads - 1` of the pool's. `Pool` has `Schedule`.
template <class Pool, class Task>
class Team {
 public:
  static void run(Pool &pool, std::ptrdiff_t threads, std::ptrdiff_t phases,
                  std::ptrdiff_t panels, const Task &task) {
    if (threads > panels) threads = panels;
    if (threads <= 1) {
      for (std::ptrdiff_t phase = 0; phase < phases; phase++)
        for (std::ptrdiff_t panel = 0; panel < panels; panel++) task(phase, panel);
      return;
    }
    // A thread may come when the call is over: it then finds the team, and no task.
    auto team = std::shared_ptr<Team>(new Team(threads, phases, panels, task));
    for (std::ptrdiff_t k = 1; k < threads; k++)
      pool.Schedule([team, k] {
        team->present_.fetch_add(1);
        if (!team->over_.load()) team->work(k);
        team->present_.fetch_sub(1);
      });
    team->work(0);
    team->over_.store(true);
    for (int turns = 0; team->present_.load(); turns++) rest(turns);
  }

 private:
  using Index = std::ptrdiff_t;
  static constexpr int kPatience = 60, kRest = 4000;

  // Each on a line of the cache: what one thread writes does not slow the others.
  struct alignas(64) Line {
    std::atomic<Index> next{0};  // the first phase in which nobody has begun the panel
  };

  Team(Index threads, Index phases, Index panels, const Task &task)
      : threads_(threads), phases_(phases), panels_(panels), task_(task),
        lines_(new Line[panels]) {}

  static void rest(int turns) {
    if (turns % kRest == kRest - 1) {
      std::this_thread::yield();
    } else {
      LSTM_PAUSE();
    }
  }

  bool begin(Index panel, Index phase) {
    std::atomic<Index> &next = lines_[panel].next;
    Index expected = phase;
    return next.load(std::memory_order_relaxed) == phase &&
           next.compare_exchange_strong(expected, phase + 1, std::memory_order_acq_rel);
  }

  bool run_if_free(Index panel, Index phase) {
    if (!begin(panel, phase)) return false;
    task_(phase, panel);
    done_.fetch_add(1, std::memory_order_acq_rel);
    return true;
  }

  bool take_over(Index first, Index phase) {
    for (Index k = 0; k < panels_; k++)
      if (run_if_free((first + k) % panels_, phase)) return true;
    return false;
  }

  void work(Index member) {
    Index first = panels_ * member / threads_, end = panels_ * (member + 1) / threads_;
    Index phase = done_.load(std::memory_order_acquire) / panels_;
    for (; phase < phases_; phase++) {
      for (Index panel = first; panel < end; panel++) run_if_free(panel, phase);
      Index all = (phase + 1) * panels_;
      for (int turns = 0; done_.load(std::memory_order_acquire) < all; turns++) {
        bool alone = member == 0 && !present_.load(std::memory_order_relaxed);
        bool late = turns >= kPatience && turns % kPatience == 0;
        if ((alone || late) && take_over(end, phase)) turns = 0;
        rest(turns);
      }
    }
  }

  const Index threads_, phases_, panels_;
  const Task &task_;
  std::unique_ptr<Line[]> lines_;
  alignas(64) std::atomic<Index> done_{0};
  alignas(64) std::atomic<Index> present_{0};
  alignas(64) std::atomic<bool> over_{false};
};

}  // namespace lstm
