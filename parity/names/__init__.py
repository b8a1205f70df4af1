"""Torch's names of weights in larger models: the LSTM's own, prefixes, stored forms."""
