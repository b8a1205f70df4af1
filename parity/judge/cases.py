"""Named cases: tests, checks and benchmarks iterate over the same objects.

A case fixes sizes, types and a seed, and `draw` makes the same arrays from them
everywhere, so that every framework gets the same bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax import LSTMSpec
from parity.judge import tolerance
from parity.judge.tolerance import Distance, Exact

Array = np.ndarray


class Cotangents(NamedTuple):
    """Random weights of the outputs in the scalar whose gradients are compared.

    The first axis of each array is for the sets named in `SETS`: all outputs together,
    then each output by itself, with zeros as the weights of the others.
    """

    ys: Array
    h: Array
    c: Array


SETS = ("all", "ys", "h_n", "c_n")


class Problem(NamedTuple):
    """The arrays of a case, in its type; None for those that it does not use.

    `lengths` has the batch shape, `resets` that of `xs` without features. A state or
    reset state of None means zeros.
    """

    params: dict[str, Array]
    xs: Array
    state: tuple[Array, Array] | None
    cotangents: Cotangents
    lengths: Array | None = None
    resets: Array | None = None
    reset_state: tuple[Array, Array] | None = None

    def filled(self) -> "Problem":
        """The same problem, with ones in place of the NaN past the lengths."""
        return self._replace(xs=np.where(np.isnan(self.xs), 1, self.xs))


@dataclass(frozen=True, kw_only=True)
class Case:
    """One LSTM and one input for it.

    `scale` multiplies torch's initial range of the weights; `given_state` says whether
    the state before is random or zero; `batch` holds any number of axes. With
    `lengths`, rows have 0 to T steps and NaN past them; where there are two rows or
    more, one has 0 steps and one T. With `resets`, rows start anew before a share
    `reset_rate` of the steps: from zeros, or with `reset_state` from a random state.
    """

    name: str
    input_size: int = 5
    hidden_size: int = 4
    num_layers: int = 1
    bidirectional: bool = False
    proj_size: int = 0
    bias: bool = True
    steps: int = 7
    batch: tuple[int, ...] = (3,)
    given_state: bool = True
    lengths: bool = False
    resets: bool = False
    reset_rate: float = 0.25
    reset_state: bool = False
    scale: float = 1.0
    dtype: str = "float32"
    seed: int = 0

    @property
    def spec(self) -> LSTMSpec:
        """Sizes and flags as `lstm_jax` knows them."""
        return LSTMSpec(
            input_size=self.input_size,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            proj_size=self.proj_size,
            bias=self.bias,
            dtype=self.dtype,
        )

    @property
    def cell_dtype(self) -> str:
        """The type of the cell: at least float32."""
        return "float64" if self.dtype == "float64" else "float32"

    def dtype_of(self, tensor: str) -> str:
        """The type that an output or a gradient of that name is kept in."""
        cells = ("c_n", "d_c0", "d_reset_c")
        return self.cell_dtype if tensor in cells else self.dtype

    @property
    def budget(self) -> float:
        """How many roundings a result may be from exact."""
        return tolerance.BUDGETS[self.dtype]

    def distance(self, tensor: str, actual: Array, exact: Exact) -> Distance:
        """How far an output or a gradient of that name is from exact."""
        return tolerance.distance(actual, exact, self.dtype, self.dtype_of(tensor))

    @classmethod
    def of(cls, spec: LSTMSpec, **options: object) -> "Case":
        """A case of the sizes and flags of `spec`."""
        return cls(**spec.constructor_arguments(), **options)  # type: ignore[arg-type]

    def draw(
        self, params: Mapping[str, Array] | None = None, xs: Array | None = None
    ) -> Problem:
        """The arrays of the case; `params` and `xs` replace the drawn ones, if given.

        The other arrays do not depend on whether they are given.
        """
        spec, rng = self.spec, np.random.default_rng(self.seed)
        bound = self.scale / np.sqrt(self.hidden_size)
        dtype, wide = jnp.dtype(self.dtype), jnp.dtype(self.cell_dtype)
        rows = spec.num_layers * spec.num_directions

        def normal(*shape: int) -> Array:
            return rng.standard_normal(shape)

        def state() -> tuple[Array, Array]:
            h = normal(rows, *self.batch, spec.output_size).astype(dtype)
            return h, normal(rows, *self.batch, self.hidden_size).astype(wide)

        drawn = {
            key: rng.uniform(-bound, bound, shape).astype(dtype)
            for key, shape in spec.shapes().items()
        }
        drawn_xs = normal(self.steps, *self.batch, self.input_size).astype(dtype)
        xs = drawn_xs if xs is None else np.array(xs, dtype)
        before = state()
        features = spec.num_directions * spec.output_size
        ys = normal(self.steps, *self.batch, features).astype(dtype)
        cotangents = cotangents_of(ys, *state())
        lengths = None
        if self.lengths:
            lengths = _lengths(rng, self.steps, self.batch)
            xs[~_running(self.steps, lengths)] = np.nan
        resets = None
        if self.resets:
            resets = rng.random((self.steps, *self.batch)) < self.reset_rate
        return Problem(
            drawn if params is None else dict(params),
            xs,
            before if self.given_state else None,
            cotangents,
            lengths,
            resets,
            state() if self.resets and self.reset_state else None,
        )


def _lengths(rng: np.random.Generator, steps: int, batch: tuple[int, ...]) -> Array:
    lengths = rng.integers(0, steps + 1, int(np.prod(batch)))
    if lengths.size > 1:
        lengths[:2] = 0, steps
    return rng.permutation(lengths).reshape(batch)


def _running(steps: int, lengths: Array) -> Array:
    """Which steps are within the lengths, `(T, *B)`."""
    return np.arange(steps).reshape(-1, *(1,) * lengths.ndim) < lengths


def cotangents_of(ys: Array, h: Array, c: Array) -> Cotangents:
    """The sets of cotangents from the weights of each output."""
    return Cotangents(*map(_sets, (ys, h, c), range(3)))


def _sets(weights: Array, index: int) -> Array:
    """The cotangent of one output in each of `SETS`."""
    zero = np.zeros_like(weights)
    return np.stack([weights, *(weights if k == index else zero for k in range(3))])


CASES = (
    Case(name="single layer"),
    Case(name="no bias", bias=False),
    Case(name="square weights", input_size=4),
    Case(name="zero state", given_state=False),
    Case(name="three layers", num_layers=3),
    Case(name="bidirectional", bidirectional=True),
    Case(name="projection", proj_size=2),
    Case(
        name="stacked, bidirectional, projected",
        num_layers=2,
        bidirectional=True,
        proj_size=2,
    ),
    Case(name="unbatched", batch=()),
    Case(name="two batch axes", batch=(2, 3)),
    Case(name="many rows", num_layers=2, bidirectional=True, proj_size=2, batch=(9,)),
    # Sizes for which our code for a CPU multiplies in another order.
    Case(name="128 units", hidden_size=128, batch=(8,)),
    Case(name="256 units", hidden_size=256, batch=(32,), steps=3),
    Case(name="one step", steps=1),
    Case(name="saturated gates", scale=20.0),
    Case(name="a hundred steps", steps=100, hidden_size=32, input_size=16),
    Case(name="a thousand steps", steps=1000, hidden_size=16, batch=(2,)),
    Case(name="lengths", lengths=True),
    Case(
        name="lengths, stacked, bidirectional",
        num_layers=2,
        bidirectional=True,
        lengths=True,
        batch=(5,),
    ),
    Case(name="resets", resets=True),
    Case(
        name="resets to a state, lengths",
        num_layers=2,
        resets=True,
        reset_state=True,
        lengths=True,
        batch=(5,),
    ),
    Case(name="float64", num_layers=2, bidirectional=True, dtype="float64"),
    Case(name="bfloat16", num_layers=2, bidirectional=True, dtype="bfloat16"),
    Case(name="float16", num_layers=2, bidirectional=True, dtype="float16"),
)
