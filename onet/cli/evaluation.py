"""The command that scores meshes: of a run, or of anybody."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onet.cli.app import SCORE, Json, Scheduler, Seed, Workers, command, echo_json, out_option
from onet.names import printable

if TYPE_CHECKING:
    from onet.evaluation.folders import FoldersReport


class Protocol(StrEnum):
    """See `onet.evaluation.onet2019` and `motion`; for folders `onet.evaluation.protocols`."""

    onet2019 = "onet2019"
    conv2020 = "conv2020"
    oflow = "oflow"


class Align(StrEnum):
    """See `onet.evaluate_folders`."""

    none = "none"
    rigid = "rigid"
    similarity = "similarity"


class OpenMeshes(StrEnum):
    """See `onet.evaluate_folders`."""

    none = "none"
    zero = "zero"
    winding = "winding"
    parity = "parity"


@command(
    SCORE,
    "onet eval runs/mine",
    "onet eval theirs ours=runs/out/meshes --truth truth -o scores",
    name="eval",
)
def evaluate(
    results: Annotated[
        list[str],
        typer.Argument(
            help="Folder that `onet generate` wrote, or its run; with --truth folders of meshes, "
            "one a method, also as NAME=FOLDER."
        ),
    ],
    truth: Annotated[
        Path | None,
        typer.Option(help="Folder of true meshes: scores meshes of anybody; no run is needed."),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            help="CSV of meshes that belong together: a column truth, and one a method. Default by "
            "names. With --truth."
        ),
    ] = None,
    align: Annotated[
        Align, typer.Option(help="Move each mesh onto its truth first. With --truth.")
    ] = Align.none,
    units: Annotated[
        str | None,
        typer.Option(
            help="Of all files: um, mm, cm, m, in, ft; adds scores in them. With --truth."
        ),
    ] = None,
    thresholds: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBERS",
            help="Of the F-scores, in longest edges: 0.01,0.02 for instance. With --truth.",
        ),
    ] = None,
    open_meshes: Annotated[
        OpenMeshes,
        typer.Option(
            help="IoU of open meshes: none, zero, or by what is called inside. With --truth."
        ),
    ] = OpenMeshes.none,
    solids: Annotated[
        bool,
        typer.Option(help="Look for crossing faces and thin walls, too. With --truth."),
    ] = True,
    shown: Annotated[
        int, typer.Option(min=0, help="Worst and best items on the page in 3D. With --truth.")
    ] = 3,
    out: Annotated[
        Path | None,
        out_option("Folder of the scores; default evaluation. With --truth."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Prepared data of a run, if no longer where it was.")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Surface samples a mesh; default 100,000.")
    ] = None,
    seed: Seed = 0,
    workers: Workers = 1,
    scheduler: Scheduler = None,
    protocol: Annotated[
        Protocol | None,
        typer.Option(
            help="The table of a publication, in its units, and nothing left to choose; conv2020 "
            "with --truth, oflow of moving meshes."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Measure reconstructions against the truth.

    With --truth, exits with 1 where a true mesh cannot be used; missing and failed meshes are part
    of the table.
    """
    from onet.errors import ConfigError

    name = protocol.value if protocol else None
    if truth is None:
        chosen = {
            "--pairs": pairs is not None,
            "--align": align is not Align.none,
            "--units": units is not None,
            "--thresholds": thresholds is not None,
            "--open-meshes": open_meshes is not OpenMeshes.none,
            "--no-solids": not solids,
            "--out": out is not None,
        }
        if len(results) > 1 or any(chosen.values()):
            what = [option for option, given in chosen.items() if given] or ["several folders"]
            raise ConfigError(f"{', '.join(what)}: need --truth, the folder of the true meshes")
        _evaluate_run(results[0], data, samples, seed, (workers, scheduler), name, json)
        return
    if data is not None:
        raise ConfigError("--data: belongs to a run; with --truth the truth is in that folder")
    from onet.metrics.penalties import F_SCORE_THRESHOLDS
    from onet.pipeline.evaluate_folders import PAGE, evaluate_folders

    place = out or Path("evaluation")
    report = evaluate_folders(
        results,
        truth,
        place,
        pairs=pairs,
        protocol=name,
        samples=samples,
        thresholds=_numbers(thresholds) if thresholds else F_SCORE_THRESHOLDS,
        align=align.value,
        units=units,
        open_meshes=open_meshes.value,
        solids=solids,
        shown=shown,
        seed=seed,
        workers=workers,
        scheduler=scheduler,
    )
    if json:
        differences = report.differences()
        told = {"table": report.table(), "items": report.items, "differences": differences}
        echo_json({"folder": place, **told, "left_out": report.unusable})
    else:
        _print(report)
        typer.echo(f"{report.summary()}; see {place / PAGE}")
    for item, reason in report.unusable.items():
        typer.echo(f"left out: {printable(item)}: {printable(reason)}", err=True)
    if report.unusable:
        raise typer.Exit(1)


def _print(report: FoldersReport) -> None:
    from onet.report.tables import print_table

    print_table(report.table(), report.title)
    for title, rows in (
        ("Categories", report.by_category()),
        ("Solids; thinnest wall in longest edges of the truth", report.solids()),
        ("Mean differences on the same items", report.differences()),
    ):
        if rows:
            print_table(rows, title)
    for note in report.notes:
        typer.echo(f"note: {printable(note)}")
    for row in report.items:
        if row["status"] != "ok":
            item = printable(f"{row['method']}, {row['item']}: {row['reason']}")
            typer.echo(f"{row['status']}: {item}", err=True)


def _numbers(text: str) -> tuple[float, ...]:
    from onet.errors import ConfigError

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(
            f"--thresholds {text!r}: give numbers with commas between, 0.01,0.02 for instance"
        ) from None


def _evaluate_run(
    results: str,
    data: Path | None,
    samples: int | None,
    seed: int,
    where: tuple[int | None, str | None],  # workers, scheduler
    protocol: str | None,
    json: bool,
) -> None:
    from onet.pipeline.evaluate import evaluate_run
    from onet.report.tables import print_table

    measured = evaluate_run(
        results,
        data=data,
        samples=100_000 if samples is None else samples,
        seed=seed,
        workers=where[0],
        scheduler=where[1],
        protocol=protocol,  # type: ignore[arg-type]
    )
    if json:
        echo_json({"folder": measured.folder, "table": measured.table()})
        return
    print_table(measured.table(), measured.title)
    typer.echo(f"{measured.summary()}; see {measured.folder / measured.shown}")
