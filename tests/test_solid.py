"""Any mesh in, the solid it stands for out."""

from __future__ import annotations

import json

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

import onet
from onet.errors import DataError
from onet.geometry.distance import closest_point
from onet.geometry.inside import contains
from onet.geometry.mesh_io import load_mesh, save_mesh
from onet.geometry.solid.check import check_mesh
from onet.geometry.solid.field import INSIDE, SolidField
from onet.geometry.solid.make import WALL, make_solid
from onet.geometry.solid.report import solid_report
from onet.geometry.solid.winding_solid import winding_solid
from onet.geometry.winding import winding_number

RESOLUTION = 40
CELL = 1 / RESOLUTION
TURNED = trimesh.transformations.rotation_matrix(0.7, (1, 2, 3))


def box(extents=(1.0, 0.6, 0.4), at=(0.0, 0.0, 0.0)) -> trimesh.Trimesh:
    return trimesh.creation.box(extents, trimesh.transformations.translation_matrix(at))


def ball(radius=0.5, at=(0.0, 0.0, 0.0), subdivisions=3) -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions, radius).apply_translation(at)


def together(*meshes: trimesh.Trimesh) -> trimesh.Trimesh:
    return trimesh.util.concatenate(list(meshes))


def soup(triangles) -> trimesh.Trimesh:
    corners = np.asarray(triangles, dtype=float).reshape(-1, 3)
    return trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), process=False)


def without(mesh: trimesh.Trimesh, gone) -> trimesh.Trimesh:
    return trimesh.Trimesh(mesh.vertices, np.asarray(mesh.faces)[~gone], process=False)


def made(mesh: trimesh.Trimesh, resolution: int = RESOLUTION, **options) -> trimesh.Trimesh:
    solid = make_solid(mesh, resolution, **options)
    told = check_mesh(solid)
    assert told.ok, told
    assert solid.metadata["solid"]["crossing"] == []
    json.dumps(solid.metadata["solid"])
    return solid


def iou(one: trimesh.Trimesh, other: trimesh.Trimesh, count: int = 20_000) -> float:
    low, high = (f([m.bounds for m in (one, other)], axis=(0, 1)) for f in (np.min, np.max))
    points = np.random.default_rng(0).uniform(low, high, (count, 3))
    a, b = contains(one, points), contains(other, points)
    return float((a & b).sum() / (a | b).sum())


def damaged(kind: str) -> trimesh.Trimesh:
    mesh, rng = ball(), np.random.default_rng(0)
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces).copy()
    match kind:
        case "holes":
            centres = vertices[rng.integers(len(vertices), size=8)]
            near = np.linalg.norm(mesh.triangles_center[:, None] - centres, axis=2).min(axis=1)
            return without(mesh, near < 0.08)
        case "flipped":
            wrong = rng.random(len(faces)) < 0.3
            faces[wrong] = faces[wrong, ::-1]
            return trimesh.Trimesh(vertices, faces, process=False)
        case "doubled":
            return soup(vertices[np.concatenate([faces, faces[::2, ::-1], faces[::3]])])
        case "double shell":
            inner = ball(0.48)
            inner.invert()
            both = together(mesh, inner)
            return without(both, both.triangles_center[:, 2] > 0.45)
        case "inside out":
            mesh.invert()
            return mesh
        case "inner parts":
            wall = soup([[[-0.3, -0.3, 0], [0.3, -0.3, 0], [0, 0.3, 0]]])
            return together(mesh, ball(0.2), wall, ball(0.1, (0.1, 0, 0)))
        case "missing cap":
            return without(mesh, mesh.triangles_center[:, 2] < -0.4)
        case "noise":
            return trimesh.Trimesh(vertices + rng.normal(0, 2e-3, vertices.shape), faces)
    raise ValueError(kind)


@pytest.mark.parametrize(
    ("damage", "least"),
    [
        ("holes", 0.99),
        ("flipped", 0.9999),
        ("doubled", 0.9999),
        ("double shell", 0.98),
        ("inside out", 0.9999),
        ("inner parts", 0.99),
        ("missing cap", 0.95),
        ("noise", 0.98),
    ],
)
def test_damage_does_not_change_the_solid(damage, least) -> None:
    assert iou(made(damaged(damage)), ball()) >= least


def test_what_bounds_a_solid_comes_back_as_it_is() -> None:
    mesh = together(box(), ball(0.2, (2, 0, 0)))
    solid = made(mesh)
    assert solid.metadata["solid"]["method"] == "as it is"
    assert {*map(tuple, solid.vertices.tolist())} == {*map(tuple, mesh.vertices.tolist())}
    assert len(solid.faces) == len(mesh.faces)
    assert solid.volume == pytest.approx(mesh.volume)


def test_parts_that_overlap_become_one_with_sharp_edges() -> None:
    cross = together(box((1, 0.2, 0.2)), box((0.2, 1, 0.2)), box((0.2, 0.2, 1)))
    cross.apply_transform(TURNED)
    solid = made(cross)
    assert solid.volume == pytest.approx(3 * 0.04 - 2 * 0.008, rel=2e-3)
    # Convex edges and corners, and the creases where the bars meet, which no edge of the input is.
    corners = trimesh.transform_points([[0.5, 0.1, 0.1], [0.1, 0.1, 0.1], [0.1, -0.1, 0.5]], TURNED)
    assert closest_point(solid, corners)[1].max() < 1e-3
    creases = [[0.1, 0.1, z] for z in np.linspace(-0.45, 0.45, 50)]
    assert closest_point(solid, trimesh.transform_points(creases, TURNED))[1].max() < 1e-3
    assert closest_point(cross, solid.vertices)[1].max() < 1e-3


def test_a_block_with_a_part_inside_keeps_its_edges() -> None:
    block = box().apply_transform(TURNED)
    solid = made(together(block, ball(0.3)))  # which sticks out on two sides
    edges = np.concatenate([np.linspace(a, b, 20) for a, b in block.vertices[block.edges_unique]])
    outside = np.linalg.norm(edges, axis=1) > 0.32
    assert closest_point(solid, block.vertices)[1].max() < 1e-3
    assert np.quantile(closest_point(solid, edges[outside])[1], 0.95) < 1e-3


@pytest.mark.parametrize("wall", [WALL, 0.02, 0.06])
def test_a_sheet_becomes_a_wall_of_the_thickness_asked_for(wall) -> None:
    sheet = soup([[[0, 0, 0], [1, 0, 0], [1, 1, 0]], [[0, 0, 0], [1, 1, 0], [0, 1, 0]]])
    sheet.apply_transform(TURNED)
    solid = made(sheet, wall=wall)
    assert solid.volume == pytest.approx(wall * sheet.extents.max(), rel=0.25)
    assert solid.metadata["solid"]["sheet_faces"] == 2
    flat = closest_point(sheet, solid.vertices)[1] / sheet.extents.max()
    np.testing.assert_allclose(np.median(flat), wall / 2, rtol=0.06)


def test_an_open_box_is_a_sheet_and_a_small_hole_is_none() -> None:
    cube = box((1, 1, 1)).subdivide().subdivide().subdivide()
    lid = without(cube, cube.triangles_center[:, 2] > 0.499)
    assert made(lid, holes=0.3).volume < 0.1
    assert made(lid).volume == pytest.approx(1)  # an end that was cut off flat
    half = without(ball(), ball().triangles_center[:, 2] > 0)
    assert made(half).volume < 0.05
    hole = without(cube, np.linalg.norm(cube.triangles_center - (0, 0, 0.5), axis=1) < 0.1)
    solid = made(hole)
    assert solid.volume == pytest.approx(1, rel=0.01)
    (closed,) = solid.metadata["solid"]["holes"]
    assert closed["size"] == pytest.approx(0.25, abs=0.15)
    np.testing.assert_allclose(closed["centre"], (0, 0, 0.5), atol=0.05)


@pytest.mark.parametrize("turned", [np.eye(4), TURNED])
def test_a_flat_opening_is_closed_however_large_its_cap(turned) -> None:
    slab = trimesh.creation.cylinder(0.5, 0.16).subdivide().apply_transform(turned)
    gone = slab.face_normals @ turned[:3, 2] < -0.9
    opened = without(slab, gone)  # the cap has .6 of its area
    assert made(opened).volume == pytest.approx(slab.volume, rel=1e-6)
    assert made(opened, holes=0.3).volume < 0.2 * slab.volume
    seen_from_within = opened.copy()
    seen_from_within.invert()
    assert made(seen_from_within).volume < 0.2 * slab.volume


def test_a_curved_opening_is_closed_by_its_rim() -> None:
    middles = ball().triangles_center
    opened = without(ball(), middles[:, 2] > 0.25 + 0.9 * middles[:, 0] ** 2)
    solid = made(opened)
    assert iou(solid, ball()) > 0.9
    assert len(solid.metadata["solid"]["holes"]) == 1
    assert made(opened, holes=0.3).volume < 0.1


@pytest.mark.parametrize("inverted", [False, True])
def test_a_dish_is_a_sheet(inverted) -> None:
    angle = np.linspace(0, 0.6, 12)
    dish = trimesh.creation.revolve(np.stack([np.sin(angle), np.cos(angle)], axis=1)[::-1])
    if inverted:
        dish.invert()
    assert made(dish).volume < 0.1 * dish.convex_hull.volume


@pytest.mark.parametrize(("sections", "holes"), [(12, None), (150, None), (12, 0.3)])
def test_the_missing_end_of_a_thick_wall_is_a_ring(sections, holes) -> None:
    cup = trimesh.creation.annulus(0.3, 0.4, 0.5, sections=sections).apply_transform(TURNED)
    ends = np.abs(cup.face_normals @ TURNED[:3, 2]) > 0.9
    solid = made(without(cup, ends), holes=holes)
    assert solid.volume == pytest.approx(cup.volume, rel=1e-6)
    assert len(solid.metadata["solid"]["holes"]) == 2
    assert made(without(cup, ends), holes=0.05).volume < 0.5 * cup.volume


def test_a_ring_may_have_several_holes() -> None:
    block = box((1, 0.6, 0.4))
    wells = [box((0.2, 0.2, 0.3), (x, 0, 0.05)) for x in (-0.3, 0, 0.3)]
    block, *wells = (without(part, part.face_normals[:, 2] > 0.9) for part in (block, *wells))
    for well in wells:
        well.invert()
    solid = made(together(block, *wells))
    assert solid.volume == pytest.approx(0.24 - 3 * 0.012, rel=1e-6)
    assert len(solid.metadata["solid"]["holes"]) == 1


def test_holes_wider_than_asked_for_are_left_open() -> None:
    tube = trimesh.creation.cylinder(0.1, 1.0)
    open_tube = without(tube, np.abs(tube.triangles_center[:, 2]) > 0.499)
    assert made(open_tube).volume == pytest.approx(tube.volume, rel=0.02)
    assert made(open_tube, holes=0.1).volume < 0.2 * tube.volume


def test_cavities_are_filled_or_kept() -> None:
    inner = ball(0.25)
    inner.invert()
    hollow = together(ball(), inner)
    for mesh in (hollow, together(hollow, box((1.2, 0.1, 0.1)))):  # as it is, and on a lattice
        kept, filled = made(mesh, cavities="keep"), made(mesh)
        assert not contains(kept, [[0, 0.2, 0]])[0] or mesh is not hollow
        assert contains(filled, [[0, 0.2, 0]])[0]
        assert filled.volume - kept.volume > 0.7 * ball(0.25).volume


def test_a_mesh_inside_another_is_left_out() -> None:
    solid = made(together(ball(), ball(0.2)))
    assert solid.volume == pytest.approx(ball().volume)
    assert solid.metadata["solid"]["cavities"] == 1


def test_walls_thinner_than_a_cell_stay() -> None:
    plate = box((1, 0.8, 0.2 * CELL)).apply_transform(TURNED)
    post = box((0.1, 0.1, 0.5)).apply_transform(TURNED)
    solid = made(together(plate, post))
    expected = plate.volume + post.volume - 0.1 * 0.1 * 0.2 * CELL
    assert solid.volume == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("scale", "offset"), [(1e-6, 0.0), (1e6, 0.0), (1.0, 1e5), (1e-3, 3.0), (1.0, 0.0)]
)
def test_units_and_places_do_not_matter(scale, offset, tmp_path) -> None:
    mesh = together(box(), box((0.2, 0.2, 0.9))).apply_transform(TURNED)
    volume = made(mesh).volume
    mesh.apply_scale(scale)
    mesh.apply_translation((offset, -offset, offset))
    solid = made(mesh)
    assert solid.volume == pytest.approx(volume * scale**3, rel=1e-2)
    read = load_mesh(save_mesh(solid, tmp_path / "solid.ply"))
    assert check_mesh(read).ok  # as a file too


def touching_tori() -> trimesh.Trimesh:
    ring = trimesh.creation.torus(0.3, 0.1, major_sections=24, minor_sections=12)
    return together(ring, ring.copy().apply_translation((0.8, 0, 0)))


def needles() -> trimesh.Trimesh:
    fan = [[[0, 0, 0], [1, 1e-7 * k, 0.1 * k], [1, 1e-7 * k, 0.1 * k + 1e-9]] for k in range(5)]
    return together(box(), soup(fan), box((1.5, 1e-5, 1e-5)))


def many_parts() -> trimesh.Trimesh:
    places = np.random.default_rng(0).uniform(-1, 1, (300, 3))
    return together(*(box((0.05, 0.08, 0.1), place) for place in places))


SOUPS = {
    "tori": touching_tori,
    "needles": needles,
    "300 parts": many_parts,
    "self-touching torus": lambda: trimesh.creation.torus(0.2, 0.2),
    "cubes that share a face": lambda: together(box((1, 1, 1)), box((1, 1, 1), (1, 0, 0))),
    "cubes that share an edge": lambda: together(box((1, 1, 1)), box((1, 1, 1), (1, 1, 0))),
    "cubes that share a corner": lambda: together(box((1, 1, 1)), box((1, 1, 1), (1, 1, 1))),
    "coplanar doubles": lambda: together(box(), box((0.5, 0.6, 0.4)), box()),
    "one triangle": lambda: soup([[[0, 0, 0], [1, 0, 0], [0, 1, 0]]]),
    "a line": lambda: soup([[[0, 0, 0], [1, 0, 0], [2, 0, 0]]]),
    "a fin": lambda: together(box(), soup([[[0.5, 0, 0], [0.9, 0, -0.2], [0.9, 0, 0.2]]])),
    "a Moebius strip": lambda: moebius(),
    "random triangles": lambda: soup(np.random.default_rng(0).normal(size=(60, 3, 3))),
}


def moebius() -> trimesh.Trimesh:
    turn = np.linspace(0, 2 * np.pi, 41)
    across = np.array([-0.1, 0.1])[:, None]
    radius = 0.5 + across * np.cos(turn / 2)
    points = np.stack([radius * np.cos(turn), radius * np.sin(turn), across * np.sin(turn / 2)], 2)
    low, high = points
    return soup([[low[k], low[k + 1], high[k]] for k in range(40)]
                + [[high[k], low[k + 1], high[k + 1]] for k in range(40)])  # fmt: skip


@pytest.mark.parametrize("name", SOUPS)
def test_whatever_comes_in_a_solid_comes_out(name) -> None:
    mesh = SOUPS[name]()
    solid = made(mesh)
    away = closest_point(mesh, solid.vertices)[1].max() / mesh.extents.max()
    assert away < 1.8 * CELL  # the surface lies where the triangles are
    report = solid_report(mesh, solid)
    json.dumps(report.as_dict())
    assert report.components >= 1


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=6, deadline=None)
def test_random_soups_become_solids(seed) -> None:
    rng = np.random.default_rng(seed)
    parts = [ball(rng.uniform(0.1, 0.5), rng.uniform(-0.4, 0.4, 3), 1) for _ in range(3)]
    mesh = together(*parts, soup(rng.normal(0, 0.3, (int(rng.integers(0, 6)), 3, 3))))
    made(without(mesh, rng.random(len(mesh.faces)) < rng.choice([0, 0.05, 0.5])), 24)


@pytest.mark.parametrize(
    ("mesh", "message"),
    [
        (trimesh.Trimesh(np.zeros((0, 3)), np.zeros((0, 3), int)), "no faces"),
        (soup([[[0, 0, 0], [np.nan, 0, 0], [0, 1, 0]]]), "NaN"),
        (soup([[[0, 0, 0], [np.inf, 0, 0], [0, 1, 0]]]), "infinite"),
        (soup([[[1, 2, 3]] * 3]), "extent"),
        (soup([[[0, 0, 0], [0, 0, 0], [1, 0, 0]]]), "three different corners"),
    ],
)
def test_what_has_no_surface_is_refused(mesh, message) -> None:
    with pytest.raises(DataError, match=rf"chair.obj.*{message}"):
        make_solid(mesh, name="chair.obj")


@pytest.mark.parametrize(
    "options",
    [{"resolution": 4}, {"wall": 0}, {"wall": 0.5}, {"wall": np.nan}, {"holes": -1},
     {"cavities": "some"}, {"faces": 2}],
)  # fmt: skip
def test_settings_out_of_bounds_are_named(options) -> None:
    with pytest.raises(DataError, match=f"{next(iter(options))} is .*give|choose|at least"):
        make_solid(box(), **options)


def test_a_budget_of_faces_is_kept_without_crossings() -> None:
    mesh = together(box((1, 0.2, 0.2)), box((0.2, 1, 0.2)))
    sheet = soup([[[0, 0, 0], [1, 0, 0.5], [1, 1, 0]]])
    for given_mesh in (mesh, sheet):
        solid = made(given_mesh, faces=600)
        assert len(solid.faces) <= 600
    assert made(mesh, faces=600).volume == pytest.approx(0.08 - 0.008, rel=5e-3)


def test_colours_come_along() -> None:
    mesh = together(box(), box((0.2, 0.2, 0.9)))
    mesh.visual = trimesh.visual.ColorVisuals(
        mesh, face_colors=[[255, 0, 0, 255]] * 12 + [[0, 0, 255, 255]] * 12
    )
    solid = made(mesh)
    high = solid.triangles_center[:, 2] > 0.25
    colours = np.asarray(solid.visual.face_colors)
    assert (colours[high] == [0, 0, 255, 255]).all()
    assert (colours[np.abs(solid.triangles_center[:, 0]) > 0.2] == [255, 0, 0, 255]).all()


def test_the_report_measures_what_was_done() -> None:
    lid = soup([[[0, 0, 2], [1, 0, 2], [0, 1, 2]]])
    mesh = together(damaged("holes"), lid)
    report = solid_report(mesh, made(mesh))
    assert report.components == 2
    assert report.holes >= 1
    assert report.sheets == 1
    assert report.sheet_area == pytest.approx(0.5, rel=1e-6)
    assert report.to_input.median <= report.to_input.most <= report.to_input.largest < 0.1
    assert report.from_input.most < 0.02
    assert report.volume == pytest.approx(ball().volume, rel=0.05)


def test_a_check_says_what_is_wrong_and_where() -> None:
    plate = box((1, 0.6, 0.02), (5, 0, 0))
    told = check_mesh(plate)
    assert told.ok
    assert told.thinnest_wall == pytest.approx(0.02, rel=1e-3)
    assert told.volume == pytest.approx(0.012)
    crossed = check_mesh(together(box(), box((0.2, 0.2, 0.9))))
    assert not crossed.ok
    assert crossed.crossings > 0
    assert closest_point(box(), crossed.crossing_places)[1].max() < 0.6
    assert len(np.unique(crossed.crossing_places, axis=0)) == len(crossed.crossing_places)
    opened = check_mesh(without(box(), np.arange(12) == 0))
    assert (opened.closed, opened.volume, opened.open_edges) == (False, None, 3)
    inverted = box()
    inverted.invert()
    assert not check_mesh(inverted).outward


def test_the_winding_number_is_taken_at_its_word() -> None:
    inner = ball(0.3)
    inner.invert()
    hollow = winding_solid(together(ball(), inner), RESOLUTION)
    assert not contains(hollow, [[0, 0, 0]])[0]
    overlapping = together(box((1, 0.2, 0.2)), box((0.2, 1, 0.2)))
    solid = winding_solid(overlapping, RESOLUTION)
    assert check_mesh(solid).ok
    points = np.random.default_rng(0).uniform(-0.55, 0.55, (20_000, 3))
    differ = contains(solid, points) != (winding_number(overlapping, points) > 0.5)
    assert differ.mean() < 2e-3


def test_meshes_of_other_kinds_are_taken(tmp_path) -> None:
    path = save_mesh(box(), tmp_path / "box.stl")
    for given_mesh in (path, (box().vertices, box().faces), trimesh.Scene(box())):
        assert onet.make_solid(given_mesh).volume == pytest.approx(0.24)


@pytest.mark.slow
def test_a_million_faces() -> None:
    big = ball(subdivisions=8)
    assert len(big.faces) > 1_000_000
    mesh = together(without(big, big.triangles_center[:, 2] > 0.49), box((1.1, 0.1, 0.1)))
    assert iou(made(mesh, 32), made(together(ball(), box((1.1, 0.1, 0.1))), 32)) > 0.98


def test_what_is_seen_in_front_of_a_face_is_outside_whatever_the_winding_number():
    """A board above several bottoms: their winding numbers add up to 1 above it, too."""
    corners = np.array([[-0.5, 0, -0.5], [0.5, 0, -0.5], [0.5, 0, 0.5], [-0.5, 0, 0.5]])
    upward, downward = np.array([[0, 2, 1], [0, 3, 2]]), np.array([[0, 1, 2], [0, 2, 3]])
    heights = np.array([0.2, 0.1, 0.08, 0.06, 0.04, 0.02])
    vertices = np.concatenate([corners + np.array([0, y, 0]) for y in heights])
    faces = np.concatenate([upward, *(downward + 4 * k for k in range(1, 6))])
    field = SolidField(vertices, faces, faces[:0], offset=1e-3, probe=0.02)
    above = np.random.default_rng(0).uniform([-0.2, 0.21, -0.2], [0.2, 0.26, 0.2], (50, 3))
    below = above - np.array([0, 0.1, 0])
    assert (field.winding(above) > INSIDE).all()
    assert (field(above) < 0).all() and (field(below) > 0).all()
