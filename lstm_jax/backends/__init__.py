"""Who runs a stack: the choice of a backend, and its explanation.

A backend is a module with two functions:

- `unsupported(spec) -> str | None`: why it cannot run the spec, in one sentence;
- `run(layers, xs, state, reset_state, *, spec, masks, precision, chunks)`: runs a stack
  between whose layers nothing happens, and returns outputs and the state after.

`"auto"` chooses among the backends with every transform. One asked for by name runs or
raises; none is ever replaced silently.
"""

from types import ModuleType

from jaxtyping import Array

from lstm_jax._types import LayerParams, LSTMSpec, LSTMState, Precision
from lstm_jax.backends import cudnn, xla
from lstm_jax.scan.layer import Chunks
from lstm_jax.scan.recurrence import Masks

BACKENDS: dict[str, ModuleType] = {"xla": xla, "cudnn": cudnn}
AUTO = ("xla",)


def choose(name: str, spec: LSTMSpec) -> str:
    """The name of the backend that will run `spec`.

    Raises:
        ValueError: If there is no backend of that name.
        NotImplementedError: If the backend cannot run `spec`.
    """
    check_name("lstm", name)
    if name == "auto":
        return next(auto for auto in AUTO if not BACKENDS[auto].unsupported(spec))
    if reason := BACKENDS[name].unsupported(spec):
        raise NotImplementedError(
            f"backend={name!r} cannot run this layer: {reason} Use backend='auto', or "
            "ask `lstm_jax.backends.explain(spec)` which can."
        )
    return name


def check_name(where: str, name: str) -> None:
    """Refuse what is not "auto" or the name of a backend.

    Raises:
        ValueError: If there is no backend of that name.
    """
    if not isinstance(name, str) or name not in {"auto", *BACKENDS}:
        raise ValueError(
            f"{where}: backend={name!r} must be one of 'auto', "
            f"{', '.join(map(repr, BACKENDS))}: these are the ones there are. "
            "Use 'auto'."
        )


def explain(spec: LSTMSpec) -> str:
    """A line for each backend: whether it runs `spec`, and if not, why.

    Example:
        >>> print(explain(LSTMSpec(input_size=3, hidden_size=4)))
        xla: yes (chosen by "auto")
        cudnn: no, no CUDA device.
    """
    chosen, lines = choose("auto", spec), []
    for name, module in BACKENDS.items():
        reason = module.unsupported(spec)
        mark = ' (chosen by "auto")' if name == chosen else ""
        lines.append(f"{name}: {f'no, {reason}' if reason else 'yes'}{mark}")
    return "\n".join(lines)


def run(
    name: str,
    layers: tuple[tuple[LayerParams, ...], ...],
    xs: Array,
    state: LSTMState,
    reset_state: LSTMState | None,
    *,
    spec: LSTMSpec,
    masks: Masks,
    precision: Precision,
    chunks: Chunks,
) -> tuple[Array, LSTMState]:
    """Run a stack on the backend of that name.

    Args:
        name: Name of the backend.
        layers: Weights of each layer in each direction.
        xs: Inputs in the type of the products, time first, zero where a row has ended.
        state: State before, `(L*D, *B, P)` and `(L*D, *B, H)`.
        reset_state: State after a reset, shaped as `state`; None means zeros.
        spec: What is fixed about the call.
        masks: Ends and resets of the rows.
        precision: Precision of the products.
        chunks: How time is cut.

    Returns:
        Outputs `(T, *B, D*P)` and the state after.
    """
    return BACKENDS[name].run(
        layers,
        xs,
        state,
        reset_state,
        spec=spec,
        masks=masks,
        precision=precision,
        chunks=chunks,
    )
