"""What is asked for is found, and shown in a browser or written as a page."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from onet.errors import ConfigError, DataError
from onet.viewer.entry import Entry
from onet.viewer.export import write_viewer_page
from onet.viewer.finding import find_entries

PORT = 8080
LIMIT = 20

Up = Literal["x", "y", "z"]


def view(
    paths: Sequence[str | os.PathLike[str]],
    *,
    port: int = PORT,
    host: str = "127.0.0.1",
    up: Up = "y",
    started: Callable[[str], None] = print,
) -> None:
    """Show meshes, clouds and results in the browser, until the program is stopped.

    Args:
        paths: files, folders of files, runs, and folders that commands wrote.
        port: that the server listens at; the next free one where that is taken.
        host: address that it listens at; the default is for browsers on this machine, and through
            SSH. 0.0.0.0 lets everybody in the network in.
        up: axis that points upward.
        started: is told where to look.

    Raises:
        DataError: nothing is there that can be shown.
        MissingDependency: viser is not installed.
    """
    from onet.viewer.server import Viewer, check_library

    check_library()
    viewer = Viewer(_entries(paths), port=port, host=host, up=up)
    try:
        started(viewer.where())
        viewer.wait()
    finally:
        viewer.stop()


def export(
    paths: Sequence[str | os.PathLike[str]],
    page: str | os.PathLike[str],
    *,
    limit: int = LIMIT,
    up: Up = "y",
) -> Path:
    """Write one page of HTML that shows the same from the file system, without a network.

    Nothing is extracted again on a page: it has the meshes that are there, the frames of those that
    move, and the steps of walks.

    Args:
        paths: see `view`.
        page: the file, `.html`.
        limit: entries on the page.
        up: axis that points upward.

    Raises:
        ConfigError: another suffix, or no entries asked for.
        DataError: nothing is there that can be shown.
        StorageError: the page cannot be written.
    """
    path = Path(page)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"export: {path}: give a file that ends in .html")
    if limit < 1:
        raise ConfigError(f"limit: {limit}; give at least 1")
    names = ", ".join(Path(source).name or str(source) for source in paths)
    return write_viewer_page(_entries(paths), path, names, limit, up)


def _entries(paths: Sequence[str | os.PathLike[str]]) -> list[Entry]:
    """Return what there is to see; a single thing that cannot be read is an error."""
    entries = find_entries([Path(path) for path in paths])
    if len(entries) == 1:
        panels = entries[0].load()
        if not any(panel.frames or panel.picture for panel in panels):
            raise DataError(panels[0].reason)
        entries = [replace(entries[0], load=lambda: panels)]
    return entries
