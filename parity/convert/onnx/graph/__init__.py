"""A graph of ONNX of an LSTM, and of what stands before and after it."""
