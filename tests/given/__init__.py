"""Inputs and helpers that tests share: data, files, wrong LSTMs."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent  # of the repository
