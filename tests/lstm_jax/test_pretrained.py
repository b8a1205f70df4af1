"""`save_pretrained` and `from_pretrained`: the whole module, or one sentence."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors import safe_open
from safetensors.flax import load_file, save_file

from lstm_jax import LSTM, LSTMCell, LSTMModel, backends, linen, pretrained
from tests.given.inputs import H, I, P, assert_equal
from tests.given.wrong import assert_raises

pytestmark = pytest.mark.usefixtures("no_jaxtyping")

RNGS = nnx.Rngs(0)
STACK: Any = {
    "num_layers": 2,
    "batch_first": True,
    "dropout": 0.25,
    "bidirectional": True,
    "proj_size": P,
    "dtype": "bfloat16",
    "precision": "highest",
    "variational": True,
    "remat": "sqrt",
    "backend": "xla",
    "deterministic": True,
}
MADE = [
    LSTM(I, H, **STACK, rngs=RNGS),
    LSTM(I, H, bias=False, remat=3, truncate=2, param_dtype="bfloat16", rngs=RNGS),
    LSTMCell(I, H, dtype="float16", rngs=RNGS),
    LSTMModel(I, H, 3, 2, dropout=0.5, bidirectional=True, rngs=RNGS),
    LSTMModel(
        I, H, 3, num_embeddings=7, outputs="mean", activation="softmax", rngs=RNGS
    ),
]
LINEN = [linen.LSTM(I, H, **STACK), linen.LSTMCell(I, H, False, dtype="float16")]
PLAIN = LSTM(I, H, rngs=RNGS)
WRONG = "must be what save_pretrained writes"
ANEW = "Save the module anew."


@pytest.mark.parametrize("place", ["folder", "lone.safetensors"])
@pytest.mark.parametrize("module", MADE, ids=lambda module: type(module).__name__)
def test_a_module_comes_back_whole(module: Any, place: str, tmp_path: Path) -> None:
    module.save_pretrained(tmp_path / place)
    again = type(module).from_pretrained(tmp_path / place)
    assert repr(again) == repr(module)
    assert_equal(again.params(), module.params())


def variables_of(module: Any) -> Any:
    xs, state = jnp.ones((3, I)), linen.LSTMCell(I, H).initialize_carry(None, (3, I))
    given = (xs,) if isinstance(module, linen.LSTM) else (state, xs)
    return module.init(jax.random.key(0), *given)


@pytest.mark.parametrize("place", ["folder", "lone.safetensors"])
@pytest.mark.parametrize("module", LINEN, ids=lambda module: type(module).__name__)
def test_a_linen_module_comes_back_with_its_variables(
    module: Any, place: str, tmp_path: Path
) -> None:
    variables = variables_of(module)
    module.save_pretrained(tmp_path / place, variables)
    again, held = type(module).from_pretrained(tmp_path / place)
    assert_equal(held, variables)
    for name in module.__dataclass_fields__:
        if name not in ("parent", "name"):
            found, expected = (getattr(m, name) for m in (again, module))
            assert found == expected, name


def test_the_two_apis_read_each_other(tmp_path: Path) -> None:
    MADE[0].save_pretrained(tmp_path / "nnx")
    module, variables = linen.LSTM.from_pretrained(tmp_path / "nnx")
    assert_equal(variables["params"], MADE[0].params())
    assert (module.dropout, module.remat) == (0.25, "sqrt")
    module.save_pretrained(tmp_path / "linen", variables)
    again = LSTM.from_pretrained(tmp_path / "linen")
    assert repr(again) == repr(MADE[0])


def test_the_files_are_what_the_format_says(tmp_path: Path) -> None:
    PLAIN.save_pretrained(tmp_path / "folder")
    names = sorted(path.name for path in (tmp_path / "folder").iterdir())
    assert names == ["config.json", "model.safetensors"]
    config = json.loads((tmp_path / "folder" / "config.json").read_text("utf-8"))
    assert (config["format"], config["class"]) == (1, "LSTM")
    assert config["options"]["hidden_size"] == H
    assert_equal(load_file(tmp_path / "folder" / "model.safetensors"), PLAIN.params())
    PLAIN.save_pretrained(tmp_path / "lone.safetensors")
    with safe_open(tmp_path / "lone.safetensors", framework="flax") as file:
        assert json.loads(file.metadata()["config"]) == config
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "folder",
        "lone.safetensors",
    ]


def test_torch_loads_the_tensors(tmp_path: Path, torch: Any) -> None:
    from safetensors.torch import load_file as load_torch

    PLAIN.save_pretrained(tmp_path / "folder")
    theirs = torch.nn.LSTM(I, H)
    state_dict = load_torch(tmp_path / "folder" / "model.safetensors")
    assert list(theirs.load_state_dict(state_dict)) == [[], []]


def test_what_others_keep_in_the_folder_stays(tmp_path: Path) -> None:
    PLAIN.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text("utf-8")) | {"training": {"seed": 3}}
    _ = path.write_text(json.dumps(config), "utf-8")
    _ = (tmp_path / "scores.json").write_text("{}", "utf-8")
    MADE[0].save_pretrained(tmp_path)
    found = json.loads(path.read_text("utf-8"))
    assert found["training"] == {"seed": 3}
    assert (tmp_path / "scores.json").exists()
    assert repr(LSTM.from_pretrained(tmp_path)) == repr(MADE[0])


@pytest.mark.parametrize("there", [False, True])
def test_nothing_is_left_half_written(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    if there:
        PLAIN.save_pretrained(folder)

    def fails(*_: Any, **__: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(pretrained.json, "dumps", fails)
    if not there:
        monkeypatch.setattr(pretrained, "save_file", fails)
    with pytest.raises(OSError, match="the disk is full"):
        PLAIN.save_pretrained(folder)
    left = [path.name for path in tmp_path.rglob("*") if path.name.startswith(".")]
    assert left == []
    assert folder.exists() == there
    if there:
        assert repr(LSTM.from_pretrained(folder)) == repr(PLAIN)


def config(**changes: Any) -> dict[str, Any]:
    options = {"input_size": I, "hidden_size": H}
    return {"format": 1, "class": "LSTM", "options": options} | changes


def with_options(**options: Any) -> dict[str, Any]:
    return config(options={"input_size": I, "hidden_size": H} | options)


KNOWN = (
    "backend, batch_first, bias, bidirectional, deterministic, dropout, dtype, "
    "hidden_size, input_size, num_layers, precision, proj_size, remat, truncate, "
    "variational"
)
HOSTILE: list[Any] = [
    ("{", f"CONFIG {WRONG}: it is no JSON. {ANEW}"),
    ("[" * 10**5, f"CONFIG {WRONG}: it is no JSON. {ANEW}"),
    ("7", f"CONFIG {WRONG}: it is no object. {ANEW}"),
    (b"\xff\xfe", f"CONFIG {WRONG}: it is no text. {ANEW}"),
    (" " * 2**24 + "{}", f"CONFIG {WRONG}: it is too large. {ANEW}"),
    ({}, f"CONFIG {WRONG}: it has no format. {ANEW}"),
    (config(format=True), f"CONFIG {WRONG}: it has no format. {ANEW}"),
    (config(options=[]), f"CONFIG {WRONG}: it has no options. {ANEW}"),
    (
        config(format=2),
        (
            "format=2 of CONFIG must be 1: a newer version wrote it. Use that version "
            "of lstm_jax."
        ),
    ),
    (
        config(**{"class": "LSTMModel"}),
        (
            "class='LSTMModel' of CONFIG must be 'LSTM': the class that loads "
            "it is the one that was saved. Use LSTMModel.from_pretrained."
        ),
    ),
    (
        config(**{"class": ["x"]}),
        (
            "class=['x'] of CONFIG must be 'LSTM': the class that loads it is the one "
            "that was saved. Use another path."
        ),
    ),
    (
        with_options(colour="red", rngs=0),
        (
            f"options of CONFIG must be among {KNOWN}, not 'colour', 'rngs': LSTM has "
            "no others. Use the version that wrote them."
        ),
    ),
    (
        with_options(num_layers=10**12),
        (
            "num_layers=1000000000000 must be 1: the tensors have this size. Use the "
            "config that was written with them."
        ),
    ),
    (
        with_options(hidden_size="4"),
        (
            "hidden_size='4' must be 4: the tensors have this size. Use the config "
            "that was written with them."
        ),
    ),
]


@pytest.mark.parametrize(("text", "said"), HOSTILE, ids=lambda value: str(value)[:30])
def test_a_config_that_is_not_ours_is_refused(
    text: Any, said: str, tmp_path: Path
) -> None:
    PLAIN.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    if isinstance(text, bytes):
        _ = path.write_bytes(text)
    else:
        words = text if isinstance(text, str) else json.dumps(text)
        _ = path.write_text(words, "utf-8")
    said = f"LSTM.from_pretrained: {said.replace('CONFIG', repr(str(path)))}"
    assert_raises((lambda: LSTM.from_pretrained(tmp_path), ValueError, said))
    read = linen.LSTM.from_pretrained
    assert_raises((lambda: read(tmp_path), ValueError, f"linen.{said}"))


def test_an_option_that_the_class_refuses_is_refused_by_it(tmp_path: Path) -> None:
    PLAIN.save_pretrained(tmp_path)
    text = json.dumps(with_options(dropout=2))
    _ = (tmp_path / "config.json").write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r"^LSTM: dropout=2 must be a number"):
        _ = LSTM.from_pretrained(tmp_path)


@pytest.mark.parametrize("how", ["missing", "too many"])
@pytest.mark.parametrize("kind", [LSTM, linen.LSTM])
def test_a_tensor_missing_or_too_many_is_refused(
    kind: Any, how: str, tmp_path: Path
) -> None:
    PLAIN.save_pretrained(tmp_path)
    params = PLAIN.params()
    if how == "missing":
        del params["bias_hh_l0"]
    else:
        params["fc.weight"] = jnp.ones(3)
    save_file(params, tmp_path / "model.safetensors")
    where = f"{'linen.' if kind is linen.LSTM else ''}LSTM.from_pretrained"
    part = "missing 'bias_hh_l0'" if how == "missing" else "not used: 'fc.weight'"
    said = f"{where}: {part}. Give the keys of one torch.nn.LSTM, no more and no less."
    assert_raises((lambda: kind.from_pretrained(tmp_path), ValueError, said))


def test_a_file_without_options_names_what_takes_it(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(PLAIN.params(), path)
    said = (
        f"LSTM.from_pretrained: {str(path)!r} must have the options in its metadata: "
        "it has tensors only. Use from_params on what safetensors.flax.load_file "
        "returns."
    )
    assert_raises((lambda: LSTM.from_pretrained(path), ValueError, said))
    followed = LSTM.from_params(load_file(path))
    assert_equal(followed.params(), PLAIN.params())


@pytest.mark.parametrize("data", [b"", b"\xff" * 64, b"PK\3\4" + bytes(60)])
def test_a_file_that_is_no_safetensors_is_refused(data: bytes, tmp_path: Path) -> None:
    PLAIN.save_pretrained(tmp_path / "folder")
    lone, inside = tmp_path / "a.safetensors", tmp_path / "folder" / "model.safetensors"
    for place, path in ((lone, lone), (inside.parent, inside)):
        _ = path.write_bytes(data)
        with pytest.raises(ValueError, match=WRONG) as caught:
            _ = LSTM.from_pretrained(place)
        assert str(caught.value).startswith(f"LSTM.from_pretrained: {str(path)!r} ")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    PLAIN.save_pretrained(tmp_path / "folder")
    (tmp_path / "folder" / "config.json").unlink()
    lone = "Use from_params on what safetensors.flax.load_file returns of "
    cures = {"none": "Use save_pretrained."}
    cures["folder/config.json"] = f"{lone}model.safetensors."
    for place, cure in cures.items():
        said = (
            f"LSTM.from_pretrained: {str(tmp_path / place)!r} must be there: a module "
            "is a folder with config.json and model.safetensors, or one .safetensors "
            f"file. {cure}"
        )
        given = tmp_path / place.partition("/")[0]
        row = (lambda given=given: LSTM.from_pretrained(given), FileNotFoundError, said)
        assert_raises(row)


def test_a_folder_of_another_program_is_not_written_to(tmp_path: Path) -> None:
    _ = (tmp_path / "config.json").write_text('{"model_type": "bert"}', "utf-8")
    said = (
        f"LSTM.save_pretrained: path={str(tmp_path)!r} must hold no config.json of "
        "another program: it would be overwritten. Use another folder."
    )
    assert_raises((lambda: PLAIN.save_pretrained(tmp_path), ValueError, said))
    path = tmp_path / "file"
    _ = path.write_text("mine", "utf-8")
    said = (
        f"LSTM.save_pretrained: path={str(path)!r} must be a folder, or end in "
        ".safetensors: a module is two files, or one. Use another path."
    )
    assert_raises((lambda: PLAIN.save_pretrained(path), ValueError, said))
    assert path.read_text("utf-8") == "mine"


def test_an_option_without_a_name_is_refused_and_a_precision_has_one(
    tmp_path: Path,
) -> None:
    xla = backends.XLA()
    module = LSTM.from_params(PLAIN.params(), backend=xla)
    said = (
        f"LSTM.save_pretrained: backend={xla!r} must be a name, a number or a flag: "
        "JSON holds no other. Set backend to its name first."
    )
    assert_raises((lambda: module.save_pretrained(tmp_path / "a"), TypeError, said))
    assert not (tmp_path / "a").exists()
    module.backend = xla.name
    module.precision = jax.lax.Precision.HIGHEST
    module.dropout = np.float32(0.5)  # pyright: ignore[reportAttributeAccessIssue]
    module.save_pretrained(tmp_path / "a")
    again = LSTM.from_pretrained(tmp_path / "a")
    assert (again.backend, again.precision, again.dropout) == ("xla", "highest", 0.5)
