"""One mesh moved onto another: where two frames differ and shapes are to be compared.

A mesh may be turned any way, so many starts are tried: as it is, and with its middle on the other's
turned by quarter turns, of its own axes and of those of its principal directions. The best of them
are improved by small-gicp, a library of iterative closest points, the winner most.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from onet.errors import MissingDependency
from onet.geometry.nearest import NearestNeighbors
from onet.geometry.normalization import UnitFrame
from onet.geometry.sampling import sample_surface

if TYPE_CHECKING:
    import trimesh

Freedom = Literal["rigid", "similarity"]
Matrix = NDArray[np.float64]

SAMPLES = 10_000
_COARSE = 1_000
_TRIED = 8  # starts that are improved
_ROUNDS = 10  # of rotation and scale in turn
_REACHES = (0.5, 0.1, 0.03)  # how far partners are looked for, in longest edges


@dataclass(frozen=True, eq=False)
class Alignment:
    """How a mesh was moved onto another.

    Attributes:
        matrix: (4, 4), from the frame of the mesh to that of the target.
        scale: factor of lengths; 1 where only moved.
        degrees: of the rotation.
        before, after: mean distance between samples of both, both ways, in longest edges of the
            target.
    """

    matrix: Matrix
    scale: float
    degrees: float
    before: float
    after: float

    def apply(self, mesh: trimesh.Trimesh) -> trimesh.Trimesh:
        """Return a copy of the mesh, moved."""
        result = mesh.copy()
        result.vertices = _move(self.matrix, np.asarray(mesh.vertices))
        return result


def align(
    mesh: trimesh.Trimesh, target: trimesh.Trimesh, freedom: Freedom = "rigid", seed: int = 0
) -> Alignment:
    """Move a mesh onto a target by rotation and translation, with `similarity` by scale as well.

    Never further away than it was. Mirror images are not tried.

    Args:
        mesh, target: with area, each in any frame.
        freedom: "rigid" or "similarity".
        seed: of the points that stand for the surfaces.

    Raises:
        MissingDependency: small-gicp is not installed.
        DataError: a mesh without area.
    """
    frame = UnitFrame.of_mesh(target, "target")
    rng = np.random.default_rng(seed)
    goal = frame.to_unit(sample_surface(target, SAMPLES, rng)[0])
    points = frame.to_unit(sample_surface(mesh, SAMPLES, rng)[0])
    scaled = freedom == "similarity"
    few, few_goal = _Clouds(points[:_COARSE], goal[:_COARSE]), _Clouds(points, goal)
    starts = sorted(_starts(points, goal, scaled), key=few.distance)[:_TRIED]
    improved = [_improve(few, start, scaled, _REACHES[:2]) for start in (np.eye(4), *starts)]
    best = _improve(few_goal, min(improved, key=few.distance), scaled, _REACHES[1:])
    before = few_goal.distance(np.eye(4))
    best = min((np.eye(4), best), key=few_goal.distance)
    to_unit = np.diag([1 / frame.scale] * 3 + [1.0])
    to_unit[:3, 3] = -frame.loc / frame.scale
    scale = float(np.cbrt(np.linalg.det(best[:3, :3])))
    cosine = (np.trace(best[:3, :3] / scale) - 1) / 2
    return Alignment(
        np.linalg.inv(to_unit) @ best @ to_unit,
        scale,
        float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))),
        before,
        few_goal.distance(best),
    )


def check_library() -> None:
    """See that the library is there.

    Raises:
        MissingDependency: it is not.
    """
    _small_gicp()


class _Clouds:
    """Samples of both surfaces, to ask how far apart a motion leaves them."""

    def __init__(self, points: Matrix, goal: Matrix) -> None:
        self.points, self.goal = points, goal
        self.known_goal = _prepared(goal)
        self._to_goal = NearestNeighbors(goal)

    def partners(self, motion: Matrix) -> tuple[Matrix, Matrix]:
        """Return moved points and points of the goal (2 N, 3): nearest ones, both ways."""
        moved = _move(motion, self.points)
        forth = self._to_goal.query(moved)[1]
        back = NearestNeighbors(moved).query(self.goal)[1]
        return (
            np.concatenate([moved, moved[back]]),
            np.concatenate([self.goal[forth], self.goal]),
        )

    def distance(self, motion: Matrix) -> float:
        """Return the mean distance of partners."""
        ours, theirs = self.partners(motion)
        return float(np.linalg.norm(ours - theirs, axis=1).mean())


def _starts(points: Matrix, goal: Matrix, scaled: bool) -> list[Matrix]:
    """Return motions that put middle on middle, at the same size if `scaled`."""
    middle, other = points.mean(axis=0), goal.mean(axis=0)
    factor = _size(goal) / _size(points) if scaled else 1.0
    axes, other_axes = _principal(points), _principal(goal)
    starts = [np.eye(4)]
    for turn in _quarter_turns():
        for rotation in (turn, other_axes @ turn @ axes.T):
            motion = np.eye(4)
            motion[:3, :3] = factor * rotation
            motion[:3, 3] = other - factor * rotation @ middle
            starts.append(motion)
    return starts


def _improve(clouds: _Clouds, start: Matrix, scaled: bool, reaches: tuple[float, ...]) -> Matrix:
    """Return the motion that iterative closest points lead to, with partners ever nearer."""
    motion = start
    for reach in reaches:
        for _ in range(_ROUNDS if scaled else 1):
            motion = _registered(clouds, motion, reach)
            if not scaled:
                break
            ours, theirs = clouds.partners(motion)
            factor = _size(theirs) / _size(ours)
            resized = np.eye(4)
            resized[:3, :3] *= factor
            resized[:3, 3] = theirs.mean(axis=0) - factor * ours.mean(axis=0)
            motion = resized @ motion
            if abs(factor - 1) < 1e-5:
                break
    return motion


def _registered(clouds: _Clouds, motion: Matrix, reach: float) -> Matrix:
    """Return the motion with the rigid one behind it that small-gicp finds."""
    cloud, _ = _prepared(_move(motion, clouds.points))
    found = _small_gicp().align(
        clouds.known_goal[0],
        cloud,
        clouds.known_goal[1],
        registration_type="GICP",
        max_correspondence_distance=reach,
        num_threads=1,
        max_iterations=30,
        rotation_epsilon=1e-6,
        translation_epsilon=1e-7,
    )
    rigid: Matrix = np.asarray(found.T_target_source, dtype=np.float64)
    return rigid @ motion if np.isfinite(rigid).all() else motion


def _prepared(points: Matrix) -> tuple[Any, Any]:
    """Return points as small-gicp takes them, with their covariances, and their tree."""
    gicp = _small_gicp()
    cloud = gicp.PointCloud(points)
    tree = gicp.KdTree(cloud)
    gicp.estimate_covariances(cloud, tree, num_neighbors=10)
    return cloud, tree


def _small_gicp() -> Any:
    try:
        import small_gicp
    except ImportError as error:
        raise MissingDependency(
            "alignment needs small-gicp, which is not installed: pip install 'onet[align]'"
        ) from error
    return small_gicp


def _move(motion: Matrix, points: Matrix) -> Matrix:
    return points @ motion[:3, :3].T + motion[:3, 3]


def _size(points: Matrix) -> float:
    """Root mean square distance from the middle."""
    return float(np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean()))


def _principal(points: Matrix) -> Matrix:
    """Directions of most to least extent, as columns of a rotation."""
    axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2].T
    axes[:, 2] *= np.sign(np.linalg.det(axes))
    return axes


def _quarter_turns() -> list[Matrix]:
    """Return the 24 rotations of a cube."""
    turns = []
    for order, signs in product(permutations(range(3)), product((1.0, -1.0), repeat=3)):
        turn = np.zeros((3, 3))
        turn[range(3), order] = signs
        if np.linalg.det(turn) > 0:
            turns.append(turn)
    return turns
