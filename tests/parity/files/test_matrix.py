"""Each reader against the files of every format, and against strangers' files."""

import re

import numpy as np
import pytest

import parity
from parity.__main__ import main
from parity.files.formats import FORMATS
from parity.files.reading import Reading
from parity.files.recognise import format_of, read_any, read_as
from parity.files.strangers import STRANGERS
from tests.given import formats as given
from tests.given.formats import ALSO, ARRAYS, STRANGE

# A wrong type is seen in other tests; here the checks would be most of the time.
pytestmark = pytest.mark.usefixtures("no_jaxtyping")
SUFFIXES = ("", ".pt", ".safetensors", ".msgpack", ".json", ".h5")
WORDS = [row.words for row in FORMATS if not row.directory]
# What else a reader takes: it is built alike, and told by what comes before the reader.
ALSO_READ = {
    "a torch file": ["TorchScript", "a part of a distributed checkpoint of torch"],
    "TorchScript": ["a torch file", "a part of a distributed checkpoint of torch"],
    "a pickle": ["an old torch file", "the index of a distributed checkpoint of torch"],
}


@pytest.fixture(scope="module")
def good():
    _ = pytest.importorskip("torch", reason="torch is not installed")
    return given.good()


def test_there_is_a_file_of_each_row(good):
    assert list(good) == WORDS
    assert [stranger.name for stranger in STRANGERS] == list(STRANGE)
    assert STRANGE.keys() > ALSO.keys()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("words", WORDS)
def test_a_format_is_told_by_its_bytes(words, suffix, good, tmp_path):
    path = given.write(tmp_path / f"a{suffix}", good[words])
    assert format_of(Reading(path, read_any)).words == words


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("stranger", STRANGERS, ids=lambda stranger: stranger.name)
def test_a_stranger_is_refused_by_name_with_a_way_out(stranger, suffix, tmp_path):
    held = [STRANGE[stranger.name], *ALSO.get(stranger.name, [])]
    for place, one in enumerate(held):
        path = given.write(tmp_path / f"{place}{suffix}", one)
        with pytest.raises(ValueError, match="read here") as caught:
            _ = parity.read_tensors(path)
        assert str(caught.value) == (
            f"{path} must be a file of weights that is read here: it is "
            f"{stranger.name}. {stranger.cure}"
        )


def refusal(row, path):
    """What a reader says of a file that it cannot read; empty if it can."""
    try:
        _ = read_as(row, Reading(path, read_any))
    except (ValueError, OSError) as error:
        return str(error)
    return ""


@pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.words)
def test_a_reader_refuses_the_file_of_another_in_one_sentence(row, good, tmp_path):
    files = {n: held for n, held in STRANGE.items() if isinstance(held, bytes)} | good
    _ = given.write(tmp_path / "part.safetensors", good["safetensors"])
    read = []
    for place, (words, held) in enumerate(files.items()):
        path = given.write(tmp_path / str(place), held)
        said = refusal(row, path)
        read += [] if said else [words]
        assert re.fullmatch(r"([^\n]+\.)?", said), (words, said)
    own = [row.words] * (not row.directory)
    assert sorted(read) == sorted(own + ALSO_READ.get(row.words, []))


def assert_is_read(path):
    found = parity.read_tensors(path)
    assert found.keys() == ARRAYS.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, ARRAYS[name])


@pytest.mark.parametrize("suffix", ["", ".pkl", ".dat"])
@pytest.mark.parametrize("protocol", [0, 1])
def test_a_pickle_of_python_2_is_read(protocol, suffix, tmp_path):
    held = given.python2_bytes(protocol)
    assert_is_read(given.write(tmp_path / f"a{suffix}", held))


@pytest.mark.parametrize("padding", [None, 0, 5])
def test_an_uncompressed_file_of_joblib_is_read(padding, tmp_path):
    path = tmp_path / "a.joblib"
    assert_is_read(given.write(path, given.joblib_bytes(padding=padding)))
    turned = {"x": np.asfortranarray(ARRAYS["weight_ih_l0"])}
    found = parity.read_tensors(given.write(path, given.joblib_bytes(turned)))
    np.testing.assert_array_equal(found["x"], turned["x"])


def test_a_file_of_joblib_cut_off_is_refused(tmp_path):
    whole = given.joblib_bytes({"x": ARRAYS["weight_ih_l0"]})
    path = given.write(tmp_path / "a.joblib", whole[:-9])
    with pytest.raises(ValueError, match="cannot be read") as caught:
        _ = parity.read_tensors(path)
    assert str(caught.value) == (
        f"{path} cannot be read as a pickle: a tensor of shape [8, 3] needs 24 "
        "elements and its storage has 22. Fetch or save it again."
    )
    text = given.joblib_bytes({"x": np.array(["a"])})
    with pytest.raises(ValueError, match="cannot be read") as caught:
        _ = parity.read_tensors(given.write(path, text))
    assert str(caught.value) == (
        f"{path} cannot be read as a pickle: an array of joblib's is of U1, not of "
        "numbers. Save the weights alone."
    )


OLD_PT2 = ["serialized_state_dict.pt", "a/data/weights/model.pt"]


def test_a_program_of_torch_export_is_read(good, tmp_path):
    path = tmp_path / "a.pt2"
    assert_is_read(given.write(path, good["a program of torch.export"]))
    for name in OLD_PT2:
        assert_is_read(
            given.write(path, given.pt2_bytes(**{name: good["a torch file"]}))
        )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_torch_export_saves_is_read(torch, tmp_path):
    path = tmp_path / "a.pt2"
    lstm = torch.nn.LSTM(3, 2)
    program = torch.export.export(lstm, (torch.ones(4, 1, 3),))
    torch.export.save(program, path)
    found = parity.read_tensors(path)
    for name, tensor in lstm.state_dict().items():
        np.testing.assert_array_equal(found[name], tensor.numpy())
    assert main(["inspect", str(path)]) == 0


def test_msgpack_with_names_of_bytes_within_is_refused_by_its_writer(tmp_path):
    path = given.write(tmp_path / "a", b"\x81\xa1a\x81\xc4\x02nd\xc3")
    with pytest.raises(ValueError, match="cannot be read") as caught:
        _ = parity.read_tensors(path)
    assert str(caught.value) == (
        f"{path} cannot be read as msgpack: it has names of bytes, as msgpack-numpy "
        "and spaCy write them. Load it with these and save its weights as .npz."
    )


@pytest.mark.parametrize("steps", [(3,), (9, 10)])
def test_a_directory_names_what_can_be_read_in_it(steps, tmp_path):
    for step in steps:
        place = tmp_path / str(step) / "default"
        place.mkdir(parents=True)
        _ = (place / "_METADATA").write_text("{}")
    _ = (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(IsADirectoryError) as caught:
        _ = parity.read_tensors(tmp_path)
    listed = [f"{step}/default" for step in reversed(steps)] + ["model.safetensors"]
    assert str(caught.value) == (
        f"{tmp_path} is a directory: weights are read from one file or checkpoint. "
        f"Name one in it: {', '.join(map(repr, listed))}."
    )
