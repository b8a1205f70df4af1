"""What was measured: stored, as tables, and drawn."""
