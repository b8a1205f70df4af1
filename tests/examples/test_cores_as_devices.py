"""The example of cores as devices: every way trains the same model."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax
from examples.cores_as_devices import measure, train


def test_a_step_is_one_of_gradient_descent() -> None:
    params = lstm_jax.init_params(jax.random.key(0), 5, 4)
    xs = jax.random.normal(jax.random.key(1), (7, 3, 5))

    def loss(params: dict[str, jax.Array]) -> jax.Array:
        return jnp.mean(lstm_jax.lstm(params, xs)[0] ** 2)

    after, value, spent = measure.trained(
        measure.trained_by(lstm_jax.lstm), params, xs, 1
    )
    np.testing.assert_allclose(value, loss(params), rtol=1e-6)
    for name, slope in jax.grad(loss)(params).items():
        moved = params[name] - measure.RATE * slope
        np.testing.assert_allclose(after[name], moved, rtol=1e-5, atol=1e-7)
    assert spent > 0


@pytest.mark.slow
def test_every_way_ends_in_the_same_parameters() -> None:
    command = [sys.executable, str(train.FOLDER / "measure.py"), "--json"]
    command += ["--steps", "50", "--rounds", "1"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout)
    assert sorted(found["times"]) == sorted(train.NAMES.values())
    assert found["apart"] < 1e-6
    for losses in found["losses"].values():
        assert losses[-1] < losses[0]
