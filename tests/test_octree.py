from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import zoom
from twins.octree import mise

from onet import _C
from onet.geometry.extraction import extract_mesh
from onet.geometry.topology import topology


def grow(tree: _C.Octree, volume: np.ndarray) -> list[int]:
    """Feeds the tree from a dense volume until nothing is pending; returns the rounds' sizes."""
    rounds = []
    while tree.pending:
        points = tree.pending_points()
        rounds.append(len(points))
        tree.update(np.ascontiguousarray(volume[tuple(points.T)], dtype=np.float32))
    return rounds


def point_set(tree: _C.Octree) -> set[tuple[int, ...]]:
    return set(map(tuple, tree.points()[0].tolist()))


def random_volume(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Smooth blobs, often cut by the box, with some noise: both coarse and fine structure."""
    rng = np.random.default_rng(seed)
    blobs = rng.normal(size=(3, 3, 3)) - rng.uniform(0, 1.5)
    smooth = zoom(blobs, [n / 3 for n in shape], order=1, grid_mode=False)
    volume = smooth + rng.choice([0.0, 0.02, 0.2]) * rng.normal(size=shape)
    volume[rng.random(shape) < 0.01] = 0.0
    return volume.astype(np.float32)


cases = st.tuples(st.tuples(*[st.integers(1, 4)] * 3), st.integers(0, 3), st.integers(0, 2**32 - 1))


@given(cases, st.integers(0, 3))
def test_evaluates_what_the_twin_does(case, seed_count):
    base, levels, seed = case
    shape = tuple((n << levels) + 1 for n in base)
    volume = random_volume(shape, seed)
    rng = np.random.default_rng(seed)
    seeds = rng.integers(-1, np.array(shape), size=(seed_count, 3), dtype=np.int32)  # some outside
    tree = _C.Octree(base, levels)
    tree.refine(seeds)
    rounds = grow(tree, volume)

    points, values, evaluated = tree.points()
    assert point_set(tree) == mise(volume, levels, seeds)
    assert len(points) == tree.evaluated == sum(rounds) == len(point_set(tree))
    assert evaluated.all()
    np.testing.assert_array_equal(values, volume[tuple(points.T)])
    on_box = ((points == 0) | (points == np.array(shape) - 1)).any(axis=1)
    assert tree.box_contacts == np.count_nonzero(values[on_box] > 0)


@given(cases)
def test_does_not_prefer_an_axis_or_a_direction(case):
    base, levels, seed = case
    volume = random_volume(tuple((n << levels) + 1 for n in base), seed)
    tree = _C.Octree(base, levels)
    grow(tree, volume)
    order = tuple(np.random.default_rng(seed).permutation(3).tolist())
    turned = _C.Octree(tuple(base[axis] for axis in order), levels)
    grow(turned, np.flip(volume, axis=0).transpose(order))
    points, _, _ = tree.points()
    points[:, 0] = volume.shape[0] - 1 - points[:, 0]
    assert point_set(turned) == set(map(tuple, points[:, order].tolist()))


@pytest.mark.slow
@given(cases, st.integers(2, 4))
def test_threads_change_nothing(case, threads):
    base, levels, seed = case
    base = tuple(4 * n for n in base)  # enough cells for several threads
    volume = random_volume(tuple((n << levels) + 1 for n in base), seed)
    for predict in (False, True):
        one, many = (_C.Octree(base, levels, predict, 0.0, n) for n in (1, threads))
        assert grow(one, volume) == grow(many, volume)
        for single, several in zip(one.points(), many.points(), strict=True):
            np.testing.assert_array_equal(single, several)
        for single, several in zip(_C.marching_cubes(one), _C.marching_cubes(many), strict=True):
            np.testing.assert_array_equal(single, several)


@given(cases, st.integers(0, 3))
def test_predicting_with_an_infinite_margin_is_exact(case, seed_count):
    base, levels, seed = case
    shape = tuple((n << levels) + 1 for n in base)
    volume = random_volume(shape, seed)
    rng = np.random.default_rng(seed)
    seeds = rng.integers(-1, np.array(shape), size=(seed_count, 3), dtype=np.int32)
    tree = _C.Octree(base, levels, True, np.inf)
    tree.refine(seeds)
    grow(tree, volume)
    points, values, evaluated = tree.points()
    assert point_set(tree) == mise(volume, levels, seeds)
    assert evaluated.all()
    np.testing.assert_array_equal(values, volume[tuple(points.T)])


@given(cases)
def test_predicting_evaluates_both_ends_of_every_crossing(case):
    base, levels, seed = case
    shape = tuple((n << levels) + 1 for n in base)
    volume = random_volume(shape, seed)
    tree = _C.Octree(base, levels, True)
    rounds = grow(tree, volume)
    points, values, evaluated = tree.points()
    assert sum(rounds) == np.count_nonzero(evaluated) == tree.evaluated
    assert tree.evaluations_per_level()[0] == np.prod([n + 1 for n in base])
    assert sum(tree.evaluations_per_level()) == tree.evaluated
    exact = evaluated.astype(bool)
    np.testing.assert_array_equal(values[exact], volume[tuple(points[exact].T)])

    known = np.full([n + 2 for n in shape], np.nan, dtype=np.float32)  # a rim of unknown points
    true = np.zeros(known.shape, dtype=bool)
    known[tuple(points.T)], true[tuple(points.T)] = values, exact
    for axis in range(3):
        one, two = known, np.roll(known, -1, axis)
        crossing = ((one > 0) & (two <= 0)) | ((one <= 0) & (two > 0))
        assert true[crossing].all() and np.roll(true, -1, axis)[crossing].all()
    on_box = ((points == 0) | (points == np.array(shape) - 1)).any(axis=1)
    assert exact[on_box & (values > 0)].all()
    vertices, faces = _C.marching_cubes(tree)
    if len(faces):
        mesh = trimesh.Trimesh(vertices, faces, process=False)
        assert topology(mesh).solid


@given(cases)
def test_interpolation_is_that_of_the_leaves(case):
    base, levels, seed = case
    volume = random_volume(tuple((n << levels) + 1 for n in base), seed)
    tree = _C.Octree(base, levels)
    grow(tree, volume)
    points, values, _ = tree.points()
    np.testing.assert_array_equal(tree.interpolate(points.astype(float)) > 0, values > 0)
    outside = np.array([[-0.01, 0.5, 0.5], [0.5, 0.5, volume.shape[2] - 0.99]])
    np.testing.assert_array_equal(tree.interpolate(outside), [-1, -1])
    everywhere = np.random.default_rng(seed).random((50, 3)) * (np.array(volume.shape) - 1)
    found = tree.interpolate(everywhere)
    assert found.min() >= values.min() - 1e-6 and found.max() <= values.max() + 1e-6


@given(cases)
def test_values_are_those_it_was_given(case):
    base, levels, seed = case
    volume = random_volume(tuple((n << levels) + 1 for n in base), seed)
    tree = _C.Octree(base, levels)
    grow(tree, volume)
    everywhere = np.indices(volume.shape).reshape(3, -1).T.astype(np.int32)
    known = np.zeros(volume.shape, dtype=bool)
    known[tuple(tree.points()[0].T)] = True
    found = tree.values_at(np.ascontiguousarray(everywhere)).reshape(volume.shape)
    np.testing.assert_array_equal(found, np.where(known, volume, np.nan))
    outside = np.array([[-1, 0, 0], [0, volume.shape[1], 0]], dtype=np.int32)
    assert np.isnan(tree.values_at(outside)).all()


def test_propagates_through_hanging_nodes():
    """A spike seen only in the middle of a coarse face is followed into the cell beyond it."""
    volume = np.full((9, 17, 9), -1.0, dtype=np.float32)
    volume[0, 0, 0] = 1.0  # splits the first base cell, but none of the second
    volume[4, 8, 4] = 1.0  # centre of the square between both: first seen by children of the first
    tree = _C.Octree((1, 2, 1), 3)
    grow(tree, volume)
    around = itertools.product((3, 4, 5), (7, 8, 9), (3, 4, 5))
    assert set(around) <= point_set(tree)


def test_memory_follows_the_surface(torus):
    sizes = []
    for resolution in (64, 128, 256):
        found = extract_mesh(torus, resolution=resolution).metadata["extraction"]
        assert found["peak_bytes"] < 256 * found["evaluations"]
        sizes.append(found["evaluations"])
    assert sizes[2] < 0.05 * 257**3
    assert sizes[2] / sizes[1] < 4.5  # a surface, not a volume


def test_seeds_find_a_thin_rod():
    def rod(points: np.ndarray) -> np.ndarray:
        across = np.hypot(points[:, 0] - 0.017, points[:, 1] - 0.017)
        return 0.01 - np.maximum(across, np.abs(points[:, 2]) - 0.4)

    with pytest.warns(UserWarning, match="no surface"):
        assert len(extract_mesh(rod, resolution=256).faces) == 0
    mesh = extract_mesh(rod, resolution=256, seeds=[[0.017, 0.017, 0.1]])
    found = topology(mesh)
    assert found.solid and found.components == 1
    np.testing.assert_allclose(np.ptp(mesh.vertices[:, 2]), 0.82, atol=1.1 / 256)
    np.testing.assert_allclose(mesh.volume, np.pi * 0.01**2 * 0.82, rtol=0.15)


def test_probes_find_a_thin_rod_and_count_what_was_overlooked():
    def rod(points: np.ndarray) -> np.ndarray:
        across = np.hypot(points[:, 0] - 0.017, points[:, 1] - 0.017)
        return 0.01 - np.maximum(across, np.abs(points[:, 2]) - 0.4)

    def found(**options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mesh = extract_mesh(rod, resolution=256, base_resolution=32, **options)
        return mesh, mesh.metadata["extraction"]["seeds"]

    inside = [[0.017, 0.017, z] for z in np.linspace(-0.39, 0.39, 7)]
    mesh, seeds = found(seeds=[*inside, [0.4, 0.4, 0.4], [9, 9, 9]], refine_at_seeds=False)
    assert len(mesh.faces) == 0 and seeds == {"count": 8, "wrong_side": 7, "wrong_side_before": 7}
    mesh, probes = found(probes=20_000)  # about 4 of them hit the rod
    assert probes["wrong_side_before"] > 0 and probes["wrong_side"] == 0
    assert topology(mesh).solid and topology(mesh).components == 1
    np.testing.assert_allclose(mesh.volume, np.pi * 0.01**2 * 0.82, rtol=0.15)
    assert found(probes=20_000)[1] == probes


@pytest.mark.parametrize(
    ("base", "levels"),
    [((0, 1, 1), 1), ((1, -2, 1), 0), ((1, 1, 1), -1), ((1, 1, 1), 21), ((4, 1, 1), 18)],
)
def test_refuses_impossible_sizes(base, levels):
    with pytest.raises(ValueError, match=r"levels must|cells at the finest level"):
        _C.Octree(base, levels)


def test_refuses_the_wrong_number_of_values_and_unfinished_trees():
    tree = _C.Octree((2, 2, 2), 1)
    with pytest.raises(ValueError, match="one value per pending point"):
        tree.update(np.zeros(tree.pending - 1, dtype=np.float32))
    with pytest.raises(RuntimeError, match="awaits values"):
        _C.marching_cubes(tree)
    with pytest.raises(TypeError):
        tree.update(np.zeros(tree.pending))  # float64: no silent conversion
