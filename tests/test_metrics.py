import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from onet.errors import DataError
from onet.geometry.sampling import sample_surface
from onet.metrics import scores
from onet.metrics.scores import (
    PENALTY,
    SURFACE_PENALTY,
    evaluate,
    f_score,
    intersection_over_union,
    noise_floor,
)

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
    assert metrics.chamfer_squared_sum == metrics.accuracy2 + metrics.completeness2
    assert metrics.surface_accuracy == pytest.approx(0.1, rel=2e-3)
    assert metrics.surface_completeness == pytest.approx(0.1, rel=2e-3)
    assert metrics.surface_chamfer_l2 == pytest.approx(0.01, rel=5e-3)
    assert 0.0999 < metrics.surface_hausdorff < 0.101
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


@pytest.mark.parametrize("size", [4.0, 1e-9, 1e9])
def test_scores_do_not_depend_on_place_and_size(size):
    """A scan of 4 m in a survey's coordinates, and units as small and as large as they come."""
    at = np.array([5e5, 5e6, 300]) * (1 if size == 4 else 0.1 * size)
    here = evaluate(sphere(0.45), sphere(0.5), samples=2000)
    pair = [
        trimesh.Trimesh(size * sphere(r).vertices + at, sphere().faces, process=False)
        for r in (0.45, 0.5)
    ]
    there = evaluate(*pair, samples=2000)
    for key in (*PENALTY, *SURFACE_PENALTY):
        assert there.as_dict()[key] == pytest.approx(here.as_dict()[key], rel=1e-6)
    assert there.scale == pytest.approx(size, rel=1e-6)
    assert there.iou == pytest.approx(here.iou, abs=1e-4)


def test_far_apart_or_tiny():
    ball = sphere(1)
    far = ball.copy().apply_translation([100, 100, 100])
    metrics = evaluate(far, ball, samples=2000)
    assert metrics.iou == 0 and metrics.iou_resolution == 0
    tiny = evaluate(box(0.01, (0.2, 0.1, 0.3)), box(), samples=2000)
    assert tiny.iou == pytest.approx(1e-6, abs=2 * tiny.iou_resolution)
    assert tiny.iou_resolution < 1e-7


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(*[st.floats(allow_infinity=True)] * 3), min_size=1, max_size=4))
def test_vertices_that_no_face_uses_change_nothing(extra):
    def loose(mesh):
        vertices = np.vstack([mesh.vertices, extra])
        return trimesh.Trimesh(vertices, mesh.faces, process=False)

    pair = box(0.9, (0.1, 0, 0)), box()
    expected = evaluate(*pair, samples=500, noise_floor=True)
    assert evaluate(loose(pair[0]), loose(pair[1]), samples=500, noise_floor=True) == expected
    alone = evaluate(pair[0], None, samples=500, noise_floor=True)
    assert evaluate(loose(pair[0]), None, samples=500, noise_floor=True) == alone
    assert noise_floor(loose(pair[0]), samples=500) == noise_floor(pair[0], samples=500)


def test_occupancies_in_every_form_and_what_is_none():
    points = np.random.default_rng(0).uniform(-0.55, 0.55, (500, 3))
    inside = np.linalg.norm(points, axis=1) < 0.4
    forms = [inside, inside.astype(float), np.where(inside, 0.9, 0.1), np.packbits(inside)]
    scores = [
        evaluate(sphere(0.4), None, samples=10, points=points, occupancies=form) for form in forms
    ]
    assert len({of.iou for of in scores}) == 1 and scores[0].iou > 0.95
    assert 0 < scores[0].iou_resolution < 0.1
    for bad in (np.where(inside, 4.0, -4.0), np.full(500, np.nan), np.full(500, 255)):
        with pytest.raises(DataError, match="occupancies"):
            evaluate(sphere(0.4), None, samples=10, points=points, occupancies=bad)
    assert intersection_over_union(np.where(inside, 0.9, 0.1), inside) == 1.0
    with pytest.raises(DataError, match="second: expected shape"):
        intersection_over_union(inside, inside[1:])


def test_normals_are_made_unit_or_refused():
    cloud, normals, _ = sample_surface(sphere(), 500, np.random.default_rng(0))

    def consistency(given):
        row = evaluate(sphere(), None, samples=500, pointcloud=cloud, normals=given).as_dict()
        return {key: row[key] for key in PENALTY}

    expected = consistency(normals)
    for longer in (3 * normals, 1e-9 * normals, normals * np.linspace(1, 9, 500)[:, None]):
        assert consistency(longer) == pytest.approx(expected, rel=1e-12)
    for bad in (0.0, np.nan):
        with pytest.raises(DataError, match="normals: 1 of 500"):
            consistency(np.where(np.arange(500)[:, None] == 7, bad, normals))


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
    assert metrics["chamfer_l1"] == 3**0.5 and metrics["f_score_1pct"] == 0
    assert {key: metrics[key] for key in SURFACE_PENALTY} == SURFACE_PENALTY
    assert metrics["surface_chamfer_l1"] == 3**0.5
    assert metrics["iou"] == 0.0 and not metrics["valid"]


@pytest.mark.filterwarnings("ignore:IoU cannot be told")
def test_a_reference_without_surface_measures_nothing():
    flat = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 2]], process=False)
    for mesh in (box(), EMPTY, flat):
        for reference in (EMPTY, flat):
            metrics = evaluate(mesh, reference, samples=100).as_dict()
            assert {metrics[key] for key in (*PENALTY, *SURFACE_PENALTY)} == {None}
    assert evaluate(box(), flat, samples=100).iou == 0
    with pytest.warns(UserWarning, match="area"):
        assert evaluate(flat, flat, samples=100).iou is None


def test_two_empty_sets_agree():
    points = np.random.default_rng(0).random((100, 3))
    nothing = np.zeros(100, bool)
    assert evaluate(EMPTY, None, points=points, occupancies=nothing).iou == 1.0
    assert evaluate(EMPTY, EMPTY, samples=100).iou == 1.0
    assert evaluate(box(), EMPTY, samples=100).iou == 0.0
    assert intersection_over_union(nothing, nothing) == 1.0


def test_an_open_mesh_is_measured_and_marked():
    whole = sphere()
    opened = trimesh.Trimesh(whole.vertices, whole.faces[1:], process=False)
    with pytest.warns(UserWarning, match="IoU cannot be told: the mesh is open: 3 of its edges"):
        metrics = evaluate(opened, whole)
    assert metrics.iou is None and metrics.iou_resolution is None
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
        ({"thresholds": (0.01, 0.0)}, "thresholds"),
    ],
)
def test_samples_that_do_not_fit_are_refused(arguments, word):
    with pytest.raises(DataError, match=word):
        evaluate(box(), box(), **{"samples": 10, **arguments})


def test_what_is_no_mesh_is_refused():
    with pytest.raises(DataError, match=r"reference: expected a mesh .* PointCloud"):
        evaluate(box(), trimesh.PointCloud(box().vertices))
    with pytest.raises(DataError, match=r"mesh: a face names a vertex outside 0\.\.7"):
        evaluate(trimesh.Trimesh(box().vertices, [[0, 1, 8]], process=False), box())
    with pytest.raises(DataError, match="beyond 1e"):
        evaluate(trimesh.Trimesh(1e80 * box().vertices, box().faces, process=False), box())


def test_nan_vertices_are_refused():
    mesh = box()
    mesh.vertices[0] = np.nan
    with pytest.raises(DataError, match="mesh: 1 of 8"):
        evaluate(mesh, box())
    with pytest.raises(DataError, match="reference: 1 of 8"):
        evaluate(box(), mesh)


def test_exact_distances_have_no_floor_and_are_never_above_the_sampled_ones():
    same = evaluate(sphere(), sphere(), samples=2000)
    assert same.surface_hausdorff < 1e-12 < same.chamfer_l1
    for mesh, reference in [(sphere(0.4), box()), (box(0.7, (0.1, 0, 0)), sphere())]:
        scores = evaluate(mesh, reference, samples=2000)
        assert 0 < scores.surface_accuracy <= scores.accuracy
        assert 0 < scores.surface_completeness <= scores.completeness
        assert scores.surface_chamfer_l1 == pytest.approx(
            (scores.surface_accuracy + scores.surface_completeness) / 2
        )
        assert scores.surface_hausdorff >= scores.surface_chamfer_l1


def test_exact_distances_need_a_reference_mesh():
    cloud = np.random.default_rng(0).random((100, 3))
    row = evaluate(sphere(), None, samples=100, pointcloud=cloud).as_dict()
    assert {row[key] for key in SURFACE_PENALTY} == {None}
    row = evaluate(sphere(), box(), samples=100, pointcloud=cloud).as_dict()
    assert row["surface_accuracy"] > 0 and row["surface_completeness"] > 0


def test_scores_get_worse_with_the_distance():
    rows = [
        evaluate(box(offset=(shift, 0, 0)), box(), samples=SAMPLES).as_dict()
        for shift in (0, 0.02, 0.1, 0.3)
    ]
    for key in ("chamfer_l1", "chamfer_l2", "surface_chamfer_l1", "surface_hausdorff"):
        assert (np.diff([row[key] for row in rows]) > 0).all()
    assert (np.diff([row["iou"] for row in rows]) < 0).all()
    assert rows[0]["iou"] == 1
    assert rows[1]["iou"] == pytest.approx(0.98 / 1.02, abs=0.01)
    assert rows[3]["surface_hausdorff"] == pytest.approx(0.3, rel=0.01)


def test_f_score_is_the_harmonic_mean_of_precision_and_recall():
    near, far = np.array([0.0, 0.01, 0.02, 0.03]), np.array([0.01, 1.0])
    assert f_score(near, far, 0.01) == pytest.approx(0.5)  # half of each, the threshold included
    assert f_score(near, far, 0.025) == pytest.approx(2 * 0.75 * 0.5 / 1.25)
    assert f_score(near, far, 2) == 1 and f_score(near[1:], far, 0.001) == 0


def test_f_scores_at_thresholds():
    """A plate of two sides 0.012 apart against one of its sides."""
    plate, sheet = box((1, 1, 0.012)), box((1, 1, 1e-9), (0, 0, 0.006))
    row = evaluate(plate, sheet, samples=SAMPLES).as_dict()
    assert row["f_score_1pct"] == pytest.approx(2 * 0.5 / 1.5, abs=0.05)
    assert row["f_score_1.5pct"] > 0.9 and row["f_score_2pct"] > 0.97
    scores = evaluate(sphere(0.4), sphere(0.5), samples=2000, thresholds=(0.05, 0.095, 0.105, 9))
    values = list(scores.f_score.values())
    assert values[0] == 0 and values[-1] == 1 and values == sorted(values)
    assert list(scores.f_score) == [0.05, 0.095, 0.105, 9]
    assert scores.as_dict()["f_score_9.5pct"] == scores.f_score[0.095]


def test_noise_floor():
    """A surface as large as a chair's has the 0.002 that the module speaks of."""
    shape = box((0.5, 1, 0.5))
    floor = noise_floor(shape, samples=100_000)
    assert floor["chamfer_l1"] == pytest.approx(0.5 * np.sqrt(2.5 / 100_000), rel=0.05)
    assert floor.keys() == PENALTY.keys()
    assert floor["f_score_1pct"] > 0.999 and floor["normal_consistency"] > 0.98
    again = evaluate(shape, shape, samples=20_000, noise_floor=True)
    assert again.noise_floor["chamfer_l1"] == pytest.approx(again.chamfer_l1, rel=0.03)
    assert again.noise_floor["chamfer_l1"] != again.chamfer_l1
    # In units of the longest edge, and no other score depends on it.
    large = trimesh.Trimesh(shape.vertices * 90 + 5, shape.faces, process=False)
    assert noise_floor(large, samples=100_000) == pytest.approx(floor, rel=1e-6)
    without = evaluate(shape, shape, samples=20_000).as_dict()
    assert without == again.as_dict() | {"noise_floor": None}
    assert evaluate(EMPTY, None, noise_floor=True).noise_floor is None
    with pytest.raises(DataError, match="no area"):
        noise_floor(EMPTY)


def test_threads_change_nothing(monkeypatch):
    rows = []
    for threads in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        rows.append(evaluate(sphere(0.4), box(), samples=10_000, noise_floor=True))
    assert rows[0] == rows[1]


def test_a_score_is_measured_and_has_a_row_in_the_table(monkeypatch):
    """What a new score takes: a value of `sampled_scores`, and a row of `SCORES`."""
    found = evaluate(sphere(), sphere(), samples=100)
    assert PENALTY.keys() <= found.as_dict().keys() and "largest" not in found.other
    measured = scores.sampled_scores
    monkeypatch.setattr(
        scores, "sampled_scores", lambda *given: measured(*given) | {"largest": 0.25}
    )
    monkeypatch.setitem(PENALTY, "largest", 2.0)
    assert evaluate(sphere(), sphere(), samples=100).as_dict()["largest"] == 0.25
    assert evaluate(EMPTY, sphere(), samples=100).as_dict()["largest"] == 2.0
