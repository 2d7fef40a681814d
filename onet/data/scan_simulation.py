"""Simulated scans of triangle meshes, and labelled points to learn from, in torch on any device.

What a scanner sees of an object, and what it does to it: parts that nothing sees, density that
falls with distance and slant, floors that are missing, holes, noise and outliers. Everything is
drawn from a generator on the device of the triangles: the same seed gives the same scan on the same
kind of device. Meshes have the longest edge 1 and y up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from onet.data.brute_force import Segments, winding_number

__all__ = [
    "Queries",
    "Scan",
    "ScanSettings",
    "sample_queries",
    "simulate_scan",
    "winding_number",
]

KINDS = ("outer", "all", "around", "one-sided")
OFF_SURFACE = 1e-4  # where rays begin, so that they miss the triangle that they leave
FAR = 4.0  # from the origin everything at this distance is outside
LOOKS = (1, 2, 4)
"""Directions of its hemisphere in which a point is looked at before it counts as hidden: these many
at once, in turn."""
ROUNDS = 3  # of drawing candidates, before points that were seen are repeated
STEEPEST = 0.05  # cosine between the normal and the ray under which nothing comes back


@dataclass(frozen=True)
class ScanSettings:
    """How scans are drawn. Lengths are in units of the longest edge.

    Attributes:
        kinds: weights of the kinds of scan: `outer` (uniform over what can be seen from somewhere
            outside), `all` (uniform over all faces, inner ones included), `around` (seen by some
            sensors on all sides), `one-sided` (sensors on one side alone).
        sensors: fewest and most sensors of a scan.
        distances: nearest and farthest sensor, from the middle.
        missing_floor: probability that nothing is seen of the lowest 1 or 2 % nor from below.
        holes: probability that there are 1 to 4 balls without points.
        hole_radius: smallest and largest radius of these.
        uneven: probability that density varies over the object, up to `unevenness` to one.
        unevenness: see there.
        noise_levels: standard deviations that are common, each with its probability.
        noise: smallest and largest standard deviation otherwise, log-uniform.
        outliers: probability that there are any.
        most_outliers: largest share of points that are outliers, uniform in a larger box.
        outlier_box: edges of that box, of those of the object.
        duplicates: probability that up to a third of the points occur more than once.
        noisy_normals: probability that normals err as estimated ones do.
        normal_noise: largest standard deviation of the components of such normals.
    """

    kinds: Sequence[float] = (0.35, 0.2, 0.3, 0.15)
    sensors: tuple[int, int] = (1, 12)
    distances: tuple[float, float] = (0.9, 3.0)
    missing_floor: float = 0.2
    holes: float = 0.15
    hole_radius: tuple[float, float] = (0.03, 0.15)
    uneven: float = 0.25
    unevenness: float = 20.0
    noise_levels: Sequence[tuple[float, float]] = ((0.0, 0.15), (0.005, 0.3))
    noise: tuple[float, float] = (0.0003, 0.02)
    outliers: float = 0.25
    most_outliers: float = 0.05
    outlier_box: float = 1.2
    duplicates: float = 0.1
    noisy_normals: float = 0.5
    normal_noise: float = 0.3


class Scan(NamedTuple):
    """A simulated scan, on the device of the triangles.

    Attributes:
        points: (N, 3) float32.
        normals: (N, 3) float32, unit length, outward of the true surface; of outliers at random.
        sensors: (N, 3) float32, the position that saw each point; NaN where there is none.
        kind: one of `KINDS`.
        noise: standard deviation of the points.
    """

    points: Tensor
    normals: Tensor
    sensors: Tensor
    kind: str
    noise: float


class Queries(NamedTuple):
    """Labelled points: `points` (Q, 3) float32; `occupancy` (Q,) bool, whether they are inside."""

    points: Tensor
    occupancy: Tensor


class Surface:
    """Triangles made ready to be sampled uniformly by area.

    Attributes:
        triangles: (F, 3, 3) float32.
        normals: (F, 3) float32 of unit length, zero where there is no area.
    """

    def __init__(self, triangles: Tensor) -> None:
        """Take triangles (F, 3, 3), F > 0, of which some have area."""
        self.triangles = triangles.float()
        a, b, c = self.triangles.double().unbind(1)
        cross = torch.linalg.cross(b - a, c - a)
        length = cross.norm(dim=1)
        self.normals = (cross / length.clamp(min=1e-300)[:, None]).float()
        self._cumulative = length.cumsum(0)

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return points (count, 3) and the normals (count, 3) of their triangles."""
        place = _uniform(count, 3, generator=generator)
        area = place[:, 0].double() * self._cumulative[-1]
        face = torch.searchsorted(self._cumulative, area, right=True)
        face.clamp_(max=len(self.triangles) - 1)
        root = place[:, 1].sqrt()
        share = torch.stack([1 - root, root * (1 - place[:, 2]), root * place[:, 2]], 1)
        return (self.triangles[face] * share[:, :, None]).sum(1), self.normals[face]


def _uniform(*shape: int, generator: torch.Generator) -> Tensor:
    return torch.rand(*shape, generator=generator, device=generator.device)


def _normal(*shape: int, generator: torch.Generator) -> Tensor:
    return torch.randn(*shape, generator=generator, device=generator.device)


def _directions(count: int, generator: torch.Generator) -> Tensor:
    return torch.nn.functional.normalize(_normal(count, 3, generator=generator), dim=1)


class Plan(NamedTuple):
    """What is decided about one scan before any point is drawn.

    Attributes:
        kind: one of `KINDS`.
        sensors: (S, 3) positions, or None where points are not seen by any.
        floor: height under which nothing is seen, or None.
        balls: (B, 4) middles and radii of holes.
        slope: (3,) logarithm of density per length.
        noise: standard deviation.
        along: `ray`, `normal` or `all` directions in which points are displaced.
        outliers: share of these.
        duplicates: share of these.
        normal_noise: standard deviation of the components of normals.
    """

    kind: str
    sensors: Tensor | None
    floor: float | None
    balls: Tensor
    slope: Tensor
    noise: float
    along: str
    outliers: float
    duplicates: float
    normal_noise: float


def _plan(surface: Surface, generator: torch.Generator, settings: ScanSettings) -> Plan:
    """Draw what a scan is like; all of chance comes to the host at once."""
    height = surface.triangles[:, :, 1]
    chance = _uniform(24, generator=generator).double()
    ends = torch.stack([height.min(), height.max()]).double()
    values = torch.cat([chance, ends]).tolist()
    low, high = values.pop(-2), values.pop(-1)
    draw = iter(values)
    kind = KINDS[_choice(settings.kinds, next(draw))]
    fewest, most = settings.sensors
    count = min(most, int(fewest + (most - fewest + 1) * next(draw) ** 2))  # few are common
    floored, depth = next(draw) < settings.missing_floor, 0.01 + 0.01 * next(draw)
    floor = low + depth * (high - low) if floored else None
    holes = 1 + int(4 * next(draw)) if next(draw) < settings.holes else 0
    steep = math.log(settings.unevenness) * next(draw) if next(draw) < settings.uneven else 0.0
    level = _noise_level(settings, next(draw), next(draw))
    along = ("ray", "all", "normal")[_choice((0.4, 0.4, 0.2), next(draw))]
    outliers = settings.most_outliers * next(draw) if next(draw) < settings.outliers else 0.0
    duplicates = next(draw) / 3 if next(draw) < settings.duplicates else 0.0
    blur = settings.normal_noise * next(draw) if next(draw) < settings.noisy_normals else 0.0
    sensors = None
    if kind in ("around", "one-sided"):
        sensors = _sensors(count, kind, floor, generator, settings)
    balls, _ = surface.sample(holes, generator)
    radii = _between(settings.hole_radius, _uniform(holes, 1, generator=generator))
    slope = _directions(1, generator)[0] * steep
    return Plan(
        kind, sensors, floor, torch.cat([balls, radii], 1), slope, level, along, outliers,
        duplicates, blur,
    )  # fmt: skip


def _choice(weights: Sequence[float], chance: float) -> int:
    """Return an index by weight, given a number between 0 and 1."""
    rest = chance * sum(weights)
    for index, weight in enumerate(weights):
        rest -= weight
        if rest < 0:
            return index
    return max(index for index, weight in enumerate(weights) if weight > 0)


def _between(limits: tuple[float, float], share: Tensor) -> Tensor:
    """Return numbers between two limits, uniform in their logarithm."""
    low, high = math.log(limits[0]), math.log(limits[1])
    return (low + (high - low) * share).exp()


def _noise_level(settings: ScanSettings, which: float, level: float) -> float:
    for value, probability in settings.noise_levels:
        which -= probability
        if which < 0:
            return value
    low, high = math.log(settings.noise[0]), math.log(settings.noise[1])
    return math.exp(low + (high - low) * level)


def _sensors(
    count: int,
    kind: str,
    floor: float | None,
    generator: torch.Generator,
    settings: ScanSettings,
) -> Tensor:
    """Return positions (count, 3) of sensors; with a missing floor all are above it."""
    directions = _directions(count, generator)
    if kind == "one-sided":
        side = _directions(1, generator)
        directions = torch.nn.functional.normalize(side + 0.35 * directions, dim=1)
    if floor is not None:
        directions = torch.stack(
            [directions[:, 0], directions[:, 1].abs(), directions[:, 2]], dim=1
        )
    return directions * _between(settings.distances, _uniform(count, 1, generator=generator))


def _weights(plan: Plan, points: Tensor, normals: Tensor) -> Tensor:
    """Return how dense the scan is at candidates (M,), sensors left aside."""
    weights = (points @ plan.slope.double().to(points)).exp()
    if plan.floor is not None:
        low = points[:, 1] < plan.floor
        weights = weights.masked_fill(low, 0)
    if len(plan.balls):
        apart = (points[:, None] - plan.balls[None, :, :3]).norm(dim=2)
        weights = weights.masked_fill((apart < plan.balls[None, :, 3]).any(1), 0)
    return weights * (normals.square().sum(1) > 0.5)  # none of triangles without area


def _choose_sensors(
    sensors: Tensor, points: Tensor, normals: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return the density (M,) that all sensors together give points, and one for each (M, 3).

    What a sensor gives falls with the square of the distance and with the slant of the surface.
    """
    rays = sensors[None] - points[:, None]
    distance = rays.norm(dim=2)
    cosine = (rays * normals[:, None]).sum(2) / distance.clamp(min=1e-9)
    density = torch.where(cosine > STEEPEST, cosine, 0) / distance.square().clamp(min=1e-3)
    cumulative = density.cumsum(1)
    place = _uniform(len(points), 1, generator=generator) * cumulative[:, -1:]
    chosen = torch.searchsorted(cumulative, place, right=True).clamp_(max=len(sensors) - 1)
    return cumulative[:, -1], sensors[chosen[:, 0]]


def _visible(
    segments: Segments, points: Tensor, normals: Tensor, generator: torch.Generator
) -> Tensor:
    """Return (M,) bool: whether a point can be seen from far away, in some of a few directions."""
    start = points + OFF_SURFACE * normals
    hidden = torch.arange(len(points), device=points.device)
    for looks in LOOKS:  # all at first, then those alone that are hidden yet
        normal = normals[hidden].repeat(looks, 1)
        look = normal + 0.98 * _directions(len(normal), generator)  # the cosine law; never along
        begin = start[hidden].repeat(looks, 1)
        blocked = segments.blocked(begin, begin + FAR * torch.nn.functional.normalize(look, dim=1))
        hidden = hidden[blocked.view(looks, -1).all(0).nonzero()[:, 0]]
    seen = torch.ones(len(points), dtype=torch.bool, device=points.device)
    return seen.index_fill_(0, hidden, False)


def _candidates(
    surface: Surface, plan: Plan, segments: Segments | None, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Return points that are seen, their normals and sensors, each (M, 3); in no order."""
    points, normals = surface.sample(4 * count, generator)
    weights = _weights(plan, points, normals)
    sensors = points.new_full((1, 3), math.nan).expand_as(points)
    if plan.sensors is not None:
        density, sensors = _choose_sensors(plan.sensors, points, normals, generator)
        weights = weights * density
    # without replacement, by weight: the first arrivals of exponential clocks
    clocks = -_uniform(len(points), generator=generator).clamp_(min=1e-12).log() / weights
    first, chosen = clocks.topk(count, largest=False)
    points, normals, sensors = points[chosen], normals[chosen], sensors[chosen]
    seen = first.isfinite()
    if segments is not None and plan.sensors is None:
        seen &= _visible(segments, points, normals, generator)
    elif segments is not None:
        seen &= ~segments.blocked(points + OFF_SURFACE * normals, sensors)
    found = seen.nonzero()[:, 0]
    return points[found], normals[found], sensors[found]


def _seen(
    surface: Surface, plan: Plan, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Return exactly `count` points that are seen, some twice if need be; or none at all."""
    segments = None if plan.kind == "all" else Segments(surface.triangles)
    drawn = int(1.25 * count) if segments is not None else count
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    missing = count
    for _ in range(ROUNDS):
        found = _candidates(surface, plan, segments, drawn, generator)
        parts.append(found)
        missing -= len(found[0])
        if missing <= 0:
            break
        drawn = min(drawn, 32 + int(1.1 * missing * drawn / max(1, len(found[0]))))
    points, normals, sensors = (torch.cat(part) for part in zip(*parts, strict=True))
    if 0 < len(points) < count:
        again = (_uniform(count, generator=generator) * len(points)).long()
        again[: len(points)] = torch.arange(len(points), device=points.device)
        points, normals, sensors = points[again], normals[again], sensors[again]
    return points[:count], normals[:count], sensors[:count]


def _displaced(
    plan: Plan, points: Tensor, normals: Tensor, sensors: Tensor, generator: torch.Generator
) -> Tensor:
    """Return points with noise: along the rays, along the normals or in all directions."""
    noise = _normal(*points.shape, generator=generator) * plan.noise
    if plan.along == "ray" and plan.sensors is not None:
        return points + torch.nn.functional.normalize(sensors - points, dim=1) * noise[:, :1]
    if plan.along == "normal":
        return points + normals * noise[:, :1]
    return points + noise


def simulate_scan(
    triangles: Tensor,
    count: int,
    generator: torch.Generator,
    settings: ScanSettings | None = None,
) -> Scan:
    """Scan a mesh once, in a way drawn at random.

    Args:
        triangles: (F, 3, 3) corners, longest edge 1 and centred, y up, counter-clockwise seen from
            outside; on any device. The winding number tells inside from outside, so the normal of a
            triangle is outward as it stands.
        count: number of points N.
        generator: of all chance, on the same device.
        settings: how scans are drawn; `ScanSettings()` by default.

    Returns:
        The scan, with exactly `count` points. Where sensors see nothing of the object at all (from
        the inside of a cup, say), the scan is one of kind `all`.

    Raises:
        ValueError: no triangle with area, a count under 1, or a generator elsewhere.
    """
    settings = settings or ScanSettings()
    if triangles.ndim != 3 or triangles.shape[1:] != (3, 3) or len(triangles) == 0:
        raise ValueError(f"triangles have shape {tuple(triangles.shape)}, not (F, 3, 3) with F > 0")
    if count < 1:
        raise ValueError(f"count is {count}; a scan has at least 1 point")
    if generator.device.type != triangles.device.type:
        raise ValueError(f"generator is on {generator.device}, triangles on {triangles.device}")
    surface = Surface(triangles)
    plan = _plan(surface, generator, settings)
    points, normals, sensors = _seen(surface, plan, count, generator)
    if len(points) == 0:
        empty = torch.zeros_like(plan.balls[:0])
        plan = plan._replace(kind="all", sensors=None, floor=None, balls=empty)
        points, normals, sensors = _seen(surface, plan, count, generator)
    if len(points) == 0:
        raise ValueError("no triangle has area; leave out the mesh")
    points = _displaced(plan, points, normals, sensors, generator)
    scan = Scan(points, _blurred(plan, normals, generator), sensors, plan.kind, plan.noise)
    return _spoilt(scan, plan, surface, generator, settings)


def _blurred(plan: Plan, normals: Tensor, generator: torch.Generator) -> Tensor:
    noise = plan.normal_noise * _normal(*normals.shape, generator=generator)
    return torch.nn.functional.normalize(normals + noise, dim=1)


def _spoilt(
    scan: Scan,
    plan: Plan,
    surface: Surface,
    generator: torch.Generator,
    settings: ScanSettings,
) -> Scan:
    """Return the scan in random order, with outliers and duplicates in place of some points."""
    count = len(scan.points)
    order = torch.randperm(count, generator=generator, device=generator.device)
    points, normals, sensors = (part[order] for part in scan[:3])
    outliers = round(plan.outliers * count)
    if outliers:
        corners = surface.triangles.reshape(-1, 3)
        low, high = corners.amin(0), corners.amax(0)
        edges = settings.outlier_box * (high - low)
        place = _uniform(outliers, 3, generator=generator) - 0.5
        points[:outliers] = (low + high) / 2 + edges * place
        normals[:outliers] = _directions(outliers, generator)
    copies = round(plan.duplicates * count)
    if 0 < copies < count:
        of = copies + (_uniform(copies, generator=generator) * (count - copies)).long()
        for part in (points, normals, sensors):
            part[:copies] = part[of]
    again = torch.randperm(count, generator=generator, device=generator.device)
    return Scan(points[again], normals[again], sensors[again], scan.kind, scan.noise)


def sample_queries(
    triangles: Tensor,
    scan_points: Tensor,
    count: int,
    generator: torch.Generator,
) -> Queries:
    """Draw labelled points: half near the surface, a quarter near the scan, a quarter anywhere.

    Args:
        triangles: (F, 3, 3), as `simulate_scan` takes them.
        scan_points: (N, 3), N > 0, in the same frame.
        count: number of points Q.
        generator: of all chance, on the same device.

    Returns:
        Points in random order, offset from the surface and the scan by normal numbers of standard
        deviation .003 to .08, log-uniform, or uniform in the box from -0.55 to 0.55; inside is
        where the winding number is over a half.
    """
    near, of_scan = count // 2, count // 4
    surface, _ = Surface(triangles).sample(near, generator)
    pick = (_uniform(of_scan, generator=generator) * len(scan_points)).long()
    base = torch.cat([surface, scan_points[pick].to(surface)])
    sigma = _between((0.003, 0.08), _uniform(len(base), 1, generator=generator))
    base = base + sigma * _normal(*base.shape, generator=generator)
    anywhere = 1.1 * (_uniform(count - len(base), 3, generator=generator) - 0.5)
    points = torch.cat([base, anywhere])
    points = points[torch.randperm(count, generator=generator, device=generator.device)]
    return Queries(points, winding_number(triangles, points) > 0.5)
