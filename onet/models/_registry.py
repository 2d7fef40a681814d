"""Models by name; their classes register here, and the package imports them all."""

from __future__ import annotations

from onet.registry import Registry

MODELS: Registry = Registry("model")

SCAN_NETWORKS: Registry = Registry("network for scans")
