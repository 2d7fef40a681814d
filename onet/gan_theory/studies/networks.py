"""The game between two trained networks: where its eigenvalues are, and what damps them."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import get_args

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from onet.adversarial.losses import find_loss
from onet.errors import ConfigError
from onet.gan_theory.blocks import BlockValues, block_values
from onet.gan_theory.eigenpairs import Eigenpairs, Which
from onet.gan_theory.rates import largest_alternating_step, largest_step
from onet.gan_theory.spectrum import GameField
from onet.gan_theory.studies.study import FigurePart, Row, Study, TablePart
from onet.gan_theory.trained_game import TrainedGame, load_game
from onet.gan_theory.verdict import Verdict, game_verdict
from onet.registry import nearest

logger = logging.getLogger(__name__)

OF_BLOCKS = 3  # values of each block
TOLERANCE = 1e-5  # of the search for eigenvalues


def networks_study(
    run: str | os.PathLike[str],
    shapes: int = 4,
    points: int | None = 256,
    count: int = 8,
    which: str = "LM",
    data: str | os.PathLike[str] | None = None,
    seed: int = 0,
) -> Study:
    """Spectrum of the game between the networks of a run, at its last checkpoint.

    The verdict looks for the eigenvalues that decide, whichever and however many are shown.

    Args:
        run: folder of an adversarial run, or a checkpoint of one.
        shapes, points: what the losses are means over; points of each shape, None for all.
        count: eigenvalues that are shown.
        which: those of the largest modulus (`LM`), real (`LR`) or imaginary part (`LI`).
        data: prepared data, instead of the run's.
        seed: of codes and points, and of the vectors that searches start from.

    Raises:
        CheckpointError: no readable checkpoint.
        ConfigError: a run without a discriminator, more eigenvalues than parameters.
        DataError: the data is missing.
        TrainingError: the losses are not finite, or the values of blocks did not converge.
    """
    if which not in get_args(Which):
        raise ConfigError(f"which: unknown {which!r}: {nearest(which, list(get_args(Which)))}")
    game = load_game(run, shapes, points, seed, data)
    field, options = game.field(), game.trainer.options
    logger.info("eigenvalues of a Jacobian of %s rows and columns", f"{field.size:,}")
    shown = field.eigenpairs(count, which, seed, TOLERANCE)  # type: ignore[arg-type]
    logger.info("the eigenvalues that decide")
    h_g, h_d = game.rates
    verdict = game_verdict(field, h_g, h_d / h_g, seed=seed)
    smaller = min(field.generator, field.size - field.generator)
    free = game.field(penalty=False) if options.penalty is not None else None
    logger.info("values of its blocks")
    blocks = block_values(field, free, min(OF_BLOCKS, smaller))
    settings = {
        "run": str(run),
        "checkpoint": game.path.name,
        "iteration": game.iteration,
        "loss": find_loss(options.loss).name,
        "penalty": str(options.penalty),
        "shapes": shapes,
        "points": points,
        "eigenvalues": len(shown.values),
        "which": which,
        "seed": seed,
    }
    text = (
        "Eigenvalues decide over convergence only near an equilibrium, where D is 0 and the field "
        "vanishes; elsewhere they say how the players act on each other now. Steps are those of "
        "plain gradient descent: RMSprop and Adam divide by the size of the gradients."
    )
    parts: list[TablePart | FigurePart] = [
        TablePart("state", "How near an equilibrium is", [_state(game, field)]),
        TablePart("verdict", "Verdict on simultaneous gradient descent", _verdict(verdict)),
    ]
    if len(shown.values):
        caption = f"Eigenvalues, {len(shown.values)} of {field.size:,} ({which})"
        if not shown.converged:
            caption += f"; of {count} asked for the others did not converge"
        parts.append(TablePart("eigenvalues", caption, _eigenvalues(shown)))
    else:
        text += f" None of the {count} eigenvalues asked for ({which}) converged."
    parts += [
        FigurePart("plane", "Eigenvalues, and where a step may have them", _plane(shown, verdict)),
        TablePart("blocks", "Largest values of the blocks", _blocks(blocks)),
        TablePart("advice", "Step sizes", _advice(game, verdict, blocks)),
    ]
    return Study(f"The game between the networks of {Path(run).name}", text, settings, parts)


def _state(game: TrainedGame, field: GameField) -> Row:
    _, _, report = game.losses()
    names = ("loss_g", "loss_d", "d_real", "d_fake", "d_accuracy", "penalty")
    row: Row = {name: float(report[name].detach()) for name in names if name in report}
    both = field.value()
    row["gradient_g"] = float(np.linalg.norm(both[: field.generator]))
    row["gradient_d"] = float(np.linalg.norm(both[field.generator :]))
    return row


def _eigenvalues(found: Eigenpairs) -> list[Row]:
    """Return a row for each, the rightmost first."""
    return [
        {
            "real_part": float(value.real),
            "imaginary_part": float(value.imag),
            "residual": float(residual),
            "largest_step": largest_step(np.array([value])),
        }
        for value, residual in reversed(list(zip(found.values, found.residuals, strict=True)))
    ]


def _verdict(verdict: Verdict) -> list[Row]:
    """Return what decides: the rightmost, the largest, and what the step makes the largest."""
    found = verdict.found
    rows: list[Row] = [{"what": "all-clear", "value": "yes" if verdict.clear else "no"}]
    rows.append({"what": "because", "value": verdict.text})
    rows += [{"what": "in doubt", "value": doubt} for doubt in verdict.doubts]
    if not len(found.values):
        return rows
    sizes = {
        "rightmost eigenvalue": found.values.real,
        "largest in modulus": np.abs(found.values),
        f"largest after a step of {verdict.step:.3g}": np.abs(1 + verdict.step * found.values),
    }
    for what, size in sizes.items():
        place = int(np.argmax(size))
        value, turn = found.values[place], abs(found.values[place].imag)
        text = f"{value.real:.4g}" + (f" ± {turn:.4g}i" if turn else "")
        rows.append({"what": what, "value": f"{text} (residual {found.residuals[place]:.1g})"})
    looked = "all of them" if verdict.whole else "the outermost, by a search"
    rows.append({"what": "eigenvalues", "value": looked})
    return rows


def _blocks(blocks: BlockValues) -> list[Row]:
    named = (
        ("K_DD, damping by the loss", blocks.k_dd),
        ("L_DD, damping by the penalty", blocks.l_dd),
        ("K_DD + L_DD", blocks.damping),
        ("K_DG, coupling (singular values)", blocks.k_dg),
    )
    return [
        {"block": name} | {f"value_{k + 1}": float(v) for k, v in enumerate(values)}
        for name, values in named
    ]


def _advice(game: TrainedGame, verdict: Verdict, blocks: BlockValues) -> list[Row]:
    h_g, h_d = game.rates
    ratio, eta = h_d / h_g, float(blocks.damping.max())
    rows = [
        {"what": "optimiser", "value": game.config.training.optimizer},
        {"what": "learning rates", "value": f"h_g = {h_g:.4g}, h_d = {h_d:.4g}"},
        {"what": "by the eigenvalues", "value": verdict.text},
    ]
    if len(verdict.growing):
        alternating = "short steps grow here too; longer ones were not looked at"
        rows.append({"what": "alternating", "value": alternating})
    elif eta > 0:
        step = largest_alternating_step(float(blocks.k_dg[0]), eta, ratio)
        alternating = f"below {step:.4g} where anything damps (h_d = {ratio:.3g} h_g)"
        rows.append({"what": "alternating h_g by the blocks", "value": alternating})
        rows.append({"what": "h_d for the damping alone", "value": f"below {2 / eta:.4g}"})
    return rows


def _plane(shown: Eigenpairs, verdict: Verdict) -> Figure:
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axes = figure.subplots()
    for pairs, style, label in (
        (verdict.found, "x", "of the verdict"),
        (shown, "o", "asked for"),
    ):
        values = pairs.values
        axes.plot(values.real, values.imag, style, markersize=4, label=label)
    if verdict.limit:
        radius = 1 / verdict.limit
        axes.add_patch(Circle((-radius, 0), radius, fill=False, color="k", linewidth=0.6))
    axes.axvline(0, color="k", linewidth=0.6)
    axes.set(xlabel="real part", ylabel="imaginary part")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
