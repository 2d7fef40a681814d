"""Files that come with the package: the configurations and the embedded sample."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def configs_dir() -> Path:
    """Folder of the configurations, one YAML file for each."""
    return _shipped("configs", "configs")


def assets_dir() -> Path:
    """Embedded sample: `sample/` (a prepared store), `scans/`, `truth/` and `demo.safetensors`."""
    return _shipped("assets", "data")


def config_path(name: str) -> Path:
    """File of the configuration called `name` (`pointcloud` or `pointcloud.yaml`).

    Raises FileNotFoundError, with the names there are, for any other name.
    """
    path = configs_dir() / Path(name).with_suffix(".yaml").name
    if not path.is_file():
        names = ", ".join(sorted(p.stem for p in configs_dir().glob("*.yaml")))
        raise FileNotFoundError(f"no configuration called {name!r}; there are: {names}")
    return path


def _shipped(installed: str, source: str) -> Path:
    """Return a folder inside the installed package or, in a source tree, beside it."""
    for folder in (_PACKAGE / installed, _PACKAGE.parent / source):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(
        f"the folder {installed!r} is missing from {_PACKAGE}: the installation is incomplete, "
        "install onet again"
    )
