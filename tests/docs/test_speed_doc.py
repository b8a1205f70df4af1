"""docs/speed.md: its table is the table of the code, and its example runs.

`python -m tests.docs.test_speed_doc` writes the table anew.
"""

import re

import jax
import jax.numpy as jnp

import lstm_jax
from lstm_jax.backends import Order, orders
from tests.given import ROOT

PAGE = ROOT / "docs" / "speed.md"
TABLE = re.compile(r"(?<=<!-- rows -->\n).*?(?=<!-- /rows -->)", re.DOTALL)


def options_of(order: Order | None) -> str:
    """The options of an order, as they are written."""
    inside = re.sub(r"\w+=(False|0)(, )?", "", repr(order or Order()))
    options = inside.removeprefix("Order(").rstrip(", )").split(", ")
    return ", ".join(f"`{option}`" for option in options if option) or "none"


def table() -> str:
    rows = [(row.where, options_of(row.order), row.worth) for row in orders.ROWS]
    lines = ["| where | order | worth |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows), ""])


def test_options_are_written_as_in_code() -> None:
    assert options_of(Order(per_gate=True, transposed=1)) == (
        "`per_gate=True`, `transposed=1`"
    )
    assert options_of(Order(fused_input=True)) == "`fused_input=True`"
    assert options_of(None) == "none"


def test_the_table_is_that_of_the_code() -> None:
    assert TABLE.findall(PAGE.read_text("utf-8")) == [table()]


def test_the_example_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    params = lstm_jax.init_params(jax.random.key(0), 3, 4)
    names = {"lstm": lstm_jax.lstm, "params": params, "xs": jnp.ones((7, 5, 3))}
    exec(code, names)
    assert names["ys"].shape == (7, 5, 4)


if __name__ == "__main__":
    text = PAGE.read_text("utf-8")
    _ = PAGE.write_text(TABLE.sub(lambda _: table(), text), "utf-8")
