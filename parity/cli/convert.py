"""`python -m parity convert`: LSTM weights from one format of files to another."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TaskID

from lstm_jax.terminal import Screen, printable
from parity.arrays import FLOATING, same_bits
from parity.cli.notes import NOT_KEPT, notes_on, options_of
from parity.cli.options import add_command, filled
from parity.cli.say import say
from parity.convert.meaning import (
    MEANINGS,
    read_lstms,
    written,
    written_by_suffix,
)
from parity.convert.select import Selected, Selection, select
from parity.files import formats
from parity.files.beside import beside
from parity.files.formats import Format
from parity.files.read import Contents
from parity.files.recognise import is_of
from parity.files.tensor import Done, Tensor
from parity.machine import need_torch

_DESCRIPTION = """Write the LSTMs of a file in another format: {formats}. Names stay as
they are, except that with --prefix the LSTM there has the short names of its own state
dict. What is written is read back and compared bit by bit before it takes its place;
nothing in SRC is run. Torch must be installed only to write its own format.

exit code: 0 written, 1 what was read back differs, 2 bad use or unreadable file"""

_EXAMPLES = """examples:
  python -m parity convert checkpoint.ckpt lstm.safetensors --prefix model.lstm.
  python -m parity convert model.pt model.safetensors --keep-rest
  python -m parity convert lstm.safetensors lstm.orbax --dtype bfloat16
"""


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    sources, targets = formats.names_read(), list(written())
    add = add_command(
        commands,
        "convert",
        run,
        help="write the LSTMs of a file in another format",
        description=filled(_DESCRIPTION.format(formats=formats.one_of(targets))),
        epilog=_EXAMPLES,
    )
    add("src", metavar="SRC", help="the file to read; its bytes tell the format")
    add("dst", metavar="DST", help="the file to write; its suffix tells the format")
    add(
        "--from",
        dest="source",
        choices=sources,
        metavar="FORMAT",
        help=f"what SRC must be: {', '.join(sources)}",
    )
    add(
        "--to",
        choices=targets,
        metavar="FORMAT",
        help=f"what DST is to be: {', '.join(targets)}",
    )
    add("--prefix", help="only the LSTM at this prefix, under short names")
    add("--keep-rest", action="store_true", help="all other tensors too, as they are")
    add("--no-optimizer", action="store_true", help="of these, none of an optimizer")
    add(
        "--strip",
        metavar="PREFIX",
        help="only what is below it, under names without it",
    )
    add(
        "--dtype",
        choices=FLOATING,
        metavar="TYPE",
        help=f"type to cast the LSTMs to: {', '.join(FLOATING)}",
    )
    add("--streaming", action="store_true", help="ONNX with the states in and out")
    add("--force", action="store_true", help="replace DST if it is there, even SRC")


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    _refuse_screen(options.dst)
    src, dst = Path(options.src), Path(options.dst)
    to = _target(options, dst)
    _check_dst(src, dst, to, options.force)
    _check_streaming(options, to)
    contents = read_lstms(src)
    _check_source(options, contents)
    contents.check_read("convert", src)
    selected = select(contents, options.src, _selection(options, to))
    if to.needs_torch:
        need_torch("convert", f"it writes {to.words}", "--to safetensors")
    metadata = _kept(contents.metadata, selected, options.dtype) if to.texts else {}
    told: dict[str, Any] = {"metadata": metadata} if metadata else {}
    told |= {"streaming": True} if options.streaming else {}
    write: Callable[..., None] = partial(to.write, **told)
    to = replace(to, write=write)
    try:
        _convert(contents, selected.tensors, dst.resolve(), to)
    except _DiffersError as error:
        line = f"convert: {printable(error)} was not read back as it was "
        say(f"{line}written, so {printable(dst)} was not made. Is the disk whole?")
        return 1
    lost = to.texts and "config" in contents.metadata.keys() - metadata
    of_modules = options_of(selected.lstms, metadata, contents)
    kept = [NOT_KEPT] if lost else of_modules
    notes = [printable(note, 300) for note in contents.notes]
    _print_done(dst, to, selected, notes + notes_on(selected.lstms) + kept)
    return 0


def _check_streaming(options: argparse.Namespace, to: Format) -> None:
    if options.streaming and to.name != "onnx":
        raise ValueError(
            "convert: --streaming must come with ONNX: no other format has a graph, "
            f"and DST is {to.name}. Leave it out, or use --to onnx."
        )


def _selection(options: argparse.Namespace, to: Format) -> Selection:
    names = {field.name for field in fields(Selection)} - {"one_lstm"}
    given = {name: getattr(options, name) for name in names}
    return Selection(**given, one_lstm=to.name in MEANINGS)


def _kept(
    metadata: dict[str, str], selected: Selected, dtype: str | None
) -> dict[str, str]:
    """The texts of the source that hold for what is written.

    The options of a module hold for all of its tensors, under their names and in their
    type.
    """
    changed = selected.renamed or dtype is not None
    return {name: t for name, t in metadata.items() if name != "config" or not changed}


def _print_done(dst: Path, to: Format, selected: Selected, notes: list[str]) -> None:
    """What was written, how weights in parts were read, and what no file holds."""
    size = sum(tensor.nbytes for tensor in selected.tensors)
    screen = Screen()
    screen.print(
        f"wrote {printable(dst)}: {to.name}, {len(selected.tensors)} tensors, "
        f"{size:,} bytes of numbers, read back bit for bit"
    )
    for note in notes:
        screen.print(note)


class _DiffersError(Exception):
    """The name of a tensor that was not read back as it was written."""


def _convert(contents: Contents, tensors: list[Tensor], dst: Path, to: Format) -> None:
    """Write, read back, and put in place what is the same.

    Raises:
        _DiffersError: If a tensor is not what was written.
    """
    with _progress_bar(2 * len(tensors)) as advance, beside(dst) as part:

        def done() -> None:
            contents.release()
            advance()

        to.write(tensors, part, done)
        _check_written(read_lstms(part), tensors, done)


def _check_written(back: Contents, tensors: list[Tensor], done: Done) -> None:
    """Refuse to go on where a tensor is not what was written."""
    other = back.tensors.keys() ^ {tensor.name for tensor in tensors}
    if other:
        raise _DiffersError(min(other))
    for tensor in tensors:
        if not same_bits(back.tensors[tensor.name], tensor.value()):
            raise _DiffersError(tensor.name)
        back.release()
        done()


@contextmanager
def _progress_bar(total: int) -> Iterator[Done]:
    """A bar on a terminal's standard error, and what moves it on by one."""
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task: TaskID = progress.add_task("converting", total=total)
        yield lambda: progress.advance(task)


def _refuse_screen(dst: str) -> None:
    if dst == "-":
        raise ValueError(
            "convert: DST must be a path, not -: what is written is read back, and the "
            "screen cannot be. Use ./- for a file of this name."
        )


def _target(options: argparse.Namespace, dst: Path) -> Format:
    """The format to write, by --to or the suffix."""
    if options.to is not None:
        return written()[options.to]
    by_suffix = written_by_suffix()
    suffix = dst.suffix.lower()
    if suffix not in by_suffix:
        raise ValueError(
            f"convert: the suffix of {dst} must be one of {', '.join(by_suffix)}: it "
            f"tells the format. Use another, or --to with "
            f"{', '.join(written())}."
        )
    return by_suffix[suffix]


def _check_dst(src: Path, dst: Path, to: Format, force: bool) -> None:
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
    _check_replaceable(dst, to)


def _refuse_source(source: Path, dst: Path) -> None:
    if source.exists() and dst.exists() and source.samefile(dst):
        raise ValueError(
            f"convert: {dst} must not be the source {source}: it would be replaced. "
            "Give another name, or --force."
        )


def _check_replaceable(dst: Path, to: Format) -> None:
    """Refuse to replace a directory, unless it is of the format that is written."""
    if to.directory and not (dst.is_dir() and is_of(to, dst)):
        raise ValueError(
            f"convert: {dst} must be {to.words}: --force replaces one, and no "
            "other directory or file. Remove it first, or give another name."
        )
    if not to.directory and dst.exists() and not dst.is_file():
        raise ValueError(
            f"convert: {dst} must be a file: it is a directory or a device. "
            "Give another name."
        )


def _check_source(options: argparse.Namespace, contents: Contents) -> None:
    found = contents.format.name
    if options.source not in (None, found):
        raise ValueError(
            f"convert: --from {options.source} must be what {options.src} is: its "
            f"bytes are {found}. Leave --from out."
        )
