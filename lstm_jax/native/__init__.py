"""Our kernel for CPUs: C++ that XLA calls, and JAX's rules for it."""
