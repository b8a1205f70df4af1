"""CSV files: their bytes, their text, their rows."""
