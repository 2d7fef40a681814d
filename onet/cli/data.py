"""Commands that make training data and look after it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onet.cli.app import (
    DATA,
    Json,
    Scheduler,
    Seed,
    Workers,
    command,
    echo_json,
    group,
    out_option,
)
from onet.cli.settings import with_options
from onet.data.settings import PrepareSettings
from onet.names import printable

if TYPE_CHECKING:
    from onet.data.check import Problem
    from onet.data.packed.copying import CopyReport

data_app = group(DATA, "data", help="Look after prepared data.")


@command(
    DATA,
    "onet prepare meshes prepared",
    "onet prepare meshes -o prepared --render 24 --voxels 32 --workers 4",
)
@with_options(
    PrepareSettings,
    names={"categories": "--category"},
    shared={"seed": Seed},
    left_out=("padding", "stored_faces"),
)
def prepare(
    meshes: Annotated[Path, typer.Argument(help="Folder of meshes; subfolders are categories.")],
    settings: PrepareSettings,
    place: Annotated[
        Path | None, typer.Argument(metavar="OUT", help="Folder of the prepared data.")
    ] = None,
    out: Annotated[Path | None, out_option("The same as an option.")] = None,
    sequences: Annotated[
        bool,
        typer.Option(
            "--sequences",
            help="Moving shapes: folders of meshes (a frame each), npz files with vertices "
            "(T, V, 3) and faces, animated glTF files.",
        ),
    ] = False,
    frames: Annotated[
        int | None, typer.Option(min=2, help="Of sequences: resample each to so many frames.")
    ] = None,
    fps: Annotated[
        float | None, typer.Option(min=0.001, help="Of sequences: so many frames a second.")
    ] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    json: Json = False,
) -> None:
    """Turn a folder of meshes, in any condition, or of moving ones, into training data.

    Each mesh is made watertight and sampled. Finished shapes are kept when the command is repeated.
    Exits with 1 when a mesh failed, or a file has a format that is not read; the others are there.
    """
    if (place is None) == (out is None):
        raise typer.BadParameter("name one folder for the prepared data: onet prepare MESHES OUT")
    folder = out or place
    assert folder is not None
    from onet.data.mesh_files import summary
    from onet.data.prepare import prepare
    from onet.data.sequences import prepare_sequences
    from onet.report.tables import print_table

    how: dict[str, Any] = {"workers": workers, "scheduler": scheduler}
    if sequences:
        report = prepare_sequences(meshes, folder, settings, frames=frames, fps=fps, **how)
    elif frames is not None or fps is not None:
        raise typer.BadParameter("--frames and --fps are of sequences; add --sequences")
    else:
        report = prepare(meshes, folder, settings, **how)
    if json:
        counts = {"prepared": report.prepared, "kept": report.kept, "seconds": report.seconds}
        failures = [asdict(failure) for failure in report.failures]
        told = {"folder": report.out, "splits": report.splits, **counts, "failures": failures}
        echo_json({**told, "skipped": [asdict(file) for file in report.skipped]})
        raise typer.Exit(0 if report.ok else 1)
    rows = [{"category": name, **counts} for name, counts in sorted(report.splits.items())]
    print_table(rows, f"{report.out}: shapes per split")
    typer.echo(
        f"{report.prepared} prepared, {report.kept} kept from before, "
        f"{len(report.failures)} failed, {len(report.skipped)} of formats that are not read, "
        f"{report.seconds:.0f} s"
    )
    for failure in report.failures:
        typer.echo(f"failed: {printable(failure.file)}: {failure.reason}", err=True)
    if report.skipped:
        typer.echo(f"skipped: {summary(report.skipped)}; see failures.csv", err=True)
    if not report.ok:
        raise typer.Exit(1)


Packed = Annotated[Path, typer.Argument(help="Folder of the packed store, made or extended.")]
ShardSize = Annotated[
    int, typer.Option("--shard-size", min=1, help="MiB from which another shard is begun.")
]


@command(
    DATA,
    "onet data pack prepared packed",
    "onet data pack prepared packed --shard-size 256",
    parent=data_app,
)
def pack(
    store: Annotated[Path, typer.Argument(help="Folder written by `onet prepare`.")],
    packed: Packed,
    shard_size: ShardSize = 1024,
) -> None:
    """Copy prepared data to a few large files, which training reads faster; or add what is new.

    Every command that reads prepared data reads the result. Nothing is lost: `onet data unpack`
    makes the same files of it. Repeated after an interruption it goes on.
    """
    from onet.data.packed.copying import pack

    _tell(pack(store, packed, shard_bytes=shard_size << 20))


@command(
    DATA,
    "onet data unpack packed prepared",
    "onet data unpack packed elsewhere/prepared",
    parent=data_app,
)
def unpack(
    packed: Annotated[Path, typer.Argument(help="Folder of the packed store.")],
    out: Annotated[Path, typer.Argument(help="Folder for the files.")],
) -> None:
    """Copy packed data back to one folder an item, byte for byte."""
    from onet.data.packed.copying import unpack

    _tell(unpack(packed, out))


@command(
    DATA,
    "onet data merge packed more -o all",
    "onet data merge chairs tables lamps -o furniture",
    parent=data_app,
)
def merge(
    stores: Annotated[list[Path], typer.Argument(help="Stores, packed or not.")],
    out: Annotated[Path, out_option("Folder of the packed store.")],
    shard_size: ShardSize = 1024,
) -> None:
    """Copy several stores to a packed one; items of one name have to be the same."""
    from onet.data.packed.copying import merge

    _tell(merge(stores, out, shard_bytes=shard_size << 20))


@command(
    DATA,
    "onet data subset packed few --count 100 --seed 1",
    "onet data subset packed chairs --category chair --split train",
    parent=data_app,
)
def subset(
    store: Annotated[Path, typer.Argument(help="A store, packed or not.")],
    packed: Packed,
    category: Annotated[
        list[str] | None, typer.Option(help="Take this category only; may be repeated.")
    ] = None,
    split: Annotated[
        list[str] | None, typer.Option(help="Take this list only; may be repeated.")
    ] = None,
    names: Annotated[
        Path | None, typer.Option(help="Text file with lines CATEGORY/MODEL: take these only.")
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="Draw so many of what the others leave.")
    ] = None,
    seed: Seed = 0,
    shard_size: ShardSize = 1024,
) -> None:
    """Copy some of the listed items of a store to a packed one, with their lists."""
    from onet.data.lists import read_list
    from onet.data.packed.copying import subset

    if names is not None and not names.is_file():
        raise typer.BadParameter(f"{names}: no such file")
    _tell(
        subset(
            store, packed, categories=category, splits=split,
            names=None if names is None else read_list(names), count=count, seed=seed,
            shard_bytes=shard_size << 20,
        )
    )  # fmt: skip


@command(DATA, "onet data verify packed", "onet data verify packed --json", parent=data_app)
def verify(
    packed: Annotated[Path, typer.Argument(help="Folder of the packed store.")],
    json: Json = False,
) -> None:
    """Compare every byte of packed data with its hash, and name what is damaged or missing."""
    from onet.data.packed.verify import verify

    _show(verify(packed), packed, json)


def _tell(report: CopyReport) -> None:
    typer.echo(
        f"{report.out}: {report.copied} items copied ({report.size / 2**20:.1f} MiB), "
        f"{report.kept} kept from before, {len(report.failures)} failed"
    )
    for name, reason in report.failures.items():
        typer.echo(f"failed: {name}: {printable(reason)}", err=True)
    if report.failures:
        raise typer.Exit(1)


@command(
    DATA, "onet data check prepared", "onet data check packed --workers 8 --json", parent=data_app
)
def check(
    root: Annotated[Path, typer.Argument(help="Folder written by `onet prepare`.")],
    workers: Workers = 1,
    scheduler: Scheduler = None,
    json: Json = False,
) -> None:
    """Name every file of prepared data that cannot be used, and its remedy.

    Exits with 1 where there is one.
    """
    from onet.data.check import check_store

    _show(check_store(root, workers=workers, scheduler=scheduler), root, json)


def _show(problems: list[Problem], root: Path, json: bool) -> None:
    if json:
        echo_json([asdict(problem) for problem in problems])
        raise typer.Exit(1 if problems else 0)
    for problem in problems:
        where = printable(f"{problem.file}: {problem.field}")
        typer.echo(f"{where}: {printable(problem.message)}; {problem.remedy}")
    if problems:
        typer.echo(f"{len(problems)} problems in {root}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{root}: no problems")
