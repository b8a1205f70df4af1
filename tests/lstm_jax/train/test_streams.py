"""Streams: chunks in lanes, the state carried, the gradient cut between chunks."""

from typing import Any

import jax
import numpy as np
import optax
import pytest
from flax import nnx
from numpy.testing import assert_allclose, assert_array_equal

from lstm_jax import LSTMModel
from lstm_jax.train import fit, streams
from tests.given.training import H, I
from tests.given.wrong import assert_raises

pytestmark = pytest.mark.usefixtures("unoptimised")

DRAWN = np.random.default_rng(0)
LENGTHS = (9, 5, 12, 1)
XS = [DRAWN.normal(size=(n, I)).astype(np.float32) for n in LENGTHS]
YS = [np.tanh(x[:, :1].cumsum(0)) for x in XS]
STILL: Any = {"optimizer": optax.sgd(0.0), "epochs": 1}


def tagger(**options: Any) -> LSTMModel:
    return LSTMModel(I, H, 1, outputs="all", **options, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("lanes", [1, 2, 3, None])
@pytest.mark.parametrize("chunk", [1, 4, 12, 40])
def test_every_step_of_every_stream_comes_once(lanes: int | None, chunk: int) -> None:
    """In its place after the step before it, in the same lane."""
    marks = [np.arange(n) + 100 * k for k, n in enumerate(LENGTHS)]
    found: dict[int, list[int]] = {}
    batches = batches_of(marks, marks, chunk=chunk, lanes=lanes)
    for number, batch in enumerate(batches):
        for lane in range(len(batch.xs)):
            read = batch.xs[lane, : batch.lengths[lane]].tolist()
            before = found.setdefault(lane, [])
            if not batch.reset[lane]:
                assert read[0] == before[-1] + 1
            elif read:
                assert read[0] % 100 == 0
            before += read
            assert (batch.xs[lane, batch.lengths[lane] :] == 0).all()
        assert_array_equal(batch.xs, batch.ys)
        assert number < len(batches)
    together = np.sort(np.concatenate([*map(np.array, found.values())]))
    assert_array_equal(together, np.sort(np.concatenate(marks)))


def batches_of(*arrays: Any, **options: Any) -> Any:
    return streams(*arrays, **options)


def losses_of(given: LSTMModel) -> list[Any]:
    """The loss of every step of each stream, run as a whole."""
    (padded,) = batches_of(XS, YS, chunk=12)
    found = (given(padded.xs, lengths=padded.lengths) - padded.ys) ** 2
    return [row[:n] for row, n in zip(np.asarray(found), LENGTHS, strict=True)]


def test_chunk_by_chunk_is_the_whole() -> None:
    rows = streams(XS, YS, chunk=4, lanes=2)
    given = tagger()
    run = fit(given, rows, validation=rows, **STILL)
    found = run.history[["loss", "validation"]].to_numpy()
    exact = np.concatenate(losses_of(given)).mean()
    assert_allclose(found, exact, rtol=1e-6)


def test_a_step_past_a_stream_counts_for_nothing() -> None:
    masks = [np.ones_like(y) for y in YS]
    masks[2][5:] = 0
    spoilt = [np.where(mask == 0, np.nan, y) for mask, y in zip(masks, YS, strict=True)]
    given = tagger()
    run = fit(given, streams(XS, spoilt, chunk=4, weights=masks, lanes=2), **STILL)
    losses = losses_of(given)
    losses[2] = losses[2][:5]
    exact = np.concatenate(losses).mean()
    assert_allclose(run.history["loss"], exact, rtol=1e-6)


def test_no_gradient_passes_between_chunks() -> None:
    """One step of descent for each chunk, with the state before it held fixed."""
    given = tagger()
    xs, ys = XS[0][None, :8], YS[0][None, :8]
    run = fit(
        given, streams(xs, ys, chunk=4), optimizer=optax.sgd(0.5), clip=None, epochs=1
    )
    graph, params, _ = nnx.split(given, nnx.Param, ...)
    state = given.initial_state((1,))

    def loss(params: Any, state: Any, part: slice) -> Any:
        predictions, after = nnx.merge(graph, params, _).with_state(xs[:, part], state)
        return ((predictions - ys[:, part]) ** 2).mean(), after

    for part in (slice(0, 4), slice(4, 8)):
        gradients, state = jax.grad(loss, has_aux=True)(params, state, part)
        params = jax.tree.map(lambda p, g: p - 0.5 * g, params, gradients)
    exact = nnx.merge(graph, params, _).params()
    for name, value in run.model.params().items():
        assert_allclose(value, exact[name], rtol=0, atol=2e-7)


@pytest.mark.slow
def test_a_carried_state_is_learnt_from() -> None:
    """The first input of a stream is asked for at its end, chunks later."""
    drawn = np.random.default_rng(1)
    xs = np.zeros((32, 8, 1), np.float32)
    xs[:, 0, 0] = drawn.choice([-1, 1], 32)
    ys = np.repeat(xs[:, :1], 8, 1)
    given = LSTMModel(1, 6, 1, outputs="all", rngs=nnx.Rngs(0))
    run = fit(given, streams(xs, ys, chunk=4), rate=0.05, epochs=40)
    assert run.history["loss"].iloc[-1] < 0.02


def test_streams_of_several_types_keep_their_numbers() -> None:
    whole, halves = np.zeros((2, 1), int), np.full((3, 1), 0.5)
    (batch,) = streams([whole, halves], [whole, halves], chunk=3)
    for array in (batch.xs, batch.ys):
        assert_array_equal(array[1], halves)


def test_a_module_of_any_kind_may_carry_its_state() -> None:
    """It has `with_state` and `initial_state`, and need not be an LSTMModel."""

    class Tagger(nnx.Module):
        def __init__(self) -> None:
            self.body = tagger()

        def __call__(self, xs: Any, *, lengths: Any = None) -> Any:
            return self.body(xs, lengths=lengths)

        def with_state(self, xs: Any, state: Any, *, lengths: Any = None) -> Any:
            return self.body.with_state(xs, state, lengths=lengths)

        def initial_state(self, batch: Any) -> Any:
            return self.body.initial_state(batch)

    batches = streams(XS, YS, chunk=4)
    ours, theirs = fit(tagger(), batches, epochs=2), fit(Tagger(), batches, epochs=2)
    assert_array_equal(ours.history["loss"], theirs.history["loss"])


def test_streams_in_half_precision_have_a_fingerprint() -> None:
    halves = [x.astype(jax.numpy.bfloat16) for x in XS]
    one, other = streams(halves, YS, chunk=4), streams(XS, YS, chunk=4)
    assert len(one.fingerprint) == 64
    assert one.fingerprint != other.fingerprint
    assert one.fingerprint == streams(halves, YS, chunk=4).fingerprint


def stateless() -> Any:
    return fit(nnx.Linear(I, 1, rngs=nnx.Rngs(0)), streams(XS, YS, chunk=4), epochs=1)


def both_ways() -> Any:
    return fit(tagger(bidirectional=True), streams(XS, YS, chunk=4), epochs=1)


CARRY = (
    "fit: model must carry a state: data is cut into chunks, and the state of one"
    " is the start of the next. Use an LSTMModel that is not bidirectional."
)
ERRORS = [
    (
        lambda: streams(XS, YS[:2], chunk=4),
        (
            "streams: the lengths of ys [9, 5] must be [9, 5, 12, 1], those of xs: "
            "each step has its target. Give each stream of xs its ys."
        ),
    ),
    (
        lambda: streams([], [], chunk=4),
        (
            "streams: the lengths of xs [] must be 1 or more, of at least one stream."
            " Leave empty streams out."
        ),
    ),
    (
        lambda: streams([XS[0], XS[0][:0]], [YS[0], YS[0][:0]], chunk=4),
        (
            "streams: the lengths of xs [9, 0] must be 1 or more, of at least one "
            "stream. Leave empty streams out."
        ),
    ),
    (
        lambda: streams(XS, YS, chunk=0),
        "streams: chunk=0 must be 1 or more. Use chunk=1.",
    ),
    (
        lambda: streams(XS, YS, chunk=4, lanes=0),
        "streams: lanes=0 must be 1 or more. Use lanes=1.",
    ),
    (stateless, CARRY),
    (both_ways, CARRY),
]


@pytest.mark.usefixtures("no_jaxtyping")
@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_errors(call: Any, message: str) -> None:
    assert_raises((call, ValueError, message))
