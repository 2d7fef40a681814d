"""Any trained network: of a run, published, packaged, or for scans."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, overload

from onet.checkpoints.checkpoint import resolve_checkpoint
from onet.checkpoints.scan_weights import holds_scan_network
from onet.config import Config
from onet.errors import ConfigError
from onet.inference import reconstructor

if TYPE_CHECKING:
    from onet.inference.reconstructor import Reconstructor
    from onet.inference.scan_reconstructor import ScanReconstructor


@overload
def load(  # type: ignore[overload-overlap]  # the name means no path
    path: Literal["scan"], device: str = "auto"
) -> ScanReconstructor: ...


@overload
def load(
    path: str | os.PathLike[str],
    device: str = "auto",
    config: Config | str | os.PathLike[str] | None = None,
) -> Reconstructor: ...


def load(
    path: str | os.PathLike[str],
    device: str = "auto",
    config: Config | str | os.PathLike[str] | None = None,
) -> Reconstructor | ScanReconstructor:
    """Load a trained model for reconstruction, with its calibration if the run has one.

    Args:
        path: a checkpoint file, a run folder (its best checkpoint, else its last one; with the
            threshold that `onet threshold --apply` left there, if any), a `.pt` file of the
            published Occupancy Networks, or the name of a packaged network, which `onet models`
            lists. A file or folder that is called like one comes first.
        device: `cpu`, `cuda` or `mps`; `auto` takes a GPU if there is one.
        config: configuration of a `.pt` file, which has none of its own, or the name or file of
            one; by default it is recognised by its weights.

    Returns:
        A `Reconstructor`; of the network `scan`, and of other files of such a network, a
        `ScanReconstructor`, which takes the points of a scan with what else is known of them.

    Raises:
        CheckpointError: no checkpoint there, or one that is unreadable or of another architecture.
        ConfigError: the device or the configuration is not there, or its model does not observe
            what its input gives.
    """
    if not holds_scan_network(resolve_checkpoint(path)):
        return reconstructor.load(path, device, config)
    from onet.inference.scan_reconstructor import ScanReconstructor

    if config is not None:
        raise ConfigError(f"{path}: brings its own options; leave out the argument `config`")
    return ScanReconstructor.load(resolve_checkpoint(path), device)
