"""Pickles, read by a machine of our own that builds only tensors and containers."""
