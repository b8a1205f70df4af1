"""`convert`: every format into every other, bit for bit, and what it refuses."""

import os
import tracemalloc
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch
from flax import nnx, serialization

import lstm_jax
import parity
from parity.__main__ import main
from parity.files import formats
from parity.files.read import read
from tests.given.larger_model import TENSORS, Model
from tests.parity.frameworks.test_convert import assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
SUFFIXES = {name: row.suffixes[0] for name, row in formats.written().items()}


@pytest.fixture
def source(tmp_path):
    """A larger model, in a directory of its own."""
    path = tmp_path / "source" / "model.pt"
    path.parent.mkdir()
    torch.save({"net": Model().state_dict(), "step": torch.tensor(3)}, path)
    return path


def run(*arguments):
    """The exit code."""
    return main(["convert", *map(str, arguments)])


@pytest.mark.parametrize("first", SUFFIXES)
@pytest.mark.parametrize("second", SUFFIXES)
def test_there_and_back_again(first, second, tmp_path, capsys):
    start = tmp_path / "start.safetensors"
    parity.write_tensors(TENSORS, start)
    one, two = (tmp_path / f"{n}{SUFFIXES[f]}" for n, f in enumerate((first, second)))
    assert run(start, one) == 0
    assert run(one, two, "--from", first) == 0
    found = dict(sorted(read(two).tensors.items()))
    assert_same_bits(found, dict(sorted(TENSORS.items())))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        {start.name, one.name, two.name}
    )
    assert f"wrote {two}: {second}, 20 tensors, " in capsys.readouterr().out


def test_every_writer_has_a_suffix_of_its_own():
    rows = formats.written().values()
    suffixes = [suffix for row in rows for suffix in row.suffixes]
    assert all(row.suffixes for row in rows)
    assert len(suffixes) == len(set(suffixes)) == len(formats.written_by_suffix()) > 5


@pytest.mark.parametrize("to", ["torch", "safetensors", "msgpack"])
def test_the_rest_is_kept_as_it_is(to, tmp_path):
    names = ["float64", "bfloat16", "float8_e4m3fn", "int64", "bool", "complex64"]
    rest = {f"rest.{n}": torch.arange(6).to(getattr(torch, n)) for n in names}
    rest |= {"scalar": torch.tensor(2.5), "none": torch.ones(0, 3)}
    source, target = tmp_path / "a.pt", tmp_path / "b"
    torch.save(TENSORS | rest, source)
    assert run(source, target, "--to", to, "--keep-rest", "--dtype", "float16") == 0
    before, after = read(source).tensors, read(target).tensors
    assert before.keys() == after.keys() == TENSORS.keys() | rest.keys()
    for name in before:
        if name in TENSORS:
            assert after[name].dtype == np.float16
        else:
            assert after[name].dtype == before[name].dtype
            assert after[name].tobytes() == before[name].tobytes()


def test_without_the_rest_the_lstms_keep_their_names(source, tmp_path):
    assert run(source, tmp_path / "b.npz") == 0
    prefixes = {name.rpartition(".")[0] for name in read(tmp_path / "b.npz").tensors}
    assert prefixes == {"net.lstm", "net.model.cell"}


def test_a_prefix_gives_the_lstm_its_short_names(source, tmp_path):
    path = tmp_path / "b.pt"
    assert run(source, path, "--prefix", "net.lstm") == 0
    module = torch.nn.LSTM(5, 4)
    found = torch.load(path, weights_only=True)
    keys = module.load_state_dict(found)
    assert not keys.missing_keys


def test_a_prefix_beside_the_rest_says_what_is_cast(source, tmp_path):
    path = tmp_path / "b.pt"
    how = ["--prefix", "net.lstm", "--keep-rest", "--dtype", "float16"]
    assert run(source, path, *how) == 0
    before, after = read(source).tensors, read(path).tensors
    assert list(after) == list(before)
    changed = {n for n in after if after[n].dtype != before[n].dtype}
    assert changed == {n for n in after if n.startswith("net.lstm.")}


def test_a_suffix_may_be_in_capitals(source, tmp_path):
    path = tmp_path / "B.SAFETENSORS"
    assert run(source, path) == 0
    assert parity.find_lstms(path)[0].prefix == "net.lstm."
    parity.write_tensors({"x": np.ones(2)}, path)
    assert list(read(path).tensors) == ["x"]


def test_a_cell_keeps_the_names_of_a_cell(source, tmp_path):
    path = tmp_path / "b.safetensors"
    assert run(source, path, "--prefix", "net.model.cell.") == 0
    assert sorted(read(path).tensors) == [
        "bias_hh",
        "bias_ih",
        "weight_hh",
        "weight_ih",
    ]


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_a_type_is_cast_as_torch_casts_it(dtype, source, tmp_path):
    path = tmp_path / "b.pt"
    assert run(source, path, "--dtype", dtype, "--prefix", "net.lstm") == 0
    theirs = torch.load(source, weights_only=True)["net"]
    cast = torch.load(path, weights_only=True)
    assert sorted(cast) == sorted(torch.nn.LSTM(1, 1).state_dict())
    for name, found in cast.items():
        assert torch.equal(found, theirs[f"lstm.{name}"].to(getattr(torch, dtype)))


def test_msgpack_is_what_flax_restores_into_our_modules(source, tmp_path):
    path = tmp_path / "b.msgpack"
    assert run(source, path, "--prefix", "net.lstm") == 0
    params: Any = serialization.msgpack_restore(path.read_bytes())
    assert_runs_as_torch(params, source)
    model = lstm_jax.LSTM(5, 4, rngs=nnx.Rngs(0))
    state = nnx.state(model)
    nnx.replace_by_pure_dict(state, jax.tree.map(jnp.asarray, params))
    nnx.update(model, state)
    assert_same_bits(model.params(), params)


def test_orbax_is_what_flax_restores_into_our_modules(source, tmp_path):
    import orbax.checkpoint as ocp

    path = tmp_path / "b.orbax"
    assert run(source, path, "--prefix", "net.lstm") == 0
    model = lstm_jax.LSTM(5, 4, rngs=nnx.Rngs(0))
    with ocp.StandardCheckpointer() as checkpointer:
        params = checkpointer.restore(path, nnx.to_pure_dict(nnx.state(model)))
    assert_runs_as_torch(params, source)


def assert_runs_as_torch(params, source):
    """The restored tree is the parameters of both of our modules."""
    from lstm_jax import linen

    found = parity.find_lstms(parity.read_tensors(source), "net.lstm")[0]
    assert_same_bits(dict(sorted(params.items())), dict(sorted(found.params.items())))
    xs = np.ones((7, 3, 5), np.float32)
    ys, _ = lstm_jax.LSTM.from_params(params)(xs)
    again, _ = linen.LSTM.from_params(params).apply({"params": params}, xs)
    np.testing.assert_array_equal(ys, again)


def test_a_checkpoint_of_an_nnx_state_is_read(tmp_path):
    import orbax.checkpoint as ocp

    model = lstm_jax.LSTM(5, 4, rngs=nnx.Rngs(0))
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "state", {"encoder": nnx.state(model)})
    (found,) = parity.find_lstms(read(tmp_path / "state").tensors)
    assert found.prefix == "encoder."
    assert_same_bits(dict(found.params), dict(sorted(model.params().items())))


def test_force_replaces_even_the_source(source):
    before = read(source).tensors["net.lstm.weight_ih_l0"].copy()
    link = source.with_name("link.pt")
    link.symlink_to(source)
    assert run(source, link, "--prefix", "net.lstm", "--force") == 0
    assert link.is_symlink()
    np.testing.assert_array_equal(read(source).tensors["weight_ih_l0"], before)
    assert sorted(one.name for one in source.parent.iterdir()) == [
        "link.pt",
        "model.pt",
    ]


def test_force_replaces_an_orbax_checkpoint_and_nothing_else(source, tmp_path, capsys):
    path = tmp_path / "b.orbax"
    for _ in range(2):
        assert run(source, path, "--force") == 0
    precious = tmp_path / "c.orbax"
    precious.mkdir()
    _ = (precious / "thesis.txt").write_text("x")
    _ = capsys.readouterr()
    assert run(source, precious, "--force") == 2
    assert capsys.readouterr().err == (
        f"python -m parity: convert: {precious} must be an Orbax checkpoint: --force "
        "replaces one, and no other directory or file. Remove it first, or give "
        "another name.\n"
    )
    assert [one.name for one in precious.iterdir()] == ["thesis.txt"]


def with_writer(name, write):
    """The table with another writer for a format."""
    row = formats.written()[name]
    changed = replace(row, write=write)
    return tuple(changed if one is row else one for one in formats.FORMATS)


def test_what_is_read_back_must_be_what_was_written(
    source, tmp_path, monkeypatch, capsys
):
    path = tmp_path / "b.safetensors"
    honest = formats.written()["safetensors"].write

    def flips_a_bit(tensors, path, done):
        honest(tensors, path, done)
        whole = bytearray(path.read_bytes())
        whole[-1] ^= 1
        _ = path.write_bytes(whole)

    monkeypatch.setattr(formats, "FORMATS", with_writer("safetensors", flips_a_bit))
    assert run(source, path) == 1
    assert capsys.readouterr().err == (
        "python -m parity: convert: net.model.cell.weight_ih was not read back as it "
        "was "
        f"written, so {path} was not made. Is the disk whole?\n"
    )
    assert [one.name for one in tmp_path.iterdir()] == ["source"]


def test_a_write_that_fails_leaves_nothing_behind(
    source, tmp_path, monkeypatch, capsys
):
    def full(tensors, path, done):
        _ = path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(formats, "FORMATS", with_writer("npz", full))
    assert run(source, tmp_path / "b.npz") == 2
    assert capsys.readouterr().err == (
        "python -m parity: the disk: no space left on device, says the system. Check "
        "the "
        "path, the rights and the room on the disk.\n"
    )
    assert [one.name for one in tmp_path.iterdir()] == ["source"]


def same_file(source, kind):
    """Another name of the file."""
    if kind == "relative":
        return os.path.relpath(source)
    other = source.with_name(f"{kind}.pt")
    _ = os.link(source, other) if kind == "hard" else other.symlink_to(source)
    return other


@pytest.mark.parametrize("kind", ["relative", "hard", "soft"])
def test_the_source_is_not_replaced_under_any_name(kind, source, capsys):
    before, other = source.read_bytes(), same_file(source, kind)
    assert run(source, other) == 2
    assert capsys.readouterr().err == (
        f"python -m parity: convert: {other} must not be the source {source}: it "
        "would be "
        "replaced. Give another name, or --force.\n"
    )
    assert source.read_bytes() == before


def test_a_part_of_a_source_in_several_files_is_not_replaced(tmp_path, capsys):
    part, index = tmp_path / "part.safetensors", tmp_path / "model.index.json"
    parity.write_tensors(TENSORS, part)
    places = ", ".join(f'"{name}": "part.safetensors"' for name in TENSORS)
    _ = index.write_text(f'{{"weight_map": {{{places}}}}}')
    assert run(index, part) == 2
    assert capsys.readouterr().err == (
        f"python -m parity: convert: {part} must not exist: it would be replaced. Give "
        "another name, or --force.\n"
    )


LARGE = ["inspect {src}"]
LARGE += [f"convert {{src}} {{tmp}}/b.{suffix}" for suffix in ("safetensors", "npz")]
LARGE += ["convert {src} {tmp}/b.safetensors --dtype bfloat16"]


@pytest.mark.parametrize("arguments", LARGE)
def test_a_large_file_is_never_in_memory_at_once(arguments, tmp_path):
    source = tmp_path / "a.safetensors"
    matrix = np.zeros((4096, 1024), np.float32)  # 16 MiB, 8 of which are written
    kinds = ("weight_ih", "weight_hh")
    tensors = {f"{kind}_l{layer}": matrix for layer in range(4) for kind in kinds}
    parity.write_tensors(tensors, source)
    tracemalloc.start()
    code = main(arguments.format(src=source, tmp=tmp_path).split())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert code == 0
    assert most < 2.5 * matrix.nbytes


def test_values_that_are_not_finite_are_carried(tmp_path):
    tensors = {n: a.clone() for n, a in torch.nn.LSTM(3, 2).state_dict().items()}
    tensors["bias_ih_l0"][:2] = torch.tensor([torch.nan, torch.inf])
    parity.write_tensors(tensors, tmp_path / "a.safetensors")
    assert run(tmp_path / "a.safetensors", tmp_path / "b.pt", "--dtype", "float16") == 0
    found = read(tmp_path / "b.pt").tensors["bias_ih_l0"]
    assert np.isnan(found[0])
    assert np.isinf(found[1])


def test_jax_parameters_of_bfloat16_are_npz_only_as_float32(tmp_path):
    params = lstm_jax.init_params(jax.random.key(0), 3, 2, dtype="bfloat16")
    parity.write_tensors(params, tmp_path / "a.safetensors")
    assert (
        run(tmp_path / "a.safetensors", tmp_path / "b.npz", "--dtype", "float32") == 0
    )
    with np.load(tmp_path / "b.npz") as found:
        for name, array in params.items():
            np.testing.assert_array_equal(found[name].astype(ml_dtypes.bfloat16), array)
