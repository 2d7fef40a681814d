"""The command that lists the networks that come with the package."""

from __future__ import annotations

from typing import Any

import typer

from onet.cli.app import INSTALLATION, Json, command, echo_json, wrapped


@command(INSTALLATION, "onet models", "onet models --json")
def models(json: Json = False) -> None:
    """List the networks that come with the package.

    Their names stand wherever a run or a checkpoint can: `onet.load("scan")`, `onet generate demo`.
    """
    from onet.checkpoints.packaged import packaged_models

    found = packaged_models().values()
    if json:
        echo_json([model.as_dict() for model in found])
        return
    for model in found:
        for line in _lines(model):
            typer.echo(line)


def _lines(model: Any) -> list[str]:
    from onet.checkpoints.packaged import RUN, SCAN

    size = "missing" if model.size is None else f"{model.size / 1e6:.1f} MB"
    scores = "; ".join(f"{what}: {score:.3f}" for what, score in model.scores.items())
    use = {SCAN: "onet scan FILE -o out.ply", RUN: f"onet generate {model.name} FILE"}
    lines = [
        f"{model.name}  ({size}, {model.licence})",
        wrapped(f"takes       {model.input}", hanging=12),
        wrapped(f"trained on  {model.trained_on}", hanging=12),
        wrapped(f"scores      {scores}", hanging=12),
    ]
    if model.kind in use:
        lines.append(wrapped(f"use         {use[model.kind]}", hanging=12))
    return lines
