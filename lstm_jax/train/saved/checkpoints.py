"""Checkpoints: named arrays that Orbax writes, with a digest of each file.

A checkpoint is a folder named by its step. It appears at once and whole. Bytes that are
not those written are seen before Orbax reads them: of a flipped bit it says nothing.
"""

import json
import logging
import os
import shutil
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

DIGESTS = "digests.json"
KEPT = 2
_SLACK = 2**16  # bytes of a checkpoint that are no arrays

Named = dict[str, np.ndarray]


class UnreadableError(ValueError):
    """A checkpoint that is not what was written."""


def flatten(tree: Any) -> Named:
    """Copies of a tree's arrays, in the memory of the host, under their paths."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {_path(path): plain(leaf) for path, leaf in leaves}


def refill(where: str, tree: Any, named: Named) -> Any:
    """The tree with these arrays, which must have its names, shapes and types."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(tree)
    wanted = {_path(path): (leaf, plain(leaf)) for path, leaf in leaves}
    for name in sorted({n for n, (_, old) in wanted.items() if old.size} | set(named)):
        held = _shape(named.get(name))
        needed = _shape(wanted[name][1]) if name in wanted else "left out"
        if held != needed:
            raise ValueError(
                f"fit: {name} of {where!r} must be {needed}, not {held}: `model` and "
                "`optimizer` must be those of the run. Use the ones that it was begun "
                "with, or another folder."
            )
    filled = [_like(leaf, named.get(name, old)) for name, (leaf, old) in wanted.items()]
    return jax.tree.unflatten(structure, filled)


def _path(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def is_key(leaf: Any) -> bool:
    """Whether it is an array of random keys."""
    dtype = getattr(leaf, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)


def plain(leaf: Any) -> np.ndarray:
    """A copy in the memory of the host; of keys, their numbers."""
    return np.array(jax.random.key_data(leaf) if is_key(leaf) else leaf)


def _like(leaf: Any, array: np.ndarray) -> Any:
    if is_key(leaf):
        return jax.random.wrap_key_data(
            jnp.array(array), impl=jax.random.key_impl(leaf)
        )
    return jnp.array(array) if isinstance(leaf, jax.Array) else np.array(array)


def _shape(array: np.ndarray | None) -> str:
    return "missing" if array is None else f"{array.dtype.name}{array.shape}"


def steps_of(folder: Path) -> list[int]:
    """The steps that have a checkpoint, the last first."""
    names = [p.name for p in folder.iterdir()] if folder.is_dir() else []
    return sorted((int(name) for name in names if name.isdecimal()), reverse=True)


def save(folder: Path, step: int, named: Named) -> None:
    """Write a checkpoint, and remove those before the last two.

    Raises:
        OSError: If it cannot be written; those before it stay.
    """
    folder.mkdir(exist_ok=True)
    remove_unfinished(folder)
    new, place = folder / f".new-{uuid.uuid4().hex}", folder / str(step)
    held = {name: array for name, array in named.items() if array.size}  # as Orbax asks
    try:
        _ask_for_room(folder, sum(array.nbytes for array in held.values()))
        _write(new, held)
        _set_aside(place)
        _ = new.rename(place)
    finally:
        remove_unfinished(folder)
    _forget(folder, step)


def remove_unfinished(folder: Path) -> None:
    """Remove what a process that was killed left half-written."""
    for path in folder.glob(".new-*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _ask_for_room(folder: Path, size: int) -> None:
    """Fail where the disk is full: Orbax prints a traceback of each of its threads."""
    if not hasattr(os, "posix_fallocate"):
        return
    path = folder / f".new-{uuid.uuid4().hex}"
    try:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size + _SLACK)
    finally:
        path.unlink(missing_ok=True)


def _write(new: Path, held: Named) -> None:
    with _quiet(), _orbax() as writer:
        try:
            writer.save(new, held)
        except ValueError as error:  # tensorstore's, whatever went wrong
            raise OSError(str(error).partition(" [")[0]) from None
    text = json.dumps(_digests(new), indent=1)
    _ = (new / DIGESTS).write_text(text, encoding="utf-8")


def _orbax() -> ocp.Checkpointer:
    """Orbax of this process alone: it waits for no other, and the arrays are whole."""
    here: Any = {}
    if jax.process_count() > 1:
        number = jax.process_index()
        here["multiprocessing_options"] = ocp.options.MultiprocessingOptions(
            primary_host=number, active_processes={number}
        )
    return ocp.Checkpointer(ocp.StandardCheckpointHandler(**here), **here)


def _digests(place: Path) -> dict[str, int]:
    files = sorted(p for p in place.rglob("*") if p.is_file() and p.name != DIGESTS)
    return {p.relative_to(place).as_posix(): zlib.crc32(p.read_bytes()) for p in files}


def _set_aside(place: Path) -> None:
    """Free the name of a checkpoint that did not read; it is not deleted."""
    if place.exists():
        number = sum(1 for _ in place.parent.glob(f"{place.name}.unreadable-*"))
        _ = place.rename(place.with_name(f"{place.name}.unreadable-{number}"))


def _forget(folder: Path, step: int) -> None:
    """Remove the checkpoints before the last two that read."""
    before = [s for s in steps_of(folder) if s < step and _whole(folder / str(s))]
    for old in before[KEPT - 1 :]:
        shutil.rmtree(folder / str(old), ignore_errors=True)


def _whole(place: Path) -> bool:
    with suppress(UnreadableError):
        check_files(place)
        return True
    return False


def check_files(place: Path) -> None:
    """Refuse a checkpoint whose files are not those that were written."""
    try:
        written = json.loads((place / DIGESTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UnreadableError(f"{DIGESTS} does not read") from None
    found = _digests(place)
    wrong = sorted(name for name in written if found.get(name) != written[name])
    if wrong:
        raise UnreadableError(f"{wrong[0]} is not what was written")


def load(place: Path) -> Named:
    """The arrays of a checkpoint.

    Raises:
        UnreadableError: If they do not read.
    """
    check_files(place)
    with _quiet(), _orbax() as reader:
        try:
            held = reader.restore(place.resolve())
        except (ValueError, OSError, KeyError, TypeError) as error:
            raise UnreadableError(f"Orbax does not read it ({error})") from None
    return {name: np.asarray(array) for name, array in held.items()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Orbax's own lines: an error is said once, in one sentence."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
