"""`LSTMModel` against its torch twin."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

from lstm_jax import LSTMModel
from tests.given.inputs import (
    B,
    H,
    I,
    P,
    T,
    assert_equal,
    assert_near,
    cast,
    draw,
    like,
)

pytestmark = pytest.mark.usefixtures("float64")

OUTPUTS = 3


class Twin(torch.nn.Module):
    """The same model, as one writes it in torch."""

    def __init__(self, *sizes: int, **options: Any) -> None:
        super().__init__()
        features, hidden, outputs = sizes
        self.lstm = torch.nn.LSTM(features, hidden, batch_first=True, **options)
        width = options.get("proj_size", 0) or hidden
        directions = 2 if options.get("bidirectional") else 1
        self.fc = torch.nn.Linear(width * directions, outputs)

    def forward(self, xs: torch.Tensor) -> torch.Tensor:
        out, _ = self.lstm(xs)
        return self.fc(out[:, -1])


STACKS = [
    pytest.param({}, id="plain"),
    pytest.param({"num_layers": 2, "bias": False}, id="no_bias"),
    pytest.param({"num_layers": 2, "bidirectional": True, "proj_size": P}, id="all"),
]


def make_twin(**options: Any) -> tuple[Twin, dict[str, Any]]:
    twin = Twin(I, H, OUTPUTS, **options).double()
    rng = np.random.default_rng(0)
    params = {
        name: rng.standard_normal(tuple(array.shape)) * 0.6
        for name, array in twin.state_dict().items()
    }
    result = twin.load_state_dict({k: torch.tensor(v) for k, v in params.items()})
    assert list(result) == [[], []]
    return twin, params


def test_the_articles_model_maps_32_sequences_of_10_to_32_numbers() -> None:
    model = LSTMModel(1, 64, 1, rngs=nnx.Rngs(0))
    predictions = model(draw((32, 10, 1)).astype("float32"))
    assert (predictions.shape, predictions.dtype) == ((32, 1), "float32")
    twin = Twin(1, 64, 1).state_dict()
    assert {name: array.shape for name, array in model.params().items()} == {
        name: tuple(array.shape) for name, array in twin.items()
    }
    assert list(model.params()) == list(twin)


@pytest.mark.parametrize("stack", STACKS)
def test_predictions_and_gradients_are_torchs(stack: Any) -> None:
    twin, params = make_twin(**stack)
    xs = draw((B, T, I))
    model = LSTMModel.from_params(params)
    assert_equal(model.params(), cast(params, "float64"))

    def predict(model: LSTMModel, xs: Any) -> Any:
        return model(xs)

    predictions, transpose = jax.vjp(predict, model, jnp.asarray(xs))
    cotangent = like(predictions)
    d_model, d_xs = transpose(cotangent)
    leaf = torch.tensor(xs, requires_grad=True)
    expected = twin(leaf)
    expected.backward(torch.tensor(cotangent))
    assert leaf.grad is not None
    assert_near(predictions, expected.detach().numpy())
    assert_near(d_xs, leaf.grad.numpy())
    gradients = {name: p.grad for name, p in twin.named_parameters()}
    assert_near(
        d_model.params(),
        {
            name: np.zeros(0) if g is None else g.numpy()
            for name, g in gradients.items()
        },
    )


@pytest.mark.parametrize("stack", STACKS)
def test_the_last_step_is_each_rows_own(stack: Any) -> None:
    _, params = make_twin(**stack)
    model, xs = LSTMModel.from_params(params), draw((B, T, I))
    lengths = np.array([7, 1, 3])
    padded = np.where((np.arange(T) < lengths[:, None])[..., None], xs, np.nan)
    alone = jnp.stack([model(xs[b, :n]) for b, n in enumerate(lengths)])
    assert_near(model(padded, lengths=lengths), alone)


def test_a_row_of_length_zero_predicts_the_bias() -> None:
    _, params = make_twin()
    model, xs = LSTMModel.from_params(params), draw((B, T, I))
    found = model(xs, lengths=np.array([2, 0, 7]))
    assert_equal(found[1], jnp.asarray(params["fc.bias"]))


def test_traced_lengths_past_the_end_are_clamped() -> None:
    _, params = make_twin()
    model, xs = LSTMModel.from_params(params), draw((B, 5, I))
    found = jax.jit(lambda n: model(xs, lengths=n))(np.array([5, 6, 9]))
    assert_near(found, model(xs))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint32", "int64"])
def test_lengths_of_every_integer_type_are_the_same(dtype: str) -> None:
    _, params = make_twin()
    model, xs = LSTMModel.from_params(params), draw((B, 5, I))
    lengths = np.array([5, 0, 3])
    found = model(xs, lengths=lengths.astype(dtype))
    assert_equal(found, model(xs, lengths=lengths))
    assert_equal(found[1], jnp.asarray(params["fc.bias"]))


def test_batch_axes_and_none_are_rows() -> None:
    _, params = make_twin()
    model, xs = LSTMModel.from_params(params), draw((2, B, T, I))
    found = model(xs, lengths=np.array([[1, 2, 3], [4, 5, 6]]))
    assert found.shape == (2, B, OUTPUTS)
    assert_near(found[1, 0], model(xs[1, 0], lengths=np.array(4)))
    assert_near(found[1, 0], model(xs[1, 0, :4]))


def test_parameters_are_loaded_and_keep_their_types() -> None:
    _, params = make_twin()
    model = LSTMModel(I, H, OUTPUTS, rngs=nnx.Rngs(0))
    new = cast(params, "bfloat16")
    _ = model.load_params(new)
    assert_equal(model.params(), new)
    assert model(draw((B, T, I)).astype("float32")).dtype == "float32"


@pytest.mark.parametrize("part", ["lstm.weight_hh_l0", "fc.weight"])
def test_refused_parameters_replace_nothing(part: str) -> None:
    _, params = make_twin()
    model = LSTMModel.from_params(params)
    other = {name: array + 1 for name, array in params.items()}
    other[part] = other[part][:-1]
    with pytest.raises(ValueError, match=part):
        _ = model.load_params(other)
    assert_equal(model.params(), cast(params, "float64"))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_every_parameter_type_initialises(dtype: str) -> None:
    model = LSTMModel(I, H, OUTPUTS, param_dtype=dtype, rngs=nnx.Rngs(0))
    assert {array.dtype.name for array in model.params().values()} == {dtype}
    assert model(cast(draw((B, T, I)), dtype)).dtype == dtype


def test_the_products_have_the_type_asked_for() -> None:
    _, params = make_twin()
    model = LSTMModel.from_params(params, dtype="bfloat16")
    assert model(draw((B, T, I))).dtype == "bfloat16"


def test_dropout_needs_a_key_unless_deterministic() -> None:
    _, params = make_twin(num_layers=2)
    model, xs = LSTMModel.from_params(params, dropout=0.5), draw((B, T, I))
    kept = model(xs, deterministic=True)
    assert_equal(kept, LSTMModel.from_params(params)(xs))
    dropped = model(xs, rngs=jax.random.key(0))
    assert_equal(dropped, model(xs, rngs=jax.random.key(0)))
    assert np.all(np.asarray(dropped != kept))


def test_the_last_outputs_are_the_final_ones_of_one_direction_alone() -> None:
    xs = draw((B, T, I))
    lengths = np.array([7, 2, 3])
    for options, same in (({}, True), ({"bidirectional": True}, False)):
        _, params = make_twin(**options)
        last, final = (
            LSTMModel.from_params(params, outputs=outputs)(xs, lengths=lengths)
            for outputs in ("last", "final")
        )
        assert np.allclose(last, final, atol=1e-12) == same


def test_each_output_is_what_its_name_says() -> None:
    _, params = make_twin()
    lengths, xs = np.array([4, 0, 7]), draw((B, T, I))
    lstm, fc = LSTMModel.from_params(params).lstm, LSTMModel.from_params(params).fc
    ys, (h, _) = lstm(xs, lengths=lengths)
    expected = {
        "final": h[-1],
        "mean": jnp.sum(ys, axis=1) / np.maximum(lengths, 1)[:, None],
        "all": ys,
    }
    for outputs, given in expected.items():
        model = LSTMModel.from_params(params, outputs=outputs)
        assert_near(model(xs, lengths=lengths), fc(given))


def test_a_sequence_in_two_parts_or_in_steps_keeps_its_state() -> None:
    _, params = make_twin(num_layers=2)
    model = LSTMModel.from_params(params, activation="sigmoid")
    xs = draw((B, T, I))
    whole, after = model.with_state(xs)
    assert_equal(whole, model(xs))
    _, state = model.with_state(xs[:, :3])
    halves, end = model.with_state(xs[:, 3:], state)
    assert_near((halves, end), (whole, after))
    stepped = whole, model.initial_state((B,))
    for t in range(T):
        stepped = model.step(xs[:, t], stepped[1])
    assert_near(stepped, (whole, after))


def tagger(**options: Any) -> LSTMModel:
    return LSTMModel(I, H, 3, num_embeddings=9, rngs=nnx.Rngs(0), **options)


def test_tokens_are_rows_of_the_embedding() -> None:
    model = tagger(outputs="all", param_dtype="float64")
    params = model.params()
    assert next(iter(params)) == "embedding.weight"
    tokens = np.array([[3, 0, 8], [1, -1, 77]])
    lengths = np.array([3, 1])
    without = {k: v for k, v in params.items() if not k.startswith("embedding")}
    features = params["embedding.weight"][np.where(tokens == 77, 0, tokens)]
    expected = LSTMModel.from_params(without, outputs="all")
    found = model(tokens, lengths=lengths)
    assert_near(found, expected(features, lengths=lengths))
    prediction, _ = model.step(tokens[:, 0], None)
    assert_near(prediction, found[:, 0])


def test_a_token_without_a_row_is_refused_or_where_it_is_traced_nan() -> None:
    model = tagger()
    for wrong in (9, -1):
        with pytest.raises(ValueError, match="LSTMModel") as caught:
            _ = model(np.array([[0, wrong]]))
        assert str(caught.value) == (
            f"LSTMModel: xs={wrong} must be within 0 and 8: the embedding has 9 rows. "
            "Use tokens of its vocabulary."
        )
        traced = jax.jit(lambda model, xs: model(xs))(model, np.array([[0, wrong]]))
        assert np.isnan(traced).all()


def test_what_is_no_token_is_refused() -> None:
    with pytest.raises(TypeError, match="LSTMModel") as caught:
        _ = tagger()(np.ones((2, 3)))
    assert str(caught.value) == (
        "LSTMModel: xs.dtype=float64 must be an integer type: each is a row of the "
        "embedding. Use tokens, or num_embeddings=0 for features."
    )
    with pytest.raises(ValueError, match="LSTMModel") as caught:
        _ = tagger()(np.array(3))
    assert str(caught.value) == (
        "LSTMModel: xs.shape=() must be (*B, T): a sequence has time. Use xs[None] for "
        "one token."
    )


def test_gradients_of_a_row_are_summed_in_float32() -> None:
    model = tagger(param_dtype="bfloat16", outputs="mean")
    tokens = np.full((1, 3000), 4)

    def total(model: LSTMModel) -> Any:
        assert model.embedding is not None
        return model.embedding(tokens).astype("float32").sum()

    rows = jax.grad(total)(model).params()["embedding.weight"]
    assert float(rows[4, 0]) == 3008  # 3000, rounded once; sums of bfloat16 end at 256


@pytest.mark.usefixtures("no_jaxtyping")
def test_options_and_modes_that_are_unknown_are_refused() -> None:
    with pytest.raises(ValueError, match="LSTMModel") as caught:
        _ = tagger(outputs="first")
    assert str(caught.value) == (
        "LSTMModel: outputs='first' must be one of 'last', 'final', 'mean', 'all': no "
        "other is known. Use 'last'."
    )
    with pytest.raises(ValueError, match="LSTMModel") as caught:
        _ = tagger(activation="gelu")
    assert str(caught.value) == (
        "LSTMModel: activation='gelu' must be one of None, 'relu', 'sigmoid', "
        "'softmax', 'tanh': no other is known. Use None."
    )
    with pytest.raises(ValueError, match="LSTMModel") as caught:
        _ = tagger(outputs="mean").step(np.zeros(2, int), None)
    assert str(caught.value) == (
        "LSTMModel.step: outputs='mean' must be 'last', 'final' or 'all': the mean of "
        "a sequence is not known from a part of it. Call the model on the whole "
        "sequence."
    )
