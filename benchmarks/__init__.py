"""Measurements of speed and memory: `python -m benchmarks NAME --help`. One file a benchmark."""
