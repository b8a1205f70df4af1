"""Benchmarks: verified, then timed, with the same work on every side.

A *runner* is a library with options, in a process of its own; a *work* is a case in a
mode. Each runner's numbers are compared with the oracle's before any time is taken.
"""
