"""Meshes and clouds that move: reading, resampling in time, writing."""
