"""The command that lists the networks that come with the package."""

from __future__ import annotations

from typing import Any

from onet.cli.app import INSTALLATION, Json, command, echo_json


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
    from onet.report.tables import print_table

    print_table([_row(model) for model in found], "Networks of this package")


def _row(model: Any) -> dict[str, Any]:
    size = "missing" if model.size is None else f"{model.size / 1e6:.1f} MB"
    scores = "; ".join(f"{what} {score:.3f}" for what, score in model.scores.items())
    return {
        "name": model.name,
        "input": model.input,
        "trained_on": model.trained_on,
        "licence": model.licence,
        "scores": scores,
        "size": size,
    }
