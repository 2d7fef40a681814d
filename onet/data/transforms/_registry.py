"""Transforms by name; their classes register here, and the package imports them all."""

from __future__ import annotations

from onet.registry import Registry

TRANSFORMS: Registry = Registry("transform")
