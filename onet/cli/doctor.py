"""The command that looks at the installation."""

from __future__ import annotations

import typer

from onet.cli.app import INSTALLATION, Json, command, echo_json


@command(INSTALLATION, "onet doctor", "onet doctor --json")
def doctor(json: Json = False) -> None:
    """Say what this installation can do, what is missing, and what to do about each.

    Exits with 1 where something that is needed is broken.
    """
    from onet.doctor import BROKEN, OK, as_dicts, examine

    findings = examine()
    broken = [finding for finding in findings if finding.status == BROKEN]
    if json:
        echo_json(as_dicts(findings))
        raise typer.Exit(1 if broken else 0)
    for finding in findings:
        mark = "" if finding.status == OK else f"{finding.status}: "
        typer.echo(f"{finding.name}: {mark}{finding.found}")
        if finding.remedy:
            typer.echo(f"    -> {finding.remedy}")
    if broken:
        names = ", ".join(finding.name for finding in broken)
        typer.echo(f"{len(broken)} broken: {names}", err=True)
        raise typer.Exit(1)
    typer.echo("nothing that is needed is broken")
