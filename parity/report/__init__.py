"""What a check found, for a reader: a table, JSON, a page and a figure."""
