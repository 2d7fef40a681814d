from __future__ import annotations

import numpy as np
import pytest
import trimesh

from onet.errors import DataError
from onet.geometry.distance import closest_point
from onet.geometry.inside import contains
from onet.geometry.topology import topology
from onet.geometry.watertight import fill_cavities, make_watertight

RESOLUTION = 48
THICKNESS = 1.5 / RESOLUTION


def box(extents=(1.0, 1.0, 1.0), at=(0.0, 0.0, 0.0)) -> trimesh.Trimesh:
    return trimesh.creation.box(extents, trimesh.transformations.translation_matrix(at))


def close(mesh: trimesh.Trimesh, **options) -> trimesh.Trimesh:
    closed = make_watertight(mesh, resolution=RESOLUTION, **options)
    assert topology(closed).solid
    return closed


def soup(triangles: np.ndarray) -> trimesh.Trimesh:
    corners = np.asarray(triangles, dtype=float).reshape(-1, 3)
    return trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), process=False)


def rounded_box_volume(extents, r: float) -> float:
    """Volume of all points within r of a box (Steiner's formula)."""
    a, b, c = extents
    faces = 2 * (a * b + b * c + c * a)
    return a * b * c + faces * r + np.pi * (a + b + c) * r**2 + 4 / 3 * np.pi * r**3


def damaged_box(damage: str) -> trimesh.Trimesh:
    rng = np.random.default_rng(0)
    triangles = box().subdivide().subdivide().triangles.copy()
    if damage == "flipped":
        flip = rng.random(len(triangles)) < 0.5
        triangles[flip] = triangles[flip][:, ::-1]
    elif damage == "inside out":
        triangles = triangles[:, ::-1]
    elif damage == "doubled":
        triangles = np.concatenate([triangles, triangles[::2, ::-1], triangles[::3]])
    elif damage == "inner walls":
        walls = [[[x, -0.5, -0.5], [x, 0.5, -0.5], [x, 0.5, 0.5]] for x in (-0.2, 0.1)]
        triangles = np.concatenate([triangles, walls, box((0.3, 0.3, 0.3)).triangles])
    elif damage == "degenerate faces":
        line = triangles[:20, [0, 1, 1]]
        triangles = np.concatenate([triangles, line, line[:, [1, 2, 0]], triangles[:5, [0, 0, 0]]])
    elif damage == "intersecting":
        triangles = np.concatenate([triangles, box((0.8, 0.6, 0.9), (0.1, 0.2, 0)).triangles])
    return soup(triangles[rng.permutation(len(triangles))])


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    ["none", "flipped", "inside out", "doubled", "inner walls", "degenerate faces", "intersecting"],
)
def test_a_damaged_box_becomes_the_offset_of_a_box(damage):
    closed = close(damaged_box(damage))
    found = topology(closed)
    assert found.components == 1 and found.euler == 2  # no inner surfaces left
    half = 0.5 + THICKNESS
    np.testing.assert_allclose(closed.bounds, [[-half] * 3, [half] * 3], atol=0.02 / RESOLUTION)
    np.testing.assert_allclose(closed.volume, rounded_box_volume((1, 1, 1), THICKNESS), rtol=2e-3)
    distance = closest_point(box(), closed.vertices)[1]
    np.testing.assert_allclose(distance, THICKNESS, atol=0.2 / RESOLUTION)


def test_independent_of_orientation_and_shared_vertices():
    mesh = trimesh.creation.torus(0.35, 0.15)
    reference = close(mesh)
    turned = close(soup(mesh.triangles[:, ::-1]))
    np.testing.assert_allclose(turned.volume, reference.volume, rtol=1e-3)
    assert topology(reference).euler == topology(turned).euler == 0


def box_without(faces: int, legs: float) -> trimesh.Trimesh:
    """Unit box of right triangles with the given legs; those nearest the middle of the top lack."""
    mesh = box()
    for _ in range(round(-np.log2(legs))):
        mesh = mesh.subdivide()
    distance = np.linalg.norm(mesh.triangles_center - [0, 0, 0.5], axis=1)
    return soup(mesh.triangles[np.argsort(distance)[faces:]])


@pytest.mark.parametrize(("legs", "thickness"), [(1 / 16, 1 / 32), (1 / 8, 1 / 12)])
def test_holes_narrower_than_the_board_close(legs, thickness):
    """The offset closes the hole, so whatever a view saw through it is not outside any more."""
    closed = close(box_without(2, legs), thickness=thickness)
    assert topology(closed).components == 1
    assert contains(closed, np.random.default_rng(0).uniform(-0.5, 0.5, (2000, 3))).all()


@pytest.mark.parametrize("legs", [1 / 8, 1 / 4])
def test_a_hole_makes_no_bubbles(legs):
    """Views that look through the hole leave no enclosed void behind."""
    parts = close(box_without(2, legs)).split(only_watertight=False)
    assert all(part.volume > 0 for part in parts)


def test_without_its_lid_a_box_is_five_boards():
    mesh = box()
    mesh.update_faces(mesh.face_normals[:, 2] < 0.5)
    closed = close(mesh)
    assert topology(closed).components == 1
    assert not contains(closed, np.random.default_rng(0).uniform(-0.4, 0.4, (2000, 3))).any()
    assert closed.volume < 5 * 2 * THICKNESS * (1 + 2 * THICKNESS) ** 2


def test_a_sheet_becomes_a_board():
    sheet = soup(box((1.0, 0.6, 0.0)).triangles)
    closed = close(sheet)
    assert topology(closed).components == 1 and topology(closed).euler == 2
    expected = np.array([1.0, 0.6, 0.0]) + 2 * THICKNESS
    np.testing.assert_allclose(np.ptp(closed.bounds, axis=0), expected, atol=0.2 / RESOLUTION)
    volume = rounded_box_volume((1, 0.6, 0), THICKNESS)
    np.testing.assert_allclose(closed.volume, volume, rtol=0.03)


def test_a_tilted_sheet_does_not_tear():
    turn = trimesh.transformations.euler_matrix(0.4, 0.7, 0.2)
    sheet = soup(box((0.7, 0.5, 0)).apply_transform(turn).triangles)
    closed = close(sheet, thickness=1.0 / RESOLUTION)
    assert topology(closed).components == 1 and topology(closed).euler == 2


@pytest.mark.parametrize("inner", [None, 0.3, 0.8])
def test_cavities_are_filled(inner):
    closed = close(box() if inner is None else box() + box((inner,) * 3))
    assert topology(closed).components == 1
    deep = np.random.default_rng(0).uniform(-0.49, 0.49, size=(2000, 3))
    assert contains(closed, deep).all()


def test_separate_parts_stay_separate():
    found = topology(close(box((0.2, 1, 0.2), (-0.4, 0, 0)) + box((0.2, 1, 0.2), (0.4, 0, 0))))
    assert found.components == 2 and found.euler == 4


def test_thin_parts_are_not_lost():
    rod = box((0.004, 1.0, 0.004), (0.0137, 0, -0.0211))
    closed = close(rod)
    assert topology(closed).components == 1
    np.testing.assert_allclose(
        np.ptp(closed.bounds[:, 1]), 1 + 2 * THICKNESS, atol=0.2 / RESOLUTION
    )


@pytest.mark.parametrize("thickness", [1.0 / RESOLUTION, 2.5 / RESOLUTION])
def test_grows_by_the_thickness_that_was_asked_for(thickness):
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=0.5)
    closed = close(mesh, thickness=thickness)
    radii = np.linalg.norm(closed.vertices, axis=1)
    np.testing.assert_allclose(radii, 0.5 + thickness, atol=0.1 / RESOLUTION)
    assert closed.metadata["watertight"] == {
        "method": "visibility",
        "thickness": thickness,
        "resolution": RESOLUTION,
        "views": 100,
        "cavities_filled": 0,
    }


def test_the_same_every_time_and_with_any_number_of_threads():
    mesh = damaged_box("intersecting")
    one, other = close(mesh, threads=1), close(mesh, threads=3)
    np.testing.assert_array_equal(one.vertices, other.vertices)
    np.testing.assert_array_equal(one.faces, other.faces)


@pytest.mark.parametrize(
    "mesh",
    [
        box((2, 1, 1)),
        box((1, 1, 1), (0.2, 0, 0)),
        trimesh.Trimesh(np.zeros((0, 3)), np.zeros((0, 3), int), process=False),
        soup(np.array([[0, 0, 0], [0.1, 0, 0], [np.nan, 0, 0]])),
    ],
    ids=["too large", "off centre", "empty", "nan"],
)
def test_refuses_meshes_that_are_not_in_the_unit_frame(mesh):
    with pytest.raises(DataError, match="unit frame"):
        make_watertight(mesh)


def test_refuses_a_thickness_below_one_cell():
    with pytest.raises(DataError, match=r"below one cell .* use at least 0\.015625"):
        make_watertight(box(), resolution=64, thickness=0.9 / 64)


def test_cavities_are_filled_with_what_floats_in_them():
    outer, cavity, crumb = (
        trimesh.creation.icosphere(subdivisions=3, radius=r) for r in (1.0, 0.6, 0.2)
    )
    cavity.invert()
    beside = trimesh.creation.box(bounds=[[2, 0, 0], [3, 1, 1]])
    mesh = trimesh.util.concatenate([crumb, cavity, beside, outer])
    filled, removed = fill_cavities(mesh)
    assert removed == 2
    assert filled.volume == pytest.approx(outer.volume + 1)
    assert topology(filled).solid
    assert fill_cavities(filled) == (filled, 0)
