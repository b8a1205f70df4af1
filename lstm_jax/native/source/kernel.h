// What a call is, for every width of vectors: its arrays, its scratch and its tasks.
//
// A call is a row of phases. A task is one panel of units in one phase; the tasks of a
// phase do not touch each other, and begin when those of the phase before have ended.
#pragma once

#include <cstddef>

namespace lstm {

using Index = std::ptrdiff_t;

struct Sizes {
  Index steps, rows, inputs, units, outputs;  // T, B, I, H, P
  bool projected, reverse;
};

// Where a row starts anew, and where it has ended: (T, B), or null for nowhere.
struct Masks {
  const bool *reset, *valid;
  const float *fresh_h, *fresh_c;  // (B, P), (B, H): the state after a reset
};

// `plan` sets what is below "the plan"; `scratch` is then as long as it says.
struct Forward {
  Sizes size;
  const float *x;                                     // (T, B, I)
  const float *weight_ih, *weight_hh, *bias, *weight_hr;  // torch's; one bias
  const float *h_0, *c_0;                             // (B, P), (B, H)
  Masks masks;
  float *h, *c_n;    // (T, B, P), (B, H)
  float *c, *gates[4];  // (T, B, H) each: for the derivatives; null otherwise
  // The plan.
  Index phases, panels, floats;
  Index chunk;  // steps whose inputs are multiplied at once
  bool packed;  // whether the weights are read more than twice
  float *scratch, *panels_ih, *panels_hh, *panels_hr, *panels_bias, *sums, *cell, *y;
};

// Gradients of what `Forward` reads, from those of what it writes.
struct Backward {
  Sizes size;
  const float *x, *weight_ih, *weight_hh, *weight_hr, *h_0, *c_0;
  Masks masks;
  const float *h, *c, *gates[4];
  const float *d_h, *d_h_n, *d_c_n;  // (T, B, P), (B, P), (B, H)
  float *d_x;                        // (T, B, I); null if not asked for
  float *d_weight_ih, *d_weight_hh, *d_bias, *d_weight_hr;  // null if not asked for
  float *d_h_0, *d_c_0, *d_fresh_h, *d_fresh_c;  // the last two null without resets
  // The plan.
  Index phases, panels, floats;
  Index chunk;    // steps whose inputs' and weights' gradients are computed at once
  Index vectors;  // of a panel
  float *scratch, *panels_ih, *panels_hh, *panels_hr, *state, *cell, *dy, *kept, *y;
  float *sums;  // the gradients of the gates' sums: (2 chunks, B, 4H)
  float *slopes, *grown_ih, *grown_hh, *grown_hr;
};

struct Kernel {
  const char *name;
  void (*plan_forward)(Forward &, Index threads);
  void (*run_forward)(const Forward &, Index phase, Index panel);
  void (*plan_backward)(Backward &, Index threads);
  void (*run_backward)(const Backward &, Index phase, Index panel);
};

}  // namespace lstm
