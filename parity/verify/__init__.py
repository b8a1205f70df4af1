"""An LSTM compared with torch and the oracle, and the reason for a mismatch."""
