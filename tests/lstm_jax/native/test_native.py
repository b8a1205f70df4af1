"""The kernel of a CPU: where it runs, where XLA's program does, its derivatives."""

import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec as Spec

import lstm_jax
from lstm_jax.native import library

COMPILER = any(map(shutil.which, ("g++", "c++", "clang++")))
pytestmark = pytest.mark.skipif(not COMPILER, reason="no C++ compiler")
CALLS = "lstm_jax_forward", "lstm_jax_backward"
native = partial(lstm_jax.lstm, backend="native")
auto = partial(lstm_jax.lstm, backend="auto")
xla = partial(lstm_jax.lstm, backend="xla")


def test_the_library_was_compiled_and_is_called_here() -> None:
    assert library.missing() is None
    assert library.kernel() in ("avx512", "avx2", "neon")


def drawn(steps: int = 7, rows: int = 5, units: int = 20, **sizes: Any) -> Any:
    params = lstm_jax.init_params(jax.random.key(0), 3, units, **sizes)
    return params, jax.random.normal(jax.random.key(1), (steps, rows, 3))


def loss(lstm: Any, params: Any, xs: Any, **options: Any) -> Any:
    ys, (h, c) = lstm(params, xs, **options)
    return jnp.sum(ys**2) + jnp.sum(jnp.sin(h[..., :1]) * c)


def assert_near(found: Any, expected: Any, roundings: float = 64) -> None:
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        limit = (
            roundings
            * float(np.finfo(np.float32).eps)
            * max(1e-3, float(np.abs(b).max()))
        )
        np.testing.assert_allclose(a, b, rtol=0, atol=limit)


def gradient(lstm: Any, **options: Any) -> Any:
    return jax.jit(jax.grad(partial(loss, lstm, **options), (0, 1)))


# H beyond a panel and not a multiple; blocks of six rows and a rest; one row; chunks,
# and of several panels, one of which may be ahead of the others by a chunk.
@pytest.mark.parametrize(
    ("sizes", "steps", "rows"),
    [
        ({"units": 33, "bidirectional": True}, 9, 7),
        ({"units": 48, "proj_size": 20, "num_layers": 2}, 5, 13),
        ({"units": 16}, 130, 1),
        ({"units": 70}, 130, 3),
    ],
)
def test_gradients_are_those_of_xla(sizes: Any, steps: int, rows: int) -> None:
    arrays = drawn(steps, rows, **sizes)
    assert_near(gradient(native)(*arrays), gradient(xla)(*arrays))


@pytest.mark.parametrize(
    "options", [{"remat": 3}, {"truncate": 3}, {"truncate": 4, "remat": 2}], ids=str
)
def test_remat_and_truncate_are_those_of_xla(options: Any) -> None:
    found, expected = (gradient(run, **options)(*drawn(8)) for run in (native, xla))
    assert_near(found, expected)


def test_lengths_of_0_and_resets_to_a_learnt_state_are_those_of_xla() -> None:
    params, xs = drawn()
    fresh = tuple(jax.random.normal(jax.random.key(k), (1, 5, 20)) for k in (2, 3))
    masks = {
        "lengths": jnp.array([0, 7, 3, 1, 7]),
        "resets": jax.random.bernoulli(jax.random.key(4), 0.3, (7, 5)),
    }

    def of(lstm: Any) -> Any:
        def of_fresh(params: Any, xs: Any, fresh: Any) -> Any:
            return loss(lstm, params, xs, reset_state=fresh, **masks)

        return jax.jit(jax.grad(of_fresh, (0, 1, 2)))(params, xs, fresh)

    assert_near(of(native), of(xla))


def test_gates_and_cells_end_where_they_saturate() -> None:
    """Where the kernel's own exp and tanh end, at infinity, and of NaN."""
    ends = [0.0, 1e-30, 1e-3, 7.9, 8.0, 17.4, 87.3, 88.0, 88.1, 104.0, 1e30, np.inf]
    sums = np.array([*ends, *np.negative(ends), np.nan], np.float32)
    ones, zeros = jnp.ones((32, 1)), jnp.zeros((32, 8))
    params = {"weight_ih_l0": ones, "weight_hh_l0": zeros}
    xs = jnp.broadcast_to(sums[:, None], (3, len(sums), 1))
    ys, _ = native(params, xs)
    with np.errstate(over="ignore"):
        gate, c = 1 / (1 + np.exp(-sums.astype(float))), np.zeros(len(sums))
    for y in ys:
        c = gate * c + gate * np.tanh(sums.astype(float))
        exact = np.broadcast_to((gate * np.tanh(c))[:, None], y.shape)
        np.testing.assert_allclose(y, exact, rtol=1e-6, atol=1e-37)


def second_derivatives(lstm: Any) -> dict[str, Any]:
    params, xs = drawn(4, 2, 3)
    along = jax.tree.map(jnp.ones_like, params)
    of_params = partial(loss, lstm, xs=xs)
    slope = jax.grad(of_params)
    return {
        "forward": jax.jvp(of_params, (params,), (along,)),
        "forward over reverse": jax.jvp(slope, (params,), (along,))[1],
        "reverse over reverse": jax.grad(
            lambda p: jax.tree.reduce(
                jnp.add, jax.tree.map(lambda a: jnp.sum(a**2), slope(p))
            )
        )(params),
        "reverse over forward": jax.grad(
            lambda p: jax.jvp(of_params, (p,), (along,))[1]
        )(params),
        "per row": jax.vmap(slope_of_row(lstm), (None, 1))(params, xs),
    }


def slope_of_row(lstm: Any) -> Any:
    return jax.grad(partial(loss, lstm))


def test_derivatives_of_derivatives_are_those_of_xla() -> None:
    found, expected = second_derivatives(native), second_derivatives(xla)
    for name, one in found.items():
        assert_near(one, expected[name], 512)


def text(run: Any, *arrays: Any) -> str:
    return jax.jit(run).lower(*arrays).compile().as_text() or ""


def calls(program: str) -> list[bool]:
    return [name in program for name in CALLS]


def test_one_device_calls_the_kernel_forward_and_backward() -> None:
    params, xs = drawn()
    assert calls(text(native, params, xs)) == [True, False]
    assert calls(text(gradient(native), params, xs)) == [True, True]
    assert calls(text(gradient(xla), params, xs)) == [False, False]


@pytest.mark.parametrize(
    ("steps", "rows", "units", "native_runs"),
    [(1, 1, 64, False), (1, 1, 256, True), (1, 64, 64, True), (2, 1, 64, True)],
)
def test_auto_leaves_a_single_small_step_to_xla(
    steps: int, rows: int, units: int, native_runs: bool
) -> None:
    arrays = drawn(steps, rows, units)
    assert calls(text(auto, *arrays)) == [native_runs, False]
    assert calls(text(gradient(auto), *arrays)) == [native_runs] * 2
    assert calls(text(native, *arrays)) == [True, False]


def test_vmap_is_the_xla_program() -> None:
    params, xs = drawn()
    program = text(jax.vmap(gradient(native), (None, 2)), params, xs[:, :, None, :])
    assert calls(program) == [False, False]


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_a_batch_that_jit_divides_is_never_gathered(kind: AxisType) -> None:
    mesh = jax.make_mesh((2,), ("data",), axis_types=(kind,))
    params, xs = drawn(rows=8)
    divided = jax.device_put(xs, NamedSharding(mesh, Spec(None, "data")))
    params = jax.device_put(params, NamedSharding(mesh, Spec()))
    with jax.set_mesh(mesh):
        program = text(gradient(auto), params, divided)
        assert "all-gather" not in program
        assert calls(program) == [False, False]
        found = gradient(auto)(params, divided)
    assert_near(found, gradient(xla)(*drawn(rows=8)))


def test_shard_map_calls_the_kernel_for_each_part() -> None:
    mesh = jax.make_mesh((2,), ("data",))
    rows, whole = Spec(None, "data"), Spec()
    params, xs = drawn(rows=8)
    placed = [
        jax.device_put(a, NamedSharding(mesh, spec))
        for a, spec in ((params, whole), (xs, rows))
    ]
    parts = jax.shard_map(native, mesh=mesh, in_specs=(whole, rows), out_specs=rows)
    program = text(gradient(parts), *placed)
    assert calls(program) == [True, True]
    assert "all-gather" not in program
    assert_near(gradient(parts)(*placed), gradient(xla)(params, xs))


def test_an_exported_program_is_of_xla_alone() -> None:
    params, xs = drawn()
    exported = jax.export.export(jax.jit(auto))(params, xs)
    assert not any(name in exported.mlir_module() for name in CALLS)
    assert_near(exported.call(params, xs), xla(params, xs))


def test_asked_for_by_name_it_is_never_replaced() -> None:
    params, xs = drawn(rows=8)
    with pytest.raises(NotImplementedError, match="here: an exported program must run"):
        _ = jax.export.export(jax.jit(native))(params, xs)
    mesh = jax.make_mesh((2,), ("data",))
    divided = jax.device_put(xs, NamedSharding(mesh, Spec(None, "data")))
    params = jax.device_put(params, NamedSharding(mesh, Spec()))
    with pytest.raises(
        NotImplementedError, match=r"use jax.shard_map\. Use backend='auto'"
    ):
        _ = jax.jit(native)(params, divided)


def test_another_shape_is_refused_before_a_pointer_is_used() -> None:
    shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in ((2, 3, 4), (3, 4))]
    shapes += [jax.ShapeDtypeStruct((0,), jnp.float32)] * 5
    call = jax.ffi.ffi_call("lstm_jax_forward", shapes)
    good = [(2, 3, 5), (16, 5), (16, 4), (16,), (0,), (3, 4), (3, 4)]
    masks = [jnp.zeros(0, bool)] * 2 + [jnp.zeros(0)] * 2
    _ = call(*map(jnp.zeros, good), *masks, reverse=False)
    wrong = [(2, 3, 0), (16, 6), (15, 4), (17,), (4, 5), (3, 5), (2, 4)]
    for place, shape in enumerate(wrong):
        arrays = [jnp.zeros(shape if k == place else s) for k, s in enumerate(good)]
        with pytest.raises(jax.errors.JaxRuntimeError, match="has another shape"):
            _ = jax.block_until_ready(call(*arrays, *masks, reverse=False))


def test_it_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = lstm_jax.LSTMSpec(input_size=3, hidden_size=4)
    monkeypatch.setenv("LSTM_JAX_NATIVE", "0")
    lines = lstm_jax.backends.explain(spec).splitlines()
    assert "native: no, LSTM_JAX_NATIVE=0 turns it off." in lines
    with pytest.raises(NotImplementedError, match="LSTM_JAX_NATIVE=0 turns it off"):
        _ = native(*drawn())


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "it was installed from a source tree"),
        ({"not_compiled.txt": "there was no C++ compiler.\n"}, "there was no C"),
    ],
)
def test_why_there_is_no_library_is_said(
    files: dict[str, str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, said in files.items():
        _ = (tmp_path / name).write_text(said, encoding="utf-8")
    monkeypatch.setattr(library, "FILE", tmp_path / "kernel.so")
    monkeypatch.setattr(library, "REASON", tmp_path / "not_compiled.txt")
    library._registered.cache_clear()  # pyright: ignore[reportPrivateUsage]
    try:
        said = library.missing()
    finally:
        library._registered.cache_clear()  # pyright: ignore[reportPrivateUsage]
    assert said is not None
    assert said.startswith("it was not compiled when lstm-jax was installed (" + reason)


def test_a_library_of_a_newer_interface_is_not_registered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(library, "_interface", lambda: (0, 2))
    library._registered.cache_clear()  # pyright: ignore[reportPrivateUsage]
    try:
        assert "compiled for another jaxlib" in (library.missing() or "")
    finally:
        library._registered.cache_clear()  # pyright: ignore[reportPrivateUsage]


# In a process of its own: a thread that waits for ever would hold up the tests.
@pytest.mark.slow
def test_many_calls_at_once_and_busy_cores_never_hang() -> None:
    code = """
import threading, jax, lstm_jax
params = lstm_jax.init_params(jax.random.key(0), 32, 64)
xs = jax.random.normal(jax.random.key(1), (50, 16, 32))
run = jax.jit(jax.grad(lambda p: lstm_jax.lstm(p, xs, backend="native")[0].sum()))
first = jax.block_until_ready(run(params))
def calls():
    for _ in range(50):
        again = jax.block_until_ready(run(params))
        assert all((again[k] == first[k]).all() for k in first)
threads = [threading.Thread(target=calls) for _ in range(4)]
[one.start() for one in threads]
[one.join() for one in threads]
print("done")
"""
    spin = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(spin) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
    finally:
        for one in busy:
            one.kill()
            _ = one.wait()
    assert done.stdout == "done\n", done.stderr
