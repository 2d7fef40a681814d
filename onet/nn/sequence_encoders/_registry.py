"""Encoders of sequences by name; their classes register here, and the package imports them all."""

from __future__ import annotations

from onet.registry import Registry

SEQUENCE_ENCODERS: Registry = Registry("sequence encoder")
SEQUENCE_LATENT_ENCODERS: Registry = Registry("sequence latent encoder")
