"""Files of Keras, written by h5py and zipfile as Keras 1 to 3 write them."""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.given.inputs import H, I

Arrays = Mapping[str, np.ndarray]
CELL = {"activation": "tanh", "recurrent_activation": "sigmoid", "go_backwards": False}
NAMES = ("kernel:0", "recurrent_kernel:0", "bias:0")


def drawn(*shapes: tuple[int, ...], seed: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(-1, 1, shape).astype(np.float32) for shape in shapes]


def lstm(inputs: int = I, units: int = H, seed: int = 3) -> dict[str, np.ndarray]:
    """The arrays of a layer by name."""
    arrays = drawn((inputs, 4 * units), (units, 4 * units), (4 * units,), seed=seed)
    return dict(zip(NAMES, arrays, strict=True))


def entry(kind: str, name: str, **options: Any) -> dict[str, Any]:
    """A layer in the JSON of a model."""
    return {"class_name": kind, "config": {"name": name, **options}}


def sequential(*entries: dict[str, Any]) -> dict[str, Any]:
    """The JSON of a model."""
    return {"class_name": "Sequential", "config": {"name": "m", "layers": [*entries]}}


def weights_file(
    path: Path, layers: Mapping[str, Arrays], version: str = "2.2.4"
) -> Path:
    """What `save_weights` of Keras 1 and 2 writes."""
    with h5py.File(path, "w") as file:
        _fill(file, layers, version)
    return path


def model_file(
    path: Path, model: Any, layers: Mapping[str, Arrays], version: str = "2.2.4"
) -> Path:
    """What `save` of Keras 1 and 2 writes: the JSON of the model, too."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(model).encode()
        file.attrs["keras_version"] = version.encode()
        _fill(file.create_group("model_weights"), layers, version)
    return path


def _fill(group: Any, layers: Mapping[str, Arrays], version: str) -> None:
    group.attrs["layer_names"] = [name.encode() for name in layers]
    group.attrs["keras_version"] = version.encode()
    for name, arrays in layers.items():
        inside = group.create_group(name)
        full = {f"{name}/{short}": array for short, array in arrays.items()}
        inside.attrs["weight_names"] = [one.encode() for one in full]
        for place, array in full.items():
            inside[place] = array


def keras_3_weights(layers: Mapping[str, list[np.ndarray]]) -> bytes:
    """What `save_weights` of Keras 3 writes; layers are places, such as `lstm/cell`."""
    held = io.BytesIO()
    with h5py.File(held, "w") as file:
        for place, arrays in layers.items():
            for number, array in enumerate(arrays):
                file[f"layers/{place}/vars/{number}"] = array
    return held.getvalue()


def archive(members: Mapping[str, bytes]) -> bytes:
    """A zip file, not compressed, as Keras 3 writes it."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as made:
        for name, content in members.items():
            made.writestr(name, content)
    return held.getvalue()


def keras_3(model: Any, weights: bytes, **others: bytes) -> bytes:
    """What `save` of Keras 3 writes."""
    members = {
        "metadata.json": json.dumps({"keras_version": "3.15.1"}).encode(),
        "config.json": json.dumps(model).encode(),
        "model.weights.h5": weights,
    }
    return archive(members | others)


def good() -> dict[str, bytes]:
    """A file of each format, by what it is in words; an LSTM with torch's names."""
    arrays = [*lstm().values()]
    weights = keras_3_weights({"lstm/cell": arrays})
    model = sequential(entry("LSTM", "lstm", **CELL))
    return {"HDF5": weights, "a model of Keras 3": keras_3(model, weights)}
