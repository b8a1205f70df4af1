"""The torch twin of `lstm_jax.LSTMModel`: imported inside functions, needs torch."""

from typing import Any

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

ACTIVATIONS: dict[str, Any] = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "softmax": lambda sums: torch.softmax(sums, dim=-1),
    "tanh": torch.tanh,
}


class LSTMModel(torch.nn.Module):
    """An LSTM over a batch-first sequence, then a linear layer on its outputs.

    Args:
        lstm: A `torch.nn.LSTM` with `batch_first=True`.
        output_size: Features of the prediction.
        num_embeddings: Rows of an embedding of tokens before the LSTM; 0 means none.
        outputs: What the linear layer is given: "last", "final", "mean" or "all", see
            `lstm_jax.LSTMModel`.
        activation: What its sums go through: None, "relu", "sigmoid", "softmax" or
            "tanh".
    """

    def __init__(
        self,
        lstm: torch.nn.LSTM,
        output_size: int,
        *,
        num_embeddings: int = 0,
        outputs: str = "last",
        activation: str | None = None,
    ) -> None:
        super().__init__()
        if not lstm.batch_first:
            raise ValueError(
                "LSTMModel: lstm.batch_first must be True: time is the second axis. "
                "Use torch.nn.LSTM(..., batch_first=True)."
            )
        if num_embeddings:
            self.embedding = torch.nn.Embedding(num_embeddings, lstm.input_size)
        features = (lstm.proj_size or lstm.hidden_size) * (1 + lstm.bidirectional)
        self.lstm = lstm
        self.fc = torch.nn.Linear(features, output_size)
        self.outputs, self.activation = outputs, activation

    def forward(
        self, xs: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Predict from each sequence.

        Args:
            xs: Inputs, `(B, T, I)`; with an embedding, tokens `(B, T)`.
            lengths: Steps of each row, `(B,)`, 1 to T; None means T.

        Returns:
            Predictions, `(B, O)`; `(B, T, O)` where `outputs` is "all".
        """
        if hasattr(self, "embedding"):
            xs = self.embedding(xs)
        sums = self.fc(self._read_out(xs, lengths))
        return sums if self.activation is None else ACTIVATIONS[self.activation](sums)

    def _read_out(self, xs: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
        """What the linear layer is given."""
        steps = xs.shape[1]
        if lengths is None:
            lengths = torch.full(xs.shape[:1], steps)
        packed = pack_padded_sequence(
            xs, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        out, (h, _) = self.lstm(packed)
        if self.outputs == "final":
            return torch.cat([*h[-1 - self.lstm.bidirectional :]], dim=-1)
        ys, _ = pad_packed_sequence(out, batch_first=True, total_length=steps)
        lengths = lengths.to(ys.device)
        if self.outputs == "mean":
            return ys.sum(dim=1) / lengths[:, None].to(ys.dtype)
        if self.outputs == "all":
            return ys
        return ys[torch.arange(len(ys), device=ys.device), lengths - 1]
