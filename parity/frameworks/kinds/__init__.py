"""A file for each framework: its weights from and to torch's, and its runtime."""
