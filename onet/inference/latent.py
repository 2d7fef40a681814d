"""Walks through the space of codes: interpolations, and grids of samples.

    OUT/latent.json            checkpoint, settings and seed
    OUT/meshes/ROW-COLUMN.*    one mesh a place, in the unit frame
    OUT/latent.csv             one row a place: mesh, faces, topology
    OUT/contact_sheet.png      all of them, once `onet.report.latent_sheet` has drawn it

An unconditional model is walked through its latent space, from sample to sample: number k with
seed s is the sample k that `onet generate --samples` makes with seed s. A conditional model is
walked from the code of one observation to that of another, its latent code, if any, at the mean.
"""

from __future__ import annotations

import json
import os
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np
import torch
from torch import Tensor

from onet.checkpoints.checkpoint import resolve_checkpoint
from onet.data.inputs import INPUTS
from onet.errors import ConfigError
from onet.files import remove
from onet.geometry.written import save_and_examine
from onet.inference import generation_folder as folder
from onet.inference.reconstructor import Observation, Reconstructor, load
from onet.inference.surface import SURFACE_OPTIONS, SurfaceOptions, renamed_options
from onet.locks import OWN, hold, writer
from onet.nn.code import Code
from onet.parallel import run_tasks
from onet.progress import Progress, reports_progress
from onet.provenance import Provenance
from onet.records import Row, read_json, write_csv, write_json

SETTINGS = "latent.json"
TABLE = "latent.csv"
COLUMNS = ("row", "column", "mesh", "vertices", "faces", "components", "watertight", "manifold")

Kind = Literal["linear", "spherical"]
Position = tuple[int, int]  # row and column


@dataclass(frozen=True)
class LatentReport:
    """What a walk left behind.

    Attributes:
        out: its folder.
        settings: contents of its latent.json.
        rows: one a place, keys as the columns of latent.csv; `mesh` is empty where the field has no
            surface.
    """

    out: Path
    settings: dict[str, Any]
    rows: list[Row]

    def summary(self) -> str:
        """What is there, in a few words."""
        made = [row for row in self.rows if row["mesh"]]
        closed = sum(row["watertight"] is True for row in made)
        return (
            f"{self.out}: {len(made)} of {len(self.rows)} places have a mesh, {closed} watertight"
        )


def blend(
    start: Tensor,  # (..., C)
    end: Tensor,  # (..., C)
    t: float,
    kind: Kind = "linear",
) -> Tensor:  # (..., C)
    """Return the code at the share `t` of the way from `start` to `end`.

    `linear` is the straight line. Between independent normal codes of many dimensions it passes
    through lengths that the prior hardly ever has; `spherical` turns from one direction to the
    other at a constant rate, sin((1-t)w)/sin(w) a + sin(tw)/sin(w) b with the angle w between them
    (White, Sampling Generative Networks, 2016), and keeps to the lengths of its ends.

    Raises:
        ConfigError: an unknown kind, or codes of opposite directions, between which there is no
            spherical way.
    """
    if kind == "linear":
        return torch.lerp(start, end, t)
    if kind != "spherical":
        raise ConfigError(f"kind: {kind!r}; choose linear or spherical")
    a, b = (torch.nn.functional.normalize(code.double(), dim=-1) for code in (start, end))
    # More exact for small and large angles than the arc cosine of the product.
    angle = 2 * torch.atan2((a - b).norm(dim=-1, keepdim=True), (a + b).norm(dim=-1, keepdim=True))
    if bool((angle > torch.pi - 1e-6).any()):
        raise ConfigError("the codes point in opposite directions; interpolate with kind linear")
    # sinc(x) = sin(pi x) / (pi x) has no division by zero for equal directions.
    whole = torch.sinc(angle / torch.pi)
    weights = [s * torch.sinc(s * angle / torch.pi) / whole for s in (1 - t, t)]
    return (weights[0] * start.double() + weights[1] * end.double()).to(start.dtype)


def sample_latent(model: Reconstructor, number: int, seed: int = 0) -> Tensor:  # (Z,)
    """Return the latent code of sample `number` of `generate(..., samples=..., seed=seed)`.

    Raises:
        ConfigError: the model observes something, or has no latent code; or a negative number.
    """
    if model.input.conditions or not model.model.z_dim:
        raise ConfigError(f"{model.source}: is no unconditional model with a latent code")
    if number < 0:
        raise ConfigError(f"sample {number}: give a number from 0 on")
    name = f"{number:04d}"
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    latent = model.latent(int(rng.integers(2**63)))
    assert latent is not None
    return latent


def observation_code(
    model: Reconstructor, observation: Observation, seed: int = 0
) -> Tensor:  # (C,)
    """Return the global code of a user's observation, as `Reconstructor.reconstruct` takes it.

    Raises:
        ConfigError: the code has local features, between which there is no way.
        DataError: an observation that cannot be used.
    """
    if isinstance(observation, str | os.PathLike):
        raw = model.input.read(Path(observation))
    else:
        raw = model.input.take(observation)
    frame = model.input.frame(raw, str(observation))
    code = model.encode(model.input.observe(raw, np.random.default_rng(seed), frame))
    return global_code(model, code)


@renamed_options
@reports_progress
def interpolate(
    source: str | os.PathLike[str],
    pairs: Sequence[tuple[Any, Any]],
    *,
    steps: int = 7,
    kind: Kind | None = None,
    out: str | os.PathLike[str] | None = None,
    seed: int = 0,
    overwrite: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
    **options: Unpack[SurfaceOptions],
) -> LatentReport:
    """Make meshes on the ways between pairs of codes, one row a pair; see the module for files.

    Args:
        source: run folder or checkpoint.
        pairs: both ends of each way: numbers of samples for an unconditional model, numbers of
            training shapes for a model with learned codes, else observations (files, arrays).
        steps: meshes on each way, its ends among them.
        kind: see `blend`; default spherical between latent codes, linear between codes of
            observations, which have no prior.
        out: the folder; default `interpolation` in the run folder, or in the working directory
            where `source` is a file.
        seed: of the samples, and of the choice of points where the model observes points.
        overwrite: replace the walk that is there.
        device: see `onet.load`.
        progress: see `onet.progress`.
        options: see `onet.inference.surface.SurfaceOptions`.

    Raises:
        CheckpointError, ConfigError, DataError: a model, end or folder that cannot be used.
    """
    if steps < 2:
        raise ConfigError(f"steps: {steps}; give at least 2, for the ends")
    if not pairs:
        raise ConfigError("pairs: none are given; name both ends of at least one way")
    model = load(source, device)
    kind = kind or ("spherical" if _unconditional(model) else "linear")
    shares = [float(t) for t in np.linspace(0, 1, steps)]
    codes = {}
    for row, (start, stop) in enumerate(pairs):
        first, last = _end(model, start, seed), _end(model, stop, seed)
        for column, t in enumerate(shares):
            codes[row, column] = blend(first, last, t, kind)
    ends = [(_name(start), _name(stop)) for start, stop in pairs]
    walk = _Walk(
        codes,
        settings={"pairs": ends, "steps": steps, "kind": kind},
        labels=[[f"from {start}", f"to {stop}"] for start, stop in ends],
        titles=[f"{t:.2f}" for t in shares],
    )
    target = _default(source, "interpolation") if out is None else Path(out)
    return _write_walk(source, model, walk, target, seed, overwrite, options)


@renamed_options
@reports_progress
def sample_grid(
    source: str | os.PathLike[str],
    rows: int = 4,
    columns: int = 6,
    *,
    corners: tuple[int, int, int, int] | None = None,
    kind: Kind = "spherical",
    out: str | os.PathLike[str] | None = None,
    seed: int = 0,
    overwrite: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
    **options: Unpack[SurfaceOptions],
) -> LatentReport:
    """Make a grid of samples of an unconditional model, random or over two directions of its codes.

    Args:
        source: run folder or checkpoint of an unconditional model.
        rows, columns: size of the grid.
        corners: numbers of the samples at the top left, top right, bottom left and bottom right,
            between which the grid is blended, down the sides and then along the rows. Default:
            samples 0, 1, ... row by row.
        kind: of the blends, see `blend`.
        out: the folder; default `sample-grid` in the run folder, or in the working directory where
            `source` is a file.
        seed, overwrite, device, progress, options: as for `interpolate`.

    Raises:
        CheckpointError, ConfigError: a model or folder that cannot be used; a grid without places,
            or with corners of fewer than two rows or columns.
    """
    least = 1 if corners is None else 2
    if min(rows, columns) < least:
        raise ConfigError(f"grid of {rows} x {columns}: give at least {least} rows and columns")
    if corners is not None and len(corners) != 4:
        raise ConfigError(f"corners: {corners}; give the numbers of four samples")
    model = load(source, device)
    if corners is None:
        codes, labels = _in_order(model, rows, columns, seed)
    else:
        codes, labels = _between(model, rows, columns, corners, kind, seed)
    told = {
        "rows": rows,
        "columns": columns,
        "corners": None if corners is None else list(corners),
        "kind": "random" if corners is None else kind,
    }
    walk = _Walk(codes, told, labels, titles=[""] * columns)
    target = _default(source, "sample-grid") if out is None else Path(out)
    return _write_walk(source, model, walk, target, seed, overwrite, options)


@dataclass(frozen=True)
class _Walk:
    """Codes at the places of a grid.

    Attributes:
        codes: at each place.
        settings: how the codes were chosen.
        labels: lines of text beside each row.
        titles: above each column.
    """

    codes: dict[Position, Tensor]
    settings: dict[str, Any]
    labels: list[list[str]]
    titles: list[str]


Codes = tuple[dict[Position, Tensor], list[list[str]]]  # at each place, and the labels of the rows


def _in_order(model: Reconstructor, rows: int, columns: int, seed: int) -> Codes:
    """Return the samples 0, 1, ... row by row."""
    codes = {
        divmod(number, columns): sample_latent(model, number, seed)
        for number in range(rows * columns)
    }
    return codes, [[f"from {row * columns:04d}"] for row in range(rows)]


def _between(
    model: Reconstructor,
    rows: int,
    columns: int,
    corners: tuple[int, int, int, int],
    kind: Kind,
    seed: int,
) -> Codes:
    """Return blends of four samples, down the sides and then along the rows."""
    codes: dict[Position, Tensor] = {}
    a, b, c, d = (sample_latent(model, number, seed) for number in corners)
    for row, down in enumerate(np.linspace(0, 1, rows)):
        left, right = blend(a, c, float(down), kind), blend(b, d, float(down), kind)
        for column, along in enumerate(np.linspace(0, 1, columns)):
            codes[row, column] = blend(left, right, float(along), kind)
    labels: list[list[str]] = [[] for _ in range(rows)]
    labels[0] = [f"{corners[0]:04d} to", f"{corners[1]:04d}"]
    labels[-1] = [f"{corners[2]:04d} to", f"{corners[3]:04d}"]
    return codes, labels


@writer
def _write_walk(
    source: str | os.PathLike[str],
    model: Reconstructor,
    walk: _Walk,
    out: Path,
    seed: int,
    overwrite: bool,
    options: SurfaceOptions,
) -> LatentReport:
    """Make meshes of the codes of a walk, and its files."""
    settings = _settings(source, model, walk, seed, options)
    hold(out)
    _clear(out, settings, overwrite)
    write_json(out / SETTINGS, settings)  # first: an interrupted walk is known by it

    def one(position: Position) -> Row:
        return _write_mesh(model, walk.codes[position], position, out, settings["format"], options)

    rows: list[Row] = []
    for position, outcome in run_tasks(
        one, walk.codes, 1, describe=_position_name, title="extracting"
    ):
        if isinstance(outcome, Exception):
            raise outcome
        rows.append({"row": position[0], "column": position[1], **outcome})
    write_csv(out / TABLE, COLUMNS, rows)
    return LatentReport(out, settings, rows)


def _settings(
    source: str | os.PathLike[str],
    model: Reconstructor,
    walk: _Walk,
    seed: int,
    options: SurfaceOptions,
) -> dict[str, Any]:
    """Return the contents of latent.json."""
    surface = model.generation_settings(**options)
    extraction = surface.model_dump(include=SURFACE_OPTIONS)
    provenance = Provenance(checkpoint=str(resolve_checkpoint(source).resolve()), seed=seed)
    chosen = ("checkpoint", *walk.settings, "seed", "labels", "titles")
    return provenance.as_dict(
        (*chosen, "input", "format", *extraction, "version"),
        labels=walk.labels,
        titles=walk.titles,
        input=INPUTS.name_of(model.input),
        format=surface.format,
        **walk.settings,
        **extraction,
    )


def _write_mesh(
    model: Reconstructor,
    code: Tensor,
    position: Position,
    out: Path,
    format: str,
    options: SurfaceOptions,
) -> Row:
    """Write the mesh of a code; its cells of the table, which are empty where it has no surface."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="no surface")  # the table says so
        if _unconditional(model):
            mesh = model.surface(code.new_zeros(0), latent=code, **options)
        else:
            mesh = model.surface(code, **options)
    if len(mesh.faces) == 0:
        return dict.fromkeys(COLUMNS[2:], "")
    path = Path(folder.MESHES) / f"{_position_name(position)}.{format}"
    shape = save_and_examine(mesh, out / path).as_dict()
    return {"mesh": path.as_posix(), **{key: shape[key] for key in COLUMNS[3:]}}


def _end(model: Reconstructor, name: Any, seed: int) -> Tensor:
    """Return the code at one end of a way, as `interpolate` takes it."""
    if _unconditional(model):
        return sample_latent(model, _number(name, "sample"), seed)
    if model.input.kind == "index":
        name = _number(name, "training shape")
    return observation_code(model, name, seed)


def _position_name(position: Position) -> str:
    return f"{position[0]:02d}-{position[1]:02d}"


def _clear(out: Path, settings: dict[str, Any], overwrite: bool) -> None:
    """Make room for a walk; what is no walk is not touched, the same one is made again."""
    if out.is_dir() and any(path.name not in OWN for path in out.iterdir()):
        if not (out / SETTINGS).is_file():
            raise ConfigError(f"{out}: holds something else; choose another folder")
        before = folder.with_present_names(read_json(out / SETTINGS))
        if not overwrite and json.loads(json.dumps(settings)) != before:
            raise ConfigError(
                f"{out}: another walk is there already; choose another folder, or overwrite it"
            )
        for name in (TABLE, folder.CONTACT_SHEET):
            (out / name).unlink(missing_ok=True)
        remove(out / folder.MESHES)


def _unconditional(model: Reconstructor) -> bool:
    return not model.input.conditions


def global_code(model: Reconstructor, code: Code) -> Tensor:
    """Return a code that is one vector.

    Raises:
        ConfigError: it has local features.
    """
    if not isinstance(code, Tensor) or code.ndim != 1:
        raise ConfigError(
            f"{model.source}: the code has local features, which belong to places in space; only "
            "models with one global code a shape can be interpolated"
        )
    return code


def _number(name: Any, what: str) -> int:
    try:
        return int(name)
    except (TypeError, ValueError):
        raise ConfigError(f"{name!r}: expected the number of a {what}") from None


def _name(end: Any) -> str:
    if isinstance(end, str | os.PathLike):
        return Path(end).name
    return str(end) if isinstance(end, int) else type(end).__name__


def _default(source: str | os.PathLike[str], name: str) -> Path:
    return (Path(source) if Path(source).is_dir() else Path.cwd()) / name
