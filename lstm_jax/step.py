"""The six equations, stated once."""

import jax
import jax.numpy as jnp

from lstm_jax._checks import check_step
from lstm_jax._types import Input, LayerParams, LSTMState


def lstm_step(params: LayerParams, x: Input, state: LSTMState) -> LSTMState:
    r"""One time step of an LSTM.

    With input $x_t$ and state $(h_{t-1}, c_{t-1})$,

    $$
    \begin{aligned}
    i_t &= \sigma(W_{ii} x_t + b_{ii} + W_{hi} h_{t-1} + b_{hi}) \\
    f_t &= \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf}) \\
    g_t &= \tanh (W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg}) \\
    o_t &= \sigma(W_{io} x_t + b_{io} + W_{ho} h_{t-1} + b_{ho}) \\
    c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
    h_t &= W_{hr} \, (o_t \odot \tanh c_t)
    \end{aligned}
    $$

    where $W_{hr}$ is the identity unless `params.weight_hr` is given.

    Args:
        params: Weights of one layer in one direction.
        x: Input $x_t$, shape `(*B, I)`.
        state: State $(h_{t-1}, c_{t-1})$, shapes `(*B, P)` and `(*B, H)`.

    Returns:
        The state $(h_t, c_t)$. The output of the step is its `h`.

    Raises:
        ValueError: If the shapes of `params`, `x` and `state` do not fit together.
        TypeError: If one of them is not an array, or `state` is not a pair.

    Example:
        >>> zeros = jnp.zeros
        >>> params = LayerParams(zeros((8, 3)), zeros((8, 2)), zeros(8), zeros(8))
        >>> state = LSTMState(h=zeros((5, 2)), c=jnp.ones((5, 2)))
        >>> new = lstm_step(params, jnp.ones((5, 3)), state)
        >>> new.h.shape, float(new.c[0, 0])  # sigmoid(0) * 1 + sigmoid(0) * tanh(0)
        ((5, 2), 0.5)

    References:
        Hochreiter and Schmidhuber, *Long Short-Term Memory*, 1997 (the cell);
        Gers et al., *Learning to Forget*, 2000 (the forget gate);
        Sak et al., arXiv:1402.1128, 2014 (the projection).
        Same equations as `torch.nn.LSTM`. Keras stacks the same gates in another
        layout, ONNX in another order, Haiku also adds 1 to the forget gate.
    """
    params, x, state = check_step("lstm_step", params, x, state)
    gates = x @ params.weight_ih.T + state.h @ params.weight_hh.T + params.bias
    i, f, g, o = jnp.split(gates, 4, axis=-1)
    c = jax.nn.sigmoid(f) * state.c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    if params.weight_hr is not None:
        h = h @ params.weight_hr.T
    return LSTMState(h, c)
