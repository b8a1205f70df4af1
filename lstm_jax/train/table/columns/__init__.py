"""The columns of a table: their numbers, their roles, the groups of their rows."""
