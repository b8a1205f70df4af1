"""Pickles, read by a machine of our own that builds tensors and containers only."""
