"""What the times of a table say: the order of its rows, the step, holes, seasons."""
