"""The torch twin of `lstm_jax.LSTMModel`: imported inside functions, needs torch."""

import torch


class LSTMModel(torch.nn.Module):
    """An LSTM over a batch-first sequence, then a linear layer on the last time step.

    Args:
        lstm: A `torch.nn.LSTM` with `batch_first=True`.
        output_size: Features of the prediction.
    """

    def __init__(self, lstm: torch.nn.LSTM, output_size: int) -> None:
        super().__init__()
        if not lstm.batch_first:
            raise ValueError(
                "LSTMModel: lstm.batch_first must be True: the last step is taken from "
                "the second axis. Use torch.nn.LSTM(..., batch_first=True)."
            )
        features = (lstm.proj_size or lstm.hidden_size) * (1 + lstm.bidirectional)
        self.lstm = lstm
        self.fc = torch.nn.Linear(features, output_size)

    def forward(self, xs: torch.Tensor) -> torch.Tensor:
        """Predict from each sequence: `(B, T, I)` to `(B, O)`."""
        ys, _ = self.lstm(xs)
        return self.fc(ys[:, -1])
