"""What is timed: a case in a mode. Add a case by an entry here."""

from dataclasses import dataclass, replace
from math import prod
from typing import Any

from parity.bench.tags import asked_for, by_tag
from parity.judge.cases import Case

MODES = ("forward", "backward", "train", "step")


@dataclass(frozen=True, kw_only=True)
class Work:
    """A case in a mode.

    `forward` gives outputs and states; `backward` these and the gradients of inputs and
    parameters; `train` a step of gradient descent, whose parameters replace the old
    ones; `step` one time step of a stream.
    """

    case: Case
    mode: str

    @property
    def flops(self) -> int:
        """Multiplications and additions in the products.

        The backward pass has two products for each of the forward pass. Element-wise
        functions are left out.
        """
        case, spec = self.case, self.case.spec
        steps = 1 if self.mode == "step" else case.steps
        rows = steps * prod(case.batch)
        shapes = [a for k in range(spec.num_layers) for a in spec.layer_shapes(k)]
        products = sum(prod(shape) for shape in shapes if shape and len(shape) == 2)
        passes = 1 if self.mode in ("forward", "step") else 3
        return 2 * rows * products * spec.num_directions * passes


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A case of the benchmark, and how it is asked for.

    `tags` are names for several cases at once; `modes` are those it is timed in where
    no mode is named.
    """

    case: Case
    tags: tuple[str, ...]
    modes: tuple[str, ...]


def _entry(
    name: str,
    sizes: tuple[int, int, int, int],
    tags: str,
    modes: tuple[str, ...] = ("forward", "backward"),
    **options: Any,
) -> Entry:
    """An entry of sizes `B, T, I, H`; `options` are those of its case."""
    batch, steps, inputs, hidden = sizes
    case = Case(
        name=name,
        batch=(batch,),
        steps=steps,
        input_size=inputs,
        hidden_size=hidden,
        given_state=False,
        **options,
    )
    return Entry(case=case, tags=tuple(tags.split()), modes=modes)


_BOTH: Any = {"bidirectional": True}
_ROWS = (
    # A laptop runs these in seconds.
    _entry("article", (32, 10, 1, 64), "default quick"),
    _entry("streaming", (1, 16, 64, 128), "default", ("step",)),
    _entry("small", (32, 100, 64, 64), "default quick"),
    _entry("medium", (32, 100, 128, 256), "default"),
    _entry("long", (16, 512, 128, 128), "default"),
    _entry("wide", (64, 128, 256, 512), "default"),
    _entry("single row", (1, 1000, 256, 256), "default"),
    _entry("speech", (16, 256, 80, 256), "default", num_layers=2, **_BOTH),
    # Other benchmarks have these. They are too large for a small machine.
    _entry("awd-lstm", (64, 70, 400, 1150), "large", num_layers=3),
    _entry("recurrent rl", (256, 128, 32, 512), "large", resets=True, reset_rate=0.03),
    _entry("flashrnn", (16, 1024, 768, 768), "large"),
    _entry("fastrnns", (64, 100, 512, 512), "large"),
    _entry("keras 128", (32, 128, 128, 128), "large", **_BOTH),
    _entry("keras 256", (64, 256, 256, 256), "large", **_BOTH),
    _entry("keras 512", (64, 512, 256, 256), "large", **_BOTH),
    _entry("keras 1024", (32, 1024, 512, 512), "large", **_BOTH),
    # One size at a time, for curves.
    *(_entry(f"H={h}", (32, 64, h, h), "hidden") for h in (32, 64, 128, 256, 512)),
    *(_entry(f"B={b}", (b, 64, 128, 128), "batch") for b in (1, 4, 16, 64, 256)),
    *(_entry(f"T={t}", (4, t, 64, 64), "steps") for t in (16, 128, 1024, 8192)),
)
ENTRIES = {row.case.name: row for row in _ROWS}
# The cases of each tag, by name.
CASE_TAGS = by_tag(ENTRIES)


def works_of(
    names: list[str], modes: list[str] | None = None, dtype: str = "float32"
) -> list[Work]:
    """The works of cases or tags, in a type; in each case's own modes if none is given.

    Raises:
        ValueError: If there is no case or tag of a name.
    """
    return [
        Work(case=replace(ENTRIES[name].case, dtype=dtype), mode=mode)
        for name in asked_for("case", names, ENTRIES)
        for mode in modes or ENTRIES[name].modes
    ]
