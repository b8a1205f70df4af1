"""`python -m parity convert`: LSTM weights from one format of files to another."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TaskID

from parity.arrays import FLOATING
from parity.cli.options import add_command
from parity.convert.select import select
from parity.files.beside import Tensor, beside
from parity.files.kinds.orbax import is_orbax
from parity.files.read import Contents, read
from parity.files.write_formats import BY_SUFFIX, WRITERS, equal
from parity.show import printable

_DESCRIPTION = """Write the LSTMs of a file in another format: torch, safetensors, npz,
or Flax's msgpack or Orbax. Names stay as they are, except that with --prefix the LSTM
there has the short names of its own state dict. What is written is read back and
compared bit by bit before it takes its place; nothing in SRC is run.

exit code: 0 written, 1 what was read back differs, 2 bad use or unreadable file"""

_EXAMPLES = """examples:
  python -m parity convert checkpoint.ckpt lstm.safetensors --prefix model.lstm.
  python -m parity convert model.pt model.safetensors --keep-rest
  python -m parity convert lstm.safetensors lstm.orbax --dtype bfloat16
"""
_FORMATS = {
    "a torch file": "torch",
    "an old torch file": "torch",
    "TorchScript": "torchscript",
    "a pickle": "pickle",
    "an index": "index",
    "an Orbax checkpoint": "orbax",
}
_FROM = ("torch", "torchscript", "pickle", "safetensors", "index", "npz", "msgpack")


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    add = add_command(
        commands,
        "convert",
        run,
        help="write the LSTMs of a file in another format",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    add("src", metavar="SRC", help="the file to read; its bytes tell the format")
    add("dst", metavar="DST", help="the file to write; its suffix tells the format")
    add(
        "--from",
        dest="source",
        choices=(*_FROM, "orbax"),
        metavar="FORMAT",
        help=f"what SRC must be: {', '.join(_FROM)}, orbax",
    )
    add(
        "--to",
        choices=tuple(WRITERS),
        metavar="FORMAT",
        help=f"what DST is to be: {', '.join(WRITERS)}",
    )
    add("--prefix", help="the LSTM at this prefix alone, under short names")
    add("--keep-rest", action="store_true", help="all other tensors too, as they are")
    add(
        "--dtype",
        choices=FLOATING,
        metavar="TYPE",
        help=f"type to cast the LSTMs to: {', '.join(FLOATING)}",
    )
    add("--force", action="store_true", help="replace DST if it is there, even SRC")


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    src, dst = Path(options.src), Path(options.dst)
    to = _format(options, dst)
    _check_dst(src, dst, to, options.force)
    contents = read(src)
    _check_source(options, contents)
    tensors = select(
        contents,
        options.src,
        prefix=options.prefix,
        keep_rest=options.keep_rest,
        dtype=options.dtype,
    )
    wrong = _convert(contents, tensors, dst.resolve(), to)
    if wrong is not None:
        line = f"lstm-parity: convert: {printable(wrong)} was not read back as it was "
        line += f"written, so {printable(dst)} was not made. Is the disk whole?"
        print(line, file=sys.stderr)  # noqa: T201
        return 1
    size = sum(tensor.nbytes for tensor in tensors)
    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    console.print(
        f"wrote {printable(dst)}: {to}, {len(tensors)} tensors, {size:,} bytes of "
        "numbers, read back bit for bit"
    )
    return 0


class _DiffersError(Exception):
    """What was read back is not what was written."""


def _convert(
    contents: Contents, tensors: list[Tensor], dst: Path, to: str
) -> str | None:
    """Write, read back and put in place; the name of a tensor that differs, or None."""
    with _progress(tensors) as done:

        def next_one() -> None:
            contents.release()
            done()

        try:
            with beside(dst) as part:
                WRITERS[to](tensors, part, next_one)
                _compare(read(part), tensors, next_one)
        except _DiffersError as error:
            return str(error)
    return None


def _compare(back: Contents, tensors: list[Tensor], done: Any) -> None:
    """Refuse to go on where a tensor is not what was written."""
    other = back.tensors.keys() ^ {tensor.name for tensor in tensors}
    if other:
        raise _DiffersError(min(other))
    for tensor in tensors:
        if not equal(back.tensors[tensor.name], tensor.value()):
            raise _DiffersError(tensor.name)
        back.release()
        done()


@contextmanager
def _progress(tensors: list[Tensor]) -> Iterator[Any]:
    """A bar on a terminal's standard error, for writing and then for reading back."""
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task: TaskID = progress.add_task("converting", total=2 * len(tensors))
        yield lambda: progress.advance(task)


def _format(options: argparse.Namespace, dst: Path) -> str:
    to = options.to or BY_SUFFIX.get(dst.suffix)
    if to is None:
        raise ValueError(
            f"convert: the suffix of {dst} must be one of {', '.join(BY_SUFFIX)}: it "
            f"tells the format. Use another, or --to with {', '.join(WRITERS)}."
        )
    return to


def _check_dst(src: Path, dst: Path, to: str, force: bool) -> None:
    """Refuse a place that nothing can or should be written to."""
    if not dst.absolute().parent.is_dir():
        raise ValueError(
            f"convert: {dst.parent} must be a directory: {dst.name} is to be written "
            "there. Make it first, or give another place."
        )
    if not dst.exists() and not dst.is_symlink():
        return
    if not force:
        _refuse_source(src, dst)
        raise ValueError(
            f"convert: {dst} must not exist: it would be replaced. "
            "Give another name, or --force."
        )
    if to == "orbax" and not (dst.is_dir() and is_orbax(dst)):
        raise ValueError(
            f"convert: {dst} must be an Orbax checkpoint: --force replaces one, and no "
            "other directory or file. Remove it first, or give another name."
        )
    if to != "orbax" and dst.exists() and not dst.is_file():
        raise ValueError(
            f"convert: {dst} must be a file: it is a directory or a device. "
            "Give another name."
        )


def _refuse_source(source: Path, dst: Path) -> None:
    if source.exists() and dst.exists() and source.samefile(dst):
        raise ValueError(
            f"convert: {dst} must not be the source {source}: it would be replaced. "
            "Give another name, or --force."
        )


def _check_source(options: argparse.Namespace, contents: Contents) -> None:
    found = _FORMATS.get(contents.format, contents.format)
    if options.source not in (None, found):
        raise ValueError(
            f"convert: --from {options.source} must be what {options.src} is: its "
            f"bytes are {found}. Leave --from out."
        )
