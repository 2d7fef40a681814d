"""A dask cluster on this machine, of which one worker is killed and one stopped: same solids.

`onet solid` makes solids of the meshes in a folder twice: in processes of this machine, and over
two workers of one thread each. When a third of the solids is there one worker is killed with
SIGKILL (its nanny starts another); when two thirds are, the other one is stopped with SIGSTOP,
which the scheduler notices after `--patience` seconds. Both folders are then compared, byte for
byte but for the seconds in the records, and the command is repeated, which has to find nothing to
do. With `--namespaces` (Linux, as root) every worker has a network of its own, bridged to that of
the scheduler; else they are two ports of the loopback.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from onet.parallel import ONE_THREAD
from onet.pipeline.solid import find_meshes
from onet.report.tables import print_table

NET, BRIDGE = "10.77.0", "onet-br"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("meshes", help="folder of meshes, or a pattern")
    parser.add_argument("--out", type=Path, required=True, help="folder for both runs")
    parser.add_argument("--count", type=int, default=100, help="meshes, evenly of all")
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--patience", type=int, default=15, help="seconds, of the scheduler")
    parser.add_argument("--namespaces", action="store_true", help="a network for each worker")


def run(arguments: argparse.Namespace) -> None:
    out: Path = arguments.out.absolute()
    found = find_meshes([arguments.meshes])
    chosen = [found[len(found) * k // arguments.count] for k in range(arguments.count)]
    meshes = out / "meshes"
    meshes.mkdir(parents=True, exist_ok=True)
    for path in chosen:
        shutil.copy(path, meshes / f"{path.parent.name}-{path.name}")
    command = ["solid", str(meshes), "--resolution", str(arguments.resolution), "-o"]
    rows = [_timed("local", [*command, str(out / "local"), "--workers", "2"], lambda: None)]
    with _cluster(arguments.namespaces, arguments.patience, out) as (address, pids):
        there = [*command, str(out / "cluster"), "--scheduler", address]
        victims = iter(
            [(arguments.count // 3, signal.SIGKILL), (2 * arguments.count // 3, signal.SIGSTOP)]
        )
        rows.append(_timed("cluster", there, _faults(out / "cluster", pids, victims)))
        rows.append(_timed("again", there, lambda: None))
    print_table(rows, f"{arguments.count} meshes")
    different = [*_differences(out / "local", out / "cluster")]
    print(f"{len(different)} files differ: {', '.join(different[:9])}")
    if different:
        raise SystemExit(1)


def _timed(name: str, command: list[str], meanwhile: Callable[[], None]) -> dict[str, Any]:
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:  # a pipe that nobody reads meanwhile fills up
        process = subprocess.Popen(
            [sys.executable, "-m", "onet.cli", *command], stdout=output,
            env=os.environ | ONE_THREAD,
        )  # fmt: skip
        while process.poll() is None:
            meanwhile()
            time.sleep(0.05)
        output.seek(0)
        said = output.read().splitlines()
    return {"run": name, "exit": process.returncode, "seconds": round(time.monotonic() - start),
            "said": next((line for line in said if " made, " in line), "")}  # fmt: skip


def _faults(
    out: Path, pids: dict[str, int], victims: Iterator[tuple[int, signal.Signals]]
) -> Callable[[], None]:
    """Return what sends a signal to one worker after the other as solids appear in a folder."""
    waiting = dict(zip(pids, victims, strict=True))

    def look() -> None:
        done = len([*out.glob("*.json")])
        for name, (count, number) in [*waiting.items()]:
            if done >= count:
                print(f"{done} solids: {number.name} for worker {name}", flush=True)
                os.kill(pids[name], number)
                del waiting[name]

    return look


@contextmanager
def _cluster(namespaces: bool, patience: int, out: Path) -> Iterator[tuple[str, dict[str, int]]]:
    """Start a scheduler and two workers; yields its address and their process numbers."""
    from distributed import Client

    with ExitStack() as stack:
        host = f"{NET}.1" if namespaces else "127.0.0.1"
        if namespaces:
            stack.enter_context(_bridge())
        address = f"tcp://{host}:{_free_port(host)}"
        port = address.rpartition(":")[2]
        log = stack.enter_context((out / "cluster.log").open("w"))

        def start(*command: str, inside: tuple[str, ...] = ()) -> None:
            process = subprocess.Popen(
                [*inside, sys.executable, "-m", "dask", *command], stdout=log, stderr=log,
                env=os.environ | {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": f"{patience}s"},
                start_new_session=True,
            )  # fmt: skip
            stack.callback(_end, process)

        start("scheduler", "--host", host, "--port", port, "--no-dashboard")
        for number in range(2):
            start("worker", address, "--name", f"{number}", "--nthreads", "1",
                  "--local-directory", str(out / f"worker{number}"), "--no-dashboard",
                  inside=_inside(number) if namespaces else ())  # fmt: skip
        with Client(address, timeout=60) as client:
            client.wait_for_workers(2, timeout=60)
            info = client.scheduler_info(n_workers=-1)["workers"]
            known = client.run(os.getpid)
            pids = {str(info[worker]["name"]): pid for worker, pid in known.items()}
            print({info[w]["name"]: w for w in info}, flush=True)
        yield address, pids


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started, stopped ones too."""
    for number in (signal.SIGCONT, signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        time.sleep(1 if number == signal.SIGTERM else 0)
    process.wait()


def _free_port(host: str) -> int:
    with socket.socket() as found:
        found.bind((host, 0))
        return int(found.getsockname()[1])


def _inside(number: int) -> tuple[str, ...]:
    return ("ip", "netns", "exec", f"onet{number}")


@contextmanager
def _bridge() -> Iterator[None]:
    """Make a bridge and two network namespaces on it."""

    def ip(command: str) -> None:
        subprocess.run(["ip", *command.split()], check=True)

    with ExitStack() as stack:
        ip(f"link add {BRIDGE} type bridge")
        stack.callback(ip, f"link del {BRIDGE}")
        ip(f"addr add {NET}.1/24 dev {BRIDGE}")
        ip(f"link set {BRIDGE} up")
        for number in range(2):
            ip(f"netns add onet{number}")
            stack.callback(ip, f"netns del onet{number}")
            ip(f"link add onet-v{number} type veth peer name eth0 netns onet{number}")
            ip(f"link set onet-v{number} master {BRIDGE} up")
            ip(f"-n onet{number} addr add {NET}.{number + 2}/24 dev eth0")
            ip(f"-n onet{number} link set eth0 up")
            ip(f"-n onet{number} link set lo up")
        yield


def _differences(one: Path, other: Path) -> Iterator[str]:
    """Yield the files that two folders do not both have, or of which the content differs."""
    names = {p.relative_to(root) for root in (one, other) for p in root.rglob("*") if p.is_file()}
    for name in sorted(names):
        if name.name.startswith("."):
            continue
        files = [root / name for root in (one, other)]
        if not all(file.is_file() for file in files):
            yield f"{name} (missing)"
        elif name.suffix == ".json":
            contents = [_without_seconds(json.loads(file.read_text())) for file in files]
            if contents[0] != contents[1]:
                yield str(name)
        elif files[0].read_bytes() != files[1].read_bytes():
            yield str(name)


def _without_seconds(content: Any) -> Any:
    if isinstance(content, dict):
        return {k: _without_seconds(v) for k, v in content.items() if not k.startswith("second")}
    return [*map(_without_seconds, content)] if isinstance(content, list) else content
