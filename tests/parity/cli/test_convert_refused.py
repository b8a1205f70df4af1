"""`convert`: each bad use is one sentence, exit code 2, and nothing is written."""

import numpy as np
import pytest
import torch

from parity.convert.meaning import written, written_by_suffix
from tests.parity.cli.test_convert_files import run, source

__all__ = ["source"]

BAD = {
    "{src} {tmp}/b.txt": (
        "convert: the suffix of {tmp}/b.txt must be one of {suffixes}: it tells the "
        "format. Use another, or --to with {targets}."
    ),
    "{src} {tmp}/no/b.npz": (
        "convert: {tmp}/no must be a directory: b.npz is to be written there. Make it "
        "first, or give another place."
    ),
    "{src} {tmp}/old.npz": (
        "convert: {tmp}/old.npz must not exist: it would be replaced. Give another "
        "name, or --force."
    ),
    "{src} {tmp} --to npz --force": (
        "convert: {tmp} must be a file: it is a directory or a device. Give another "
        "name."
    ),
    "{tmp}/none.pt {tmp}/b.npz": (
        "{tmp}/none.pt: there is no such file. Check the path; quote it if it has "
        "spaces."
    ),
    "{src} {tmp}/b.npz --from npz": (
        "convert: --from npz must be what {src} is: its bytes are torch. Leave --from "
        "out."
    ),
    "{src} {tmp}/b.npz --prefix gru": (
        "convert: {src} must hold an LSTM at prefix 'gru': its LSTMs are at "
        "'net.lstm.', 'net.model.cell.'. Give one of these prefixes."
    ),
    "{src} {tmp}/b.npz --dtype bfloat16": (
        "convert: 'net.lstm.weight_ih_l0' must be of a type of NumPy, not bfloat16: "
        "npz would lose it. Use --to safetensors, or --dtype float32."
    ),
    "{large} {tmp}/b.npz --dtype float16": (
        "convert: 'weight_ih_l0' must fit float16: 1 of its values are too large. Use "
        "--dtype bfloat16 or float32."
    ),
    "{sparse} {tmp}/b.npz --keep-rest": (
        "convert: --keep-rest must carry all tensors: x is a sparse tensor, which is "
        "not read. Leave --keep-rest out."
    ),
    "{cut} {tmp}/b.npz": (
        "convert: LSTM at '': missing 'bias_hh_l0'. Give the keys of one "
        "torch.nn.LSTM, no more and no less."
    ),
    "{both} {tmp}/b.msgpack --keep-rest": (
        "convert: 'x.y' must not be both a tensor and the start of other names: a tree "
        "holds only one of them there. Use --to safetensors."
    ),
    "{empty} {tmp}/b.orbax --keep-rest": (
        "convert: 'x' must not be empty: Orbax does not save it. Use --to msgpack."
    ),
    "{twice} {tmp}/b.npz --prefix lstm": (
        "convert: --prefix lstm must be of one LSTM: there are '_orig_mod.lstm.', "
        "'module.lstm.'. Give one of these."
    ),
    "{src} {tmp}/b.npz --no-optimizer": (
        "convert: --no-optimizer must come with --keep-rest: without it, only LSTMs "
        "are written. Leave it out."
    ),
    "{src} {tmp}/b.npz --strip net --prefix net.lstm": (
        "convert: --strip must not come with --prefix: the LSTM there has short names "
        "already. Leave one of them out."
    ),
    "{src} {tmp}/b.npz --strip net.gru": (
        "convert: --strip net.gru must be the start of names, before a dot: there are "
        "'net.', 'net.lstm.', 'net.model.', 'net.model.cell.'. Give one of these."
    ),
    "{src} {tmp}/b.npz --keep-rest --prefix net.lstm": (
        "convert: --prefix must not come with --keep-rest, but to say what --dtype "
        "casts: all tensors are written, under full names. Leave one of them out, or "
        "use --strip."
    ),
    "{src} - --to npz": (
        "convert: DST must be a path, not -: what is written is read back, and the "
        "screen cannot be. Use ./- for a file of this name."
    ),
    "{complex} {tmp}/b.safetensors --dtype float32": (
        "convert: --dtype float32 must be asked of weights of a floating type: "
        "bias_hh_l0 is complex64. Leave --dtype out to write it as it is."
    ),
    "{integers} {tmp}/b.safetensors --dtype float32": (
        "convert: --dtype float32 must be asked of weights of a floating type: "
        "bias_hh_l0 is int32. Leave --dtype out to write it as it is."
    ),
    "{unread} {tmp}/b.safetensors": (
        "convert: {unread} must hold plain tensors: none of its tensors can be read "
        "here, weight_ih_l0 is a sparse tensor. Save plain ones: to_dense() of a "
        "sparse one, dequantize() of a quantised one."
    ),
    "{texts} {tmp}/b.safetensors --keep-rest": (
        "'__metadata__' must not be the name of a tensor: safetensors keeps its texts "
        "there. Rename it first, or write another format."
    ),
    "{dots} {tmp}/b.orbax --keep-rest": (
        "convert: 'a..b.' must be names between dots, without /: Orbax makes a place "
        "on the disk of each. Use --to safetensors."
    ),
    "{slash} {tmp}/b.orbax --keep-rest": (
        "convert: 'a/b' must be names between dots, without /: Orbax makes a place on "
        "the disk of each. Use --to safetensors."
    ),
    "{dot} {tmp}/b.msgpack --keep-rest": (
        "convert: '.' must not start with a dot: a tree has no name before it. Use "
        "--to safetensors."
    ),
    "{parametrized} {tmp}/b.npz --keep-rest --prefix a --dtype float32": (
        "convert: 'b.weight_hh_l0' is stored under a parametrization, such as "
        "orthogonal, whose function is not among the weights. Call torch.nn.utils."
        "parametrize.remove_parametrizations(module, 'b.weight_hh_l0'), and save it "
        "again."
    ),
    "{climbs} {tmp}/b.npz": (
        "convert: '../x/weight_ih_l0' must be a name within an archive: npz is one. "
        "Use --to safetensors, or --prefix."
    ),
}


TARGETS = {
    "suffixes": ", ".join(written_by_suffix()),
    "targets": ", ".join(written()),
}


def files_of(tmp_path):
    """The files that a bad use needs, by name."""
    lstm = torch.nn.LSTM(3, 2).state_dict()
    large = {n: torch.full_like(a, 2.0) for n, a in lstm.items()}
    large["weight_ih_l0"][0, 0] = 1e6
    wrapped = {
        f"{w}.lstm.{n}": a for w in ("module", "_orig_mod") for n, a in lstm.items()
    }
    held = {
        "large": large,
        "sparse": lstm | {"x": torch.eye(2).to_sparse()},
        "cut": {n: a for n, a in lstm.items() if n != "bias_hh_l0"},
        "both": lstm | {"x": torch.ones(1), "x.y": torch.ones(1)},
        "empty": lstm | {"x": torch.ones(0)},
        "twice": wrapped,
        "parametrized": {f"a.{n}": a for n, a in lstm.items()}
        | {"b.parametrizations.weight_hh_l0.original": lstm["weight_hh_l0"]},
        "complex": {n: a.to(torch.complex64) for n, a in lstm.items()},
        "integers": {n: a.to(torch.int32) for n, a in lstm.items()},
        "unread": {n: a.to_sparse() for n, a in lstm.items()},
        "texts": lstm | {"__metadata__": torch.ones(2)},
        "dots": lstm | {"a..b.": torch.ones(2)},
        "slash": lstm | {"a/b": torch.ones(2)},
        "dot": lstm | {".": torch.ones(2)},
        "climbs": {f"../x/{n}": a for n, a in lstm.items()},
    }
    for name, tensors in held.items():
        torch.save(tensors, tmp_path / f"{name}.pt")
    np.savez(tmp_path / "old.npz", x=np.ones(1))
    return {name: tmp_path / f"{name}.pt" for name in held}


@pytest.mark.parametrize("arguments", BAD)
def test_bad_use_is_one_sentence_and_leaves_nothing(
    arguments, source, tmp_path, capsys
):
    names = {"src": source, "tmp": tmp_path, **files_of(tmp_path), **TARGETS}
    before = sorted(path for path in tmp_path.rglob("*"))
    assert run(*arguments.format(**names).split()) == 2
    expected = BAD[arguments].format(**names)
    assert capsys.readouterr().err == f"python -m parity: {expected}\n"
    assert sorted(path for path in tmp_path.rglob("*")) == before
