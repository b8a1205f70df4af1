"""The two sides of a comparison, JAX and torch: each is given the same bytes.

Each gives values by `(tensor, cotangents)`: outputs `ys`, `h_n`, `c_n` with cotangents
`""`, and gradients `d_xs`, `d_h0`, `d_c0`, `d_reset_h`, `d_reset_c`, `d_<parameter>`
for each of `cases.SETS`. `of_oracle` gives the right values, by the same keys.
"""

from parity.judge.exact import of_oracle as of_oracle
from parity.judge.tensors import Key as Key, Run as Run
from parity.verify.sides.jax import (
    eager_outputs_of_jax as eager_outputs_of_jax,
    of_jax as of_jax,
    outputs_of_jax as outputs_of_jax,
)
from parity.verify.sides.torch import (
    has_torch as has_torch,
    of_torch as of_torch,
    torch_not_run as torch_not_run,
)
