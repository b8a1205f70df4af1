"""Mistakes in the weights: read in another order, exchanged, added to."""

from itertools import permutations

from parity.frameworks.layouts import GATES, LAYOUTS, readers_of
from parity.verify.mistakes.changes import (
    add_to_gate,
    bias_ih,
    cudnn_blocks,
    forward,
    of_each,
    other_direction,
    other_layer,
    reorder,
    scale_biases,
    take,
    transpose,
)
from parity.verify.mistakes.mistake import Mistake

_BIASES = {"bias": True}


def _read_as(order: tuple[str, ...]) -> Mistake:
    letters, readers = ", ".join(order), readers_of("".join(order))
    hint = f" Is the source in the order of {readers}?" if readers else ""
    return Mistake(
        name=f"gates {letters}",
        says=f"Reading the gates as {letters} makes it pass.{hint}",
        change=reorder(order),
    )


def _biases_as(order: str) -> Mistake:
    letters = ", ".join(order)
    return Mistake(
        name=f"biases {letters}",
        says=f"The biases are read as {letters}, and the kernels are not: biases of "
        f"zeros do not show it. Is the source in the order of {readers_of(order)}?",
        change=reorder(tuple(order), ("bias_ih", "bias_hh")),
        needs=_BIASES,
    )


def _transposed(field: str, **needs: int) -> Mistake:
    stored = ", ".join(one.name for one in LAYOUTS.values() if one.transposed)
    return Mistake(
        name=f"W{field.removeprefix('weight')} transposed",
        says=f"Each gate's block of {field} is transposed: transpose the blocks back. "
        f"Is the source one of {stored}, which keep them so?",
        change=transpose(field),
        needs=needs,
    )


# Every order but torch's.
GATE_ORDERS = tuple(
    _read_as(order) for order in permutations(GATES) if order != tuple(GATES)
)
WEIGHTS = (
    _transposed("weight_ih"),
    _transposed("weight_hh", proj_size=0),
    Mistake(
        name="CuDNNLSTM's kernels",
        says="The kernels are of Keras's CuDNNLSTM, read as those of its LSTM: each "
        "gate's block lies there the other way round. Read the file with "
        "parity.from_keras.",
        change=of_each(cudnn_blocks),
        needs={"input_size": 5, "proj_size": 0},
    ),
    _biases_as("iofg"),
    _biases_as("igfo"),
    Mistake(
        name="b_hh dropped",
        says="bias_hh is left out: torch adds bias_ih and bias_hh.",
        change=scale_biases(bias_hh=0.0),
        needs=_BIASES,
    ),
    Mistake(
        name="b_ih dropped",
        says="bias_ih is left out: torch adds bias_ih and bias_hh.",
        change=scale_biases(bias_ih=0.0),
        needs=_BIASES,
    ),
    Mistake(
        name="biases dropped",
        says="Both biases are left out: torch adds bias_ih and bias_hh.",
        change=scale_biases(bias_ih=0.0, bias_hh=0.0),
        needs=_BIASES,
    ),
    Mistake(
        name="b_ih twice",
        says="bias_ih is added twice: the second bias is bias_hh.",
        change=take(bias_ih),
        needs=_BIASES,
    ),
    Mistake(
        name="biases doubled",
        says="Both biases are added twice: their sum was written into both. Write "
        "zeros into one of them.",
        change=scale_biases(bias_ih=2.0, bias_hh=2.0),
        needs=_BIASES,
    ),
    Mistake(
        name="directions exchanged",
        says="The two directions are exchanged: names without _reverse are those of "
        "the forward direction.",
        change=take(other_direction),
        needs={"bidirectional": True},
    ),
    Mistake(
        name="forward weights in both directions",
        says="The reverse direction has the weights of the forward one: its own end in "
        "_reverse.",
        change=take(forward),
        needs={"bidirectional": True},
    ),
    Mistake(
        name="layers exchanged",
        says="Layers 1 and 2 are exchanged: count the layers from the input, _l0 "
        "first.",
        change=take(other_layer),
        needs={"num_layers": 3},
    ),
    Mistake(
        name="forget bias +1",
        says="1 is added to the forget gate: Haiku adds it at every step, torch never. "
        "Subtract 1 from the forget gate of bias_ih.",
        change=add_to_gate("f", 1.0),
        needs=_BIASES,
    ),
    Mistake(
        name="forget bias -1",
        says="1 is missing from the forget gate: Haiku adds it at every step and does "
        "not store it. Add 1 to the forget gate of bias_ih.",
        change=add_to_gate("f", -1.0),
        needs=_BIASES,
    ),
    Mistake(
        name="cell bias +1",
        says="1 is added to the gate g: it was meant for the forget gate f.",
        change=add_to_gate("g", 1.0),
        needs=_BIASES,
    ),
)
