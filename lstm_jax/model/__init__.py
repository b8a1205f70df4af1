"""A whole model: an embedding, an LSTM, and a linear layer on its outputs."""

from lstm_jax.model.lstm_model import LSTMModel as LSTMModel
