"""Networks for scans by name: the packaged kind, and those that it was compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onet.models._registry import SCAN_NETWORKS
from onet.models.scan import ScanNetwork
from onet.models.scan_attention import AttentionScanNetwork
from onet.models.scan_dense import DenseScanNetwork
from onet.models.scan_model import ScanModel

__all__ = [
    "SCAN_NETWORKS",
    "AttentionScanNetwork",
    "DenseScanNetwork",
    "ScanModel",
    "ScanNetwork",
    "build_scan_network",
]


def build_scan_network(options: Mapping[str, Any]) -> ScanModel:
    """Return the network of options, with fresh weights.

    Args:
        options: `{"type": name, ...}` with arguments of the class; "sparse" without a type, as
            files of weights of before say it.

    Raises:
        ConfigError: unknown type or option.
    """
    network: ScanModel = SCAN_NETWORKS.build({"type": "sparse", **options}, "network")
    return network
