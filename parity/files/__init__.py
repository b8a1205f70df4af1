"""Between files and named arrays: every format, and no code of a file is run."""
