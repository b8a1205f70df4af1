"""What makes a runner's programs: a module for each, with `build(...)`."""
