"""Commands about adversarial training: its theory as pictures and tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onet.cli.app import THEORY, Seed, command, group, out_option
from onet.errors import ConfigError

if TYPE_CHECKING:
    from onet.gan_theory.studies.study import Study

stability = group(
    THEORY,
    "stability",
    help="What makes adversarial training converge: games, spectra, data and losses as pictures "
    "and tables.",
)

Out = Annotated[Path | None, out_option("Folder of the results; default stability/COMMAND.")]
Pair = Annotated[
    str, typer.Option(help="Loss: js, wasserstein, least_squares, hellinger, kl, reverse_kl, ...")
]
OwnPair = Annotated[str | None, typer.Option(help="Loss, as for dirac; default the game's own.")]
Gamma = Annotated[float, typer.Option(help="Weight of gamma/2 E|grad D|^2.")]
RegParam = Annotated[
    float | None,
    typer.Option(help="The same as reg_param E|grad D|^2, as published code has it: gamma / 2."),
]


@command(
    THEORY,
    "onet stability dirac",
    "onet stability dirac --pair wasserstein --gamma 1 -o dirac",
    parent=stability,
)
def dirac(
    pair: Pair = "js",
    gamma: Gamma = 0.3,
    reg_param: RegParam = None,
    noise: Annotated[float, typer.Option(help="Standard deviation of instance noise.")] = 0.7,
    start: Annotated[tuple[float, float], typer.Option(help="Theta and psi.")] = (1.0, -1.0),
    step: Annotated[float, typer.Option(help="Size of both players' steps.")] = 0.2,
    steps: Annotated[int, typer.Option(min=1)] = 500,
    out: Out = None,
) -> None:
    """The Dirac-GAN under every method: vector fields, trajectories, eigenvalues."""
    from onet.gan_theory.studies.dirac import dirac_study

    weight = _gamma(gamma, reg_param)
    _show(dirac_study(pair, weight, noise, start, step, steps), out or Path("stability/dirac"))


@command(
    THEORY,
    "onet stability games",
    "onet stability games dirac --steps 200 -o games",
    parent=stability,
)
def games(
    names: Annotated[list[str] | None, typer.Argument(help="Of the games; default all.")] = None,
    pair: OwnPair = None,
    gamma: Gamma = 1.0,
    reg_param: RegParam = None,
    step: Annotated[float, typer.Option(help="Size of both players' steps.")] = 0.1,
    steps: Annotated[int, typer.Option(min=1)] = 1000,
    out: Out = None,
) -> None:
    """Every analytic game under every scheme, with and without a penalty."""
    from onet.gan_theory.studies.games import games_study

    weight = _gamma(gamma, reg_param)
    _show(games_study(names or (), pair, weight, step, steps), out or Path("stability/games"))


@command(
    THEORY,
    "onet stability spectrum dirac",
    "onet stability spectrum dirac --gamma 0.3 --count 4",
    parent=stability,
)
def spectrum(
    game: Annotated[str, typer.Argument(help="Name, as shown by `onet stability games`.")],
    pair: OwnPair = None,
    gamma: Gamma = 1.0,
    reg_param: RegParam = None,
    measure: Annotated[
        str | None,
        typer.Option(help="Where the penalty is: real, fake, interpolated, midpoint, anchor."),
    ] = None,
    step: Annotated[float, typer.Option(help="Size of both players' steps.")] = 0.1,
    count: Annotated[int | None, typer.Option(help="So many eigenvalues; default all.")] = None,
    out: Out = None,
) -> None:
    """Eigenvalues of a game, their bounds, and the best step sizes."""
    from onet.gan_theory.studies.spectrum import spectrum_study

    study = spectrum_study(game, pair, _gamma(gamma, reg_param), measure, step, count)
    _show(study, out or Path("stability/spectrum") / game)


@command(
    THEORY,
    "onet stability networks runs/gan",
    "onet stability networks runs/gan --count 4 --which LI -o spectrum",
    parent=stability,
)
def networks(
    run: Annotated[Path, typer.Argument(help="Folder of an adversarial run, or a checkpoint.")],
    shapes: Annotated[int, typer.Option(help="Losses are means over so many shapes.")] = 4,
    points: Annotated[int, typer.Option(help="And so many query points of each.")] = 256,
    count: Annotated[int, typer.Option(help="Eigenvalues of the Jacobian.")] = 8,
    which: Annotated[
        str, typer.Option(help="Largest modulus LM, real part LR or imaginary part LI.")
    ] = "LM",
    data: Annotated[Path | None, typer.Option(help="Prepared data, instead of the run's.")] = None,
    seed: Seed = 0,
    out: Out = None,
) -> None:
    """The game between the networks of a run: eigenvalues, damping, coupling, step sizes."""
    from onet.gan_theory.studies.networks import networks_study

    study = networks_study(run, shapes, points, count, which, data, seed)
    _show(study, out or Path("stability/networks") / run.stem)


@command(
    THEORY,
    "onet stability poincare",
    "onet stability poincare samples.npy --augment all --network-steps 0",
    parent=stability,
)
def poincare(
    samples: Annotated[
        Path | None,
        typer.Argument(help="Samples (N, d) as .npy or text; default the literature's."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Eigenvalues of the samples.")] = 3,
    draws: Annotated[int, typer.Option(min=2, help="Samples of each known distribution.")] = 20_000,
    network_steps: Annotated[
        int, typer.Option(min=0, help="Train a network so long to estimate the same; 0 for none.")
    ] = 400,
    augment: Annotated[
        list[str] | None,
        typer.Option(
            help="Rank an augmentation of the samples, NAME or NAME=STRENGTH; repeat for more: "
            "noise, scale, mixup, dropout, mirror, or all."
        ),
    ] = None,
    seed: Seed = 0,
    out: Out = None,
) -> None:
    """How hard a distribution is for a GAN, and the penalty that it asks for."""
    from onet.gan_theory.augmentations import parse_augmentations
    from onet.gan_theory.studies.poincare import poincare_study, samples_study

    if samples:
        ranked = parse_augmentations(augment or [])
        study = samples_study(samples, count, seed, network_steps, ranked)
    elif augment:
        raise ConfigError("--augment ranks augmentations of samples: name a file of samples")
    else:
        study = poincare_study(draws, seed, network_steps)
    _show(study, out or Path("stability/poincare"))


@command(
    THEORY,
    "onet stability landscape",
    "onet stability landscape --n 4 --loss hinge -o landscape",
    parent=stability,
)
def landscape(
    n: Annotated[int, typer.Option(help="Real points, and generated ones.")] = 5,
    loss: Annotated[str, typer.Option(help="Separable: js, least_squares, hinge.")] = "js",
    paired: Annotated[
        str, typer.Option(help="Relativistic pairing: rs, rp_hinge, rp_least_squares.")
    ] = "rs",
    out: Out = None,
) -> None:
    """Exact loss values of collapsed generators: where mode collapse is a minimum."""
    from onet.gan_theory.studies.landscape import landscape_study

    _show(landscape_study(n, loss, paired), out or Path("stability/landscape"))


@command(
    THEORY,
    "onet stability gaussians",
    "onet stability gaussians --iterations 5000 --method r1 -o ring",
    parent=stability,
)
def gaussians(
    iterations: Annotated[int, typer.Option(min=1, help="Of each training.")] = 20_000,
    gamma: Annotated[float, typer.Option(help="Of consensus optimisation, and of R1.")] = 10.0,
    reg_param: RegParam = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help="none, consensus, r1; may be repeated; default all."),
    ] = None,
    rate: Annotated[float, typer.Option(help="Learning rate of RMSprop.")] = 1e-4,
    seed: Seed = 0,
    out: Out = None,
) -> None:
    """Eight Gaussians by two networks: samples, and all eigenvalues before and after."""
    from onet.gan_theory.gaussian_ring import METHODS
    from onet.gan_theory.studies.gaussian_ring import gaussian_ring_study

    study = gaussian_ring_study(iterations, _gamma(gamma, reg_param), method or METHODS, rate, seed)
    _show(study, out or Path("stability/gaussians"))


@command(
    THEORY,
    "onet stability image photo.jpg",
    "onet stability image photo.jpg --size 64 --steps 400 -o dirac-image",
    parent=stability,
)
def image(
    picture: Annotated[Path, typer.Argument(help="A picture, whose middle square is taken.")],
    size: Annotated[int, typer.Option(min=1, help="Pixels along its edge.")] = 256,
    pair: Pair = "js",
    gamma: Gamma = 1.0,
    reg_param: RegParam = None,
    step: Annotated[float, typer.Option(help="Size of both players' steps.")] = 0.1,
    steps: Annotated[int, typer.Option(min=1)] = 200,
    seed: Seed = 0,
    out: Out = None,
) -> None:
    """The Dirac-GAN whose point is a picture, with R1 and without: pictures and errors."""
    from onet.gan_theory.studies.image_dirac import image_dirac_study

    weight = _gamma(gamma, reg_param)
    study = image_dirac_study(picture, size, pair, weight, step, steps, seed)
    _show(study, out or Path("stability/image"))


def _gamma(gamma: float, reg_param: float | None) -> float:
    from onet.adversarial.factors import gamma_of_reg_param

    return gamma if reg_param is None else gamma_of_reg_param(reg_param)


def _show(study: Study, out: Path) -> None:
    """Write a study, and print its tables."""
    from onet.gan_theory.studies.study import shown
    from onet.report.tables import print_table

    page = study.write(out)
    typer.echo(f"{study.title}. {study.text}\n")
    for table in study.tables:
        print_table(
            [{k: _cell(v, shown(v)) for k, v in row.items()} for row in table.rows], table.caption
        )
    typer.echo(f"Pictures and tables: {page}")


def _cell(value: object, text: str) -> object:
    return text if isinstance(value, float) and "e" in text else value
