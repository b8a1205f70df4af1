"""The LSTM in NumPy, forward and hand-derived backward: what every check is judged by.

It shares no code with `lstm_jax` and imports only NumPy. It runs in the type of its
inputs, `np.longdouble` too, loops over steps and keeps everything.

Axes are time first with one batch axis: `xs` is `(T, *N, B, I)`, a state
`(L*D, *N, B, P)` and `(L*D, *N, B, H)`. The axes `*N` hold independent experiments on
the same weights: weight gradients are summed over `T` and `B`, never over `*N`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray
# Terms of a sum up to which it is rounded once.
SHORT = 512


# Applied to every intermediate; a long sum has a second argument, see `product`.
Rounding = Callable[..., Array]


def nothing() -> None:
    """What is called after each step, if nobody counts them."""


def unrounded(array: Array, spread: Array | None = None) -> Array:
    """The array as it is: the rounding of exact arithmetic."""
    del spread
    return array


def product(rounding: Rounding, left: Array, right: Array) -> Array:
    """A matrix product, rounded.

    The roundings of a sum that is made term by term are a random walk. From `SHORT`
    terms on, `rounding` is told how far it leads.
    """
    terms, spread = left.shape[-1], None
    if terms > SHORT:
        spread = np.sqrt((left**2) @ (right**2) * (terms / SHORT))
    return rounding(left @ right, spread)


@dataclass
class _Pass:
    """One layer in one direction: its weights, and what each step left behind."""

    suffix: str
    row: int
    weights: dict[str, Array]
    order: list[int]
    xs: Array
    columns: slice
    steps: list[dict[str, Array]] = field(default_factory=list)
    stepped: Callable[[], None] = nothing


@dataclass
class Result:
    """Outputs of a forward run, and what `backward` needs.

    `ys` is `(T, *N, B, D*P)`; `h` and `c` are the state after, shaped as the state
    before.
    """

    ys: Array
    h: Array
    c: Array
    passes: list[list[_Pass]]
    rounding: Rounding
    valid: Array | None
    resets: Array | None


@dataclass
class Gradients:
    """Gradients with respect to every input of `forward`, with axes `*N` in front.

    `params` has the keys of the parameters, `(*N, ...)`; `xs`, `h` and `c` have the
    shapes of their primals, `reset_h` and `reset_c` those of the reset state (zeros
    where there was none).
    """

    params: dict[str, Array]
    xs: Array
    h: Array
    c: Array
    reset_h: Array
    reset_c: Array


def forward(
    params: Mapping[str, Array],
    xs: Array,
    h: Array,
    c: Array,
    *,
    lengths: Array | None = None,
    resets: Array | None = None,
    reset_state: tuple[Array, Array] | None = None,
    rounding: Rounding = unrounded,
    stepped: Callable[[], None] = nothing,
) -> Result:
    """Run a stack of LSTM layers.

    Args:
        params: Torch's names to arrays.
        xs: Inputs, `(T, *N, B, I)`.
        h: Output before, `(L*D, *N, B, P)`.
        c: Cell before, `(L*D, *N, B, H)`.
        lengths: Steps of each row, `(B,)`; None means T.
        resets: True where a row starts anew before the step, `(T, B)`.
        reset_state: State after a reset, shaped as `h` and `c`; None means zeros.
        rounding: Applied to every intermediate.
        stepped: Called after each step of each direction, here and in `backward`.

    Returns:
        Outputs, state after, and what `backward` needs.
    """
    steps = xs.shape[0]
    valid = None if lengths is None else np.arange(steps)[:, None] < lengths
    if valid is not None:
        xs = np.where(_rows(valid, xs), xs, 0)
    if reset_state is None:
        reset_state = (np.zeros_like(h), np.zeros_like(c))
    after_h, after_c, passes = [], [], []
    for layer in _passes(params, steps):
        outputs = []
        for one in layer:
            one.xs, one.stepped = xs, stepped
            start = (h[one.row], c[one.row])
            fresh = (reset_state[0][one.row], reset_state[1][one.row])
            hs, state = _run_direction(one, start, fresh, valid, resets, rounding)
            outputs.append(hs)
            after_h.append(state[0])
            after_c.append(state[1])
        xs = np.concatenate(outputs, axis=-1)
        passes.append(layer)
    return Result(
        xs, np.stack(after_h), np.stack(after_c), passes, rounding, valid, resets
    )


def _passes(params: Mapping[str, Array], steps: int) -> Iterator[list[_Pass]]:
    """Every layer's passes, read off the keys."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
    layer = 0
    while f"weight_ih_l{layer}" in params:
        passes = []
        suffixes = [f"_l{layer}", f"_l{layer}_reverse"]
        present = [s for s in suffixes if f"weight_ih{s}" in params]
        for index, suffix in enumerate(present):
            weights = {n: params[n + suffix] for n in names if n + suffix in params}
            size = weights["weight_hh"].shape[1]
            order = list(range(steps))
            passes.append(
                _Pass(
                    suffix=suffix,
                    row=layer * len(present) + index,
                    weights=weights,
                    order=order[::-1] if index else order,
                    xs=np.empty(0),
                    columns=slice(index * size, (index + 1) * size),
                )
            )
        yield passes
        layer += 1


def _sigmoid(x: Array) -> Array:
    """Exact to the last digits at both ends, without overflow."""
    return np.exp(-np.logaddexp(0, -x))


def _rows(mask: Array, like: Array) -> Array:
    """A mask `(T, B)` or `(B,)`, given the axes of `like`, `(..., B, features)`."""
    lead = mask.shape[:-1]
    ones = (1,) * (like.ndim - len(lead) - 2)
    return mask.reshape(*lead, *ones, mask.shape[-1], 1)


def _run_direction(
    one: _Pass,
    state: tuple[Array, Array],
    fresh: tuple[Array, Array],
    valid: Array | None,
    resets: Array | None,
    rounding: Rounding,
) -> tuple[Array, tuple[Array, Array]]:
    """All steps of one direction: its outputs, and the state after."""
    h, c = state
    hs = np.zeros((*one.xs.shape[:-1], h.shape[-1]), h.dtype)
    for t in one.order:
        step = {"h_old": h, "c_old": c}
        if resets is not None:
            reset = _rows(resets[t], h)
            h, c = np.where(reset, fresh[0], h), np.where(reset, fresh[1], c)
        step |= {"h_in": h, "c_in": c}
        step |= _forward_step(one.weights, one.xs[t], h, c, rounding)
        h, c = step["h"], step["c"]
        hs[t] = h
        if valid is not None:
            keep = _rows(valid[t], h)
            hs[t] = np.where(keep, h, 0)
            h = np.where(keep, h, step["h_old"])
            c = np.where(keep, c, step["c_old"])
        one.steps.append(step)
        one.stepped()
    return hs, (h, c)


def _forward_step(
    weights: dict[str, Array], x: Array, h: Array, c: Array, rounding: Rounding
) -> dict[str, Array]:
    """The six equations."""
    r = rounding
    gates = product(r, x, weights["weight_ih"].T)
    gates = gates + product(r, h, weights["weight_hh"].T)
    if "bias_ih" in weights:
        gates = gates + r(weights["bias_ih"] + weights["bias_hh"])
    a_i, a_f, a_g, a_o = np.split(r(gates), 4, axis=-1)
    i, f, o = (r(_sigmoid(a)) for a in (a_i, a_f, a_o))
    g = r(np.tanh(a_g))
    c = r(r(f * c) + r(i * g))
    tanh_c = r(np.tanh(c))
    m = r(o * tanh_c)
    h = product(r, m, weights["weight_hr"].T) if "weight_hr" in weights else m
    return {"i": i, "f": f, "g": g, "o": o, "c": c, "tanh_c": tanh_c, "m": m, "h": h}


def backward(result: Result, d_ys: Array, d_h: Array, d_c: Array) -> Gradients:
    """Gradients of `sum(ys * d_ys) + sum(h * d_h) + sum(c * d_c)`.

    Args:
        result: What `forward` returned.
        d_ys: Cotangent of the outputs, with the axes of `ys`; more axes in front of
            `*N` (after time) ask for several gradients at once.
        d_h: Cotangent of `h`, likewise.
        d_c: Cotangent of `c`, likewise.

    Returns:
        The gradients, with the same axes in front of `*N`.
    """
    params: dict[str, Array] = {}
    rows_h, rows_c, fresh_h, fresh_c = {}, {}, {}, {}
    d_xs = d_ys
    for layer in reversed(result.passes):
        shares = []
        for one in layer:
            walk = _Backward(one, result, d_xs[..., one.columns])
            shares.append(walk.run(d_h[one.row], d_c[one.row]))
            params |= {
                name + one.suffix: g[..., 0, :] if name.startswith("bias") else g
                for name, g in walk.weights.items()
            }
            rows_h[one.row], rows_c[one.row] = walk.d_h, walk.d_c
            fresh_h[one.row], fresh_c[one.row] = walk.fresh_h, walk.fresh_c
        d_xs = result.rounding(np.add.reduce(shares))
    if result.valid is not None:
        d_xs = np.where(_rows(result.valid, d_xs), d_xs, 0)
    stacked = [
        np.stack([rows[k] for k in sorted(rows)])
        for rows in (rows_h, rows_c, fresh_h, fresh_c)
    ]
    return Gradients(params, d_xs, *stacked)


class _Backward:
    """The backward walk over one direction of one layer."""

    def __init__(self, one: _Pass, result: Result, d_hs: Array) -> None:
        self.one, self.d_hs = one, d_hs
        self.valid, self.resets = result.valid, result.resets
        self.rounding = result.rounding
        lead = d_hs.shape[1:-2]
        self.weights = {
            name: np.zeros((*lead, *np.atleast_2d(weight).shape), weight.dtype)
            for name, weight in one.weights.items()
        }

    def run(self, d_h: Array, d_c: Array) -> Array:
        """Walk the steps backwards; the gradient of the pass's inputs."""
        one, weights = self.one, self.one.weights
        d_xs = np.zeros((*self.d_hs.shape[:-1], one.xs.shape[-1]), self.d_hs.dtype)
        shape = self.d_hs.shape[1:-1]
        self.d_h = np.broadcast_to(d_h, (*shape, d_h.shape[-1])).copy()
        self.d_c = np.broadcast_to(d_c, (*shape, d_c.shape[-1])).copy()
        self.fresh_h, self.fresh_c = np.zeros_like(self.d_h), np.zeros_like(self.d_c)
        for t, step in zip(one.order[::-1], one.steps[::-1], strict=True):
            kept_h, kept_c, d_out = self.d_h, self.d_c, self.d_hs[t]
            keep = None if self.valid is None else _rows(self.valid[t], kept_h)
            if keep is not None:
                self.d_h, self.d_c = (np.where(keep, a, 0) for a in (kept_h, kept_c))
                d_out = np.where(keep, d_out, 0)
            d_gates = self._backward_step(step, one.xs[t], self.d_h + d_out, self.d_c)
            d_xs[t] = product(self.rounding, d_gates, weights["weight_ih"])
            self.d_h = product(self.rounding, d_gates, weights["weight_hh"])
            if self.resets is not None:
                self._reset(_rows(self.resets[t], self.d_h))
            if keep is not None:
                self.d_h = np.where(keep, self.d_h, kept_h)
                self.d_c = np.where(keep, self.d_c, kept_c)
            one.stepped()
        self.weights = {n: self.rounding(g) for n, g in self.weights.items()}
        return d_xs

    def _reset(self, reset: Array) -> None:
        """Hand the gradient of rows that were reset to the reset state."""
        self.fresh_h = self.fresh_h + np.where(reset, self.d_h, 0)
        self.fresh_c = self.fresh_c + np.where(reset, self.d_c, 0)
        self.d_h = np.where(reset, 0, self.d_h)
        self.d_c = np.where(reset, 0, self.d_c)

    def _backward_step(
        self, step: dict[str, Array], x: Array, d_h: Array, d_c: Array
    ) -> Array:
        """The gradient of one step's gate sums; sets `d_c` to that of `c_in`."""
        r, (i, f, g, o) = self.rounding, (step[k] for k in "ifgo")
        d_m, d_h = r(d_h), r(d_h)
        if "weight_hr" in self.one.weights:
            d_m = product(r, d_h, self.one.weights["weight_hr"])
            self._add("weight_hr", d_h, step["m"])
        d_c = r(d_c + d_m * o * r(1 - step["tanh_c"] ** 2))
        d_gates = np.concatenate(
            [
                d_c * g * r(i * (1 - i)),
                d_c * step["c_in"] * r(f * (1 - f)),
                d_c * i * r(1 - g**2),
                d_m * step["tanh_c"] * r(o * (1 - o)),
            ],
            axis=-1,
        )
        d_gates = r(d_gates)
        self.d_c = r(d_c * f)
        self._add("weight_ih", d_gates, x)
        self._add("weight_hh", d_gates, step["h_in"])
        for name in ("bias_ih", "bias_hh"):
            if name in self.weights:
                self.weights[name] += d_gates.sum(axis=-2, keepdims=True)
        return d_gates

    def _add(self, name: str, d_out: Array, value: Array) -> None:
        """Add a step's outer product, summed over the batch."""
        self.weights[name] += np.swapaxes(d_out, -1, -2) @ value
