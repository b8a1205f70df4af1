"""Wrong LSTMs that people write: what `diagnose` tries, and the tests' controls.

Each is a function of the signature of `lstm_jax.lstm` with one mistake in it, and a
sentence that names the mistake and its cure.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

import lstm_jax
from lstm_jax import LayerParams, LSTMSpec, LSTMState
from parity import changes
from parity.changes import Change, Params
from parity.layouts import GATES, readers_of
from parity.plain import plain_lstm, step

Run = Callable[..., tuple[Any, Any]]


@dataclass(frozen=True)
class Mistake:
    """A wrong LSTM: `run` on parameters changed by `change`.

    `gradients` says whether its outputs are right and its gradients alone are wrong;
    `applies`, whether an LSTM of these sizes can have it.
    """

    name: str
    says: str
    change: Change = lambda params, spec: params  # noqa: ARG005
    run: Run = lstm_jax.lstm
    gradients: bool = False
    applies: Callable[[LSTMSpec], bool] = lambda spec: True  # noqa: ARG005

    def __call__(self, params: Params, xs: Any, state: Any) -> tuple[Any, Any]:
        """Run it as one would run `lstm_jax.lstm`."""
        return self.run(self.change(params, lstm_jax.spec_of(params)), xs, state)


def _gate_orders() -> Iterator[Mistake]:
    for order in permutations(GATES):
        if order != tuple(GATES):
            letters = ", ".join(order)
            readers = readers_of("".join(order))
            hint = f" Is the source in the order of {readers}?" if readers else ""
            yield Mistake(
                f"gates {letters}",
                f"Reading the gates as {letters} makes it pass.{hint}",
                partial(changes.reorder, order),
            )


_WEIGHTS = (
    Mistake(
        "W_ih transposed",
        "Each gate's block of weight_ih is transposed: transpose the blocks back.",
        changes.transpose("weight_ih"),
    ),
    Mistake(
        "W_hh transposed",
        "Each gate's block of weight_hh is transposed: transpose the blocks back.",
        changes.transpose("weight_hh"),
    ),
    Mistake(
        "b_hh dropped",
        "bias_hh is left out: torch adds bias_ih and bias_hh.",
        changes.scale_biases(bias_hh=0.0),
    ),
    Mistake(
        "b_ih dropped",
        "bias_ih is left out: torch adds bias_ih and bias_hh.",
        changes.scale_biases(bias_ih=0.0),
    ),
    Mistake(
        "biases dropped",
        "Both biases are left out: torch adds bias_ih and bias_hh.",
        changes.scale_biases(bias_ih=0.0, bias_hh=0.0),
    ),
    Mistake(
        "b_ih twice",
        "bias_ih is added twice: the second bias is bias_hh.",
        changes.bias_ih_twice,
    ),
    Mistake(
        "biases doubled",
        "Both biases are added twice: one bias was made of two and put in both.",
        changes.scale_biases(bias_ih=2.0, bias_hh=2.0),
    ),
    Mistake(
        "directions exchanged",
        "The two directions are exchanged: names without _reverse are the forward one.",
        changes.swap_names(changes.other_direction),
    ),
    Mistake(
        "layers exchanged",
        "Layers 1 and 2 are exchanged: count the layers from the input, _l0 first.",
        changes.swap_names(changes.other_layer),
    ),
    Mistake(
        "forget bias +1",
        "1 is added to the forget gate: Haiku adds it at every step, torch never. "
        "Subtract 1 from the forget gate of bias_ih.",
        changes.add_to_gate("f", 1.0),
    ),
    Mistake(
        "forget bias -1",
        "1 is missing from the forget gate: Haiku adds it at every step and does not "
        "store it. Add 1 to the forget gate of bias_ih.",
        changes.add_to_gate("f", -1.0),
    ),
    Mistake(
        "cell bias +1",
        "1 is added to the gate g: it was meant for the forget gate f.",
        changes.add_to_gate("g", 1.0),
    ),
)


def _zero_state(params: Params, xs: Any, state: Any) -> tuple[Any, Any]:
    zeros = None if state is None else jax.tree.map(jnp.zeros_like, state)
    return lstm_jax.lstm(params, xs, zeros)


def _same_size(spec: LSTMSpec) -> bool:
    return not spec.proj_size


def _swap(state: Any) -> Any:
    return None if state is None else (state[1], state[0])


def _swapped_in(params: Params, xs: Any, state: Any) -> tuple[Any, Any]:
    return lstm_jax.lstm(params, xs, _swap(state))


def _swapped_out(params: Params, xs: Any, state: Any) -> tuple[Any, Any]:
    ys, after = lstm_jax.lstm(params, xs, state)
    return ys, _swap(after)


def _swapped(params: Params, xs: Any, state: Any) -> tuple[Any, Any]:
    ys, after = lstm_jax.lstm(params, xs, _swap(state))
    return ys, _swap(after)


def _backwards(params: Params, xs: Any, state: Any) -> tuple[Any, Any]:
    ys, after = lstm_jax.lstm(params, xs[::-1], state)
    return ys[::-1], after


def _not_turned_back(params: Params, xs: Any, state: Any) -> tuple[Any, Any]:
    ys, after = lstm_jax.lstm(params, xs, state)
    if not lstm_jax.spec_of(params).bidirectional:
        return ys, after
    forward, reverse = jnp.split(ys, 2, axis=-1)
    return jnp.concatenate([forward, reverse[::-1]], axis=-1), after


_WIRING = (
    Mistake(
        "state ignored",
        "The state before is ignored: hand it to the first step.",
        run=_zero_state,
    ),
    Mistake(
        "h and c exchanged",
        "h and c are exchanged, in and out: Flax orders (c, h), torch (h, c).",
        run=_swapped,
        applies=_same_size,
    ),
    Mistake(
        "h and c exchanged going in",
        "h and c of the state before are exchanged: Flax orders (c, h), torch (h, c).",
        run=_swapped_in,
        applies=_same_size,
    ),
    Mistake(
        "h and c exchanged coming out",
        "h and c of the state after are exchanged: Flax orders (c, h), torch (h, c).",
        run=_swapped_out,
        applies=_same_size,
    ),
    Mistake(
        "time reversed",
        "The sequence is read from its end: time is reversed.",
        run=_backwards,
    ),
    Mistake(
        "reverse outputs not turned back",
        "The reverse direction's outputs are in its own order of time: turn them back.",
        run=_not_turned_back,
    ),
)


def _hard_sigmoid(x: Any) -> Any:
    return jnp.clip(0.2 * x + 0.5, 0.0, 1.0)


def _rounded(exponent_bits: int, mantissa_bits: int) -> Callable[[Any], Any]:
    return partial(
        lax.reduce_precision, exponent_bits=exponent_bits, mantissa_bits=mantissa_bits
    )


def _cut_in_the_middle(t: Any, steps: int, state: LSTMState) -> LSTMState:
    middle = t == steps // 2
    return jax.tree.map(lambda a: jnp.where(middle, lax.stop_gradient(a), a), state)


def _cut(t: Any, steps: int, state: LSTMState) -> LSTMState:
    del t, steps
    return lax.stop_gradient(state)


def _cut_h(t: Any, steps: int, state: LSTMState) -> LSTMState:
    del t, steps
    return state._replace(h=lax.stop_gradient(state.h))


def _cut_c(t: Any, steps: int, state: LSTMState) -> LSTMState:
    del t, steps
    return state._replace(c=lax.stop_gradient(state.c))


def _round_state(t: Any, steps: int, state: LSTMState) -> LSTMState:
    del t, steps
    return jax.tree.map(_BF16, state)


def _step_with_late_h(params: LayerParams, x: Any, state: LSTMState) -> LSTMState:
    """A step whose `weight_hh` has the gradient of the next step's input."""
    late = lax.stop_gradient(step(params, x, state).h)

    def product(a: Any, weight: Any) -> Any:
        if a is not state.h:
            return a @ weight
        wrong = late @ weight
        return a @ lax.stop_gradient(weight) + wrong - lax.stop_gradient(wrong)

    return step(params, x, state, product=product)


_TF32, _BF16 = _rounded(8, 10), _rounded(8, 7)

_EQUATIONS = (
    Mistake(
        "missing tanh on c",
        "The tanh on the cell is missing: h is o * tanh(c), not o * c.",
        run=plain_lstm(partial(step, out=lambda c: c)),
    ),
    Mistake(
        "sigmoid on g",
        "The gate g goes through a sigmoid: it goes through tanh.",
        run=plain_lstm(partial(step, squash=jax.nn.sigmoid)),
    ),
    Mistake(
        "hard sigmoid",
        "The gates go through Keras's old hard sigmoid: torch's is 1 / (1 + exp(-x)).",
        run=plain_lstm(partial(step, gate=_hard_sigmoid)),
    ),
)

_GRADIENTS = (
    Mistake(
        "gradient of the state before stopped",
        "The gradient stops at the state before: it flows on into h0 and c0.",
        run=lambda params, xs, state: lstm_jax.lstm(
            params, xs, None if state is None else lax.stop_gradient(state)
        ),
        gradients=True,
    ),
    Mistake(
        "truncated to one step",
        "Back-propagation is cut at every step: no gradient flows through the state.",
        run=plain_lstm(before=_cut),
        gradients=True,
    ),
    Mistake(
        "truncated in the middle",
        "Back-propagation is cut in the middle of the sequence: it is truncated.",
        run=plain_lstm(before=_cut_in_the_middle),
        gradients=True,
    ),
    Mistake(
        "gradient through h stopped",
        "No gradient flows through h from step to step, through c alone.",
        run=plain_lstm(before=_cut_h),
        gradients=True,
    ),
    Mistake(
        "gradient through c stopped",
        "No gradient flows through c from step to step, through h alone.",
        run=plain_lstm(before=_cut_c),
        gradients=True,
    ),
    Mistake(
        "dW_hh with h_t",
        "The gradient of weight_hh takes h after each step: it takes h before it.",
        run=plain_lstm(_step_with_late_h),
        gradients=True,
    ),
    Mistake(
        "gradient of the input stopped",
        "No gradient flows into xs.",
        run=lambda params, xs, state: lstm_jax.lstm(
            params, lax.stop_gradient(xs), state
        ),
        gradients=True,
    ),
)

_PRECISION = (
    Mistake(
        "TF32 products",
        "The products have TF32's 11 bits: run them with precision='highest'.",
        run=plain_lstm(partial(step, product=lambda a, b: _TF32(a) @ _TF32(b))),
    ),
    Mistake(
        "bf16 products",
        "The products have bf16's 8 bits: run them with precision='highest'.",
        run=plain_lstm(partial(step, product=lambda a, b: _BF16(a) @ _BF16(b))),
    ),
    Mistake(
        "bf16 state",
        "The state has bf16's 8 bits: keep h and c in float32.",
        run=plain_lstm(before=_round_state),
    ),
)


def mistakes() -> Iterator[Mistake]:
    """Every known mistake, the most common first."""
    yield from _gate_orders()
    yield from _WEIGHTS
    yield from _WIRING
    yield from _EQUATIONS
    yield from _GRADIENTS
    yield from _PRECISION
