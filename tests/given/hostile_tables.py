"""Hostile files whose tensors are described apart from their bytes."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.given.pickled import NUMBERS, archive, entries, named, value, whole

Files = Iterator[tuple[str, bytes]]


def joblibs() -> Files:
    """Arrays whose bytes follow them, with something wrong in what describes them."""
    good = {"shape": (8, 3), "order": "C", "dtype": np.dtype("<f4")}
    wrong: list[Any] = [None, {}, {"shape": (3,)}, good | {"dtype": 7}]
    shapes: list[Any] = [
        (2**40,),
        (-3,),
        ("3",),
        ("xx", 10**13),
        (8, 99),
        7,
        (2**70,),
        (2.5,),
    ]
    wrong += [good | {"shape": shape} for shape in shapes]
    for place, state in enumerate(wrong):
        held = named("joblib.numpy_pickle.NumpyArrayWrapper") + b")\x81"
        yield f"{place}.joblib", whole(entries(x=held + value(state) + b"b" + NUMBERS))


def programs_of_export() -> Files:
    """Tables of weights with one entry that is not in the archive."""
    table = "a/data/weights/model_weights_config.json"
    good = {"sizes": [8, 3], "strides": [3, 1], "storage_offset": 0, "dtype": 7}
    wrong: list[dict[str, Any]] = [{"sizes": [2**40, 1]}, {"sizes": [-8, 3]}]
    wrong += [{"strides": [2**40, 1]}, {"storage_offset": -1}, {"storage_offset": 99}]
    wrong += [{"dtype": "7"}, {"sizes": 7}, {"sizes": [{"as_expr": "s0"}, 3]}]
    wrong += [{"path": "../x"}, {"path": "none"}, {"path": 7}]
    for place, changes in enumerate(wrong):
        meta = good | changes
        entry = {"path_name": meta.pop("path", "w"), "tensor_meta": meta}
        text = json.dumps({"config": {"x": entry}})
        yield (
            f"{place}.pt2",
            archive({table: text.encode(), "a/data/weights/w": NUMBERS}),
        )
    for place, text in enumerate(
        ("{", "[]", "{}", '{"config": 7}', '{"config": {"x": 1}}')
    ):
        yield f"text-{place}.pt2", archive({table: text.encode()})
    yield "within.pt2", archive({"serialized_state_dict.pt": b"PK\3\4 and no more"})
