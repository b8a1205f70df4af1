"""What a target cannot hold of an LSTM, and the refusal to lose it silently."""

from collections.abc import Iterable

from lstm_jax import LSTMSpec
from parity.frameworks.layouts import LAYOUTS, Layout

TARGETS: dict[str, Layout] = {
    "torch": LAYOUTS["torch"],
    "flax": LAYOUTS["Flax"],
    "keras": LAYOUTS["Keras"],
    "onnx": LAYOUTS["ONNX"],
    "haiku": LAYOUTS["Haiku"],
    "equinox": LAYOUTS["Equinox"],
    "mlx": LAYOUTS["MLX"],
    "cudnn": LAYOUTS["jax.experimental.rnn"],
}
# The function stays, but for a rounding; training differs, see docs/formats.md.
HARMLESS = ("two biases", "no bias", "forget bias")
# Nothing could be written in its place.
IMPOSSIBLE = ("projection",)


def losses(spec: LSTMSpec, target: str) -> dict[str, str]:
    """What a framework cannot hold of an LSTM: a name and a sentence for each.

    Args:
        spec: The LSTM, as `lstm_jax.spec_of(params)` reads it off its parameters.
        target: "torch", "flax", "keras", "onnx", "haiku", "equinox", "mlx" or "cudnn".

    Raises:
        ValueError: If there is no such target.

    Example:
        >>> spec = lstm_jax.LSTMSpec(input_size=3, hidden_size=4, proj_size=2)
        >>> losses(spec, "keras")["projection"]
        'Keras has no projection.'
    """
    if target not in TARGETS:
        raise ValueError(
            f"losses: target must be one of {', '.join(TARGETS)}, not {target!r}: "
            "these are the frameworks that weights are written for. Use one of them."
        )
    return TARGETS[target].losses(spec)


def refuse_losses(
    where: str, found: dict[str, str], allow: str | Iterable[str] = ()
) -> None:
    """Raise where a conversion would lose something that is not allowed.

    Args:
        where: The function that is called, such as `to_keras`.
        found: Losses by name, as `losses` gives them.
        allow: Names of losses that are wanted all the same.

    Raises:
        NotImplementedError: With the sentence of the loss, and the cure.
        ValueError: If `allow` has a name that is none of the losses.
    """
    allowed = {allow} if isinstance(allow, str) else set(allow)
    unknown = sorted(allowed - found.keys())
    if unknown:
        known = ", ".join(map(repr, sorted(found))) or "none"
        raise ValueError(
            f"{where}: allow must name losses of this conversion, not {unknown[0]!r}: "
            f"there are {known}. Leave it out."
        )
    for name, sentence in found.items():
        if name in IMPOSSIBLE:
            cure = "It is a part of the function: convert an LSTM without one."
            raise NotImplementedError(f"{where}: {sentence} {cure}")
        if name not in allowed and name not in HARMLESS:
            cure = f"Use allow={name!r} to convert without it."
            raise NotImplementedError(f"{where}: {sentence} {cure}")
