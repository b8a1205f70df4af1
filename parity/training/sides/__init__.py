"""Who trains: torch, JAX with optax, and the equations in NumPy."""
