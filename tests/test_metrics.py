import numpy as np
import pytest
import trimesh

from onet.errors import DataError
from onet.geometry.metrics import PENALTY, evaluate, intersection_over_union
from onet.geometry.sampling import sample_surface

SAMPLES = 20_000
EMPTY = trimesh.Trimesh(np.zeros((0, 3)), np.zeros((0, 3), int), process=False)


def box(size=1.0, offset=(0, 0, 0)):
    mesh = trimesh.creation.box(extents=np.broadcast_to(size, 3))
    return trimesh.Trimesh(mesh.vertices + offset, mesh.faces, process=False)


def sphere(radius=0.5):
    return trimesh.creation.icosphere(subdivisions=4, radius=radius)


def test_a_mesh_against_itself_reaches_the_noise_floor_of_two_samples():
    metrics = evaluate(sphere(), sphere(), samples=SAMPLES)
    floor = 0.5 * np.sqrt(
        sphere().area / SAMPLES
    )  # mean distance to the nearest of a random sample
    assert 0.5 * floor < metrics.chamfer_l1 < 1.5 * floor
    assert metrics.iou == 1.0
    assert metrics.normal_consistency > 0.99
    assert metrics.valid and metrics.oriented and metrics.outward and metrics.reference_valid


def test_known_distances_and_volumes_of_concentric_spheres():
    metrics = evaluate(sphere(0.4), sphere(0.5), samples=SAMPLES)
    assert metrics.accuracy == pytest.approx(0.1, rel=0.02)
    assert metrics.completeness == pytest.approx(0.1, rel=0.02)
    assert metrics.chamfer_l1 == (metrics.accuracy + metrics.completeness) / 2
    assert metrics.accuracy2 == pytest.approx(0.01, rel=0.04)
    assert metrics.chamfer_l2 == (metrics.accuracy2 + metrics.completeness2) / 2
    assert metrics.iou == pytest.approx(0.8**3, abs=0.02)


def test_accuracy_and_completeness_are_not_mixed_up():
    part, whole = box(), trimesh.util.concatenate([box(), box(offset=(3, 0, 0))])
    metrics = evaluate(part, whole, samples=SAMPLES)
    assert metrics.scale == 4.0
    assert metrics.accuracy < 0.01 < 0.2 < metrics.completeness


def test_distances_are_in_units_of_the_references_longest_edge():
    here = evaluate(sphere(0.4), sphere(0.5), samples=2000, seed=3).as_dict()
    moved = [sphere(r) for r in (0.4, 0.5)]
    for mesh in moved:
        mesh.apply_scale(250).apply_translation([1000, -70, 3])
    there = evaluate(*moved, samples=2000, seed=3).as_dict()
    assert there.pop("scale") == pytest.approx(250 * here.pop("scale"))
    assert there == pytest.approx(here, abs=1e-4)


def test_seed_decides_the_samples():
    def run(seed):
        return evaluate(sphere(0.4), box(), samples=1000, seed=seed)

    assert run(0) == run(0)
    assert run(0) != run(1)


def test_inside_out_is_seen_only_by_the_signed_consistency():
    flipped = sphere()
    flipped.invert()
    metrics = evaluate(flipped, sphere(), samples=SAMPLES)
    assert metrics.normal_consistency > 0.99
    assert metrics.normal_consistency_signed < -0.99
    assert metrics.valid and not metrics.outward


def test_stored_samples_take_the_place_of_the_reference():
    rng = np.random.default_rng(0)
    truth = box(0.8)
    cloud, normals, _ = sample_surface(truth, SAMPLES, rng)
    points = rng.uniform(-0.55, 0.55, (SAMPLES, 3))
    metrics = evaluate(
        sphere(0.4),
        None,
        samples=SAMPLES,
        points=points,
        occupancies=np.abs(points).max(axis=1) < 0.4,
        pointcloud=cloud,
        normals=normals,
    )
    direct = evaluate(sphere(0.4), truth, samples=SAMPLES)
    assert metrics.scale == 1.0 and metrics.reference_valid is None
    assert metrics.accuracy == pytest.approx(direct.accuracy * 0.8, rel=0.05)
    assert metrics.completeness == pytest.approx(direct.completeness * 0.8, rel=0.05)
    assert metrics.normal_consistency == pytest.approx(direct.normal_consistency, abs=0.02)
    assert metrics.iou == pytest.approx(np.pi / 6, abs=0.03)


def test_what_cannot_be_measured_is_none():
    cloud = np.random.default_rng(0).random((100, 3))
    only_cloud = evaluate(sphere(), None, samples=100, pointcloud=cloud)
    assert only_cloud.iou is None and only_cloud.normal_consistency is None
    assert only_cloud.chamfer_l1 > 0
    only_points = evaluate(sphere(), None, points=cloud, occupancies=np.ones(100, bool))
    assert only_points.chamfer_l1 is None and 0 < only_points.iou < 1


@pytest.mark.parametrize(
    "mesh",
    [EMPTY, trimesh.Trimesh(np.zeros((3, 3)), [[0, 1, 2]], process=False)],
    ids=["no faces", "no area"],
)
def test_no_surface_gets_the_published_penalties(mesh):
    metrics = evaluate(mesh, box(), samples=100).as_dict()
    assert {key: metrics[key] for key in PENALTY} == PENALTY
    assert metrics["chamfer_l1"] == 3**0.5
    assert metrics["iou"] == 0.0 and not metrics["valid"]


def test_two_empty_sets_agree():
    points = np.random.default_rng(0).random((100, 3))
    nothing = np.zeros(100, bool)
    assert evaluate(EMPTY, None, points=points, occupancies=nothing).iou == 1.0
    assert evaluate(EMPTY, EMPTY, samples=100).iou == 1.0
    assert evaluate(box(), EMPTY, samples=100).iou == 0.0
    assert intersection_over_union(nothing, nothing) == 1.0


def test_an_open_mesh_is_measured_and_marked():
    whole = sphere()
    metrics = evaluate(trimesh.Trimesh(whole.vertices, whole.faces[1:], process=False), whole)
    assert not metrics.valid and not metrics.watertight and metrics.manifold
    assert metrics.chamfer_l1 < 0.01


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"points": np.zeros((5, 3))}, "occupancies"),
        ({"points": np.zeros((5, 3)), "occupancies": np.zeros(4, bool)}, "occupancies"),
        ({"points": np.zeros((5, 2)), "occupancies": np.zeros(5, bool)}, "points"),
        ({"pointcloud": np.full((5, 3), np.nan)}, "pointcloud"),
        ({"pointcloud": np.zeros((5, 3)), "normals": np.zeros((4, 3))}, "normals"),
        ({"normals": np.zeros((4, 3))}, "pointcloud"),
        ({"samples": 0}, "samples"),
    ],
)
def test_samples_that_do_not_fit_are_refused(arguments, word):
    with pytest.raises(DataError, match=word):
        evaluate(box(), box(), **{"samples": 10, **arguments})


def test_nan_vertices_are_refused():
    mesh = box()
    mesh.vertices[0] = np.nan
    with pytest.raises(DataError, match="mesh: 1 of 8"):
        evaluate(mesh, box())
    with pytest.raises(DataError, match="reference: 1 of 8"):
        evaluate(box(), mesh)
