"""LSTMs in files: found among other tensors, and selected for converting."""
