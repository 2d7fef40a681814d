"""Weights on disk: this package's checkpoints, published and other people's files.

`checkpoint` writes and reads files that carry their configuration; `published_weights` reads those
that carry none, and converts between the two. Import from the modules.
"""
