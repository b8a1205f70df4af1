"""Options: types, sizes, rates, keys and flags."""

import re
from collections.abc import Iterable
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.export import is_symbolic_dim

from lstm_jax._types import LSTMSpec, Precision


def dtype(where: str, name: str, value: Any) -> jnp.dtype | None:
    """A floating type that jax has; None for the one the arguments give."""
    if value is None:
        return None
    try:
        found = jnp.dtype(value)
    except TypeError:
        found = None
    if found is None or not jnp.issubdtype(found, jnp.floating):
        raise TypeError(
            f"{where}: {name}={value!r} must be a floating type: the equations are "
            f"real. Use {_spelt(value)!r}."
        )
    if jax.dtypes.canonicalize_dtype(found) != found:
        raise TypeError(
            f"{where}: {name}={value!r} must be float32 or smaller: jax has 64-bit "
            "types only where x64 is enabled. Use "
            "jax.config.update('jax_enable_x64', True)."
        )
    return found


def _spelt(value: Any) -> str:
    """JAX's name of a type that goes by another, such as bf16; else float32."""
    name = str(value).lower().rpartition(".")[2]
    match = re.fullmatch(r"(b?)f(?:p|loat)?(16|32|64)", name)
    if match:
        return f"{'b' if match[1] else ''}float{match[2]}"
    return {"half": "float16", "double": "float64"}.get(name, "float32")


def common_dtype(where: str, dtypes: Iterable[jnp.dtype]) -> jnp.dtype:
    """The type that jax promotes all of them to."""
    names = sorted(found.name for found in dtypes)
    try:
        return jnp.dtype(reduce(jnp.promote_types, names))
    except jax.dtypes.TypePromotionError:
        raise TypeError(
            f"{where}: the types of xs and params, {', '.join(names)}, must have a "
            "common one: jax promotes them to none. Use dtype= for that of the "
            "products."
        ) from None


def check_rate(where: str, dropout: Any) -> None:
    """A probability."""
    if not isinstance(dropout, (int, float, np.floating)) or not 0 <= dropout <= 1:
        raise ValueError(
            f"{where}: {dropout=} must be a number within 0 and 1: it is the "
            "probability that an element is zeroed. Use 0.0 for none."
        )


def check_dropout(where: str, dropout: Any, key: Any, num_layers: int) -> None:
    """A probability, and a key wherever dropout acts."""
    check_rate(where, dropout)
    if not dropout or num_layers == 1:
        return
    if key is None:
        raise ValueError(
            f"{where}: dropout_key must be a key: {dropout=} acts between the "
            f"{num_layers} layers. Use jax.random.key(seed), or dropout=0.0 to "
            "evaluate."
        )
    check_key(where, "dropout_key", key)


def check_key(where: str, name: str, key: Any) -> None:
    """One key of `jax.random`, of the new style or the old."""
    try:
        _ = jax.eval_shape(partial(jax.random.fold_in, data=0), key)
    except (TypeError, ValueError):
        array = isinstance(key, (jax.Array, np.ndarray))
        found = f"an array {key.shape}" if array else type(key).__name__
        raise TypeError(
            f"{where}: {name} must be one key of jax.random, not {found}: numbers are "
            "drawn with it. Use jax.random.key(seed)."
        ) from None


def check_flag(where: str, name: str, value: Any) -> None:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(
            f"{where}: {name} must be True or False, not {type(value).__name__}: it "
            "is a flag. Use one of them."
        )


def check_choice(where: str, name: str, value: Any, choices: Iterable[Any]) -> None:
    """One of a few values."""
    choices = list(choices)
    if value not in choices:
        raise ValueError(
            f"{where}: {name}={value!r} must be one of "
            f"{', '.join(map(repr, choices))}: no other is known. Use "
            f"{choices[0]!r}."
        )


def check_no_mean(where: str, outputs: str) -> None:
    """A mean is of a whole sequence."""
    if outputs == "mean":
        raise ValueError(
            f"{where}: {outputs=} must be 'last', 'final' or 'all': the mean of a "
            "sequence is not known from a part of it. Call the model on the whole "
            "sequence."
        )


def check_real(where: str, name: str, value: Any) -> None:
    """One real number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating)):
        raise TypeError(
            f"{where}: {name} must be a number, not {type(value).__name__}: it is the "
            "value of a parameter. Use a float."
        )


def check_batch_shape(where: str, value: Any) -> tuple[int, ...]:
    """The sizes of the batch axes."""
    if not isinstance(value, (tuple, list)):
        raise TypeError(
            f"{where}: batch_shape must be a tuple of sizes, not "
            f"{type(value).__name__}: there may be any number of batch axes. Use "
            f"{_rows(value)}."
        )
    if not all(is_symbolic_dim(size) or _is_size(size) for size in value):
        raise ValueError(
            f"{where}: batch_shape={tuple(value)} must be whole numbers of 0 or "
            "more: they are the sizes of the batch axes. Use (3,) for 3 rows."
        )
    return tuple(value)


def _rows(value: Any) -> str:
    size = int(value) if _is_size(value) else 3
    return f"({size},) for {size} rows"


def _is_size(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and int(value) >= 0


def check_known(where: str, options: Iterable[str], known: str) -> None:
    """Options of `from_params` that it has; sizes and flags are not among them."""
    if unknown := sorted(set(options) - set(known.split())):
        raise TypeError(
            f"{where}: options must be among {', '.join(known.split())}, not "
            f"{', '.join(unknown)}: the sizes are read off the parameters. Leave the "
            "others out."
        )


def check_remat(where: str, remat: Any) -> None:
    """None, a number of steps, or "sqrt"."""
    steps = isinstance(remat, int) and not isinstance(remat, bool) and remat > 0
    root = isinstance(remat, str) and remat == "sqrt"
    if not (remat is None or steps or root):
        raise ValueError(
            f"{where}: {remat=} must be None, a number of steps above 0 or 'sqrt': the "
            "backward pass keeps one state for that many steps. Use None to keep all."
        )


def check_truncate(where: str, truncate: Any, spec: LSTMSpec, steps: Any = 0) -> None:
    """None, or a number of steps, for a stack without reverse directions."""
    if truncate is None:
        return
    if not isinstance(truncate, int) or isinstance(truncate, bool) or truncate < 1:
        raise ValueError(
            f"{where}: {truncate=} must be None or a number of steps above 0: the "
            "gradient of the state is cut after that many. Use None to cut nowhere."
        )
    if spec.bidirectional:
        raise ValueError(
            f"{where}: truncate must be None for a bidirectional LSTM: its directions "
            "come to a cut from both sides. Cut the sequences instead."
        )
    if is_symbolic_dim(steps):
        raise ValueError(
            f"{where}: truncate must be None where T={steps} is symbolic: the cuts are "
            "part of the program. Export with a T that is a number."
        )


def precision(where: str, value: Any) -> Precision:
    """A precision of products that jax knows; None for its default."""
    if value is None:
        return None
    try:
        jax.eval_shape(partial(jnp.dot, precision=value), 0.0, 0.0)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{where}: precision={value!r} must be one that jax.numpy.matmul takes: it "
            "is handed on to the products. Use 'highest', 'high', 'default' or None."
        ) from error
    return value


def check_size(where: str, name: str, value: Any) -> None:
    """A size that a weight can have."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(
            f"{where}: {name}={value!r} must be a whole number above 0: it is a "
            "size of the weights. Use 1 or more."
        )


def check_sizes(
    where: str, input_size: Any, hidden_size: Any, num_layers: Any, proj_size: Any
) -> None:
    """Sizes that an LSTM can have."""
    check_size(where, "input_size", input_size)
    check_size(where, "hidden_size", hidden_size)
    check_size(where, "num_layers", num_layers)
    whole = isinstance(proj_size, (int, np.integer)) and not isinstance(proj_size, bool)
    if not whole or not 0 <= proj_size < hidden_size:
        raise ValueError(
            f"{where}: {proj_size=} must be from 0 to {hidden_size - 1}: a projection "
            "makes the output smaller than the cell. Use 0 for none."
        )


def check_steppable(where: str, spec: LSTMSpec) -> None:
    """One step at a time needs a stack without reverse directions."""
    if spec.bidirectional:
        raise ValueError(
            f"{where}: bidirectional must be False: the reverse direction starts from "
            "the end of the sequence. Run the whole sequence instead."
        )
