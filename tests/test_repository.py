"""The state of a git repository, told without running what the repository names."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from onet.checkpoints.repository import git_state

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *arguments: str) -> str:
    environment = os.environ | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def repository(folder: Path, *options: str) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "-q", *options)
    (folder / "a.txt").write_text("1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


def test_commit_and_cleanliness(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None
    root = repository(tmp_path / "r")
    head = git(root, "rev-parse", "HEAD")
    assert git_state(root) == {"commit": head, "dirty": False}
    (root / ".gitignore").write_text("ignored\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "second")
    (root / "ignored").write_text("x")
    (root / ".git/info/exclude").write_text("also\n")
    (root / "also").write_text("x")
    (root / "sub").mkdir()
    head = git(root, "rev-parse", "HEAD")
    assert git_state(root / "sub") == {"commit": head, "dirty": False}
    (root / "new").write_text("x")
    assert git_state(root) == {"commit": head, "dirty": True}
    (root / "new").unlink()
    (root / "a.txt").write_text("2\n")
    assert git_state(root) == {"commit": head, "dirty": True}


def test_kinds_of_repositories(tmp_path: Path) -> None:
    root = repository(tmp_path / "r")
    head = git(root, "rev-parse", "HEAD")
    git(root, "pack-refs", "--all")
    git(root, "gc", "-q")
    assert git_state(root) == {"commit": head, "dirty": False}
    git(root, "worktree", "add", "-q", "-b", "other", str(tmp_path / "w"))
    assert git_state(tmp_path / "w") == {"commit": head, "dirty": False}
    git(root, "checkout", "-q", "--detach")
    assert git_state(root) == {"commit": head, "dirty": False}
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    assert git_state(empty) == {"commit": None, "dirty": None}
    other = repository(tmp_path / "s", "--object-format=sha256")
    assert git_state(other) == {"commit": git(other, "rev-parse", "HEAD"), "dirty": False}


def test_nothing_of_the_repository_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho $0 $@ >> '{ran}'\ncat\n")
    program.chmod(0o755)
    root = repository(tmp_path / "r")
    inner = repository(root / "inner")
    (root / ".gitattributes").write_text("*.txt filter=evil diff=evil\n*.bin filter=process\n")
    (root / "b.bin").write_text("1\n")
    git(root, "add", ".gitattributes", "b.bin", "inner")
    git(root, "commit", "-qm", "second")
    head, head_inside = (git(place, "rev-parse", "HEAD") for place in (root, inner))
    settings = {
        "core.fsmonitor": str(program),
        "core.pager": str(program),
        "core.editor": str(program),
        "core.sshCommand": str(program),
        "core.hooksPath": str(tmp_path / "hooks"),
        "core.gitProxy": str(program),
        "diff.external": str(program),
        "diff.evil.textconv": str(program),
        "filter.evil.clean": str(program),
        "filter.evil.smudge": str(program),
        "filter.evil.required": "true",
        "filter.process.process": str(program),
        "alias.status": f"!{program}",
        "credential.helper": f"!{program}",
        "gpg.program": str(program),
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::{program}",
        "remote.origin.uploadpack": str(program),
        "protocol.ext.allow": "always",
        "submodule.inner.update": f"!{program}",
        "include.path": str(tmp_path / "more"),
    }
    (tmp_path / "more").write_text(f'[core]\n\tfsmonitor = "{program}"\n')
    (tmp_path / "hooks").mkdir()
    for name in ("post-index-change", "fsmonitor-watchman", "pre-auto-gc", "reference-transaction"):
        shutil.copy(program, tmp_path / "hooks" / name)
        shutil.copy(program, root / ".git/hooks" / name)
    for key, value in settings.items():
        git(root, "config", key, value)
        git(inner, "config", key, value)
    (root / "b.bin").write_text("changed, and longer\n")
    (inner / "a.txt").write_text("changed\n")
    shutil.copy(program, root / "git")
    monkeypatch.chdir(root)
    monkeypatch.setenv("PATH", os.pathsep.join([".", "", os.environ["PATH"]]))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(program))
    monkeypatch.setenv("GIT_SSH_COMMAND", str(program))
    assert git_state(root) == {"commit": head, "dirty": True}
    assert git_state(inner) == {"commit": head_inside, "dirty": True}
    for packed in (root / ".git/objects").glob("[0-9a-f][0-9a-f]"):
        shutil.rmtree(packed)  # so that git would have to fetch what is missing
    assert git_state(root) == {"commit": head, "dirty": None}
    assert not ran.exists(), ran.read_text()
    git_status = ["git", "status"]  # the trap itself works: git as it comes runs the program
    subprocess.run(git_status, cwd=inner, env=os.environ | {"PATH": os.defpath}, check=False)
    assert ran.exists()


def test_strange_repositories(tmp_path: Path) -> None:
    for name, head in {
        "outside": "ref: refs/../../../secret\n",
        "elsewhere": "ref: /etc/hostname\n",
        "circle": "ref: refs/heads/circle\n",
        "text": "no commit at all\n",
        "long": "0" * 100_000,
        "bytes": "\udcff",
    }.items():
        place = tmp_path / name / ".git"
        (place / "refs/heads").mkdir(parents=True)
        (place / "HEAD").write_text(head, errors="surrogateescape")
        (place / "refs/heads/circle").write_text("ref: refs/heads/circle\n")
        assert git_state(tmp_path / name) == {"commit": None, "dirty": None}
    (tmp_path / "pipe/.git").mkdir(parents=True)
    os.mkfifo(tmp_path / "pipe/.git/HEAD")
    assert git_state(tmp_path / "pipe") is None
    (tmp_path / "file").mkdir()
    (tmp_path / "file/.git").write_text("gitdir: ../nowhere\n")
    assert git_state(tmp_path / "file") is None


def test_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = repository(tmp_path / "r")
    head = git(root, "rev-parse", "HEAD")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(root) == {"commit": head, "dirty": None}
