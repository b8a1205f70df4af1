"""What `check` is given, each thing checked: weights, inputs, sizes and masks."""

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax
from lstm_jax import LSTMSpec
from parity.arrays import numpy_of
from parity.judge import tolerance
from parity.judge.cases import SETS
from parity.judge.tensors import Array
from parity.machine import memory
from parity.verify.subject import weights_in

DTYPES = ("float32", "float64", "bfloat16", "float16")
_KEPT = 12  # arrays of the cell's size that the oracle keeps for each step


def checked_weights(module: Any, dtype: str) -> dict[str, Array]:
    """The weights of a module or a mapping, in the type that is checked.

    Those of a cell are named as a layer's.
    """
    check_dtype(dtype)
    arrays = checked_arrays(weights_in(module), dtype)
    if "weight_ih" in arrays:
        arrays = {f"{name}_l0": array for name, array in arrays.items()}
    return arrays


def checked_arrays(source: Mapping[str, Any], dtype: str) -> dict[str, Array]:
    """Arrays by name, in the type that is checked."""
    return {
        str(name): finite(str(name), array, dtype) for name, array in source.items()
    }


def check_dtype(dtype: str) -> None:
    """A type that the tolerance is known for."""
    if dtype not in DTYPES:
        raise ValueError(
            f"check: {dtype=} must be one of {', '.join(DTYPES)}: the tolerance is "
            f"known for these. Use {_nearest(dtype)!r}."
        )


def check_shapes(params: Mapping[str, Array], shapes: Mapping[str, Any]) -> None:
    """Parameters of the names and shapes of a model."""
    found = {name: array.shape for name, array in params.items()}
    wrong = [n for n in {**shapes, **found} if found.get(n) != shapes.get(n)]
    if wrong:
        name = wrong[0]
        raise ValueError(
            f"check: params[{name!r}].shape={found.get(name)} must be "
            f"{shapes.get(name)}: these are the parameters of the model. Give all of "
            "them, and no others."
        )


def _nearest(dtype: object) -> str:
    """The type that a name stands for, as far as it shows."""
    return next(iter(get_close_matches(str(dtype), DTYPES, 1, 0.5)), "float32")


def checked_sizes(
    xs: Array | None, steps: int, batch: int | tuple[int, ...]
) -> dict[str, Any]:
    """The time steps and the batch axes: those of `xs`, if it is given."""
    if xs is not None:
        steps, batch = xs.shape[0], xs.shape[1:-1]
    batch = (batch,) if isinstance(batch, int) else tuple(batch)
    refuse_negative("batch", min(batch, default=0))
    refuse_negative("steps", steps)
    return {"steps": steps, "batch": batch}


def refuse_negative(name: str, value: int) -> None:
    """Refuse a size or a seed that is no whole number of 0 or more."""
    if not isinstance(value, int) or value < 0:
        raise ValueError(
            f"check: {name}={value!r} must be a whole number of 0 or more: arrays of "
            "that size are drawn. Use the default."
        )


def check_same_sizes(spec: LSTMSpec, params: dict[str, Array]) -> None:
    """Refuse weights for JAX that are of another LSTM than the right ones."""
    found = replace(lstm_jax.spec_of(params), bias=spec.bias).constructor_arguments()
    wanted = spec.constructor_arguments()
    other = [name for name in wanted if found[name] != wanted[name]]
    if other:
        listed = ", ".join(f"{name}={found[name]}" for name in other)
        right = ", ".join(f"{name}={wanted[name]}" for name in other)
        raise ValueError(
            f"check: {listed} of params must be {right}: these are the sizes of "
            "module. Give weights that were made of its own."
        )


def checked_device(device: Any) -> Any:
    """A device of JAX, which may be given by its kind."""
    if device is None or isinstance(device, jax.Device):
        return device
    try:
        return jax.devices(device)[0]
    except (RuntimeError, TypeError):
        kinds = sorted({one.platform for one in jax.devices()})
        raise ValueError(
            f"check: {device=} must be a device, or a kind that jax has here: it has "
            f"{', '.join(kinds)}. Use one of these."
        ) from None


def check_precision(precision: Any) -> None:
    """Refuse a precision that jax does not know."""
    try:
        with jax.default_matmul_precision(precision):
            pass
    except (ValueError, TypeError):
        raise ValueError(
            f"check: {precision=} must be one that jax knows: its products run in it. "
            "Use 'highest', 'high' or 'default'."
        ) from None


def checked_masks(
    spec: LSTMSpec, lengths: bool, resets: bool, reset_state: bool
) -> dict[str, bool]:
    """Which masks are drawn."""
    asked = {"lengths": lengths, "resets": resets, "reset_state": reset_state}
    for name, value in asked.items():
        if not isinstance(value, (bool, np.bool_)):
            raise TypeError(
                f"check: {name} must be True or False, not {type(value).__name__}: the "
                f"masks are drawn. Use {name}=True."
            )
    if resets and spec.bidirectional:
        raise ValueError(
            "check: resets=True must not be asked of a bidirectional LSTM: its reverse "
            "direction would see the next sequence. Use lengths."
        )
    if reset_state and not resets:
        raise ValueError(
            "check: reset_state=True must come with resets: it is the state after one. "
            "Use resets=True."
        )
    return asked


def checked_inputs(xs: Any, spec: LSTMSpec, dtype: str) -> Array | None:
    """The inputs, if any, as a finite array of the type that is checked."""
    if xs is None:
        return None
    if not hasattr(xs, "shape"):
        cure = "Use numpy.asarray."
        if type(xs).__name__ == "PackedSequence":
            cure = "Use torch.nn.utils.rnn.pad_packed_sequence(xs)[0]."
        raise TypeError(
            f"check: xs must be an array (T, *B, {spec.input_size}), not "
            f"{type(xs).__name__}: it is given to both. {cure}"
        )
    shape = np.shape(xs)
    if len(shape) < 2 or shape[-1] != spec.input_size:
        raise ValueError(
            f"check: xs.shape={shape} must be (T, *B, {spec.input_size}): the LSTM "
            f"takes {spec.input_size} features. Put time first and features last."
        )
    needed, held = _bytes_needed(shape, spec, dtype), memory()
    if needed > held:
        raise ValueError(
            f"check: xs.shape={shape} must need less than {held / 2**30:.1f} GiB of "
            f"memory, all there is: every step is kept, and the check needs "
            f"{needed / 2**30:.1f} GiB. Give fewer steps or rows."
        )
    return finite("xs", xs, dtype, _OF_INPUTS)


def _bytes_needed(shape: tuple[int, ...], spec: LSTMSpec, dtype: str) -> float:
    """What the oracle keeps, within a factor of two: states and gradients."""
    rows, wide = float(np.prod(shape[:-1])), 16 if dtype == "float64" else 8
    kept = spec.num_layers * spec.num_directions * _KEPT * spec.hidden_size
    outputs = 3 * spec.num_directions * spec.output_size
    sets = len(SETS) * (5 * spec.input_size + outputs)
    return rows * (1 + tolerance.NOISE_RUNS) * wide * (kept + sets)


# What to do where numbers are not of a floating type, and where some are not finite.
_OF_WEIGHTS = ("Convert a quantised model back first.", "Repair the weights first.")
_OF_INPUTS = ("Use xs.astype('float32').", "Give numbers in the range of the type.")


def finite(
    name: str, value: Any, dtype: str, cures: tuple[str, str] = _OF_WEIGHTS
) -> Array:
    """A weight, or the inputs, as a finite array of the type that is checked."""
    array = numpy_of(name, value, "check")
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(
            f"check: {name}.dtype={array.dtype} must be a floating type: the equations "
            f"are real. {cures[0]}"
        )
    with np.errstate(over="ignore"):  # what overflows is refused below
        array = array.astype(jnp.dtype(dtype))
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        raise ValueError(
            f"check: {name} must be finite: it holds {len(wrong)} values that are not, "
            f"the first at {wrong[0].tolist()}. {cures[1]}"
        )
    return array
