"""The runners: a row for each.

Add one by a row here, and a file in `peers/` if it is no row of `parity.frameworks`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any

from parity.bench.program import Program, Unsupported
from parity.bench.settings import Settings
from parity.bench.tags import asked_for, by_tag
from parity.bench.works import Work
from parity.frameworks.framework import Library
from parity.frameworks.registry import FRAMEWORKS
from parity.judge.cases import Problem

_PEERS = "parity.bench.peers"


@dataclass(frozen=True, kw_only=True)
class Runner:
    """A library, with options, that can do the works of the benchmark.

    Attributes:
        name: What `--runner` calls it.
        peer: The module whose `build(work, problem, settings, **options)` makes its
            programs. It is imported in the runner's own process.
        options: What `build` is given, by name.
        library: What must be installed.
        family: Whose it is: the fastest of a family is a rival of its own.
        tags: Names for several runners at once: "quick", and "cpu" and "gpu", the
            devices on which it is timed where no runner is named; "trial" for a try of
            `scripts/accelerator` on a processor.
        undivided: The runner that counts where this one cannot divide the batch.
    """

    name: str
    peer: str
    options: Mapping[str, Any] = field(default_factory=dict)
    library: Library
    family: str
    tags: tuple[str, ...] = ()
    undivided: str = ""

    def build(self, work: Work, problem: Problem, settings: Settings) -> Program:
        """Its program for a work.

        Raises:
            Unsupported: If its library is not installed, or it cannot do the work.
        """
        if missing := self.library.missing():
            raise Unsupported(missing)
        build = import_module(self.peer).build
        return build(work, problem, settings, **self.options)


def of_framework(
    name: str, *tags: str, framework: str = "", family: str = "", **options: Any
) -> Runner:
    """The runner of a row of `FRAMEWORKS`, by its name unless another is given."""
    framework = framework or name
    return Runner(
        name=name,
        peer=f"{_PEERS}.framework",
        options={"framework": framework, **options},
        library=FRAMEWORKS[framework].library,
        family=family or name,
        tags=tags,
    )


OURS, TORCH, FLAX = "lstm_jax", "torch", "Flax"
_ours = partial(Runner, peer=f"{_PEERS}.ours", library=Library("jax"), family=OURS)
_ROWS = (
    _ours(name="lstm_jax", tags=("quick", "cpu")),
    _ours(
        name="lstm_jax devices",
        options={"split": "jit"},
        tags=("cpu",),
        undivided="lstm_jax",
    ),
    _ours(
        name="lstm_jax shard_map",
        options={"split": "shard_map"},
        tags=("cpu",),
        undivided="lstm_jax",
    ),
    _ours(
        name="lstm_jax 512",
        options={"backend": "xla", "vector_bits": 512},
        tags=("cpu",),
    ),
    _ours(
        name="lstm_jax shard_map 512",
        options={"backend": "xla", "split": "shard_map", "vector_bits": 512},
        tags=("cpu",),
        undivided="lstm_jax 512",
    ),
    _ours(name="lstm_jax native", options={"backend": "native"}),
    _ours(
        name="lstm_jax xla", options={"backend": "xla"}, tags=("cpu", "gpu", "trial")
    ),
    _ours(name="lstm_jax cudnn", options={"backend": "cudnn"}, tags=("gpu", "trial")),
    Runner(
        name="torch",
        peer=f"{_PEERS}.torch",
        library=FRAMEWORKS["torch"].library,
        family=TORCH,
        tags=("quick", "cpu", "gpu", "trial"),
    ),
    Runner(
        name="onnxruntime",
        peer=f"{_PEERS}.onnxruntime",
        library=Library("onnxruntime"),
        family="onnxruntime",
        tags=("cpu",),
    ),
    of_framework("linen LSTMCell", "cpu", family=FLAX),
    of_framework("linen OptimizedLSTMCell", "quick", "cpu", "gpu", family=FLAX),
    of_framework("nnx LSTMCell", "cpu", family=FLAX),
    of_framework("nnx OptimizedLSTMCell", "cpu", family=FLAX),
    of_framework("haiku"),
    of_framework("equinox"),
    of_framework("keras"),
    of_framework(
        "jax.experimental.rnn",
        "gpu",
        framework="cudnn",
        device="gpu",
        dtype="float32",
        backend="cudnn",
    ),
)
RUNNERS = {row.name: row for row in _ROWS}
# The runners of each tag, by name.
RUNNER_TAGS = by_tag(RUNNERS)


def runners_of(names: list[str]) -> list[str]:
    """The runners that these names and tags stand for.

    Raises:
        ValueError: If there is no runner or tag of a name.
    """
    return asked_for("runner", names, RUNNERS)


def refuse_without_library(names: list[str]) -> None:
    """Refuse to measure where the library of no runner is installed.

    Raises:
        ValueError: With what to install.
    """
    if all(RUNNERS[name].library.missing() for name in names):
        packages = dict.fromkeys(RUNNERS[name].library.package_name for name in names)
        raise ValueError(
            f"bench: --runner {' or '.join(names)} must be installed: no other runner "
            f"was asked for. Use pip install {' '.join(packages)}."
        )


def family_of(name: str) -> str:
    """The family of a runner; empty if stored results have one that is gone."""
    return RUNNERS[name].family if name in RUNNERS else ""
