"""Training: the loop, the order of the data, validation, checkpoints and logs."""
