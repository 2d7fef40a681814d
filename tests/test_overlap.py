"""IoU of two meshes against volumes that are known, with the resolution that it states."""

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from onet.geometry.closed import open_edges
from onet.metrics.overlap import overlap

SAMPLES = 4000
QUICK = settings(deadline=None)
EMPTY = trimesh.Trimesh(np.zeros((0, 3)), np.zeros((0, 3), int), process=False)
FLAT = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 2]], process=False)
SHEET = trimesh.Trimesh(  # closed, of two sides at one place
    [[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 1]], process=False
)

lengths = st.floats(0.1, 3)
shifts = st.tuples(*[st.floats(-2, 2)] * 3)


def box(size=(1, 1, 1), at=(0, 0, 0)):
    mesh = trimesh.creation.box(extents=np.broadcast_to(size, 3))
    return trimesh.Trimesh(mesh.vertices + at, mesh.faces, process=False)


def ball(radius=0.5, at=(0, 0, 0), subdivisions=3):
    mesh = trimesh.creation.icosphere(subdivisions, radius)
    return trimesh.Trimesh(mesh.vertices + at, mesh.faces, process=False)


def shell(thickness):
    inner = ball(0.5 - thickness, subdivisions=4)
    inner.invert()
    return trimesh.util.concatenate([ball(0.5, subdivisions=4), inner])


def iou(first, second, samples=SAMPLES, seed=0):
    return overlap(first, second, samples, np.random.default_rng(seed))


def of_boxes(size, at, other, shift):
    low = np.maximum(np.subtract(at, np.divide(size, 2)), np.subtract(shift, np.divide(other, 2)))
    high = np.minimum(np.add(at, np.divide(size, 2)), np.add(shift, np.divide(other, 2)))
    both = np.prod(np.maximum(high - low, 0))
    return both / (np.prod(size) + np.prod(other) - both)


@QUICK
@given(st.tuples(*[lengths] * 3), st.tuples(*[lengths] * 3), shifts, st.integers(0, 2**32))
def test_boxes_have_their_exact_ratio_within_the_stated_resolution(size, other, shift, seed):
    found = iou(box(size), box(other, shift), seed=seed)
    assert found.resolution <= 0.05
    # Twice the stated width, which one in some ten thousand cases is beyond.
    assert abs(found.iou - of_boxes(size, (0, 0, 0), other, shift)) <= 2 * found.resolution


def test_the_true_value_is_within_the_resolution_in_about_95_of_100_cases():
    exact = of_boxes((1, 1, 1), (0, 0, 0), (0.7, 1.2, 0.9), (0.3, -0.2, 0.45))
    found = [iou(box(), box((0.7, 1.2, 0.9), (0.3, -0.2, 0.45)), 500, seed) for seed in range(60)]
    within = [abs(of.iou - exact) <= of.resolution for of in found]
    assert np.mean(within) > 0.9
    errors = np.array([of.iou - exact for of in found])
    assert abs(errors.mean()) < 4 * errors.std() / len(errors) ** 0.5  # and without bias
    assert np.mean([of.resolution for of in found]) < 10 * errors.std()  # nor told too wide


@QUICK
@given(shifts, st.floats(0.05, 1), st.integers(0, 2**32))
def test_the_order_changes_nothing_and_a_mesh_agrees_with_itself(shift, radius, seed):
    first, second = ball(radius, shift), box()
    assert iou(first, second, seed=seed) == iou(second, first, seed=seed)
    assert iou(first, first, seed=seed).iou == 1


@QUICK
@given(shifts, st.floats(-9, 9), st.tuples(*[st.floats(-1, 1)] * 3), st.integers(0, 2**32))
def test_moving_turning_and_scaling_both_changes_nothing(shift, power, axis, seed):
    first, second = box((1, 0.7, 0.4)), box((0.5, 0.9, 0.6), np.divide(shift, 5))
    exact = of_boxes((1, 0.7, 0.4), (0, 0, 0), (0.5, 0.9, 0.6), np.divide(shift, 5))
    turn = trimesh.transformations.rotation_matrix(
        1 + sum(axis), np.asarray(axis) if np.linalg.norm(axis) > 0.1 else [1, 0, 0]
    )
    for mesh in (first, second):
        mesh.apply_transform(turn).apply_scale(10**power).apply_translation(np.multiply(shift, 99))
    if power < -4:  # beside such an offset nothing is left of their digits
        return
    found = iou(first, second, seed=seed)
    assert abs(found.iou - exact) <= 2 * found.resolution + 1e-6


@pytest.mark.parametrize("distance", [1.001, 3, 173, 1e4, 1e8])
def test_solids_apart_share_nothing_at_any_distance(distance):
    found = iou(ball(0.5), ball(0.5, (distance, 0, 0)))
    assert found.iou == 0 and found.resolution < 1e-3
    if distance > 2:
        assert found.resolution == 0  # for certain


@pytest.mark.parametrize("size", [0.1, 0.01, 1e-3, 1e-4])
@pytest.mark.parametrize("at", [(0, 0, 0), (0.11, 0.23, 0.31)])
def test_a_tiny_solid_in_a_huge_one(size, at):
    found = iou(box(size, at), box())
    assert found.iou == pytest.approx(size**3, rel=0.02)
    assert abs(found.iou - size**3) < 2 * found.resolution < 0.2 * size**3


def test_small_parts_far_apart_are_all_found():
    def pair(shift):
        return trimesh.util.concatenate([box(1e-3, (shift, 0, 0)), box(1e-3, (1, 1, 1))])

    found = iou(pair(0), pair(5e-4))
    assert found.iou == pytest.approx(1.5 / 2.5, abs=2 * found.resolution)
    assert found.resolution < 0.02


def test_thin_shells():
    """Twice as many points are needed for half the thickness: they are drawn."""
    for thickness in (1e-2, 1e-3):
        found = iou(shell(thickness), shell(2 * thickness))
        exact = abs(shell(thickness).volume) / abs(shell(2 * thickness).volume)
        assert abs(found.iou - exact) < 1.5 * found.resolution < 0.1
        assert iou(shell(thickness), shell(thickness)).iou == 1
    plates = iou(box((1, 1, 1e-3)), box((1, 1, 2e-3)))
    assert abs(plates.iou - 0.5) < 1.5 * plates.resolution < 0.1


def test_what_is_too_thin_to_tell_is_none():
    for first, second in ((shell(1e-9), shell(2e-9)), (SHEET, SHEET)):
        found = iou(first, second)
        assert found.iou is None and found.resolution is None
        assert "none of" in found.reason or "thin" in found.reason
    found = iou(SHEET, box(at=(0.1, 0.2, 0.1)))  # but not beside something that is not
    assert found.iou == 0 and found.resolution < 0.01


def test_meshes_that_enclose_nothing():
    assert iou(EMPTY, EMPTY).iou == 1
    for nothing in (EMPTY, FLAT):
        for pair in ((nothing, box()), (box(), nothing)):
            assert iou(*pair).iou == 0
    assert "area" in iou(FLAT, EMPTY).reason and iou(FLAT, FLAT).iou is None


def test_open_meshes_have_no_inside():
    whole = ball()
    opened = trimesh.Trimesh(whole.vertices, whole.faces[1:], process=False)
    assert "the mesh is open: 3 of its edges" in iou(opened, whole).reason
    assert "the reference is open" in iou(whole, opened).reason
    assert iou(opened, opened).iou is None


def test_a_mesh_whose_vertices_are_repeated_is_closed():
    whole = ball()
    soup = trimesh.Trimesh(
        whole.vertices[whole.faces].reshape(-1, 3),
        np.arange(3 * len(whole.faces)).reshape(-1, 3),
        process=False,
    )
    assert open_edges(whole) == open_edges(soup) == 0
    assert iou(soup, whole).iou == 1
    noise = np.random.default_rng(0).normal(scale=1e-8, size=soup.vertices.shape)
    rounded = trimesh.Trimesh(soup.vertices + noise, soup.faces, process=False)
    assert open_edges(rounded) == 0 and iou(rounded, whole).iou > 0.999
    assert open_edges(rounded, tolerance=0) > 0
    apart = trimesh.Trimesh(soup.vertices + 1e5 * noise, soup.faces, process=False)
    assert open_edges(apart) > 0


def test_open_edges_are_those_of_an_odd_number_of_faces():
    edge = trimesh.util.concatenate([box(), box(at=(1, 1, 0))])
    edge.merge_vertices()  # four faces at one edge
    assert open_edges(edge) == 0
    fin = trimesh.Trimesh(
        np.vstack([box().vertices, [[9, 9, 9]]]),
        np.vstack([box().faces, [[*box().faces[0][:2], 8]]]),
        process=False,
    )
    assert open_edges(fin) == 3
    assert open_edges(EMPTY) == 0


def test_vertices_that_no_face_uses_change_nothing():
    loose = trimesh.Trimesh(
        np.vstack([box().vertices, [[99, 0, 0], [np.nan] * 3]]), box().faces, process=False
    )
    assert iou(loose, ball(0.6)) == iou(box(), ball(0.6))


def test_the_seed_decides_and_more_samples_tell_more():
    pair = box(), ball(0.6)
    assert iou(*pair, seed=1) == iou(*pair, seed=1) != iou(*pair, seed=2)
    coarse, fine = (iou(*pair, samples=samples) for samples in (4000, 256_000))
    assert fine.resolution < coarse.resolution / 4
