"""The files of the repository, and what a rule reads in one of them."""

import ast
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.given import ROOT

Rule = Callable[[str, str], list[str]]


def tracked() -> list[Path]:
    """Files that git has or would add; without git, all that are not made here."""
    if not (ROOT / ".git").exists():
        return [p for p in sorted(ROOT.rglob("*")) if p.is_file() and not _made(p)]
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    names = sorted(set(listed.stdout.decode().split("\0")) - {""})
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def _made(path: Path) -> bool:
    made = re.compile(r"\.(?!ci$|gitignore$)|__pycache__|build|reports|.*\.egg-info")
    return any(made.match(part) for part in path.relative_to(ROOT).parts)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(*packages: str) -> list[Path]:
    """Python files; only those of `packages` if any is given."""
    paths = [path for path in tracked() if path.suffix == ".py"]
    inside = [path for path in paths if path.relative_to(ROOT).parts[0] in packages]
    return inside if packages else paths


def imports(text: str) -> list[tuple[str, bool]]:
    """What a file imports (`a.b` for `from a import b`); whether when it is read."""
    return list(_imports(ast.parse(text), True))


def _imports(node: ast.AST, top: bool) -> Iterator[tuple[str, bool]]:
    if isinstance(node, ast.Import):
        yield from ((alias.name, top) for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        yield from ((f"{module}.{alias.name}", top) for alias in node.names)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        top = False
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        top = False
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, top)


def findings(rule: Rule, paths: Iterable[Path]) -> list[str]:
    """What `rule` finds in the files, a line each."""
    read = ((path, path.read_text("utf-8", errors="ignore")) for path in paths)
    return [
        f"{path.relative_to(ROOT)}: {wrong}"
        for path, text in read
        for wrong in rule(module_name(path), text)
    ]
