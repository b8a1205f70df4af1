"""docs/design.md: its map is the tree."""

import inspect
import re

import lstm_jax
from tests.given import ROOT

TEXT = (ROOT / "docs" / "design.md").read_text("utf-8")
MAP = re.compile(r"## Modules\n\n```\n(.*?)```", re.DOTALL)
LINE = re.compile(r"^(?P<indent> *)(?P<names>\S+(?: \S+\.py| \S+/)*)(?:  +.*)?$")


def listed() -> list[str]:
    """The paths of the map, each below the folder that it is indented under."""
    (text,) = MAP.findall(TEXT)
    paths, above = [], [(-1, "")]
    for line in text.splitlines():
        match = LINE.match(line)
        assert match, line
        indent = len(match["indent"])
        while above[-1][0] >= indent:
            _ = above.pop()
        names = [name.rstrip(",;:") for name in match["names"].split()]
        paths += [f"{above[-1][1]}{name}" for name in names]
        if names[0].endswith("/"):
            above.append((indent, f"{above[-1][1]}{names[0]}"))
    return paths


def test_what_is_on_the_map_is_there() -> None:
    found = listed()
    assert len(found) > 30
    assert [path for path in found if not (ROOT / path).exists()] == []


def test_every_room_is_on_the_map() -> None:
    for package in ("lstm_jax", "parity"):
        rooms = {
            f"{package}/{path.name}{'/' if path.is_dir() else ''}"
            for path in (ROOT / package).iterdir()
            if path.suffix == ".py" or (path / "__init__.py").exists()
        }
        rooms -= {f"{package}/__init__.py", f"{package}/__main__.py"}
        assert rooms <= set(listed())


def test_the_signature_is_that_of_the_code() -> None:
    (written,) = re.findall(r"```python\nlstm\((.*?)\)", TEXT, re.DOTALL)
    plain = inspect.signature(lstm_jax.lstm).replace(
        return_annotation=inspect.Signature.empty
    )
    bare = [
        one.replace(annotation=inspect.Parameter.empty)
        for one in plain.parameters.values()
    ]
    found = str(plain.replace(parameters=bare)).strip("()").replace("'", '"')
    assert " ".join(written.split()) == found
