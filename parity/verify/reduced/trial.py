"""An LSTM, its inputs and its options, made smaller in one respect."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np

import lstm_jax
from lstm_jax import LSTMSpec, ParamKey
from parity.judge.cases import Case
from parity.judge.tensors import Array
from parity.verify.prepared import Prepared

# In the order in which they are made smaller; most of the time of a trial is steps'.
SIZES = ("steps", "num_layers", "hidden_size", "proj_size", "input_size", "batch")
FLAGS = ("reset_state", "resets", "lengths", "bidirectional")
_TRIED = (1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128, 256, 512, 1024)
Params = Mapping[str, Array]


class Trial(Prepared):
    """What is checked; drawn weights are those of `lstm_jax.init_params` and key 0."""

    def weights(self) -> Params:
        """The right weights."""
        return drawn(self.case) if self.right is None else self.right

    def plainer(self) -> Iterator["Trial"]:
        """With weights and inputs that a seed gives, in place of one's own."""
        if self.right is not None and self.ours is None:
            yield self._replace(right=None)
        if self.xs is not None:
            yield self._replace(xs=None)

    def smallest(self) -> Iterator["Trial"]:
        """With the least of every size, without flags and with them."""
        least: dict[str, Any] = {"steps": 2, "num_layers": 1, "hidden_size": 2}
        least |= {"input_size": 1, "proj_size": 1}
        sizes = {name: min(v, getattr(self.case, name)) for name, v in least.items()}
        sizes["batch"] = tuple(min(1, size) for size in self.case.batch)
        yield self.cut(**sizes, **dict.fromkeys(FLAGS, False))
        yield self.cut(**sizes)

    def smaller(self, name: str) -> Iterator["Trial"]:
        """With less of one size, the least first; or without a flag."""
        now = getattr(self.case, name)
        if name in FLAGS:
            yield from (self.cut(**{name: False}) for _ in range(now))
        elif name == "batch":
            fewer = dict.fromkeys(((), (1,), (2,), tuple(min(2, b) for b in now)))
            yield from (self.cut(batch=b) for b in fewer if _fewer(b, now))
        else:
            least = 1 + self.case.proj_size * (name == "hidden_size")
            sizes = (size for size in _TRIED if least <= size < now)
            yield from (self.cut(**{name: size}) for size in sizes)

    def cut(self, **options: Any) -> "Trial":
        """With these sizes and flags; of weights and inputs, the first of each."""
        case = replace(self.case, **options)
        right, ours = (
            None if params is None else cut_weights(params, self.case.spec, case.spec)
            for params in (self.right, self.ours)
        )
        xs = self.xs
        if xs is not None:
            lost = xs.ndim - 2 - len(case.batch)
            rows = xs[(slice(None), *(0,) * lost)]
            shape = (case.steps, *case.batch, case.input_size)
            xs = rows[tuple(map(slice, shape))]
        return Trial(case, right, ours, xs)


def _fewer(batch: tuple[int, ...], now: tuple[int, ...]) -> bool:
    """Whether it is a smaller batch that can be cut out."""
    cuts = all(a <= b for a, b in zip(batch[::-1], now[::-1], strict=False))
    return batch != now and len(batch) <= len(now) and cuts


def drawn(case: Case) -> Params:
    """Weights that anyone can draw again."""
    sizes: dict[str, Any] = case.spec.constructor_arguments()
    params = lstm_jax.init_params(jax.random.key(0), **sizes)
    return {name: np.asarray(array) for name, array in params.items()}


def cut_weights(params: Params, spec: LSTMSpec, small: LSTMSpec) -> Params:
    """The first layers, directions, units and features of the weights."""
    cut = {}
    for name, shape in small.shapes().items():
        key = LSTMSpec.parse_key(name) or ParamKey(name)
        whole = np.asarray(params[name]).reshape(_axes(spec, key))
        cut[name] = whole[tuple(map(slice, _axes(small, key)))].reshape(shape)
    return cut


def _axes(spec: LSTMSpec, key: ParamKey) -> tuple[int, ...]:
    """The shape of a parameter, with gates, units and directions apart."""
    gates, output = (4, spec.hidden_size), spec.output_size
    before = (spec.num_directions, output) if key.layer else (spec.input_size,)
    axes: dict[str, tuple[int, ...]] = {
        "weight_ih": (*gates, *before),
        "weight_hh": (*gates, output),
        "weight_hr": (output, spec.hidden_size),
    }
    return axes.get(key.field, gates)
