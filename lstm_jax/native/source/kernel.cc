// The six equations of lstm_jax/step.py over time, and their gradients, for one width of
// vectors. It is compiled once for each: LANES floats are a vector, and BLOCK rows of
// four vectors fit the registers.
//
// Units are cut in panels of a vector's length. A panel holds the rows of the weights of
// its units' four gates, interleaved, so that a block of rows multiplies them in
// registers and goes on there to the gates and the cell.
//
// No function of the standard library is called: what the linker takes once for all
// widths must not be compiled for the widest.
#include <utility>

#include "kernel.h"

#if !defined(LANES) || !defined(BLOCK) || !defined(KERNEL)
#error "Define LANES, BLOCK and KERNEL."
#endif

namespace lstm {
namespace {

#define INLINE inline __attribute__((always_inline))

// A vector of floats, aligned, and the same at any address; its lanes as integers.
typedef float Vec __attribute__((vector_size(LANES * 4), may_alias));
typedef float Loose __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int Bits __attribute__((vector_size(LANES * 4), may_alias));

INLINE Index least(Index a, Index b) { return a < b ? a : b; }
INLINE Index most(Index a, Index b) { return a > b ? a : b; }
INLINE Index up(Index a, Index by) { return (a + by - 1) / by; }
INLINE Vec splat(float a) { return a - Vec{}; }  // not 0 + a: of -0 it is 0
INLINE Vec within(Vec x, float low, float high) {  // NaN stays NaN
  x = x < splat(low) ? splat(low) : x;
  return x > splat(high) ? splat(high) : x;
}
INLINE Vec &at(float *p) { return *reinterpret_cast<Vec *>(p); }
INLINE Vec at(const float *p) { return *reinterpret_cast<const Vec *>(p); }

// The first `n` lanes at any address; the others read as 0 and are not written.
INLINE Vec take(const float *from, Index n) {
  if (n >= LANES) return *reinterpret_cast<const Loose *>(from);
  Vec lanes = {};
  for (Index k = 0; k < n; k++) lanes[k] = from[k];
  return lanes;
}
INLINE void put(float *to, Vec lanes, Index n) {
  if (n >= LANES) {
    *reinterpret_cast<Loose *>(to) = lanes;
  } else {
    for (Index k = 0; k < n; k++) to[k] = lanes[k];
  }
}
INLINE void copy(float *to, const float *from, Index n) {
  for (Index k = 0; k < n; k++) to[k] = from[k];
}
INLINE void fill(float *to, Index n) {
  for (Index k = 0; k < n; k++) to[k] = 0;
}

// exp by 2^n e^r, |r| <= log(2) / 2, and a polynomial in r (Cephes, S. Moshier): within
// 2 roundings. Adding 1.5 * 2^23 rounds to an integer; -ffast-math would undo it. Beyond
// 88 it is infinite, so that a sigmoid is 0 there.
INLINE Vec exponential(Vec x) {
  const Vec round = splat(12582912.0f);
  auto large = x > splat(88.0f);
  x = within(x, -87.3f, 88.0f);
  Vec shifted = x * splat(1.44269504088896341f) + round;
  Vec n = shifted - round;
  Vec r = x - n * splat(0.693359375f) + n * splat(2.12194440e-4f);
  Vec p = splat(1.9875691500e-4f);
  p = p * r + splat(1.3981999507e-3f);
  p = p * r + splat(8.3334519073e-3f);
  p = p * r + splat(4.1665795894e-2f);
  p = p * r + splat(1.6666665459e-1f);
  p = p * r + splat(5.0000001201e-1f);
  p = p * (r * r) + r + splat(1.0f);
  Bits exponent = ((Bits)shifted - (Bits)round + 127) << 23;
  return large ? splat(__builtin_inff()) : p * (Vec)exponent;
}

INLINE Vec sigmoid(Vec x) { return splat(1.0f) / (splat(1.0f) + exponential(-x)); }

// A rational function, as in Eigen and XLA, up to where it is 1: within 4 roundings.
INLINE Vec tangent(Vec x) {
  const Vec end = splat(7.99881172180175781f);
  Vec z = x * x;
  Vec p = splat(-2.76076847742355e-16f);
  p = p * z + splat(2.00018790482477e-13f);
  p = p * z + splat(-8.60467152213735e-11f);
  p = p * z + splat(5.12229709037114e-08f);
  p = p * z + splat(1.48572235717979e-05f);
  p = p * z + splat(6.37261928875436e-04f);
  p = p * z + splat(4.89352455891786e-03f);
  Vec q = splat(1.19825839466702e-06f);
  q = q * z + splat(1.18534705686654e-04f);
  q = q * z + splat(2.26843463243900e-03f);
  q = q * z + splat(4.89352518554385e-03f);
  Vec inside = x * p / q;
  inside = x > end ? splat(1.0f) : inside;
  return x < -end ? splat(-1.0f) : inside;
}

// ---------------------------------------------------------------------- products

// sums[R][N] += rows[R][k] * panel[k][N] at one k. What there is less of is held in
// registers.
template <int R, int N>
INLINE void multiply_at(Vec (&sums)[R][N], const float *const (&rows)[R],
                        const float *panel, Index k) {
  Vec held[R < N ? R : N];
  if constexpr (R < N) {
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) held[r] = splat(rows[r][k]);
#pragma GCC unroll 8
    for (int j = 0; j < N; j++) {
      Vec weights = at(panel + (k * N + j) * LANES);
#pragma GCC unroll 8
      for (int r = 0; r < R; r++) sums[r][j] += held[r] * weights;
    }
  } else {
#pragma GCC unroll 8
    for (int j = 0; j < N; j++) held[j] = at(panel + (k * N + j) * LANES);
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
      Vec a = splat(rows[r][k]);
#pragma GCC unroll 8
      for (int j = 0; j < N; j++) sums[r][j] += a * held[j];
    }
  }
}

// The same for every k below `depth`.
template <int R, int N>
INLINE void multiply(Vec (&sums)[R][N], const float *const (&rows)[R],
                     const float *panel, Index depth) {
  for (Index k = 0; k < depth; k++) multiply_at<R, N>(sums, rows, panel, k);
}

// Whether so few sums have even and odd k apart: a sum waits four cycles for the one
// before.
template <int R, int N>
constexpr bool kApart = R * N < 8;

template <int R, int N>
INLINE void multiply_apart(Vec (&sums)[R][N], const float *const (&rows)[R],
                           const float *panel, Index depth) {
  if constexpr (!kApart<R, N>) {
    multiply<R, N>(sums, rows, panel, depth);
  } else {
    Vec odd[R][N] = {};
    Index k = 0;
    for (; k + 1 < depth; k += 2) {
      multiply_at<R, N>(sums, rows, panel, k);
      multiply_at<R, N>(odd, rows, panel, k + 1);
    }
    if (k < depth) multiply_at<R, N>(sums, rows, panel, k);
    for (int r = 0; r < R; r++)
      for (int j = 0; j < N; j++) sums[r][j] += odd[r][j];
  }
}

template <int K>
struct Count {
  static constexpr int value = K;
};

// run(Count<R>, first) for blocks of at most MOST rows.
template <int MOST, class Run>
INLINE void rest_of_rows(Index rows, Index first, Run run) {
  if constexpr (MOST > 0) {
    if (rows - first == MOST) {
      run(Count<MOST>(), first);
    } else {
      rest_of_rows<MOST - 1>(rows, first, run);
    }
  }
}
template <int MOST, class Run>
INLINE void blocks(Index rows, Run run) {
  Index first = 0;
  for (; rows - first >= MOST; first += MOST) run(Count<MOST>(), first);
  rest_of_rows<MOST - 1>(rows, first, run);
}

// run(Count<N>) with the N of 1 to 4 that `vectors` is.
template <class Run>
INLINE void of_vectors(Index vectors, Run run) {
  switch (vectors) {
    case 4: return run(Count<4>());
    case 3: return run(Count<3>());
    case 2: return run(Count<2>());
    default: return run(Count<1>());
  }
}

// The lanes of a and b at places of a pattern: b's follow a's.
template <int... L>
INLINE Vec pick(Vec a, Vec b) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, L...);
#else
  return __builtin_shuffle(a, b, Bits{L...});
#endif
}

// Four vectors whose groups of four lanes are transposed.
template <int... L>
INLINE void transpose_groups(Vec *t, std::integer_sequence<int, L...>) {
  auto low = [](Vec a, Vec b) {
    return pick<(L % 2 * LANES + L / 4 * 4 + L % 4 / 2)...>(a, b);
  };
  auto high = [](Vec a, Vec b) {
    return pick<(L % 2 * LANES + L / 4 * 4 + L % 4 / 2 + 2)...>(a, b);
  };
  Vec ab_low = low(t[0], t[1]), cd_low = low(t[2], t[3]);
  Vec ab_high = high(t[0], t[1]), cd_high = high(t[2], t[3]);
  auto first = [](Vec a, Vec b) {
    return pick<(L % 4 < 2 ? L : LANES + L - 2)...>(a, b);
  };
  auto second = [](Vec a, Vec b) {
    return pick<(L % 4 < 2 ? L + 2 : LANES + L)...>(a, b);
  };
  t[0] = first(ab_low, cd_low), t[1] = second(ab_low, cd_low);
  t[2] = first(ab_high, cd_high), t[3] = second(ab_high, cd_high);
}

// Blocks of S lanes of two vectors change places.
template <int S, int... L>
INLINE void swap_blocks(Vec &a, Vec &b, std::integer_sequence<int, L...>) {
  Vec first = pick<((L & S) ? LANES + L - S : L)...>(a, b);
  b = pick<((L & S) ? LANES + L : L + S)...>(a, b);
  a = first;
}
template <int S>
INLINE void transpose_blocks(Vec (&tile)[LANES]) {
  if constexpr (S < LANES) {
#pragma GCC unroll 16
    for (int k = 0; k < LANES; k++)
      if (!(k & S))
        swap_blocks<S>(tile[k], tile[k + S], std::make_integer_sequence<int, LANES>());
    transpose_blocks<2 * S>(tile);
  }
}

// tile[k][lane] = tile[lane][k]
INLINE void transpose(Vec (&tile)[LANES]) {
#pragma GCC unroll 4
  for (int k = 0; k < LANES; k += 4)
    transpose_groups(tile + k, std::make_integer_sequence<int, LANES>());
  transpose_blocks<4>(tile);
}

// tile[k][lane] = weight[lane][k] for `have` lanes and `depth` k, else 0.
INLINE void read_tile(Vec (&tile)[LANES], const float *weight, Index stride, Index have,
                      Index depth) {
  if (have >= LANES && depth >= LANES) {
#pragma GCC unroll 16
    for (int lane = 0; lane < LANES; lane++) tile[lane] = take(weight + lane * stride, LANES);
  } else {
    for (int lane = 0; lane < LANES; lane++)
      tile[lane] = lane < have ? take(weight + lane * stride, depth) : Vec{};
  }
  transpose(tile);
}

// panel[k][lane] = weight[lane][k] for `have` lanes of `width`, then zeros.
void pack_rows(float *panel, Index stride, const float *weight, Index depth, Index have,
               Index width) {
  for (Index lane = 0; lane < width; lane += LANES) {
    for (Index k = 0; k < depth; k += LANES) {
      Vec tile[LANES];
      read_tile(tile, weight + lane * depth + k, depth, have - lane, depth - k);
      for (Index j = 0; j < least(LANES, depth - k); j++)
        at(panel + (k + j) * stride + lane) = tile[j];
    }
  }
}

// sums[R][4] += rows . weight by weights that are not packed, (4, units, depth): for a call
// that would read a panel once or twice. Lanes are k here, until the end.
template <int R>
INLINE void multiply_unpacked(Vec (&sums)[R][4], const float *const (&rows)[R],
                              const float *weight, Index units, Index depth, Index have) {
  for (int gate = 0; gate < 4; gate++) {
    const float *of_gate = weight + gate * units * depth;
    for (int r = 0; r < R; r++) {
      Vec tile[LANES] = {};
      Index k = 0;
      for (; k + LANES <= depth && have == LANES; k += LANES) {
        Vec a = take(rows[r] + k, LANES);
#pragma GCC unroll 16
        for (int lane = 0; lane < LANES; lane++)
          tile[lane] += take(of_gate + lane * depth + k, LANES) * a;
      }
      for (; k < depth; k += LANES) {
        Vec a = take(rows[r] + k, depth - k);
#pragma GCC unroll 16
        for (int lane = 0; lane < LANES; lane++)
          if (lane < have) tile[lane] += take(of_gate + lane * depth + k, depth - k) * a;
      }
      transpose(tile);
#pragma GCC unroll 4
      for (int half = LANES / 2; half; half /= 2)
#pragma GCC unroll 8
        for (int lane = 0; lane < half; lane++) tile[lane] += tile[lane + half];
      sums[r][gate] += tile[0];
    }
  }
}

// panel[k][lane] = weight[k][lane], likewise.
void pack_columns(float *panel, Index width, const float *weight, Index columns,
                  Index depth, Index have) {
  for (Index k = 0; k < depth; k++) {
    copy(panel + k * width, weight + k * columns, have);
    fill(panel + k * width + have, width - have);
  }
}

// grown[M][N vectors] += left[k][M]^T right[k][N vectors] over k < depth. Each call is
// summed by itself first: fewer roundings in long sums.
template <int R, int N>
INLINE void outer_block(float *grown, Index columns, const float *left, Index stride,
                        const float *right, Index depth) {
  Vec sums[R][N] = {};
  for (Index k = 0; k < depth; k++) {
    const float *rows[R];
    for (int r = 0; r < R; r++) rows[r] = left + k * stride + r - k;
    multiply_at<R, N>(sums, rows, right, k);
  }
  for (int r = 0; r < R; r++)
    for (int j = 0; j < N; j++) at(grown + r * columns + j * LANES) += sums[r][j];
}
template <int N>
INLINE void outer(float *grown, Index columns, const float *left, Index stride, Index M,
                  const float *right, Index depth) {
  blocks<BLOCK * 4 / (N < 2 ? 2 : N)>(M, [&](auto R, Index m) {
    outer_block<decltype(R)::value, N>(grown + m * columns, columns, left + m, stride,
                                       right, depth);
  });
}

// ---------------------------------------------------------------------- order of time

INLINE Index time_of(const Sizes &n, Index step) {
  return n.reverse ? n.steps - 1 - step : step;
}
INLINE bool is_on(const bool *mask, Index t, const Sizes &n, Index row) {
  return mask && mask[t * n.rows + row];
}
INLINE bool has_ended(const Masks &m, Index t, const Sizes &n, Index row) {
  return m.valid && !m.valid[t * n.rows + row];
}
// What an array of every step, (T, B, width), had before time t: `first` at the start.
INLINE const float *before(const Sizes &n, Index t, const float *all, const float *first,
                           Index width) {
  Index previous = n.reverse ? t + 1 : t - 1;
  bool inside = 0 <= previous && previous < n.steps;
  return inside ? all + previous * n.rows * width : first;
}

// ---------------------------------------------------------------------- forward

void plan_forward(Forward &f, Index) {
  const Sizes &n = f.size;
  Index units = up(n.units, LANES), columns = n.projected ? up(n.outputs, 4 * LANES) : 0;
  f.panels = most(units, columns);
  f.phases = n.projected ? 2 * n.steps : n.steps;
  f.packed = n.steps * up(n.rows, BLOCK) > 2;
  // Enough rows for a large product, few enough for the sums to stay in the cache.
  Index rows = most(1, n.rows), fit = 16384 * 16 / LANES / (units * rows);
  f.chunk = most(1, least(n.steps, most(48 / rows, fit)));
  struct Part {
    float *&place;
    Index floats;
  } parts[] = {
      {f.panels_ih, f.packed ? units * n.inputs * 4 * LANES : 0},
      {f.panels_hh, f.packed ? units * n.outputs * 4 * LANES : 0},
      {f.panels_bias, units * 4 * LANES},
      {f.panels_hr, columns * n.units * 4 * LANES},
      {f.sums, units * f.chunk * n.rows * 4 * LANES},
      {f.cell, units * n.rows * LANES},
      {f.y, n.projected ? up(n.rows * n.units, LANES) * LANES : 0},
  };
  f.floats = 0;
  for (Part &part : parts) {
    if (f.scratch) part.place = f.scratch + f.floats;
    f.floats += up(part.floats, 16) * 16;
  }
}

void pack_forward(const Forward &f, Index panel) {
  const Sizes &n = f.size;
  Index unit = panel * LANES, have = least(LANES, n.units - unit);
  for (Index gate = 0; gate < 4; gate++) {
    Index row = gate * n.units + unit;
    auto pack = [&](float *panels, const float *weight, Index depth) {
      float *to = panels + panel * depth * 4 * LANES + gate * LANES;
      pack_rows(to, 4 * LANES, weight + row * depth, depth, have, LANES);
    };
    pack(f.panels_bias, f.bias, 1);
    if (!f.packed) continue;
    pack(f.panels_ih, f.weight_ih, n.inputs);
    pack(f.panels_hh, f.weight_hh, n.outputs);
  }
  for (Index b = 0; b < n.rows; b++)
    at(f.cell + (panel * n.rows + b) * LANES) = take(f.c_0 + b * n.units + unit, have);
}

// The inputs' share of the gates' sums, and the bias, for R rows of a chunk.
template <bool PACKED, int R>
INLINE void inputs_of(const Forward &f, Index panel, const float *x, float *sums) {
  Index depth = f.size.inputs, unit = panel * LANES;
  const float *rows[R];
  Vec block[R][4];
  for (int r = 0; r < R; r++) {
    rows[r] = x + r * depth;
    for (int j = 0; j < 4; j++) block[r][j] = at(f.panels_bias + (panel * 4 + j) * LANES);
  }
  if constexpr (PACKED) {
    multiply<R, 4>(block, rows, f.panels_ih + unit * depth * 4, depth);
  } else {
    multiply_unpacked<R>(block, rows, f.weight_ih + unit * depth, f.size.units, depth,
                         least(LANES, f.size.units - unit));
  }
  for (int r = 0; r < R; r++)
    for (int j = 0; j < 4; j++) at(sums + (r * 4 + j) * LANES) = block[r][j];
}

// The state's share for R rows from `row` on, at time t.
template <bool PACKED, int R>
INLINE void states_of(const Forward &f, Index panel, Index t, Index row,
                      Vec (&block)[R][4]) {
  const Sizes &n = f.size;
  const float *h_before = before(n, t, f.h, f.h_0, n.outputs);
  const float *rows[R];
  for (int r = 0; r < R; r++) {
    bool anew = is_on(f.masks.reset, t, n, row + r);
    rows[r] = (anew ? f.masks.fresh_h : h_before) + (row + r) * n.outputs;
  }
  Index unit = panel * LANES;
  if constexpr (PACKED) {
    multiply_apart<R, 4>(block, rows, f.panels_hh + unit * n.outputs * 4, n.outputs);
  } else {
    multiply_unpacked<R>(block, rows, f.weight_hh + unit * n.outputs, n.units, n.outputs,
                         least(LANES, n.units - unit));
  }
}

// Gates, cell and output of R rows from `row` on, at time t, from the gates' sums.
template <int R>
INLINE void cells_of(const Forward &f, Index panel, Index t, Index row,
                     const Vec (&block)[R][4]) {
  const Sizes &n = f.size;
  Index unit = panel * LANES, have = least(LANES, n.units - unit);
  const float *h_before = before(n, t, f.h, f.h_0, n.outputs);
  for (int r = 0; r < R; r++) {
    Index b = row + r, place = (t * n.rows + b) * n.units + unit;
    Vec &cell = at(f.cell + (panel * n.rows + b) * LANES);
    Vec c = cell;
    if (is_on(f.masks.reset, t, n, b)) c = take(f.masks.fresh_c + b * n.units + unit, have);
    Vec i = sigmoid(block[r][0]), forget = sigmoid(block[r][1]);
    Vec g = tangent(block[r][2]), o = sigmoid(block[r][3]);
    c = forget * c + i * g;
    Vec y = o * tangent(c);
    bool ended = has_ended(f.masks, t, n, b);
    if (!ended) cell = c;
    if (n.projected) {
      put(f.y + b * n.units + unit, y, have);
    } else {
      put(f.h + place, ended ? take(h_before + b * n.units + unit, have) : y, have);
    }
    if (f.c) {
      put(f.c + place, cell, have);
      put(f.gates[0] + place, i, have);
      put(f.gates[1] + place, forget, have);
      put(f.gates[2] + place, g, have);
      put(f.gates[3] + place, o, have);
    }
  }
}

template <bool PACKED>
void gates_phase(const Forward &f, Index step, Index panel) {
  const Sizes &n = f.size;
  Index unit = panel * LANES, have = least(LANES, n.units - unit);
  if (have <= 0) return;
  if (step == 0) pack_forward(f, panel);
  Index begin = step / f.chunk * f.chunk, steps = least(f.chunk, n.steps - begin);
  Index first = n.reverse ? n.steps - begin - steps : begin;  // the chunk's least time
  float *sums = f.sums + panel * f.chunk * n.rows * 4 * LANES;
  if (step == begin) {
    const float *x = f.x + first * n.rows * n.inputs;
    blocks<BLOCK>(steps * n.rows, [&](auto R, Index r) {
      inputs_of<PACKED, decltype(R)::value>(f, panel, x + r * n.inputs,
                                            sums + r * 4 * LANES);
    });
  }
  Index t = time_of(n, step);
  sums += (t - first) * n.rows * 4 * LANES;
  blocks<BLOCK>(n.rows, [&](auto Rows, Index row) {
    constexpr int R = decltype(Rows)::value;
    Vec block[R][4];
    for (int r = 0; r < R; r++)
      for (int j = 0; j < 4; j++) block[r][j] = at(sums + ((row + r) * 4 + j) * LANES);
    states_of<PACKED, R>(f, panel, t, row, block);
    cells_of<R>(f, panel, t, row, block);
  });
  if (step < n.steps - 1) return;
  for (Index b = 0; b < n.rows; b++)
    put(f.c_n + b * n.units + unit, at(f.cell + (panel * n.rows + b) * LANES), have);
}

// h = W_hr y: four vectors of outputs.
void projection_phase(const Forward &f, Index step, Index panel) {
  const Sizes &n = f.size;
  Index column = panel * 4 * LANES, have = least(4 * LANES, n.outputs - column);
  if (have <= 0) return;
  float *weights = f.panels_hr + panel * n.units * 4 * LANES;
  if (step == 0)
    pack_rows(weights, 4 * LANES, f.weight_hr + column * n.units, n.units, have, 4 * LANES);
  Index t = time_of(n, step);
  const float *h_before = before(n, t, f.h, f.h_0, n.outputs) + column;
  float *h = f.h + t * n.rows * n.outputs + column;
  blocks<BLOCK>(n.rows, [&](auto Rows, Index row) {
    constexpr int R = decltype(Rows)::value;
    const float *rows[R];
    Vec block[R][4] = {};
    for (int r = 0; r < R; r++) rows[r] = f.y + (row + r) * n.units;
    multiply_apart<R, 4>(block, rows, weights, n.units);
    for (int r = 0; r < R; r++) {
      Index b = row + r;
      if (has_ended(f.masks, t, n, b)) {
        copy(h + b * n.outputs, h_before + b * n.outputs, have);
        continue;
      }
      for (int j = 0; j < 4 && j * LANES < have; j++)
        put(h + b * n.outputs + j * LANES, block[r][j], have - j * LANES);
    }
  });
}

void run_forward(const Forward &f, Index phase, Index panel) {
  Index step = f.size.projected ? phase / 2 : phase;
  if (f.size.projected && phase % 2) return projection_phase(f, step, panel);
  f.packed ? gates_phase<true>(f, step, panel) : gates_phase<false>(f, step, panel);
}

// ---------------------------------------------------------------------- backward

// Vectors of a panel: so that every thread has as much to do, wide panels first.
Index vectors_of(Index units, Index threads) {
  const double cost[] = {1.25, 1.05, 1.0, 1.0};
  Index vectors = up(units, LANES), best = 1;
  double lowest = 1e30;
  for (Index k = 1; k <= 4; k++) {
    double of_k = double(up(up(vectors, k), threads) * k) * cost[k - 1];
    if (of_k < lowest - 1e-9) lowest = of_k, best = k;
  }
  return best;
}

INLINE Index width_of(const Backward &f) { return f.vectors * LANES; }
INLINE Index wide_units(const Backward &f) {
  return up(f.size.units, width_of(f)) * width_of(f);
}
INLINE Index wide_outputs(const Backward &f) {
  return up(f.size.outputs, width_of(f)) * width_of(f);
}
INLINE Index wide_inputs(const Backward &f) { return up(f.size.inputs, LANES) * LANES; }
INLINE Index whole_outputs(const Backward &f) {
  return up(f.size.outputs, LANES) * LANES;
}

void plan_backward(Backward &f, Index threads) {
  const Sizes &n = f.size;
  f.vectors = vectors_of(n.units, threads);
  Index width = width_of(f), units = up(n.units, width), columns = up(n.outputs, width);
  Index columns_i = f.d_x ? up(n.inputs, width) : 0;
  f.panels = most(columns_i, most(units, columns));
  f.phases = n.projected ? 2 * n.steps + 1 : n.steps + 1;
  f.chunk = most(1, least(n.steps, 96 / most(1, n.rows)));
  bool weights = f.d_weight_ih;
  Index rows = f.chunk * n.rows, gates = 4 * n.units;
  struct Part {
    float *&place;
    Index floats;
  } parts[] = {
      {f.panels_ih, columns_i * gates * width},
      {f.panels_hh, columns * gates * width},
      {f.sums, 2 * rows * gates},
      {f.panels_hr, n.projected ? units * n.outputs * width : 0},
      {f.state, n.rows * wide_outputs(f)},
      {f.cell, n.rows * wide_units(f)},
      {f.dy, n.rows * wide_units(f)},
      {f.kept, n.projected ? rows * wide_outputs(f) : 0},
      {f.slopes, weights ? 4 * rows * wide_units(f) : 0},
      {f.y, n.projected && weights ? rows * wide_units(f) : 0},
      {f.grown_ih, weights ? gates * wide_inputs(f) : 0},
      {f.grown_hh, weights ? gates * whole_outputs(f) : 0},
      {f.grown_hr, n.projected && weights ? units * n.outputs * width : 0},
  };
  f.floats = 0;
  for (Part &part : parts) {
    if (f.scratch) part.place = f.scratch + f.floats;
    f.floats += up(part.floats, 16) * 16;
  }
}

// store(row, N vectors) of a product of rows of length `depth`.
template <int N, class RowOf, class Store>
INLINE void product(Index rows, RowOf row_of, const float *panel, Index depth,
                    Store store) {
  constexpr int R = BLOCK * 4 / (N < 2 ? 2 : N);
  blocks<R>(rows, [&](auto Rows, Index row) {
    constexpr int K = decltype(Rows)::value;
    const float *from[K];
    Vec block[K][N] = {};
    for (int r = 0; r < K; r++) from[r] = row_of(row + r);
    multiply_apart<K, N>(block, from, panel, depth);
    for (int r = 0; r < K; r++) store(row + r, block[r]);
  });
}

// The gradients of the gates' sums of a step, (B, 4H). Those of a chunk are kept until the
// next one is full, since other panels may still read them.
INLINE float *sums_of(const Backward &f, Index step) {
  return f.sums + step % (2 * f.chunk) * f.size.rows * 4 * f.size.units;
}

// The gradients of the inputs of a chunk that has ended before `step`.
void inputs_phase(const Backward &f, Index step, Index panel) {
  const Sizes &n = f.size;
  Index width = width_of(f), gates = 4 * n.units;
  Index column = panel * width, have = least(width, n.inputs - column);
  if (!f.d_x || have <= 0) return;
  float *weights = f.panels_ih + panel * gates * width;
  if (step == 0)
    pack_columns(weights, width, f.weight_ih + column, n.inputs, gates, have);
  if (step == 0 || (step % f.chunk && step < n.steps)) return;
  Index begin = (step - 1) / f.chunk * f.chunk;
  const float *d = sums_of(f, begin);
  of_vectors(f.vectors, [&](auto Vectors) {
    constexpr int N = decltype(Vectors)::value;
    auto row_of = [&](Index r) { return d + r * gates; };
    auto store = [&](Index r, Vec(&sums)[N]) {
      Index t = time_of(n, n.steps - 1 - begin - r / n.rows);
      float *to = f.d_x + (t * n.rows + r % n.rows) * n.inputs + column;
      for (int j = 0; j < N && j * LANES < have; j++)
        put(to + j * LANES, sums[j], have - j * LANES);
    };
    product<N>((step - begin) * n.rows, row_of, weights, gates, store);
  });
}

// The gradient of h: what the step after gives back, then what its own output asks for.
void state_phase(const Backward &f, Index step, Index panel) {
  const Sizes &n = f.size;
  Index width = width_of(f), stride = wide_outputs(f), gates = 4 * n.units;
  Index column = panel * width, have = least(width, n.outputs - column);
  if (have <= 0) return;
  float *weights = f.panels_hh + panel * gates * width, *state = f.state + column;
  if (step == 0) {
    pack_columns(weights, width, f.weight_hh + column, n.outputs, gates, have);
    for (Index b = 0; b < n.rows; b++) {
      copy(state + b * stride, f.d_h_n + b * n.outputs + column, have);
      fill(state + b * stride + have, width - have);
      if (f.d_fresh_h) fill(f.d_fresh_h + b * n.outputs + column, have);
    }
  } else {
    Index after = time_of(n, n.steps - step);  // the step that was run before this one
    const float *d = sums_of(f, step - 1);
    of_vectors(f.vectors, [&](auto Vectors) {
      constexpr int N = decltype(Vectors)::value;
      auto row_of = [&](Index b) { return d + b * gates; };
      product<N>(n.rows, row_of, weights, gates, [&](Index b, Vec(&sums)[N]) {
        if (has_ended(f.masks, after, n, b)) return;
        bool anew = is_on(f.masks.reset, after, n, b);
        for (int j = 0; j < N; j++) {
          at(state + b * stride + j * LANES) = anew ? Vec{} : sums[j];
          if (anew && j * LANES < have) {
            float *fresh = f.d_fresh_h + b * n.outputs + column + j * LANES;
            put(fresh, take(fresh, have - j * LANES) + sums[j], have - j * LANES);
          }
        }
      });
    });
  }
  if (step == n.steps) {
    for (Index b = 0; b < n.rows; b++)
      copy(f.d_h_0 + b * n.outputs + column, state + b * stride, have);
    return;
  }
  Index t = time_of(n, n.steps - 1 - step);
  float *kept = f.kept + step % f.chunk * n.rows * stride + column;
  for (Index b = 0; b < n.rows; b++) {
    const float *asked = f.d_h + (t * n.rows + b) * n.outputs + column;
    bool ended = has_ended(f.masks, t, n, b);
    for (Index j = 0; j < width; j += LANES) {
      if (j < have) at(state + b * stride + j) += take(asked + j, have - j);
      if (n.projected) at(kept + b * stride + j) = ended ? Vec{} : at(state + b * stride + j);
    }
  }
}

// A gate's gradients, (steps of a chunk, B, units of a panel).
INLINE float *slopes_of(const Backward &f, Index panel, Index gate) {
  return f.slopes + (panel * 4 + gate) * f.chunk * f.size.rows * width_of(f);
}

// The gradients of a step's gates and cell, from that of y: of h, or through W_hr.
void gates_phase(const Backward &f, Index step, Index panel) {
  const Sizes &n = f.size;
  Index width = width_of(f), stride = wide_units(f), gates = 4 * n.units;
  Index unit = panel * width, have = least(width, n.units - unit);
  if (have <= 0) return;
  if (step == 0) {
    for (Index b = 0; b < n.rows; b++) {
      copy(f.cell + b * stride + unit, f.d_c_n + b * n.units + unit, have);
      fill(f.cell + b * stride + unit + have, width - have);
      if (f.d_fresh_c) fill(f.d_fresh_c + b * n.units + unit, have);
    }
    if (n.projected)
      pack_columns(f.panels_hr + panel * n.outputs * width, width, f.weight_hr + unit,
                   n.units, n.outputs, have);
  }
  Index t = time_of(n, n.steps - 1 - step), slot = step % f.chunk;
  const float *dy = f.state + unit;
  if (n.projected) {
    dy = f.dy + unit;
    const float *kept = f.kept + slot * n.rows * wide_outputs(f);
      of_vectors(f.vectors, [&](auto Vectors) {
      constexpr int N = decltype(Vectors)::value;
      auto row_of = [&](Index b) { return kept + b * wide_outputs(f); };
      const float *weights = f.panels_hr + panel * n.outputs * width;
      product<N>(n.rows, row_of, weights, n.outputs, [&](Index b, Vec(&sums)[N]) {
        for (int j = 0; j < N; j++) at(f.dy + b * stride + unit + j * LANES) = sums[j];
      });
    });
  }
  const float *c_before = before(n, t, f.c, f.c_0, n.units);
  for (Index b = 0; b < n.rows; b++) {
    bool ended = has_ended(f.masks, t, n, b), anew = is_on(f.masks.reset, t, n, b);
    const float *from = anew ? f.masks.fresh_c : c_before;
    float *slopes = slopes_of(f, panel, 0) + (slot * n.rows + b) * width;
    for (Index j = 0; j < have; j += LANES) {
      Index k = have - j, place = (t * n.rows + b) * n.units + unit + j;
      float *d = sums_of(f, step) + b * gates + unit + j;
      Vec &d_cell = at(f.cell + b * stride + unit + j);
      Vec i = take(f.gates[0] + place, k), forget = take(f.gates[1] + place, k);
      Vec g = take(f.gates[2] + place, k), o = take(f.gates[3] + place, k);
      Vec tanh_c = tangent(take(f.c + place, k)), one = splat(1.0f);
      Index row = (panel * f.chunk + slot) * n.rows + b;  // of what the weights' phase reads
      if (f.d_weight_ih && n.projected)
        at(f.y + row * width + j) = ended ? Vec{} : o * tanh_c;
      auto give = [&](Index gate, Vec slope) {
        put(d + gate * n.units, slope, k);
        if (f.d_weight_ih) at(slopes + gate * f.chunk * n.rows * width + j) = slope;
      };
      if (ended) {
        for (Index gate = 0; gate < 4; gate++) give(gate, Vec{});
        continue;
      }
      Vec d_y = at(dy + b * stride + j);
      Vec d_c = d_cell + d_y * o * (one - tanh_c * tanh_c);
      Vec c_in = take(from + b * n.units + unit + j, k);
      give(0, d_c * g * i * (one - i));
      give(1, d_c * c_in * forget * (one - forget));
      give(2, d_c * i * (one - g * g));
      give(3, d_y * tanh_c * o * (one - o));
      d_cell = d_c * forget;
      if (anew) {
        float *fresh = f.d_fresh_c + b * n.units + unit + j;
        put(fresh, take(fresh, k) + d_cell, k);
        d_cell = Vec{};
      }
    }
  }
}

// Rows of a chunk whose product is summed at once: 12 KiB of four AVX2 vectors.
constexpr Index kTogether = 96;

// The gradient of a panel's rows of a weight, over a chunk's first `rows` rows: row_of(r)
// is what the weight was multiplied by.
template <class RowOf>
INLINE void weight_of(const Backward &f, Index panel, Index rows, float *grown,
                      Index columns, RowOf row_of) {
  Index width = width_of(f), unit = panel * width, have = least(width, f.size.units - unit);
  Index wide = up(columns, LANES) * LANES;
  for (Index first = 0; first < rows; first += kTogether) {
    Index depth = least(kTogether, rows - first);
    for (Index column = 0; column < wide; column += 4 * LANES) {
      of_vectors(least(4, (wide - column) / LANES), [&](auto Vectors) {
        constexpr int N = decltype(Vectors)::value;
        // Side by side: rows that are a power of two apart would drive each other out.
        alignas(64) float right[kTogether * N * LANES];
        for (Index r = 0; r < depth; r++) {
          const float *from = row_of(first + r) + column;
          for (int j = 0; j < N; j++)
            at(right + (r * N + j) * LANES) = take(from + j * LANES, columns - column - j * LANES);
        }
        for (Index gate = 0; gate < 4; gate++) {
          const float *left = slopes_of(f, panel, gate) + first * width;
          float *to = grown + (gate * f.size.units + unit) * wide + column;
          outer<N>(to, wide, left, width, have, right, depth);
        }
      });
    }
  }
}

// The gradients of the weights of a panel's units: a product for each chunk of steps.
void weights_phase(const Backward &f, Index step, Index panel) {
  const Sizes &n = f.size;
  Index width = width_of(f), unit = panel * width, have = least(width, n.units - unit);
  Index wide_i = wide_inputs(f), wide_h = whole_outputs(f);
  if (have <= 0) return;
  float *grown_hr = f.grown_hr + panel * n.outputs * width;
  if (step == 0) {
    for (Index gate = 0; gate < 4; gate++) {
      Index row = gate * n.units + unit;
      fill(f.grown_ih + row * wide_i, have * wide_i);
      fill(f.grown_hh + row * wide_h, have * wide_h);
      fill(f.d_bias + row, have);
    }
    if (n.projected) fill(grown_hr, n.outputs * width);
  }
  bool last = step == n.steps - 1;
  if ((step + 1) % f.chunk && !last) return;
  Index steps = step % f.chunk + 1, rows = steps * n.rows, begin = step + 1 - steps;
  auto time = [&](Index r) { return time_of(n, n.steps - 1 - begin - r / n.rows); };
  weight_of(f, panel, rows, f.grown_ih, n.inputs, [&](Index r) {
    return f.x + (time(r) * n.rows + r % n.rows) * n.inputs;
  });
  weight_of(f, panel, rows, f.grown_hh, n.outputs, [&](Index r) {
    Index t = time(r), b = r % n.rows;
    bool anew = is_on(f.masks.reset, t, n, b);
    return (anew ? f.masks.fresh_h : before(n, t, f.h, f.h_0, n.outputs)) + b * n.outputs;
  });
  for (Index gate = 0; gate < 4; gate++) {
    float *bias = f.d_bias + gate * n.units + unit, *slopes = slopes_of(f, panel, gate);
    for (Index j = 0; j < have; j += LANES) {
      Vec sum = {};
      for (Index r = 0; r < rows; r++) sum += at(slopes + r * width + j);
      put(bias + j, take(bias + j, have - j) + sum, have - j);
    }
  }
  if (n.projected) {
    const float *y = f.y + panel * f.chunk * n.rows * width;
    of_vectors(f.vectors, [&](auto Vectors) {
      outer<decltype(Vectors)::value>(grown_hr, width, f.kept, wide_outputs(f), n.outputs,
                                      y, rows);
    });
  }
  if (!last) return;
  for (Index gate = 0; gate < 4; gate++) {
    for (Index row = gate * n.units + unit; row < gate * n.units + unit + have; row++) {
      copy(f.d_weight_ih + row * n.inputs, f.grown_ih + row * wide_i, n.inputs);
      copy(f.d_weight_hh + row * n.outputs, f.grown_hh + row * wide_h, n.outputs);
    }
  }
  for (Index p = 0; n.projected && p < n.outputs; p++)
    copy(f.d_weight_hr + p * n.units + unit, grown_hr + p * width, have);
}

void finish(const Backward &f, Index panel) {
  const Sizes &n = f.size;
  Index width = width_of(f), unit = panel * width, have = least(width, n.units - unit);
  for (Index b = 0; b < n.rows && have > 0; b++)
    copy(f.d_c_0 + b * n.units + unit, f.cell + b * wide_units(f) + unit, have);
}

void run_backward(const Backward &f, Index phase, Index panel) {
  Index step = f.size.projected ? phase / 2 : phase;
  if (!f.size.projected || phase % 2 == 0) {
    state_phase(f, step, panel);
    inputs_phase(f, step, panel);
  }
  if (step == f.size.steps) return finish(f, panel);
  if (f.size.projected && phase % 2 == 0) return;
  gates_phase(f, step, panel);
  if (f.d_weight_ih) weights_phase(f, step, panel);
}

}  // namespace

extern const Kernel KERNEL;
#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)
const Kernel KERNEL = {TEXT(KERNEL), plan_forward, run_forward, plan_backward, run_backward};

}  // namespace lstm
