"""The loop of training: its batches, its steps, its end."""
