"""Commit and cleanliness of the git repository that a folder is in, whoever it belongs to.

A repository's own configuration names programs that git runs when it is asked for no more than its
state: `core.fsmonitor`, filters, hooks, transports of missing objects. So the commit is read from
the repository's files, and git compares the files with it from an empty repository beside it that
borrows index and objects, so that no configuration but this module's takes part.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

_LARGEST = 2**26  # bytes of a list of packed references
_SECONDS = 30
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SETTINGS = {
    "core.fsmonitor": "false",
    "core.untrackedCache": "false",
    "core.hooksPath": os.devnull,
    "core.attributesFile": os.devnull,
    "protocol.allow": "never",
    "submodule.recurse": "false",
}


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the `commit` checked out where `folder` is (None before the first), and `dirty`.

    `dirty` says whether files differ from the commit or are not known to it; None where git is
    missing or does not answer. Nothing that the repository names is run.

    Returns:
        None where there is no repository.
    """
    found = _find(folder.resolve())
    if found is None:
        return None
    root, own = found
    shared = _line(own / "commondir")
    common = (own / shared).resolve() if shared else own
    commit = _commit(own, common)
    return {"commit": commit, "dirty": _dirty(root, own, common, commit) if commit else None}


def _find(folder: Path) -> tuple[Path, Path] | None:
    """Return the root of the working tree and the folder with its HEAD."""
    for root in (folder, *folder.parents):
        directory = root / ".git"
        line = _line(directory)
        if line and line.startswith("gitdir:"):  # of a worktree or a submodule
            directory = (root / line.removeprefix("gitdir:").strip()).resolve()
        if (directory / "HEAD").is_file():
            return root, directory
    return None


def _line(path: Path) -> str | None:
    """Return the first line of a small text file, or None."""
    try:
        if not path.is_file():
            return None
        with path.open(encoding="utf-8") as file:
            return file.read(4096).partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError):
        return None


def _commit(own: Path, common: Path) -> str | None:
    """Return the commit that HEAD leads to."""
    value = _line(own / "HEAD")
    for _ in range(5):  # references to references
        if value is None or not value.startswith("ref:"):
            break
        name = value.removeprefix("ref:").strip()
        if not name.startswith("refs/") or ".." in name:
            return None
        value = _line(own / name) or _line(common / name) or _packed(common, name)
    return value if value and _HASH.fullmatch(value) else None


def _packed(common: Path, name: str) -> str | None:
    path = common / "packed-refs"
    if not path.is_file() or path.stat().st_size > _LARGEST:
        return None
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        commit, _, packed = line.partition(" ")
        if packed == name:
            return commit
    return None


def _dirty(root: Path, own: Path, common: Path, commit: str) -> bool | None:
    """Return whether the working tree differs from the commit."""
    git = _git()
    index = own / "index"
    if git is None or not index.is_file():
        return None
    settings = {**_SETTINGS, "core.excludesFile": str(common / "info" / "exclude")}
    with tempfile.TemporaryDirectory(prefix="onet-git-") as temporary:
        empty = Path(temporary)
        (empty / "refs").mkdir()
        (empty / "objects").mkdir()
        (empty / "HEAD").write_text(f"{commit}\n", encoding="ascii")
        version = "1\n[extensions]\n\tobjectformat = sha256" if len(commit) == 64 else "0"
        (empty / "config").write_text(
            f"[core]\n\tbare = false\n\trepositoryformatversion = {version}\n", encoding="ascii"
        )
        environment = {key: value for key, value in os.environ.items() if key[:4] != "GIT_"} | {
            "GIT_DIR": str(empty),
            "GIT_WORK_TREE": str(root),
            "GIT_OBJECT_DIRECTORY": str(common / "objects"),
            "GIT_INDEX_FILE": str(index),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }
        options = [word for item in settings.items() for word in ("-c", "=".join(item))]
        command = [git, *options, "status", "--porcelain", "--ignore-submodules=all"]
        try:
            done = subprocess.run(
                command, cwd=root, env=environment, capture_output=True, timeout=_SECONDS
            )
        except (OSError, subprocess.SubprocessError):
            return None
    return bool(done.stdout.strip()) if done.returncode == 0 else None


def _git() -> str | None:
    """The git of the absolute folders of the path, so never one in the current folder."""
    folders = [directory for directory in os.get_exec_path() if os.path.isabs(directory)]
    found = shutil.which("git", path=os.pathsep.join(folders)) if folders else None
    return found if found and os.path.isabs(found) else None
