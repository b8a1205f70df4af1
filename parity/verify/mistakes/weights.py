"""Mistakes in the weights: read in another order, exchanged, added to."""

from itertools import permutations

from parity.frameworks.layouts import GATES, readers_of
from parity.verify.mistakes.changes import (
    add_to_gate,
    bias_ih,
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


# Every order but torch's.
GATE_ORDERS = tuple(
    _read_as(order) for order in permutations(GATES) if order != tuple(GATES)
)
WEIGHTS = (
    Mistake(
        name="W_ih transposed",
        says="Each gate's block of weight_ih is transposed: transpose the blocks back.",
        change=transpose("weight_ih"),
    ),
    Mistake(
        name="W_hh transposed",
        says="Each gate's block of weight_hh is transposed: transpose the blocks back.",
        change=transpose("weight_hh"),
        needs={"proj_size": 0},
    ),
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
