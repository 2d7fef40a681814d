"""Transforms of point clouds, each by what it promises, and the batches that come of them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from onet.config import load_config, parse_config
from onet.data.dataset import ShapeDataset
from onet.data.inputs import INPUTS, PointCloudInput
from onet.data.item_writing import write_pointcloud, write_points
from onet.data.store import Store
from onet.data.store_folder import POINTCLOUD, POINTS
from onet.data.transforms import TRANSFORMS, Transform, Transforms
from onet.data.transforms._transform import direction
from onet.errors import ConfigError
from onet.geometry.normalization import UnitFrame

SECTIONS: dict[str, dict[str, Any]] = {  # of others the defaults
    "noise": {"deviation": 0.02},
    "crop": {"least": 0.3},
    "occlusion": {},
    "rotation": {"axis": None},
    "outliers": {"share": 0.1},
    "density": {"ratio": 5.0},
}
CENTRE, RADIUS = np.array([0.2, -0.1, 0.05]), 0.25


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def sphere(count: int = 20_000, radius: float = 0.5) -> NDArray[np.float32]:
    vectors = generator(7).standard_normal((count, 3))
    return (radius * vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def rows(points: NDArray[Any]) -> set[bytes]:
    return {point.tobytes() for point in points}


def make(kind: str, **options: Any) -> Transform:
    transform: Transform = TRANSFORMS.build({"type": kind, **options}, "t")
    return transform


# -- each of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(TRANSFORMS))
@given(count=st.integers(1, 60), same=st.booleans(), normals=st.booleans(), seed=st.integers(0, 99))
def test_clouds_of_any_size_stay_clouds(
    kind: str, count: int, same: bool, normals: bool, seed: int
) -> None:
    points = generator(seed).uniform(-0.5, 0.5, (count, 3)).astype(np.float32)
    if same:
        points[:] = points[0]
    given_normals = sphere(count, 1.0) if normals else None
    transform, before = make(kind, **SECTIONS.get(kind, {})), points.copy()
    found, found_normals = transform(points, given_normals, generator(seed))
    assert 1 <= len(found) <= count and found.shape[1] == 3
    assert found.dtype == np.float32 and np.isfinite(found).all()
    assert (found_normals is None) == (given_normals is None)
    if found_normals is not None:
        assert found_normals.shape == found.shape and found_normals.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(found_normals, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(points, before)
    again, _ = transform(points, given_normals, generator(seed))
    np.testing.assert_array_equal(again, found)


@pytest.mark.parametrize("kind", ["crop", "occlusion", "density"])
def test_those_that_leave_out_points_keep_normals_beside_them(kind: str) -> None:
    points = sphere()
    found, normals = make(kind, **SECTIONS.get(kind, {}))(points, 2 * points, generator(3))
    assert 0 < len(found) < len(points) and rows(found) < rows(points)
    assert normals is not None
    np.testing.assert_array_equal(normals, 2 * found)


def test_noise_has_its_deviation_along_every_axis() -> None:
    points = sphere()
    moved, _ = make("noise", deviation=0.03)(points, None, generator())
    steps = moved.astype(float) - points
    np.testing.assert_allclose(steps.std(axis=0), 0.03, rtol=0.03)
    np.testing.assert_allclose(steps.mean(axis=0), 0, atol=1e-3)


def test_noise_along_normals_leaves_the_normals_line() -> None:
    points = sphere()
    transform = make("noise", deviation=0.03, normal=True)
    assert transform.needs_normals and not make("noise").needs_normals
    moved, _ = transform(points, 2 * points, generator())
    steps = moved.astype(float) - points
    assert np.abs(np.cross(steps, 2.0 * points)).max() < 1e-6
    assert steps.std() * 3**0.5 == pytest.approx(0.03, rel=0.03)


@pytest.mark.parametrize("seed", range(5))
def test_a_crop_is_one_side_of_a_plane(seed: int) -> None:
    points, twin = sphere(2000), generator(seed)
    found, _ = make("crop", least=0.4)(points, None, generator(seed))
    assert len(found) == round(twin.uniform(0.4, 1) * len(points))
    heights = points @ direction(twin)
    stays = rows(found)
    inside = np.array([point.tobytes() in stays for point in points])
    assert heights[inside].max() <= heights[~inside].min()


def test_a_crop_of_everything_keeps_everything() -> None:
    points = sphere(100)
    np.testing.assert_array_equal(make("crop", least=1)(points, None, generator())[0], points)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("count", "front"), [(3000, 0.85), (50_000, 0.97)])
def test_what_an_occlusion_leaves_is_seen_from_one_side(
    seed: int, count: int, front: float
) -> None:
    points = sphere(count)
    found, _ = make("occlusion")(points, None, generator(seed))
    backward = direction(generator(seed))
    assert 0.25 * count < len(found) < 0.65 * count
    assert (found @ backward < 0).mean() > front and np.quantile(found @ backward, 0.999) < 0.4
    assert (points @ backward).min() == (found @ backward).min()


def test_an_occlusion_hides_what_is_inside() -> None:
    outer, inner = sphere(), sphere(5000, 0.2)
    found, _ = make("occlusion")(np.concatenate([outer, inner]), None, generator(1))
    assert rows(found) <= rows(outer)


def test_wide_cells_of_an_occlusion_see_less_detail_and_narrow_ones_see_through() -> None:
    points = sphere(2000)
    seen = [
        len(make("occlusion", width=width)(points, None, generator(2))[0])
        for width in (1e-9, 0.05, 0.2)
    ]
    assert seen[0] == 2000 and seen[0] > seen[1]


@given(share=st.floats(0, 1), extent=st.floats(0.1, 10))
def test_outliers_have_their_share_and_lie_in_their_box(share: float, extent: float) -> None:
    points = sphere(500)
    found, normals = make("outliers", share=share, extent=extent)(points, 2 * points, generator())
    other = (found != points).any(axis=1)
    assert len(found) == 500 and other.sum() == round(share * 500)
    assert np.abs(found[other]).max(initial=0) <= extent / 2 * (1 + 1e-6)
    assert normals is not None
    np.testing.assert_array_equal(normals[~other], 2 * points[~other])


@pytest.mark.parametrize("ratio", [1.0, 4.0, 20.0])
def test_density_falls_by_its_ratio(ratio: float) -> None:
    points = sphere(200_000)  # slabs of a sphere across any direction have the same area
    found, _ = make("density", ratio=ratio)(points, None, generator(5))
    ends = np.array([-0.5, -0.48, 0.48, 0.5])
    before, after = (np.histogram(p @ direction(generator(5)), ends)[0] for p in (points, found))
    dense, _, sparse = after / before
    assert dense / sparse == pytest.approx(ratio ** (0.98), rel=0.1)
    assert (len(found) == len(points)) == (ratio == 1)


@given(seed=st.integers(0, 500), axis=st.sampled_from(["x", "y", "z", None]))
def test_rotations_are_rotations(seed: int, axis: str | None) -> None:
    transform: Any = make("rotation", axis=axis)
    matrix = transform.rotation(generator(seed))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)
    if axis is not None:
        unit = np.eye(3)["xyz".index(axis)]
        np.testing.assert_allclose(matrix @ unit, unit, atol=1e-12)
    points = sphere(50)
    turned, normals = transform(points, 2 * points, generator(seed))
    np.testing.assert_allclose(turned, points @ matrix.T, atol=1e-6)
    np.testing.assert_allclose(normals, 2 * turned, atol=1e-6)


def test_angles_fill_their_range_and_orientations_the_sphere() -> None:
    rng, some = generator(), [make("rotation", axis="z", degrees=30), make("rotation", axis=None)]
    matrices = [np.stack([t.rotation(rng) for _ in range(2000)]) for t in some]  # type: ignore[attr-defined]
    angles = np.degrees(np.arctan2(matrices[0][:, 1, 0], matrices[0][:, 0, 0]))
    assert -30 <= angles.min() < -29 and 29 < angles.max() <= 30
    # Of uniform orientations the trace has mean 0 and variance 1.
    traces = np.trace(matrices[1], axis1=1, axis2=2)
    assert abs(traces.mean()) < 0.1 and traces.var() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"type": "nois"}, "unknown transform 'nois': did you mean 'noise'"),
        ({}, r"transforms\.1\.type is missing; valid transforms: "),
        ({"type": "noise", "size": 1}, r"transforms\.1\.size \(transform 'noise'\): unknown"),
        ({"type": "noise", "deviation": -1}, r"noise\.deviation: -1"),
        ({"type": "noise", "deviation": float("nan")}, r"noise\.deviation: nan"),
        ({"type": "crop", "least": 0}, r"crop\.least: 0"),
        ({"type": "crop", "least": 1.1}, r"crop\.least: 1\.1"),
        ({"type": "occlusion", "width": 0}, r"occlusion\.width: 0"),
        ({"type": "outliers", "share": 1.5}, r"outliers\.share: 1\.5"),
        ({"type": "outliers", "extent": float("inf")}, r"outliers\.extent: inf"),
        ({"type": "density", "ratio": 0.5}, r"density\.ratio: 0\.5"),
        ({"type": "rotation", "axis": "up"}, r"transforms\.1\.axis"),
        ({"type": "rotation", "degrees": 190}, r"rotation\.degrees: 190"),
        ({"type": "rotation", "axis": None, "degrees": 5}, r"needs an axis"),
    ],
)
def test_options_are_checked(section: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        INPUTS.build(
            {"type": "pointcloud", "transforms": [{"type": "crop"}, section]}, "data.input"
        )


# -- several of them -------------------------------------------------------------------------------


def test_they_are_applied_in_their_order() -> None:
    noise, outliers = {"type": "noise", "deviation": 0.1}, {"type": "outliers", "share": 1.0}
    points = sphere(1000)
    last_noise, _ = Transforms([outliers, noise], "t")(points, None, generator())
    last_outliers, _ = Transforms([noise, outliers], "t")(points, None, generator())
    assert np.abs(last_outliers).max() <= 0.55 < np.abs(last_noise).max()


def test_rotations_add_up() -> None:
    sections: list[dict[str, Any]] = [{"type": "rotation", "axis": axis} for axis in ("x", "z")]
    points = sphere(100)
    turned, rotation = Transforms(sections, "t")(points, points, generator())
    assert rotation is not None
    np.testing.assert_allclose(turned, points @ rotation.T, atol=1e-6)
    left, none = Transforms(sections, "t")(points, None, generator(), turn=False)
    assert none is None and left is points


def test_one_that_leaves_no_points_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = Transforms([{"type": "noise"}, {"type": "crop"}], "data.input.transforms")
    nothing = np.zeros((0, 3), np.float32)
    monkeypatch.setattr(type(everything.transforms[1]), "__call__", lambda *_: (nothing, None))
    with pytest.raises(ConfigError, match=r"data\.input\.transforms\.1 \(crop\).*no points"):
        everything(sphere(5), None, generator())


# -- in batches ------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Three items of the same ball beside the middle; their points are stored in half precision."""
    rng = generator(1)
    for k in range(3):
        folder = tmp_path / "ball" / f"m{k}"
        points = rng.uniform(-0.55, 0.55, (2000, 3)).astype(np.float16)
        inside = np.linalg.norm(points.astype(float) - CENTRE, axis=1) < RADIUS
        frame = UnitFrame(np.zeros(3), 1.0)
        write_points(folder / POINTS, points, inside, frame)
        surface = sphere(3000, 1.0)
        write_pointcloud(folder / POINTCLOUD, CENTRE + RADIUS * surface, surface, frame)
    for split in ("train", "val"):
        (tmp_path / "ball" / f"{split}.lst").write_text("m0\nm1\nm2\n")
    return Store(tmp_path)


def dataset(store: Store, transforms: list[dict[str, Any]], **options: Any) -> ShapeDataset:
    input = PointCloudInput(300, noise=0, transforms=transforms)
    return ShapeDataset(store, "train", input, 500, **options)


def centre_of(points: NDArray[Any]) -> NDArray[Any]:
    """Return the centre of the sphere that points are on."""
    design = np.c_[2 * points, np.ones(len(points))]
    centre: NDArray[Any] = np.linalg.lstsq(design, (points**2).sum(1), rcond=None)[0][:3]
    return centre


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("axis", ["y", None])
def test_query_points_turn_with_what_is_observed(
    store: Store, axis: str | None, training: bool
) -> None:
    sections = [{"type": "crop"}, {"type": "rotation", "axis": axis}]
    turned = dataset(store, sections, training=training)
    centres = []
    for epoch in (0, 1):
        turned.set_epoch(epoch)
        for item in (turned[k] for k in range(3)):
            centre = centre_of(item["inputs"].numpy().astype(float))
            assert np.linalg.norm(centre) == pytest.approx(np.linalg.norm(CENTRE), abs=0.01)
            distances = np.linalg.norm(item["points"].numpy() - centre, axis=1)
            sure = np.abs(distances - RADIUS) > 0.01
            np.testing.assert_array_equal(
                distances[sure] < RADIUS, item["occupancies"].numpy()[sure] > 0
            )
            assert sure.mean() > 0.9 and item["points"].dtype == torch.float32
            centres.append(centre)
    gaps = [np.linalg.norm(a - b) for i, a in enumerate(centres) for b in centres[:i]]
    assert min(gaps) > 1e-3  # every item, every epoch has its own


def test_distances_to_the_surface_are_those_of_the_turned_points(store: Store) -> None:
    item = dataset(store, [{"type": "rotation", "axis": None}], distances=True)[0]
    centre = centre_of(item["inputs"].numpy().astype(float))
    distances = np.abs(np.linalg.norm(item["points"].numpy() - centre, axis=1) - RADIUS)
    np.testing.assert_allclose(item["distances"], distances, atol=0.03)


def test_a_dataset_can_keep_objects_where_they_are_stored(store: Store) -> None:
    kept = dataset(store, [{"type": "rotation", "axis": None}], turned=False)[0]
    plain = dataset(store, [])[0]
    np.testing.assert_allclose(centre_of(kept["inputs"].numpy().astype(float)), CENTRE, atol=1e-3)
    assert torch.equal(kept["points"], plain["points"])


def test_observations_by_themselves_stay_in_the_frame_of_the_item(store: Store) -> None:
    sections = [{"type": "rotation", "axis": None}, {"type": "outliers", "share": 0.0}]
    input, item = PointCloudInput(300, 0, sections), store.items("val")[0]
    for training in (True, False):
        seen = input.sample(item, generator(), training=training)
        np.testing.assert_allclose(centre_of(seen.astype(float)), CENTRE, atol=1e-3)
    moved, rotation = input.sample_moved(item, generator())
    assert rotation is not None
    np.testing.assert_allclose(centre_of(moved.astype(float)), rotation @ CENTRE, atol=1e-3)


def test_what_a_user_gives_is_left_as_it_is() -> None:
    sections = [{"type": "outliers", "share": 1.0}, {"type": "rotation"}]
    seen = PointCloudInput(50, 0, sections).observe(sphere(50), generator())
    assert rows(seen) == rows(sphere(50))


def test_normals_are_read_where_they_are_needed(store: Store) -> None:
    item = store.items("train")[0]
    input = PointCloudInput(300, 0, [{"type": "noise", "deviation": 0.1, "normal": True}])
    seen = input.sample(item, generator()).astype(float)
    lengths = np.linalg.norm(seen - CENTRE, axis=1)
    assert lengths.std() == pytest.approx(0.1, rel=0.15)


def test_draws_depend_on_seed_epoch_and_index_only(store: Store) -> None:
    sections = [{"type": kind, **options} for kind, options in SECTIONS.items()]
    alone = list(DataLoader(dataset(store, sections), batch_size=3))
    workers = list(DataLoader(dataset(store, sections, cache=False), batch_size=3, num_workers=1))
    assert all(torch.equal(alone[0][key], workers[0][key]) for key in alone[0])
    assert alone[0]["inputs"].shape == (3, 300, 3)


def test_without_transforms_batches_are_what_they_always_were(store: Store) -> None:
    batches = ShapeDataset(store, "train", PointCloudInput(50), 64, seed=5)
    digest = hashlib.sha256()
    for epoch in (0, 1):
        batches.set_epoch(epoch)
        for item in (batches[k] for k in range(3)):
            for key in ("points", "occupancies", "inputs"):
                digest.update(item[key].numpy().tobytes())
    assert digest.hexdigest() == "2140471cc303fab3403959e470445e4e443e0309f32bf1003efd45c1045bfdfa"


def test_configurations_hold_them() -> None:
    text = "data.input.transforms=[{type: noise, deviation: 0.01}, {type: outliers, share: .05}]"
    config = load_config("pointcloud_small", [text])
    again = parse_config(config.to_yaml(), "again")
    assert again == config and json.loads(config.model_dump_json())
    built = INPUTS.build(again.data.input, "data.input")
    assert [TRANSFORMS.name_of(t) for t in built.transforms.transforms] == ["noise", "outliers"]
    for wrong in ("3", "{type: crop}", "[noise]"):
        with pytest.raises(ConfigError, match=r"data\.input\.transforms"):
            INPUTS.build(
                load_config("pointcloud", [f"data.input.transforms={wrong}"]).data.input,
                "data.input",
            )
