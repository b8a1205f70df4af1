"""Processes, rounds and samples: how the times are taken."""
