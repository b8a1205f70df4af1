"""Layers of Keras, from an object or out of a file: their weights and options."""
