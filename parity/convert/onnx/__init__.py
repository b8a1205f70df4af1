"""ONNX both ways: the LSTM nodes of a model, and a model of an LSTM."""
