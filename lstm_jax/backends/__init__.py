"""Who runs a stack: the choice of a backend, and its explanation.

A backend is a class in a module of its own, and a row of `BACKENDS`: an instance with
default options. "auto" takes the first row that has every transform and runs the spec.
"""

from dataclasses import replace
from typing import ClassVar, Protocol, runtime_checkable

from jaxtyping import Array

from lstm_jax._types import Layers, LSTMSpec, LSTMState, States, Steps
from lstm_jax.backends.cudnn import CuDNN as CuDNN
from lstm_jax.backends.native import Native as Native
from lstm_jax.backends.xla import XLA as XLA
from lstm_jax.scan.loop import Loop

__all__ = [
    "BACKENDS",
    "XLA",
    "Backend",
    "CuDNN",
    "Native",
    "explain",
]


@runtime_checkable
class Backend(Protocol):
    """What runs all layers of a stack, without dropout between them; hashable.

    `every_transform` says whether all of JAX's transforms apply: "auto" takes only such
    a backend.
    """

    name: ClassVar[str]
    every_transform: ClassVar[bool]

    def unsupported(self, spec: LSTMSpec) -> str | None:
        """Why it cannot run `spec`, in one sentence; None where it can."""
        ...

    def settled(self) -> "Backend":
        """The same backend with everything fixed that this process decides.

        It is part of the key of the compiled program.
        """
        ...

    def run(
        self,
        loop: Loop,
        spec: LSTMSpec,
        layers: Layers,
        steps: Steps,
        states: States,
    ) -> tuple[Array, LSTMState]:
        """Outputs `(T, *B, D*P)` and the state after.

        Args:
            loop: Precision of the products, and how time is cut.
            spec: Sizes, types and flags of the call.
            layers: Weights of each layer in each direction.
            steps: Inputs in the type of the products, time first, zero where a row has
                ended, and masks.
            states: State before and after a reset, `(L*D, *B, P)` and `(L*D, *B, H)`.
        """
        ...


BACKENDS: dict[str, Backend] = {row.name: row for row in (Native(), XLA(), CuDNN())}


def choose(backend: str | Backend, spec: LSTMSpec) -> Backend:
    """The backend that will run `spec`. One asked for is never replaced.

    Raises:
        ValueError: If there is no backend of that name.
        TypeError: If it is neither a name nor a backend.
        NotImplementedError: If the backend cannot run `spec`.
    """
    check_backend("lstm", backend)
    if backend == "auto":
        row = _automatic(spec)
        if isinstance(row, Native):
            row = replace(row, fallback=True)
        return row.settled()
    found = BACKENDS[backend] if isinstance(backend, str) else backend
    if reason := found.unsupported(spec):
        raise NotImplementedError(
            f"backend={found.name!r} cannot run this layer: {reason} Use "
            "backend='auto', or ask `lstm_jax.backends.explain(spec)` which can."
        )
    return found.settled()


def _automatic(spec: LSTMSpec) -> Backend:
    rows = BACKENDS.values()
    return next(b for b in rows if b.every_transform and not b.unsupported(spec))


def check_backend(where: str, backend: str | Backend) -> None:
    """Refuse what is not "auto", the name of a backend, or a backend.

    Raises:
        ValueError: If there is no backend of that name.
        TypeError: If it is neither a name nor a backend.
    """
    if isinstance(backend, str):
        if backend not in {"auto", *BACKENDS}:
            raise ValueError(
                f"{where}: {backend=} must be one of 'auto', "
                f"{', '.join(map(repr, BACKENDS))}: no other backend is known. "
                "Use 'auto'."
            )
    elif isinstance(backend, type) or not isinstance(backend, Backend):
        raise TypeError(
            f"{where}: backend must be a name or a backend, not {backend!r}: it runs "
            "the stack. Use 'auto'."
        )


def explain(spec: LSTMSpec) -> str:
    """A line for each backend: whether it runs `spec`, and if not, why.

    Example:
        >>> print(explain(LSTMSpec(input_size=3, hidden_size=4, platform="tpu")))
        native: no, it is a kernel for CPUs.
        xla: yes (chosen by "auto")
        cudnn: no, no CUDA device.
    """
    chosen, lines = _automatic(spec), []
    for name, backend in BACKENDS.items():
        reason = backend.unsupported(spec)
        mark = ' (chosen by "auto")' if backend is chosen else ""
        lines.append(f"{name}: {f'no, {reason}' if reason else 'yes'}{mark}")
    return "\n".join(lines)
