"""Mistakes in the weights: read in another order, exchanged, added to."""

from collections.abc import Iterator
from functools import partial
from itertools import permutations

from parity.frameworks.layouts import GATES, readers_of
from parity.verify.mistakes import changes
from parity.verify.mistakes.mistake import Mistake


def gate_orders() -> Iterator[Mistake]:
    """Every order of the gates but torch's."""
    for order in permutations(GATES):
        if order != tuple(GATES):
            letters = ", ".join(order)
            readers = readers_of("".join(order))
            hint = f" Is the source in the order of {readers}?" if readers else ""
            yield Mistake(
                f"gates {letters}",
                f"Reading the gates as {letters} makes it pass.{hint}",
                partial(changes.reorder, order),
            )


WEIGHTS = (
    Mistake(
        "W_ih transposed",
        "Each gate's block of weight_ih is transposed: transpose the blocks back.",
        changes.transpose("weight_ih"),
    ),
    Mistake(
        "W_hh transposed",
        "Each gate's block of weight_hh is transposed: transpose the blocks back.",
        changes.transpose("weight_hh"),
    ),
    Mistake(
        "b_hh dropped",
        "bias_hh is left out: torch adds bias_ih and bias_hh.",
        changes.scale_biases(bias_hh=0.0),
    ),
    Mistake(
        "b_ih dropped",
        "bias_ih is left out: torch adds bias_ih and bias_hh.",
        changes.scale_biases(bias_ih=0.0),
    ),
    Mistake(
        "biases dropped",
        "Both biases are left out: torch adds bias_ih and bias_hh.",
        changes.scale_biases(bias_ih=0.0, bias_hh=0.0),
    ),
    Mistake(
        "b_ih twice",
        "bias_ih is added twice: the second bias is bias_hh.",
        changes.bias_ih_twice,
    ),
    Mistake(
        "biases doubled",
        "Both biases are added twice: one bias was made of two and put in both.",
        changes.scale_biases(bias_ih=2.0, bias_hh=2.0),
    ),
    Mistake(
        "directions exchanged",
        "The two directions are exchanged: names without _reverse are the forward one.",
        changes.swap_names(changes.other_direction),
    ),
    Mistake(
        "layers exchanged",
        "Layers 1 and 2 are exchanged: count the layers from the input, _l0 first.",
        changes.swap_names(changes.other_layer),
    ),
    Mistake(
        "forget bias +1",
        "1 is added to the forget gate: Haiku adds it at every step, torch never. "
        "Subtract 1 from the forget gate of bias_ih.",
        changes.add_to_gate("f", 1.0),
    ),
    Mistake(
        "forget bias -1",
        "1 is missing from the forget gate: Haiku adds it at every step and does not "
        "store it. Add 1 to the forget gate of bias_ih.",
        changes.add_to_gate("f", -1.0),
    ),
    Mistake(
        "cell bias +1",
        "1 is added to the gate g: it was meant for the forget gate f.",
        changes.add_to_gate("g", 1.0),
    ),
)
