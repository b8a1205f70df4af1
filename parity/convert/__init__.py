"""Converters: one small file for each framework or file format."""
