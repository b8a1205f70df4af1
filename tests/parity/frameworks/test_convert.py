"""Weights between torch and JAX, to the last bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from numpy.testing import assert_array_equal

import lstm_jax
import parity
from lstm_jax import linen
from parity.arrays import numpy_of
from parity.frameworks.twin import LSTMModel as TorchModel

SIZES = [
    {},
    {"bias": False},
    {"proj_size": 2},
    {"num_layers": 2, "bidirectional": True},
    {"num_layers": 3, "bidirectional": True, "proj_size": 3, "bias": False},
]
DTYPES = [torch.float32, torch.bfloat16, torch.float16]


def assert_same_bits(ours, theirs):
    """The same names in the same order, types, shapes and bits."""
    assert list(ours) == list(theirs)
    for name in theirs:
        a, b = (numpy_of(name, x[name]) for x in (ours, theirs))
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("options", SIZES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_module_goes_to_jax_and_back_bit_for_bit(options, dtype):
    dropout = 0.25 if "num_layers" in options else 0.0
    module = torch.nn.LSTM(5, 4, dropout=dropout, batch_first=True, **options).to(dtype)
    ours = parity.from_torch(module)
    assert isinstance(ours, lstm_jax.LSTM)
    assert (ours.batch_first, ours.dropout) == (True, dropout)
    assert_same_bits(ours.params(), module.state_dict())
    back = parity.to_torch(ours)
    assert str(back) == str(module)
    assert_same_bits(back.state_dict(), module.state_dict())
    assert all(parameter.requires_grad for parameter in back.parameters())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_special_values_survive(dtype):
    kept = torch.tensor([0.0, -0.0, float("nan"), float("inf"), -float("inf"), 1e-7])
    found = parity.from_torch({"x": kept.to(dtype)})
    assert_same_bits(parity.to_torch(found), {"x": kept.to(dtype)})


def test_float64_goes_both_ways_where_jax_has_it():
    module = torch.nn.LSTM(5, 4).double()
    with jax.enable_x64(True):
        ours = parity.from_torch(module)
        assert_same_bits(ours.params(), module.state_dict())
        assert_same_bits(parity.to_torch(ours).state_dict(), module.state_dict())


def test_float64_is_refused_where_jax_would_round_it():
    with pytest.raises(ValueError, match="64") as caught:
        _ = parity.from_torch(torch.nn.LSTM(5, 4).double())
    assert str(caught.value) == (
        "from_torch: weight_ih_l0.dtype=float64 must have at most 32 bits: "
        "jax_enable_x64 is off and JAX would round it. Use "
        "jax.config.update('jax_enable_x64', True), or convert the source first."
    )


def test_cells_and_models_go_both_ways():
    cell = torch.nn.LSTMCell(5, 4, bias=False)
    ours = parity.from_torch(cell)
    assert isinstance(ours, lstm_jax.LSTMCell)
    assert_same_bits(parity.to_torch(ours).state_dict(), cell.state_dict())
    model = TorchModel(torch.nn.LSTM(1, 6, 2, batch_first=True, dropout=0.5), 3)
    converted = parity.from_torch(model)
    assert isinstance(converted, lstm_jax.LSTMModel)
    assert converted.lstm.dropout == 0.5
    back = parity.to_torch(converted)
    assert str(back) == str(model)
    assert_same_bits(back.state_dict(), model.state_dict())


MODELS = [
    {"proj_size": 2},
    {"outputs": "final", "bidirectional": True, "activation": "softmax"},
    {"outputs": "mean", "num_embeddings": 9, "activation": "tanh"},
    {"outputs": "all", "num_embeddings": 9, "bidirectional": True},
]


@pytest.mark.parametrize("options", MODELS, ids=str)
def test_the_model_and_its_twin_predict_the_same(options):
    model = lstm_jax.LSTMModel(2, 6, 3, num_layers=2, rngs=nnx.Rngs(0), **options)
    rng, lengths = np.random.default_rng(0), np.array([7, 1, 3, 7, 2])
    xs = rng.standard_normal((5, 7, 2), np.float32)
    if "num_embeddings" in options:
        xs = rng.integers(0, 9, (5, 7))
    twin = parity.to_torch(model)
    assert repr(parity.from_torch(twin)) == repr(model)
    for given in (None, lengths):
        masks = {} if given is None else {"lengths": torch.tensor(given)}
        with torch.no_grad():
            theirs = twin(torch.tensor(xs), **masks).numpy()
        # One rounding of the head's sum on each side of a value of about one.
        assert np.abs(np.asarray(model(xs, lengths=given)) - theirs).max() < 1e-6


def test_an_lstm_in_a_larger_model_is_found_by_prefix():
    lstm, head = torch.nn.LSTM(5, 4), torch.nn.Linear(4, 2)
    encoder = torch.nn.ModuleDict({"rnn": lstm})
    outer = torch.nn.ModuleDict({"encoder": encoder, "head": head})
    inner = lstm.state_dict()
    by_module = parity.from_torch(outer, prefix="encoder.rnn.")
    assert_same_bits(by_module.params(), inner)
    by_keys = parity.from_torch(outer.state_dict(), prefix="encoder.rnn.")
    assert_same_bits(by_keys, inner)
    with pytest.raises(TypeError) as caught:
        _ = parity.from_torch(outer)
    assert str(caught.value) == (
        "from_torch: prefix='' must be an LSTM, LSTMCell or LSTMModel, not ModuleDict: "
        "the source has 'encoder.rnn.'. Use one of these as the prefix."
    )
    with pytest.raises(ValueError, match="nowhere") as caught:
        _ = parity.from_torch(outer, prefix="nowhere.")
    assert str(caught.value) == (
        "from_torch: prefix='nowhere.' must be an LSTM, LSTMCell or LSTMModel, not no "
        "module: the source has 'encoder.rnn.'. Use one of these as the prefix."
    )
    with pytest.raises(ValueError, match="nowhere") as caught:
        _ = parity.from_torch(outer.state_dict(), prefix="nowhere.")
    assert str(caught.value) == (
        "from_torch: prefix='nowhere.' must be where a part of the state dict starts: "
        "it has an LSTM at 'encoder.rnn.'. Use one of these."
    )


def test_what_is_no_source_is_refused(no_jaxtyping):
    with pytest.raises(TypeError) as caught:
        _ = parity.from_torch([1, 2])
    assert str(caught.value) == (
        "from_torch: source must be a torch module or a state dict, not list: weights "
        "are read from it. Give one of these."
    )
    with pytest.raises(TypeError) as caught:
        _ = parity.from_torch({"weight_ih_l0": [1.0]})
    assert str(caught.value) == (
        "from_torch: weight_ih_l0 must be a tensor, not list: every parameter is one. "
        "Use the state dict of a module."
    )
    with pytest.raises(TypeError) as caught:
        _ = parity.to_torch(torch.nn.LSTM(5, 4))
    assert str(caught.value) == (
        "to_torch: source must be an LSTM, LSTMCell or LSTMModel of lstm_jax, or a "
        "mapping, not LSTM: it is torch's already. Use it as it is."
    )


@pytest.mark.parametrize("package", [lstm_jax, linen])
@pytest.mark.parametrize("kind", ["LSTM", "LSTMCell"])
def test_what_is_in_jax_already_is_named_so(package, kind):
    given = {"rngs": nnx.Rngs(0)} if package is lstm_jax else {}
    with pytest.raises(TypeError) as caught:
        _ = parity.from_torch(getattr(package, kind)(5, 4, **given))
    assert str(caught.value) == (
        f"from_torch: source must be a torch module or a state dict, not {kind}: it is "
        "JAX's already. Use it as it is."
    )


def test_conversion_copies_and_changes_nothing():
    module = torch.nn.LSTM(5, 4)
    state_dict = module.state_dict()
    names = list(state_dict)
    ours = parity.from_torch(state_dict)
    before = np.asarray(ours["weight_ih_l0"]).copy()
    with torch.no_grad():
        _ = state_dict["weight_ih_l0"].zero_()
    assert_array_equal(ours["weight_ih_l0"], before)
    assert list(state_dict) == names
    back = parity.to_torch(ours)
    with torch.no_grad():
        _ = back["weight_ih_l0"].zero_()
    assert_array_equal(ours["weight_ih_l0"], before)


def test_strided_and_gradient_carrying_tensors_are_read():
    tensor = torch.randn(8, 6, requires_grad=True)
    for made in (tensor, tensor.T, tensor[:, ::2], tensor.T.bfloat16()):
        found = parity.from_torch({"x": made})
        assert_same_bits(found, {"x": made.detach().contiguous()})


def test_a_state_dict_runs_in_jax_as_it_is():
    module = torch.nn.LSTM(5, 4, 2, bidirectional=True)
    xs = np.random.default_rng(0).standard_normal((7, 3, 5), np.float32)
    ys, state = lstm_jax.lstm(parity.from_torch(module.state_dict()), xs)
    again, _ = parity.from_torch(module)(jnp.asarray(xs))
    assert_array_equal(ys, again)
    with torch.no_grad():
        theirs, (h, c) = module(torch.tensor(xs))
    for a, b in ((ys, theirs), (state.h, h), (state.c, c)):
        assert np.abs(np.asarray(a) - b.numpy()).max() < 1e-6


def test_a_subclass_is_an_lstm():
    class Mine(torch.nn.LSTM):
        """A subclass of torch's."""

    module = Mine(5, 4)
    assert_same_bits(parity.from_torch(module).params(), module.state_dict())


def test_a_twin_that_is_not_batch_first_is_refused():
    with pytest.raises(ValueError, match="batch_first") as caught:
        _ = TorchModel(torch.nn.LSTM(1, 4), 1)
    assert str(caught.value) == (
        "LSTMModel: lstm.batch_first must be True: time is the second axis. Use "
        "torch.nn.LSTM(..., batch_first=True)."
    )


def test_a_prefix_of_a_state_dict_needs_no_last_dot():
    tensors = {"rnn.weight_ih": torch.ones(2, 3), "rnn2.weight_ih": torch.ones(1)}
    for prefix in ("rnn", "rnn."):
        found = parity.from_torch(tensors, prefix=prefix)
        assert_same_bits(found, {"weight_ih": torch.ones(2, 3)})


def refused(error, call, *arguments, **options):
    """What a call says of what it cannot take."""
    with pytest.raises(error) as caught:
        _ = call(*arguments, **options)
    return str(caught.value)


def test_what_holds_no_numbers_is_refused_with_what_gives_them():
    plain = "must be a plain tensor, not one that is"
    lstm = torch.nn.LSTM(5, 4)
    assert refused(ValueError, parity.from_torch, lstm.to("meta")) == (
        f"from_torch: weight_ih_l0 {plain} on `meta`, without numbers: its numbers are "
        "copied. Load weights into the module first."
    )
    sparse = torch.eye(3).to_sparse()
    assert refused(ValueError, parity.from_torch, {"x": sparse}) == (
        f"from_torch: x {plain} sparse: its numbers are copied. Use its to_dense()."
    )
    assert_same_bits(parity.from_torch({"x": sparse.to_dense()}), {"x": torch.eye(3)})


@pytest.mark.filterwarnings("ignore")
def test_a_quantised_module_is_refused_as_one():
    quantised = torch.ao.quantization.quantize_dynamic(
        torch.nn.ModuleDict({"lstm": torch.nn.LSTM(5, 4)}), {torch.nn.LSTM}
    )
    assert refused(TypeError, parity.from_torch, quantised, prefix="lstm") == (
        "from_torch: prefix='lstm' must be an LSTM, LSTMCell or LSTMModel, not a "
        "quantised LSTM: its weights are rounded integers. Give the module before that."
    )


def test_what_to_torch_cannot_take_has_a_cure():
    start = "to_torch: source must be an LSTM, LSTMCell or LSTMModel of lstm_jax, or a "
    assert refused(TypeError, parity.to_torch, nnx.Linear(2, 2, rngs=nnx.Rngs(0))) == (
        f"{start}mapping, not Linear: it must have torch's names. Give a dict of "
        "torch's names to arrays."
    )
    module = linen.LSTM(5, 4)
    assert refused(TypeError, parity.to_torch, module) == (
        f"{start}mapping, not LSTM: its weights are variables. Use "
        "to_torch(variables['params'])."
    )
    variables = {"params": parity.from_torch(torch.nn.LSTM(5, 4)).params()}
    assert len(parity.to_torch(variables["params"])) == 4


def test_gates_on_an_axis_of_their_own_are_sent_to_gather_units():
    mesh = jax.make_mesh((1,), ("units",), axis_types=(jax.sharding.AxisType.Auto,))
    for proj_size in (0, 2):
        params = lstm_jax.init_params(
            jax.random.key(0), input_size=5, hidden_size=4, proj_size=proj_size
        )
        divided = lstm_jax.shard_units(params, mesh)
        said = refused(ValueError, parity.to_torch, divided)
        assert said == (
            f"to_torch: weight_hh_l0.shape={divided['weight_hh_l0'].shape} must be two "
            "sizes: torch's LSTM stores matrices. Use lstm_jax.gather_units(params)."
        )
        assert len(parity.to_torch(lstm_jax.gather_units(divided))) == len(params)
        four = {name: np.stack([array] * 4) for name, array in params.items()}
        assert len(parity.to_torch(four)) == len(params), "four of them, for vmap"


def test_a_path_is_sent_to_what_reads_it(tmp_path):
    path = tmp_path / "a.safetensors"
    parity.write_tensors(torch.nn.LSTM(5, 4), path)
    said = refused(TypeError, parity.from_torch, str(path))
    assert said == (
        "from_torch: source must be a torch module or a state dict, not str: weights "
        "are read from it. Use parity.read_tensors(path)."
    )
    assert len(parity.from_torch(parity.read_tensors(path))) == 4
    said = refused(TypeError, parity.write_tensors, str(path), path)
    assert said == (
        "write_tensors: source must be a mapping of names to arrays, or a module, not "
        "str: each array is written under its name. Use parity.read_tensors for a file."
    )


def test_a_module_without_an_lstm_is_refused():
    assert refused(TypeError, parity.from_torch, torch.nn.Linear(2, 2)) == (
        "from_torch: prefix='' must be an LSTM, LSTMCell or LSTMModel, not Linear: "
        "there is none in the source. Give a module with one."
    )
