"""What a result was made from and with: the part that all files of settings have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from onet._version import __version__


@dataclass(frozen=True)
class Provenance:
    """What a result was made from and with. None is what it does not depend on.

    Attributes:
        checkpoint: of the network: where it is, or that and its SHA-256.
        data: root of the store.
        split: of the store.
        seed: of everything random.
        git: commit of the working directory, see `onet.checkpoints.repository.git_state`.
        version: of this package.
    """

    checkpoint: Mapping[str, str] | str | None = None
    data: Path | None = None
    split: str | None = None
    seed: int | None = None
    git: Mapping[str, Any] | None = None
    version: str = __version__

    def as_dict(self, keys: Sequence[str], **settings: Any) -> dict[str, Any]:
        """Return the content of a file of settings.

        Args:
            keys: of the file, in their order.
            settings: its values that are no attributes of this class.

        Raises:
            ValueError: the values have other names than the keys.
        """
        own: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.data is not None:
            own["data"] = str(self.data.resolve())
        content = {key: value for key, value in own.items() if value is not None or key in keys}
        content |= settings
        if differing := content.keys() ^ set(keys):
            raise ValueError(f"of keys and values only one has {', '.join(sorted(differing))}")
        return {key: content[key] for key in keys}
