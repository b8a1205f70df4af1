"""Scores of a run, and the baselines that they stand beside."""
