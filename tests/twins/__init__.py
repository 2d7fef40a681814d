"""Short NumPy versions of the compiled operations, written from their contracts (csrc/*.h)."""
