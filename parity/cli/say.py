"""What a command says beside its result."""

from functools import partial

from lstm_jax.terminal import say as of_any

NAME = "python -m parity"
say = partial(of_any, NAME)
