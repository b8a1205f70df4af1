"""The commands of `python -m lstm_jax`, a file each."""
