from __future__ import annotations

import logging
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from onet.errors import FieldError
from onet.geometry.extraction import UNIT_BOX, extract_mesh
from onet.geometry.extraction_backend import CpuBackend, CudaBackend
from onet.geometry.lattice import Lattice
from onet.geometry.topology import topology


def noise_field(seed: int, bias: float):
    """Waves that cross the box everywhere."""
    rng = np.random.default_rng(seed)
    waves, phase = rng.normal(scale=9, size=(3, 6)), rng.uniform(0, 6, 6)
    return lambda points: np.sin(points @ waves + phase).sum(axis=1) + bias


@given(st.integers(0, 2**32 - 1), st.floats(-2, 2), st.sampled_from([8, 33, 40, 64]))
def test_solid_for_every_field(seed, bias, resolution):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mesh = extract_mesh(noise_field(seed, bias), resolution=resolution)
    assert topology(mesh).solid
    half = 0.55 + 2e-4 * 1.1 / resolution
    assert np.abs(mesh.vertices).max() <= half


@pytest.mark.slow
@given(st.integers(0, 2**32 - 1), st.floats(-2, 2), st.sampled_from([33, 64, 100]))
def test_fast_is_solid_for_every_field(seed, bias, resolution):
    mesh = extract_mesh(noise_field(seed, bias), resolution=resolution, mode="fast")
    assert topology(mesh).solid
    assert mesh.metadata["extraction"]["components"] == topology(mesh).components


def test_fast_finds_the_same_surface_with_fewer_evaluations(torus, sphere):
    for field in (torus, sphere):
        exact, fast = (extract_mesh(field, resolution=128, mode=m) for m in ("exact", "fast"))
        counts = [mesh.metadata["extraction"]["evaluations"] for mesh in (exact, fast)]
        assert counts[1] < 0.7 * counts[0]
        assert len(exact.faces) == len(fast.faces)
        distance, index = cKDTree(exact.vertices).query(fast.vertices)
        assert distance.max() == 0 and len(np.unique(index)) == len(exact.vertices)


def test_a_margin_brings_fast_closer_to_exact(torus):
    counts = [
        extract_mesh(torus, mode="fast", margin=margin).metadata["extraction"]["evaluations"]
        for margin in (0.0, 0.02, 1e30)
    ]
    assert counts[0] < counts[1] < counts[2]
    assert counts[2] == extract_mesh(torus).metadata["extraction"]["evaluations"]


@pytest.mark.parametrize(
    ("resolution", "base", "cells", "levels"),
    [
        (64, 8, 64, 3),
        (64, 64, 64, 0),
        (100, 25, 100, 2),
        (100, 7, 112, 4),
        (5, 9, 9, 0),
        (9, 1, 16, 4),
    ],
)
def test_any_base_and_any_number_of_levels(resolution, base, cells, levels, torus):
    mesh = extract_mesh(torus, resolution=resolution, base_resolution=base)
    found = mesh.metadata["extraction"]
    assert found["resolution"] == [cells] * 3
    assert len(found["evaluations_per_level"]) == levels + 1
    assert found["evaluations_per_level"][0] == (base + 1) ** 3
    assert sum(found["evaluations_per_level"]) == found["evaluations"]


def test_a_probability_is_a_level_on_logits(sphere):
    mesh = extract_mesh(lambda p: 20 * sphere(p), resolution=64, probability=0.2)
    same = extract_mesh(lambda p: 20 * sphere(p), resolution=64, level=np.log(0.25))
    assert mesh.metadata["extraction"]["level"] == same.metadata["extraction"]["level"]
    np.testing.assert_array_equal(mesh.vertices, same.vertices)


def test_vertices_lie_on_the_edges_of_the_lattice(torus):
    mesh = extract_mesh(torus, [[-1, -1, -0.5], [1, 1.3, 0.7]], resolution=64)
    lattice = mesh.metadata["extraction"]["lattice"]
    steps = (mesh.vertices - lattice["origin"]) / lattice["cell"]
    off = np.sort(np.abs(steps - np.round(steps)), axis=1)
    assert off[:, :2].max() < 1e-9 and off[:, 2].min() > 0.9e-4


def test_batches_change_nothing(torus):
    sizes: list[int] = []

    def recorded(points: np.ndarray) -> np.ndarray:
        assert points.dtype == np.float32 and points.flags.c_contiguous and points.shape[1] == 3
        sizes.append(len(points))
        return torus(points)

    whole = extract_mesh(torus, resolution=64)
    parts = extract_mesh(recorded, resolution=64, batch_size=1000)
    assert max(sizes) == 1000 and sum(sizes) == parts.metadata["extraction"]["evaluations"]
    np.testing.assert_array_equal(whole.vertices, parts.vertices)
    np.testing.assert_array_equal(whole.faces, parts.faces)


def test_statistics(torus):
    points: list[np.ndarray] = []

    def recorded(batch: np.ndarray) -> np.ndarray:
        points.append(batch.copy())
        return torus(batch)

    found = extract_mesh(recorded, resolution=64, level=0.01).metadata["extraction"]
    every = np.concatenate(points)
    assert found["evaluations"] == len(every) == len(np.unique(every, axis=0))
    assert sum(found["evaluations_per_round"]) == len(every)
    assert len(found["evaluations_per_round"]) == found["rounds"] > 1
    assert found["evaluations_per_round"][0] == 33**3
    assert found["resolution"] == [64, 64, 64] and found["level"] == 0.01
    assert found["box_contacts"] == 0 and found["peak_bytes"] > 0
    assert set(found["seconds"]) == {"field", "octree", "marching_cubes"}
    assert all(seconds >= 0 for seconds in found["seconds"].values())
    assert sum(found["seconds"].values()) > 0


@pytest.mark.slow
@pytest.mark.parametrize("order", [(1, 2, 0), (2, 0, 1), (1, 0, 2)])
def test_turning_the_axes_turns_the_surface(order):
    field = noise_field(3, -2.0)
    mesh = extract_mesh(field, resolution=64)
    turned = extract_mesh(lambda points: field(points[:, np.argsort(order)]), resolution=64)
    assert len(mesh.faces) == len(turned.faces)
    assert topology(mesh).euler == topology(turned).euler
    np.testing.assert_allclose(mesh.area, turned.area, rtol=1e-3)
    np.testing.assert_allclose(mesh.volume, turned.volume, rtol=1e-3)
    distance, index = cKDTree(turned.vertices).query(mesh.vertices[:, order])
    assert distance.max() < 1e-5 and len(np.unique(index)) == len(turned.vertices)


@pytest.mark.parametrize(
    ("bounds", "resolution", "cells"),
    [
        (UNIT_BOX, 32, [32, 32, 32]),
        (UNIT_BOX, 37, [37, 37, 37]),
        (UNIT_BOX, 96, [96, 96, 96]),
        ([[-1, -0.5, -0.25], [1, 0.5, 0.25]], 64, [64, 32, 16]),
        ([[-1, -0.5, -0.3], [1, 0.5, 0.3]], 80, [80, 40, 24]),
        ([[-0.6, -0.5, -2.0], [0.5, 0.7, 1.0]], 64, [24, 26, 64]),
        (UNIT_BOX, 1, [1, 1, 1]),
    ],
)
def test_cells_are_cubes_that_cover_the_box(bounds, resolution, cells, sphere):
    seen: list[np.ndarray] = []

    def small(points: np.ndarray) -> np.ndarray:
        seen.append(points)
        return sphere(2 * points)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mesh = extract_mesh(small, bounds, resolution)
    box = np.array(bounds, dtype=float)
    lattice = np.concatenate(seen)
    cell = np.ptp(box, axis=0).max() / resolution
    assert mesh.metadata["extraction"]["resolution"] == cells
    assert (lattice.min(axis=0) <= box[0] + 1e-6).all()
    assert (lattice.max(axis=0) >= box[1] - 1e-6).all()
    np.testing.assert_allclose(np.ptp(lattice, axis=0), np.array(cells) * cell, rtol=1e-5)
    np.testing.assert_allclose(lattice.min(0) + lattice.max(0), box.sum(0), atol=1e-5)
    if resolution >= 32:
        assert topology(mesh).solid
        np.testing.assert_allclose(np.linalg.norm(mesh.vertices, axis=1), 0.2, atol=0.2 * cell)


@pytest.mark.parametrize("resolution", [65, 100, 127, 161, 250])
def test_a_resolution_that_does_not_halve_is_rounded_up(resolution, sphere):
    """Primes are not evaluated densely."""
    found = extract_mesh(sphere, resolution=resolution).metadata["extraction"]
    (cells,) = set(found["resolution"])
    assert resolution <= cells <= 1.04 * resolution
    assert found["evaluations"] < 0.25 * cells**3


def test_the_frame_is_that_of_the_bounds(sphere):
    centre, scale = np.array([20.0, -7.0, 3.0]), 5.0
    mesh = extract_mesh(
        lambda points: sphere((points - centre) / scale),
        np.array(UNIT_BOX) * scale + centre,
        resolution=64,
    )
    np.testing.assert_allclose(np.linalg.norm(mesh.vertices - centre, axis=1), 2.0, atol=0.01)


def test_the_former_name_of_the_level_still_says_it(sphere):
    expected = extract_mesh(sphere, resolution=16, level=0.1)
    with pytest.warns(DeprecationWarning, match="threshold is called level") as warned:
        found = extract_mesh(sphere, resolution=16, threshold=0.1)
    assert warned[0].filename == __file__  # the caller's
    fourth = extract_mesh(sphere, UNIT_BOX, 16, 0.1)
    for mesh in (found, fourth):
        np.testing.assert_array_equal(mesh.vertices, expected.vertices)
        np.testing.assert_array_equal(mesh.faces, expected.faces)
    with pytest.raises(ValueError, match="give level alone"):
        extract_mesh(sphere, level=0.1, threshold=0.1)


@pytest.mark.parametrize("level", [-0.1, 0.0, 0.2])
def test_the_level_moves_the_surface(sphere, level):
    mesh = extract_mesh(sphere, resolution=64, level=level)
    radii = np.linalg.norm(mesh.vertices, axis=1)
    np.testing.assert_allclose(radii, 0.4 - level, atol=2e-3)


def test_equal_to_the_level_is_outside():
    mesh = extract_mesh(lambda p: (np.abs(p).max(axis=1) < 0.3) * 1.0 + 1.0, level=1.0)
    assert 0.3 - 1.1 / 128 <= np.abs(mesh.vertices).max() <= 0.3 + 1.1 / 128
    with pytest.warns(UserWarning, match="no surface"):
        assert len(extract_mesh(lambda p: np.ones(len(p)), level=1.0).faces) == 0


def test_the_sign_survives_single_precision():
    """Inside is what exceeds the level, by however little."""
    field = lambda p: np.where((p**2).sum(axis=1) < 0.09, 1e-60, -1.0)  # noqa: E731
    assert topology(extract_mesh(field, resolution=32)).solid
    shifted = lambda p: np.where((p**2).sum(axis=1) < 0.09, 1.0 + 1e-12, 1.0)  # noqa: E731
    expected = extract_mesh(shifted, resolution=32, level=1.0)
    assert topology(expected).solid
    found = extract_mesh(lambda p: torch.from_numpy(shifted(p)), resolution=32, level=1.0)
    np.testing.assert_array_equal(found.vertices, expected.vertices)


def test_leaving_the_box_is_closed_there_and_reported(caplog):
    with caplog.at_level(logging.WARNING, logger="onet"):
        mesh = extract_mesh(lambda p: 0.3 - np.hypot(p[:, 0], p[:, 1]), resolution=64)
    assert "leaves the box" in caplog.text
    assert mesh.metadata["extraction"]["box_contacts"] > 0
    assert topology(mesh).solid and topology(mesh).euler == 2
    np.testing.assert_allclose(mesh.bounds[:, 2], [-0.55, 0.55], atol=1e-5)
    np.testing.assert_allclose(mesh.volume, np.pi * 0.3**2 * 1.1, rtol=0.01)


@pytest.mark.parametrize("value", [1.0, np.inf])
def test_inside_everywhere_gives_the_box(value):
    mesh = extract_mesh(lambda p: np.full(len(p), value), resolution=32)
    assert topology(mesh).solid and topology(mesh).euler == 2
    np.testing.assert_allclose(mesh.volume, 1.1**3, rtol=1e-4)


@pytest.mark.parametrize("value", [0.0, -1.0, -np.inf])
def test_no_surface_is_an_empty_mesh_and_a_warning(value):
    with pytest.warns(UserWarning, match="no surface"):
        mesh = extract_mesh(lambda p: np.full(len(p), value), resolution=32)
    assert mesh.vertices.shape == (0, 3) and mesh.faces.shape == (0, 3)
    assert mesh.metadata["extraction"]["evaluations"] == 33**3


def test_infinite_values_are_a_side_like_any_other(sphere):
    mesh = extract_mesh(lambda p: np.where(sphere(p) > 0, np.inf, -np.inf), resolution=64)
    assert topology(mesh).solid and topology(mesh).euler == 2
    np.testing.assert_allclose(np.linalg.norm(mesh.vertices, axis=1), 0.4, atol=1.1 / 64)


def test_zeros_on_the_lattice():
    """The surface passes exactly through lattice points, where the value is 0 and thus outside."""
    cell = 1 / 32
    mesh = extract_mesh(
        lambda p: 8 * cell - np.abs(p).max(axis=1), [[-0.5] * 3, [0.5] * 3], resolution=32
    )
    found = topology(mesh)
    assert found.solid and found.euler == 2
    np.testing.assert_allclose(np.abs(mesh.vertices).max(axis=0), 8 * cell, atol=2e-4 * cell)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_torch_fields(sphere, dtype):
    weight = torch.ones((), dtype=dtype, requires_grad=True)
    mesh = extract_mesh(lambda p: torch.from_numpy(sphere(p)).to(dtype) * weight, resolution=32)
    reference = extract_mesh(sphere, resolution=32)
    assert topology(mesh).solid
    np.testing.assert_allclose(mesh.volume, reference.volume, rtol=0.02)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.float16, np.float64])
def test_numeric_types(sphere, dtype):
    mesh = extract_mesh(lambda p: (sphere(p) > 0).astype(dtype), resolution=32, level=0.5)
    assert topology(mesh).solid and topology(mesh).euler == 2


def test_a_column_of_values_is_accepted(sphere):
    flat = extract_mesh(sphere, resolution=32)
    column = extract_mesh(lambda p: sphere(p)[:, None], resolution=32)
    np.testing.assert_array_equal(flat.vertices, column.vertices)


def test_nan_is_counted_and_located(sphere):
    def broken(points: np.ndarray) -> np.ndarray:
        values = sphere(points)
        values[[5, 7]] = np.nan
        return values

    with pytest.raises(FieldError, match=r"NaN at 2 of 35937 points, first at \[-0\.55"):
        extract_mesh(broken, resolution=32)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["exact", "fast"]))
def test_blocks_of_nan_are_refused_in_every_round(seed, mode):
    """A block between the points of the base grid is met only when cells are split."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=3)
    centre = 0.4 * direction / np.linalg.norm(direction)  # on the surface of the sphere
    half = rng.choice([0.012, 0.05])
    asked: list[np.ndarray] = []

    def broken(points: np.ndarray) -> np.ndarray:
        values = 0.4 - np.linalg.norm(points, axis=1)
        values[np.abs(points - centre).max(axis=1) < half] = np.nan
        asked.append(values)
        return values

    with pytest.raises(FieldError, match=r"NaN at \d+ of \d+ points"):
        extract_mesh(broken, resolution=256, mode=mode)
    assert not any(np.isnan(values).any() for values in asked[:-1])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda p: np.zeros(len(p) - 1), "shape"),
        (lambda p: np.zeros((len(p), 2)), "shape"),
        (lambda p: np.zeros((1, len(p))), "shape"),
        (lambda p: 1.0, "shape"),
        (lambda p: torch.zeros(len(p), 3), "shape"),
        (lambda p: np.zeros(len(p), dtype=complex), "complex128"),
        (lambda p: torch.zeros(len(p), dtype=torch.complex64), "complex64"),
        (lambda p: np.full(len(p), "a"), "real numbers"),
        (lambda p: None, "shape"),
    ],
)
def test_fields_that_do_not_return_one_real_value_a_point(wrong, message):
    with pytest.raises(FieldError, match=message):
        extract_mesh(wrong, resolution=32)


def test_errors_of_the_field_pass_through():
    def failing(points: np.ndarray) -> np.ndarray:
        raise ZeroDivisionError("of the field")

    with pytest.raises(ZeroDivisionError, match="of the field"):
        extract_mesh(failing)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bounds": [[0, 0, 0], [1, 1, 0]]}, "bounds"),
        ({"bounds": [[0, 0, 0], [1, 1, np.inf]]}, "bounds"),
        ({"bounds": [0, 1]}, "bounds"),
        ({"bounds": [[1, 1, 1], [0, 0, 0]]}, "bounds"),
        ({"resolution": 0}, "resolution"),
        ({"resolution": -4}, "resolution"),
        ({"resolution": 32.5}, "whole number"),
        ({"level": np.nan}, "level"),
        ({"resolution": 2**21}, "cells"),
        ({"batch_size": 0}, "batch_size"),
        ({"seeds": [0.0, 0.0, 0.0]}, "seeds"),
        ({"seeds": [[0.0, 0.0]]}, "seeds"),
        ({"base_resolution": 0}, "base_resolution"),
        ({"base_resolution": 2.5}, "base_resolution"),
        ({"mode": "quick"}, "mode"),
        ({"mode": "fast", "margin": -1.0}, "margin"),
        ({"mode": "fast", "margin": np.nan}, "margin"),
        ({"probability": 0.0}, "probability"),
        ({"probability": 0.5, "level": 0.0}, "give one of them"),
        ({"probes": -1}, "probes"),
        ({"probes": 5, "seeds": [[0.0, 0.0, 0.0]]}, "together"),
        ({"seeds": [[0.0, 0.0, np.nan]]}, "seeds"),
    ],
)
def test_refused_arguments(sphere, arguments, message):
    with pytest.raises(ValueError, match=message):
        extract_mesh(sphere, **{"resolution": 32, **arguments})


def test_seeds_beyond_the_box_are_ignored(sphere):
    plain = extract_mesh(sphere, resolution=64)
    seeded = extract_mesh(sphere, resolution=64, seeds=[[9.0, 0, 0], [0, -1e30, 0]])
    np.testing.assert_array_equal(plain.vertices, seeded.vertices)
    none = extract_mesh(sphere, resolution=64, seeds=np.empty((0, 3)))
    np.testing.assert_array_equal(plain.vertices, none.vertices)
    free = {"seconds": 0, "peak_bytes": 0}
    assert seeded.metadata["extraction"] | free == plain.metadata["extraction"] | free


UTM = np.array([5e5, 5e6, 300.0])


def far_ball(points: np.ndarray) -> np.ndarray:
    """The unit ball around UTM."""
    assert points.dtype == np.float64
    return 1 - np.linalg.norm(points - UTM, axis=1)


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_far_from_the_origin_points_are_doubles(mode):
    box = [UTM - 1.3, UTM + 1.3]
    mesh = extract_mesh(far_ball, box, resolution=64, mode=mode, probes=100)
    near = extract_mesh(lambda p: 1 - np.linalg.norm(p, axis=1), [[-1.3] * 3, [1.3] * 3], 64)
    assert topology(mesh).solid and mesh.volume == pytest.approx(near.volume, rel=1e-6)
    assert len(np.unique(mesh.vertices, axis=0)) == len(mesh.vertices)
    distance, _ = cKDTree(near.vertices).query(mesh.vertices - UTM)
    assert distance.max() < 5e-6


@given(st.floats(0, 1e9), st.floats(1e-3, 1e3), st.integers(0, 2))
def test_a_ball_anywhere_has_its_volume_or_is_refused(away, radius, axis):
    centre = np.zeros(3)
    centre[axis] = away

    def ball(points):
        return radius - np.linalg.norm(points.astype(np.float64) - centre, axis=1)

    box = [centre - 1.3 * radius, centre + 1.3 * radius]
    cell = 2.6 * radius / 16
    if np.spacing(away + 1.3 * radius) > 1e-5 * cell:
        with pytest.raises(ValueError, match="nearer to the origin"):
            extract_mesh(ball, box, resolution=16)
        return
    mesh = extract_mesh(ball, box, resolution=16)
    mesh.vertices = mesh.vertices - centre
    assert mesh.volume == pytest.approx(4.12 * radius**3, rel=0.02)


def test_a_field_that_rounds_far_points_is_told():
    with pytest.warns(UserWarning, match="rounds points to single precision"):
        extract_mesh(
            lambda p: 1 - np.linalg.norm(p.astype(np.float32) - UTM, axis=1),
            [UTM - 1.3, UTM + 1.3],
            resolution=32,
        )
    with warnings.catch_warnings():  # of an occupancy it cannot be told
        warnings.simplefilter("error")
        extract_mesh(lambda p: far_ball(p) > 0, [UTM - 1.3, UTM + 1.3], resolution=32)


LONGEST = pytest.param(200, 2, marks=pytest.mark.slow)


@pytest.mark.parametrize(("ratio", "axis"), [(8, 0), (20, 1), (50, 0), (50, 1), (50, 2), LONGEST])
def test_long_boxes_are_extracted(ratio, axis):
    radii = np.ones(3)
    radii[axis] = ratio

    def ellipsoid(points):
        return 1 - np.linalg.norm(points / radii, axis=1)

    mesh = extract_mesh(ellipsoid, [-1.1 * radii, 1.1 * radii], resolution=128)
    assert topology(mesh).solid
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * ratio, rel=0.01)
    assert mesh.metadata["extraction"]["evaluations"] < 1_200_000


def test_flat_boxes_are_extracted_as_far_as_affordable(caplog, monkeypatch):
    monkeypatch.setattr("onet.geometry.lattice.MOST_SIDES", 2**14)
    radii = np.array([50.0, 40.0, 1.0])
    with caplog.at_level(logging.WARNING):
        mesh = extract_mesh(
            lambda p: 1 - np.linalg.norm(p / radii, axis=1), [-1.1 * radii, 1.1 * radii], 32
        )
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * radii.prod(), rel=0.25)
    assert "times as long as it is wide" in caplog.text


def test_boxes_that_are_not_long_keep_their_lattice():
    for extent, resolution, base, cells in [
        ((1, 1, 1), 128, 32, (128, 128, 128)),
        ((1, 2, 4), 100, 50, (26, 50, 100)),
        ((8, 1, 1), 64, 32, (64, 8, 8)),
        ((8, 8, 1), 512, 32, (512, 512, 64)),
    ]:
        lattice = Lattice.over([[0, 0, 0], extent], resolution)
        assert tuple(n * 2**lattice.levels for n in lattice.base) == cells
        assert max(lattice.base) == base
        assert lattice.dtype is np.float32


def test_a_base_grid_without_a_point_inside_says_so():
    box = [[-55, -1.1, -1.1], [55, 1.1, 1.1]]
    with pytest.warns(UserWarning, match="sides of the box along y and z"):
        extract_mesh(
            lambda p: 1 - np.linalg.norm(p / [50, 1, 1], axis=1), box, 512, base_resolution=32
        )


def test_both_places_ask_at_the_same_far_points():
    lattice = Lattice.over([UTM - 1.3, UTM + 1.3], 32)
    places = np.random.default_rng(0).integers(0, 33, (100, 3)).astype(np.int32)
    here = CpuBackend(1).positions(places, lattice.origin, lattice.cell)
    there = CudaBackend("cpu").positions(torch.from_numpy(places), lattice.origin, lattice.cell)
    assert lattice.dtype is np.float64 and there.dtype == torch.float64
    np.testing.assert_array_equal(there.numpy(), here)
