"""What is timed: a case in a mode."""

from dataclasses import dataclass, replace
from math import prod

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
        """Operations of the products, a multiplication and an addition each.

        The backward pass has two products for one of the forward pass; what is applied
        element by element is left out.
        """
        case, spec = self.case, self.case.spec
        steps = 1 if self.mode == "step" else case.steps
        rows = steps * prod(case.batch)
        shapes = [a for k in range(spec.num_layers) for a in spec.layer_shapes(k)]
        products = sum(prod(shape) for shape in shapes if shape and len(shape) == 2)
        passes = 1 if self.mode in ("forward", "step") else 3
        return 2 * rows * products * spec.num_directions * passes


def _case(name: str, batch: int, steps: int, inputs: int, hidden: int, **more) -> Case:
    return Case(
        name=name,
        batch=(batch,),
        steps=steps,
        input_size=inputs,
        hidden_size=hidden,
        given_state=False,
        **more,
    )


# Cases that a laptop runs in seconds: what is timed by default.
DEFAULT = (
    _case("article", 32, 10, 1, 64),
    _case("streaming", 1, 16, 64, 128),
    _case("small", 32, 100, 64, 64),
    _case("medium", 32, 100, 128, 256),
    _case("long", 16, 512, 128, 128),
    _case("wide", 64, 128, 256, 512),
    _case("single row", 1, 1000, 256, 256),
    _case("speech", 16, 256, 80, 256, num_layers=2, bidirectional=True),
)
# Those of others, too large for a small machine.
LARGE = (
    _case("awd-lstm", 64, 70, 400, 1150, num_layers=3),
    _case("recurrent rl", 256, 128, 32, 512, resets=True, reset_rate=0.03),
    _case("flashrnn", 16, 1024, 768, 768),
    _case("fastrnns", 64, 100, 512, 512),
    _case("keras 128", 32, 128, 128, 128, bidirectional=True),
    _case("keras 256", 64, 256, 256, 256, bidirectional=True),
    _case("keras 512", 64, 512, 256, 256, bidirectional=True),
    _case("keras 1024", 32, 1024, 512, 512, bidirectional=True),
)
# One size at a time, for curves.
SWEEPS = {
    "hidden": tuple(_case(f"H={h}", 32, 64, h, h) for h in (32, 64, 128, 256, 512)),
    "batch": tuple(_case(f"B={b}", b, 64, 128, 128) for b in (1, 4, 16, 64, 256)),
    "steps": tuple(_case(f"T={t}", 4, t, 64, 64) for t in (16, 128, 1024, 8192)),
}
TAGS: dict[str, tuple[Case, ...]] = {
    "default": DEFAULT,
    "quick": tuple(case for case in DEFAULT if case.name in ("article", "small")),
    "large": LARGE,
    **SWEEPS,
}
CASES = {case.name: case for cases in TAGS.values() for case in cases}


def modes_of(case: Case) -> tuple[str, ...]:
    """The modes that a case is timed in where none is asked for."""
    return ("step",) if case.name == "streaming" else ("forward", "backward")


def select(
    names: list[str] | None, modes: list[str] | None, dtype: str = "float32"
) -> list[Work]:
    """The works of cases or tags, in modes, in a type.

    Raises:
        ValueError: If there is no case or tag of a name.
    """
    cases: dict[str, Case] = {}
    for name in names or ["default"]:
        if name not in CASES and name not in TAGS:
            raise ValueError(
                f"bench: --case {name!r} must be a case or a tag: there are the cases "
                f"{', '.join(CASES)} and the tags {', '.join(TAGS)}. Use one of these."
            )
        found = (CASES[name],) if name in CASES else TAGS[name]
        cases |= {case.name: case for case in found}
    return [
        Work(case=replace(case, dtype=dtype), mode=mode)
        for case in cases.values()
        for mode in modes or modes_of(case)
    ]
