"""A row for each framework: weights in by `to_X`, its own runtime, weights out again.

What is added here enters every test of `tests/parity/frameworks/test_from_to.py`.
"""

from tests.given.routes.of_flax import FLAX
from tests.given.routes.of_keras import KERAS
from tests.given.routes.of_onnx import ONNX
from tests.given.routes.of_others import OTHERS
from tests.given.routes.of_torch import TORCH
from tests.given.routes.route import Route as Route

ROUTES = [TORCH, *FLAX, *OTHERS, KERAS, ONNX]
