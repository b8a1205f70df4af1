"""docs/speed.md: its example runs."""

import re

import jax
import jax.numpy as jnp

import lstm_jax
from tests.given import ROOT

PAGE = ROOT / "docs" / "speed.md"


def test_the_example_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    params = lstm_jax.init_params(jax.random.key(0), 3, 4)
    names = {"lstm": lstm_jax.lstm, "params": params, "xs": jnp.ones((7, 5, 3))}
    exec(code, names)
    assert names["ys"].shape == (7, 5, 4)
