"""The graphs of a model of ONNX, and the tensors in them."""
