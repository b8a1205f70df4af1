"""`flax.linen` modules whose parameters carry torch's names.

The variables of `LSTM` are `{"params": state_dict}`: what `torch.nn.LSTM` stores, as it
is. A leaf beside `lstm_jax.nnx`: nothing imports it.
"""

from lstm_jax.linen.cell import LSTMCell as LSTMCell
from lstm_jax.linen.lstm import LSTM as LSTM
from lstm_jax.linen.scanned import ScannedLSTM as ScannedLSTM

__all__ = ["LSTM", "LSTMCell", "ScannedLSTM"]
