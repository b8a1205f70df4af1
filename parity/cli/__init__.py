"""The commands of `python -m parity`, a file each."""
