"""The shape of the code: lengths, the import chain, what no file may hold.

A rule takes a module's name and text and lists what is wrong. Each runs over the files
of the repository, and over the wrong examples in `WRONG`, where it must find something.
"""

import ast
import re
import sys
from itertools import accumulate
from statistics import median

import pytest

from tests.given import ROOT
from tests.repository.source import Rule, findings, imports, modules, tracked

LONGEST_FUNCTION, LONGEST_FILE, MEDIAN_FUNCTION = 60, 400, 12
MOST_HANDED_ON = 5  # parameters of a function that it hands on to one call

PUBLIC_MODULES = {"backends", "export", "linen", "nnx", "terminal", "train"}

STANDARD = set(sys.stdlib_module_names)
NEEDED = STANDARD | {"flax", "jax", "jaxtyping", "lstm_jax", "numpy", "safetensors"}
# What a module may import: lstm_jax and the oracle at all, parity outside functions.
MAY_IMPORT = {
    "lstm_jax": NEEDED,
    "lstm_jax.terminal": NEEDED | {"rich"},
    "lstm_jax.tracing.drawing": NEEDED | {"matplotlib"},
    "lstm_jax.cli": NEEDED | {"pandas"},
    "lstm_jax.train": NEEDED | {"matplotlib", "optax", "orbax", "pandas", "rich"},
    "parity": NEEDED | {"ml_dtypes", "parity", "rich"},
    "parity.judge.oracle": STANDARD | {"numpy"},
    "parity.frameworks.twin": NEEDED | {"parity", "torch"},
    "parity.bench.peers.torch": NEEDED | {"parity", "torch"},
    "parity.training.sides.torch": NEEDED | {"parity", "torch"},
    "parity.training.sides.chains": NEEDED | {"optax", "parity"},
    "parity.bench.peers.onnxruntime": NEEDED | {"parity", "onnxruntime"},
}
# What is imported inside functions alone, since it needs a library that may be missing.
LATE = ("parity.frameworks.twin.", "parity.bench.peers.torch.")
LATE += ("parity.training.sides.torch.", "parity.training.sides.chains.")
DOTTED = re.compile(r"[\w.]+")
RUNS_CODE = {"torch.jit.load", "torch.load", "torch.hub.load", "marshal.loads"}
RUNS_CODE |= {"pickle.load", "pickle.loads", "pickle.Unpickler", "numpy.load"}

HOSTS = {"arxiv.org", "doi.org", "github.com", "keras.io", "onnx.ai", "pytorch.org"}
HOSTS |= {
    "semver.org",
    "docs.jax.dev",
    "docs.pytorch.org",
    "flax.readthedocs.io",
    "www.w3.org",
}
URL = re.compile(r"https?://(?P<host>[\w.-]+)")
OF_A_MACHINE = [
    re.compile(r"(?<![\w.}])/(?:home|root|Users|work|mnt|opt)/\w+"),
    re.compile(r"\b(?:10|127)(?:\.\d{1,3}){3}\b"),
    re.compile(r"\b(?:192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2}\b"),
    re.compile(r"--(?:extra-)?index-ur[l]|--find-link[s]|\w @ fil[e]:"),
]


def functions(text: str) -> list[tuple[str, int]]:
    """Every function's name and its lines, the docstring's left out."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]
    return [(node.name, _span(node) - _docstring(node)) for node in nodes]


def _span(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _docstring(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return 0 if ast.get_docstring(node) is None else _span(node.body[0])


def dotted(text: str) -> set[str]:
    """Every dotted name a file imports or writes, such as `torch.jit.load`."""
    nodes = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Attribute)]
    written = {name for name in map(ast.unparse, nodes) if DOTTED.fullmatch(name)}
    return written | {imported for imported, _ in imports(text)}


def public_names() -> set[str]:
    """What `lstm_jax/__init__.py` imports `A as A`, and the public modules."""
    tree = ast.parse((ROOT / "lstm_jax" / "__init__.py").read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    aliases = [alias for node in nodes for alias in node.names]
    return PUBLIC_MODULES | {a.name for a in aliases if a.name == a.asname}


def long_functions(name: str, text: str) -> list[str]:
    found = functions(text)
    return [f"{f}: {lines} lines" for f, lines in found if lines > LONGEST_FUNCTION]


def long_file(name: str, text: str) -> list[str]:
    lines = len(text.splitlines())
    return [f"{lines} lines"] if lines > LONGEST_FILE else []


def hands_on(name: str, text: str) -> list[str]:
    """Calls to which a function hands on more than so many of its own parameters."""
    kinds, found = (ast.FunctionDef, ast.AsyncFunctionDef), []
    for function in (n for n in ast.walk(ast.parse(text)) if isinstance(n, kinds)):
        arguments = function.args
        own = {a.arg for a in (*arguments.args, *arguments.kwonlyargs)}
        own |= {a.arg for a in (arguments.vararg, arguments.kwarg) if a is not None}
        for call in (n for n in ast.walk(function) if isinstance(n, ast.Call)):
            given = [*call.args, *(keyword.value for keyword in call.keywords)]
            bare = [a.value if isinstance(a, ast.Starred) else a for a in given]
            names = {a.id for a in bare if isinstance(a, ast.Name)} & own
            if len(names) > MOST_HANDED_ON:
                found.append(f"{function.name} hands on {len(names)}: {sorted(names)}")
    return found


def not_public(name: str, text: str) -> list[str]:
    """Names of lstm_jax, used in parity, that are not public."""
    public, wrong = public_names(), []
    for path in sorted(dotted(text)):
        package, *rest = path.split(".")
        words = [word for word in rest if not word.startswith("__")]
        private = any(word.startswith("_") for word in words)
        if package == "lstm_jax" and (private or not public.issuperset(words[:1])):
            wrong.append(path)
    return wrong


def needs_more(name: str, text: str) -> list[str]:
    """Imports that `import lstm_jax`, `import parity` or the oracle must not need."""
    places = accumulate(name.split("."), "{}.{}".format)
    allowed = [MAY_IMPORT[place] for place in places if place in MAY_IMPORT][-1]
    always = name.startswith("lstm_jax") or name == "parity.judge.oracle"
    found = [imported for imported, top in imports(text) if top or always]
    late = [i for i in found if f"{i}.".startswith(LATE) and not name.startswith(LATE)]
    return late + [i for i in found if i.partition(".")[0] not in allowed]


def runs_code(name: str, text: str) -> list[str]:
    """Calls that would run code out of a file they read."""
    return sorted(dotted(text) & RUNS_CODE)


def of_a_machine(name: str, text: str) -> list[str]:
    """Homes, private addresses, unknown hosts, places packages are installed from."""
    hosts = {match["host"] for match in URL.finditer(text)}
    found = [match.group() for rule in OF_A_MACHINE for match in rule.finditer(text)]
    return found + sorted(hosts - HOSTS) + [str(ROOT)] * (str(ROOT) in text)


VENDORED = ROOT / "lstm_jax" / "native" / "source" / "xla"  # as jaxlib has them


# Each rule, and the packages it holds in; none means every Python file.
RULES = [
    (long_functions, ()),
    (long_file, ()),
    (hands_on, ("lstm_jax", "parity")),
    (not_public, ("parity",)),
    (needs_more, ("lstm_jax", "parity")),
    (runs_code, ("lstm_jax", "parity")),
]
LINES = "x = 1\n" * (LONGEST_FILE + 1)
WRONG = [
    (long_functions, "m", "def f():\n" + "    x = 1\n" * LONGEST_FUNCTION),
    (long_file, "m", LINES),
    (hands_on, "m", "def f(a, b, c, d, e, g):\n    return h(a, b, c, d=d, e=e, g=g)"),
    (hands_on, "m", "def f(a, b, c, d, e, *g):\n    partial(h, a, b, c, d, e, *g)"),
    (not_public, "parity.check", "from lstm_jax.stack import lstm"),
    (not_public, "parity.check", "from lstm_jax import stack"),
    (not_public, "parity.check", "import lstm_jax\nlstm_jax.stack.lstm"),
    (not_public, "parity.check", "from lstm_jax import _types"),
    (not_public, "parity.check", "import lstm_jax\nlstm_jax.nnx._dtype"),
    (not_public, "parity.check", "def f():\n    import lstm_jax._checks"),
    (needs_more, "lstm_jax.stack", "def f():\n    import torch"),
    (needs_more, "lstm_jax.stack", "def f():\n    from parity import oracle"),
    (needs_more, "lstm_jax.stack", "import pandas"),
    (needs_more, "lstm_jax.train.table.windows", "def f():\n    import torch"),
    (needs_more, "parity.check", "import torch"),
    (needs_more, "parity.check", "if True:\n    from keras import layers"),
    (needs_more, "parity.check", "class A:\n    import onnx"),
    (needs_more, "parity.check", "from parity.frameworks import twin"),
    (needs_more, "parity.check", "from parity.frameworks.twin import LSTMModel"),
    (needs_more, "parity.bench.timing.worker", "from parity.bench.peers import torch"),
    (needs_more, "parity.bench.timing.worker", "import torch"),
    (needs_more, "parity.bench.peers.torch", "import tensorflow"),
    (needs_more, "parity.frameworks.kinds.haiku", "import haiku"),
    (needs_more, "parity.judge.oracle", "def f():\n    import jax"),
    (needs_more, "parity.judge.oracle", "from parity.judge.cases import Case"),
    (runs_code, "parity.files", "import torch\ntorch.jit.load('f')"),
    (runs_code, "parity.files", "from pickle import load"),
    (runs_code, "parity.files", "import torch\ntorch.load('f', weights_only=True)"),
    (of_a_machine, "m", "see /" + "home/me/notes"),
    (of_a_machine, "m", "see " + str(ROOT)),
    (of_a_machine, "m", "proxy 10." + "2.3.4"),
    (of_a_machine, "m", "pip install --index-" + "url x"),
    (of_a_machine, "m", "http" + "://packages.example/simple"),
]
RIGHT = [
    (long_functions, "m", f"def f():\n    '''{LINES}'''"),
    (hands_on, "m", "def f(a, b, c, d, e, g):\n    h(a, b, S(c, d), e, g)"),
    (not_public, "parity.check", "from lstm_jax.linen import LSTM"),
    (not_public, "parity.check", "import lstm_jax\nlstm_jax.lstm, lstm_jax.__file__"),
    (
        needs_more,
        "parity.check",
        "def f():\n    import torch\n    import parity.frameworks.twin",
    ),
    (needs_more, "lstm_jax.train.table.windows", "import pandas"),
    (needs_more, "parity.bench.peers.torch", "import torch"),
    (needs_more, "parity.bench.peers.torch", "from parity.bench import program"),
    (needs_more, "parity.check", "if typing.TYPE_CHECKING:\n    import torch"),
    (of_a_machine, "constraints", "jax==10.0.12 # src/" + "home/page"),
]


@pytest.mark.parametrize(("rule", "packages"), RULES)
def test_every_module_keeps_to(rule: Rule, packages: tuple[str, ...]) -> None:
    paths = modules(*packages)
    assert paths
    assert findings(rule, paths) == []


def test_no_tracked_file_tells_of_a_machine() -> None:
    ours = [path for path in tracked() if not path.is_relative_to(VENDORED)]
    assert findings(of_a_machine, ours) == []


def test_the_median_function_is_short() -> None:
    paths = [path for path in modules() if path.relative_to(ROOT).parts[0] != "tests"]
    found = [n for path in paths for _, n in functions(path.read_text("utf-8"))]
    assert median(found) <= MEDIAN_FUNCTION


@pytest.mark.parametrize(("rule", "name", "text"), WRONG)
def test_a_rule_finds(rule: Rule, name: str, text: str) -> None:
    assert rule(name, text)


@pytest.mark.parametrize(("rule", "name", "text"), RIGHT)
def test_a_rule_allows(rule: Rule, name: str, text: str) -> None:
    assert rule(name, text) == []
