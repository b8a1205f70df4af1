"""Between the arrays of a framework and an LSTM: a file for each framework."""
