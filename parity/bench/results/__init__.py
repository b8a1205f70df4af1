"""What was measured: stored, shown as tables, and drawn."""
