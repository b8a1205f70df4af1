"""`lstm_jax.LSTM` and `LSTMCell`: the numbers of `lstm` in `flax.nnx`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lstm_jax import (
    LSTM,
    LSTMCell,
    LSTMState,
    init_params,
    lstm,
    lstm_step,
)
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
    layer_of,
    make_inputs,
    make_params,
    make_spec,
)

pytestmark = pytest.mark.usefixtures("float64")

STACKS = [
    pytest.param({}, id="plain"),
    pytest.param({"bias": False, "num_layers": 3}, id="no_bias"),
    pytest.param({"num_layers": 2, "bidirectional": True, "proj_size": P}, id="all"),
]


def cell_params(seed: int = 0, *, bias: bool = True) -> dict[str, Any]:
    """Parameters of one cell, without the `_l0`."""
    params = make_params(make_spec(bias=bias), seed)
    return {name.removesuffix("_l0"): array for name, array in params.items()}


def row_state(seed: int = 1) -> Any:
    arrays: Any = (draw((B, H), seed), draw((B, H), seed + 1))
    return LSTMState(*map(jnp.asarray, arrays))


@pytest.mark.parametrize("stack", STACKS)
def test_a_module_from_parameters_is_lstm(stack: Any) -> None:
    params, xs, state = make_inputs(make_spec(**stack))
    module = LSTM.from_params(params)
    assert_equal(module(xs, state), lstm(params, xs, state))
    assert_equal(module(xs), lstm(params, xs))
    assert list(module.params()) == list(params)
    assert_equal(module.params(), cast(params, "float64"))


@pytest.mark.usefixtures("no_jaxtyping")
def test_a_modules_attributes_are_parameters_also_under_jit_and_grad() -> None:
    params, xs, state = make_inputs()
    module, rows = LSTM.from_params(params), jax.tree.map(lambda a: a[0], state)

    def run(params: Any) -> Any:
        return lstm(params, xs, state), lstm_step(layer_of(params), xs[0], rows)

    def of_module(module: Any) -> Any:
        return run({name: getattr(module, name) for name in params})

    def loss(out: Any) -> Any:
        return jnp.sum(out[0][0] ** 2) + jnp.sum(out[1].c)

    assert_equal(of_module(module), run(params))
    assert_near(jax.jit(of_module)(module), run(params))
    found = jax.grad(lambda module: loss(of_module(module)))(module)
    assert_near(found.params(), jax.grad(lambda params: loss(run(params)))(params))


def test_options_are_handed_on() -> None:
    params, xs, state = make_inputs(make_spec(num_layers=2))
    lengths, resets = np.array([7, 0, 3]), np.arange(T)[:, None] > np.array([2, 9, 4])
    module = LSTM.from_params(params, batch_first=True, dtype="float32", remat=3)
    options: Any = {"lengths": lengths, "resets": resets.T, "reset_state": state}
    first = xs.swapaxes(0, 1)
    expected = lstm(
        params, first, state, **options, batch_first=True, dtype="float32", remat=3
    )
    assert expected[0].dtype == "float32"
    assert_equal(module(first, state, **options), expected)


def test_a_new_module_has_the_parameters_of_init_params() -> None:
    sizes: Any = {"num_layers": 2, "bidirectional": True, "proj_size": P}
    module = LSTM(I, H, **sizes, rngs=nnx.Rngs(7))
    expected = init_params(nnx.Rngs(7).params(), I, H, **sizes)
    assert_equal(module.params(), expected)
    other = LSTM(I, H, **sizes, rngs=nnx.Rngs(8)).params()
    assert np.any(np.asarray(other["weight_hh_l0"] != expected["weight_hh_l0"]))


def test_positional_arguments_are_torchs(torch: Any) -> None:
    arguments = (I, H, 2, False, True, 0.25, True, P)
    ours = LSTM(*arguments, rngs=nnx.Rngs(0))
    theirs = torch.nn.LSTM(*arguments)
    state_dict = theirs.state_dict()
    assert {name: array.shape for name, array in ours.params().items()} == {
        name: tuple(array.shape) for name, array in state_dict.items()
    }
    assert list(ours.params()) == list(state_dict)
    names = "input_size hidden_size num_layers bias batch_first dropout bidirectional"
    for name in (*names.split(), "proj_size"):
        assert getattr(ours, name) == getattr(theirs, name), name


@pytest.mark.parametrize("param_dtype", ["bfloat16", "float16", "float64"])
def test_every_parameter_type_initialises(param_dtype: str) -> None:
    for module in (
        LSTM(I, H, 2, param_dtype=param_dtype, rngs=nnx.Rngs(0)),
        LSTMCell(I, H, param_dtype=param_dtype, rngs=nnx.Rngs(0)),
    ):
        assert {array.dtype.name for array in module.params().values()} == {param_dtype}
        state = (
            module.initial_state((B,))
            if isinstance(module, LSTM)
            else module.initialize_carry((B, I))
        )
        assert state.h.dtype == param_dtype
        assert state.c.dtype == jnp.promote_types(param_dtype, jnp.float32)


@pytest.mark.parametrize("kind", [LSTM, LSTMCell])
def test_loaded_parameters_replace_every_one_and_keep_their_types(kind: Any) -> None:
    old, new = cell_params(0), cast(cell_params(1), "bfloat16")
    if kind is LSTM:
        old, new = ({f"{k}_l0": v for k, v in params.items()} for params in (old, new))
    module = kind.from_params(old)
    before = dict(new)
    _ = module.load_params(new)
    assert_equal(module.params(), new)
    assert_equal(new, before)


def broken(params: dict[str, Any], how: str) -> dict[str, Any]:
    name = list(params)[-1]
    changed = dict(params)
    if how == "missing":
        del changed[name]
    if how == "unused":
        changed["fc.weight"] = changed[name]
    if how == "shape":
        changed[name] = changed[name][:-1]
    if how == "type":
        changed[name] = changed[name].astype(int)
    return changed


@pytest.mark.parametrize("how", ["missing", "unused", "shape", "type"])
@pytest.mark.parametrize("kind", [LSTM, LSTMCell])
def test_refused_parameters_replace_nothing(kind: Any, how: str) -> None:
    suffix = "_l0" if kind is LSTM else ""
    old, new = ({f"{k}{suffix}": v for k, v in cell_params(s).items()} for s in (0, 1))
    module = kind.from_params(old)
    with pytest.raises((ValueError, TypeError)):
        _ = module.load_params(broken(new, how))
    assert_equal(module.params(), cast(old, "float64"))


def test_steps_are_the_sequence() -> None:
    params, xs, state = make_inputs(make_spec(num_layers=2, proj_size=P))
    resets = np.arange(T)[:, None] == np.array([0, 3, 9])
    module = LSTM.from_params(params)
    expected, expected_after = module(xs, state, resets=resets)
    ys, after = [], state
    for x, reset in zip(xs, resets, strict=True):
        y, after = module.step(x, after, reset)
        ys.append(y)
    assert_near(jnp.stack(ys), expected)
    assert_near(after, expected_after)


def test_a_batch_first_module_steps_too() -> None:
    params, xs, state = make_inputs()
    module = LSTM.from_params(params, batch_first=True)
    assert_equal(module.step(xs[0], state), LSTM.from_params(params).step(xs[0], state))
    y, _ = module.step(xs[0, 0], module.initial_state())
    assert y.shape == (H,)


def test_the_initial_state_is_the_one_of_a_call_without() -> None:
    params, xs, _ = make_inputs(
        make_spec(num_layers=2, bidirectional=True, proj_size=P)
    )
    for dtype in (None, "bfloat16"):
        module = LSTM.from_params(params, dtype=dtype)
        zeros = module.initial_state((B,))
        assert_equal(module(xs, zeros), module(xs))
        assert not any(np.any(np.asarray(a)) for a in zeros)


@pytest.mark.usefixtures("no_jaxtyping")
def test_the_initial_state_has_sizes_of_any_integer_type_and_symbolic_ones() -> None:
    module = LSTM.from_params(make_params(make_spec()))
    sizes: Any = (np.int64(2), 0)
    assert module.initial_state(sizes).h.shape == (1, 2, 0, H)
    sizes = jax.export.symbolic_shape("rows")
    xs = jax.ShapeDtypeStruct((*sizes, I), "float64")
    state = jax.eval_shape(lambda xs: module.initial_state(xs.shape[:-1]), xs)
    assert state.h.shape == (1, *sizes, H)


def test_dropout_needs_a_key_or_rngs_unless_deterministic() -> None:
    params, xs, _ = make_inputs(make_spec(num_layers=2))
    module, key = LSTM.from_params(params, dropout=0.5), jax.random.key(3)
    dropped = lstm(params, xs, dropout=0.5, dropout_key=key)
    assert_equal(module(xs, rngs=key), dropped)
    assert_equal(module(xs, deterministic=True), lstm(params, xs))
    assert_equal(module(xs, deterministic=True, rngs=key), lstm(params, xs))
    expected = lstm(params, xs, dropout=0.5, dropout_key=nnx.Rngs(3).dropout())
    assert_equal(module(xs, rngs=nnx.Rngs(3)), expected)
    assert_equal(module(xs, rngs=nnx.Rngs(params=1, dropout=3)), expected)


def test_rngs_are_drawn_from_at_every_call_also_under_nnx_jit() -> None:
    params, xs, _ = make_inputs(make_spec(num_layers=2))
    module = LSTM.from_params(params, dropout=0.5)
    eager, jitted = nnx.Rngs(3), nnx.Rngs(3)

    @nnx.jit
    def run(module: LSTM, rngs: nnx.Rngs) -> Any:
        return module(xs, rngs=rngs)[0]

    first, second = (module(xs, rngs=eager)[0] for _ in range(2))
    assert np.any(np.asarray(first != second))
    assert_near([run(module, jitted), run(module, jitted)], [first, second])


def test_a_module_holds_parameters_and_nothing_else() -> None:
    module = LSTM(I, H, 2, dropout=0.5, rngs=nnx.Rngs(0))
    _, params, rest = nnx.split(module, nnx.Param, ...)
    assert set(params) == set(module.params())
    assert not rest


@pytest.mark.parametrize("bias", [True, False])
def test_a_cell_is_torchs(bias: bool, torch: Any) -> None:
    params, state, x = cell_params(bias=bias), row_state(), draw((B, I), 3)
    theirs = torch.nn.LSTMCell(I, H, bias=bias, dtype=torch.float64)
    result = theirs.load_state_dict({k: torch.tensor(v) for k, v in params.items()})
    assert list(result) == [[], []]
    cell = LSTMCell.from_params(params)
    assert list(cell.params()) == list(theirs.state_dict())
    expected = theirs(torch.tensor(x), tuple(torch.tensor(np.array(a)) for a in state))
    expected = LSTMState(*(jnp.asarray(a.detach().numpy()) for a in expected))
    assert_near(cell.step(x, state), expected)
    assert_near(cell(state, x), (expected, expected.h))
    zeros = jax.tree.map(jnp.zeros_like, state)
    assert_near(cell.step(x), cell.step(x, zeros))
    assert_near(cell.step(x[0]), jax.tree.map(lambda a: a[0], cell.step(x)))


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_cell_runs_in_nnx_rnn(time_major: bool, reverse: bool) -> None:
    params, xs = cell_params(), draw((T, B, I), 4)
    cell = LSTMCell.from_params(params)
    layer = {f"{name}_l0": array for name, array in params.items()}
    ys, after = lstm(layer, xs[::-1] if reverse else xs)
    rnn = nnx.RNN(cell, time_major=time_major, reverse=reverse, return_carry=True)
    result: Any = rnn(jnp.asarray(xs if time_major else xs.swapaxes(0, 1)))
    carry, found = result
    assert isinstance(carry, LSTMState)
    assert_near(found if time_major else found.swapaxes(0, 1), ys)
    assert_near(carry, jax.tree.map(lambda a: a[0], after))


def test_nnx_rnn_takes_a_carry_and_lengths() -> None:
    params, xs, state = make_inputs()
    cell = LSTMCell.from_params(cell_params())
    first = LSTMState(jnp.asarray(state.h[0]), jnp.asarray(state.c[0]))
    carry, ys = nnx.RNN(cell, time_major=True, return_carry=True)(
        jnp.asarray(xs), initial_carry=first, seq_lengths=jnp.array([7, 1, 3])
    )
    expected, after = lstm(params, xs, state, lengths=np.array([7, 1, 3]))
    assert_near(ys[:1], expected[:1])
    assert_near(carry, jax.tree.map(lambda a: a[0], after))


def test_two_cells_run_in_nnx_bidirectional() -> None:
    forward, reverse = cell_params(0), cell_params(1)
    rnns = [nnx.RNN(LSTMCell.from_params(p)) for p in (forward, reverse)]
    xs = jnp.asarray(draw((B, T, I), 4))
    carries, ys = nnx.Bidirectional(*rnns, return_carry=True)(xs)
    both = {f"{name}_l0": array for name, array in forward.items()}
    both |= {f"{name}_l0_reverse": array for name, array in reverse.items()}
    expected, after = lstm(both, xs, batch_first=True)
    assert_near(ys, expected)
    for direction, carry in enumerate(carries):
        assert_near(carry, jax.tree.map(lambda a, d=direction: a[d], after))


def test_gradients_pass_through_nnx_rnn() -> None:
    params, xs, _ = make_inputs()
    cell = LSTMCell.from_params(cell_params())

    def loss(cell: LSTMCell) -> Any:
        ys: Any = nnx.RNN(cell, time_major=True)(jnp.asarray(xs))
        return jnp.sum(ys**2)

    found = nnx.grad(loss)(cell)
    expected = jax.grad(lambda p: jnp.sum(lstm(p, xs)[0] ** 2))(params)
    assert_near({f"{k}_l0": found[k].get_value() for k in cell.params()}, expected)


def test_an_optimizer_trains_a_module() -> None:
    import optax

    module = LSTM(I, H, 2, dropout=0.5, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(module, optax.adam(1e-2), wrt=nnx.Param)
    xs = draw((T, B, I)).astype("float32")

    @nnx.jit
    def train(module: LSTM, optimizer: nnx.Optimizer, key: Any) -> Any:
        def loss(module: LSTM) -> Any:
            return jnp.mean((module(xs, rngs=key)[0] - 0.3) ** 2)

        value, gradients = nnx.value_and_grad(loss)(module)
        _ = optimizer.update(module, gradients)
        return value

    before = module.params()
    keys = jax.random.split(jax.random.key(0), 20)
    losses = [float(train(module, optimizer, key)) for key in keys]
    assert losses[-1] < losses[0]
    for name, array in module.params().items():
        assert np.any(np.asarray(array != before[name])), name
