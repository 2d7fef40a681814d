"""What is checked and cleaned of a scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from onet.errors import DataError
from onet.geometry.copies import first_of_copies
from onet.geometry.far_parts import SMALLEST, far_parts
from onet.geometry.spacing import LocalSpacing
from onet.inference.scan_input import FEWEST, ScanInput, clean_scan

Array = NDArray[np.float64]


def ball(count: int = 1000, seed: int = 0, noise: float = 0.003) -> Array:
    """Points on a ball of radius 0.5."""
    rng = np.random.default_rng(seed)
    ways = rng.standard_normal((count, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    return 0.5 * ways + noise * rng.standard_normal((count, 3))


def noted(scan: ScanInput, word: str) -> bool:
    return any(word in note for note in scan.notes)


def test_a_plain_scan_stays_as_it_is() -> None:
    points = ball()
    scan = clean_scan(points, points, [0, 0, 5], np.full((1000, 3), 7, np.uint8))
    assert np.array_equal(scan.points, points) and not scan.notes
    assert scan.normals is not None and scan.sensors is not None and scan.colors is not None
    assert np.allclose(scan.normals, points / np.linalg.norm(points, axis=1, keepdims=True))
    assert np.array_equal(scan.sensors, np.tile([0.0, 0, 5], (1000, 1)))
    assert scan.parts() == [scan] and clean_scan(scan) is scan


# -- too little -----------------------------------------------------------------------------------


def test_too_few_points() -> None:
    with pytest.raises(DataError, match=f"49 points; at least {FEWEST}"):
        clean_scan(ball(49), name="scan.ply")
    assert len(clean_scan(ball(FEWEST))) == FEWEST


def test_too_few_different_points() -> None:
    with pytest.raises(DataError, match=r"40 points .*360 of 400 points are copies"):
        clean_scan(np.repeat(ball(40), 10, axis=0))


@pytest.mark.parametrize("shift", [0.0, 5e5])
@pytest.mark.parametrize(("scale", "what"), [((1, 1, 0), "plane"), ((1, 0, 0), "line")])
def test_flat_points(scale: tuple[float, ...], what: str, shift: float) -> None:
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))
    with pytest.raises(DataError, match=what):
        clean_scan((ball() * scale) @ turn + shift)


def test_a_stray_point_hides_no_plane() -> None:
    with pytest.raises(DataError, match="plane"):
        clean_scan(np.concatenate([ball(3000) * [1, 1, 0], [[0, 0.1, 0.2], [0.1, 0, -0.3]]]))


def test_a_small_thing_on_a_large_table_is_seen() -> None:
    clean_scan(np.concatenate([ball(3000) * [1, 1, 0], 0.1 * ball(60)]))


def test_nearly_flat_points_are_told() -> None:
    assert noted(clean_scan(ball() * [1, 1, 0.01]), "nearly flat")
    assert not noted(clean_scan(ball() * [1, 1, 0.1]), "nearly flat")


def test_coordinates_that_lost_their_digits_are_told() -> None:
    points = ball() + np.array([5e5, 5e6, 0])
    assert noted(clean_scan(points.astype(np.float32)), "steps of 0.5")
    assert not clean_scan(points).notes
    assert not noted(clean_scan(ball().astype(np.float32) + np.float32(10)), "steps")
    assert not clean_scan(ball() * 1e50).notes


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_points_that_are_not_finite(bad: float) -> None:
    points = ball()
    points[3, 1] = bad
    with pytest.raises(DataError, match="1 of 1000 points are NaN or infinite"):
        clean_scan(points)


@pytest.mark.parametrize("points", [None, [], [[1, 2], [3]], np.zeros((5, 2)), "absent.ply"])
def test_no_points_at_all(points: object) -> None:
    with pytest.raises(DataError):
        clean_scan(points)


# -- normals, colours -----------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["normals", "colors"])
@pytest.mark.parametrize("shape", [(999, 3), (1000,), (1000, 2), (3, 1000)])
def test_arrays_of_another_length(what: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=rf"here: {what} of shape .* for 1,000 points"):
        clean_scan(ball(), name="here", **{what: np.ones(shape)})  # type: ignore[arg-type]


def test_normals_without_length_are_unknown() -> None:
    normals = 3 * ball()
    normals[:7], normals[8] = 0, np.nan
    scan = clean_scan(ball(), normals)
    assert noted(scan, "8 of 1,000 normals") and scan.normals is not None
    lengths = np.linalg.norm(scan.normals, axis=1)
    assert not lengths[[*range(7), 8]].any() and np.allclose(np.delete(lengths, [*range(7), 8]), 1)
    scan = clean_scan(ball(), np.zeros((1000, 3)))
    assert scan.normals is None and noted(scan, "all normals")


def test_colours_of_any_kind() -> None:
    scan = clean_scan(ball(), colors=np.full((1000, 4), 1.0))
    assert scan.colors is not None and (scan.colors == 255).all()
    assert scan.colors.shape == (1000, 3)


# -- copies and points astray ---------------------------------------------------------------------


@given(st.lists(st.tuples(*[st.sampled_from([0.0, -0.0, 1.0, 2.5])] * 3), min_size=1, max_size=60))
def test_first_of_copies(rows: list[tuple[float, float, float]]) -> None:
    seen: set[tuple[float, ...]] = set()
    expected = [not (row in seen or seen.add(row)) for row in rows]  # type: ignore[func-returns-value]
    assert first_of_copies(np.array(rows)).tolist() == expected


def test_copies_are_left_out_with_what_belongs_to_them() -> None:
    points = ball()
    rows = np.r_[np.arange(1000), [5, 5, 17]]
    numbers = np.stack([np.arange(1003) % 256] * 3, axis=1).astype(np.uint8)
    scan = clean_scan(points[rows], points[rows], None, numbers)
    assert noted(scan, "3 of 1,003 points are copies") and np.array_equal(scan.points, points)
    assert scan.colors is not None and np.array_equal(scan.colors, numbers[:1000])


@pytest.mark.parametrize("away", [3.0, 1e6, 1e12, 1e200, 1e307])
@pytest.mark.parametrize("count", [1, 5])
def test_points_astray_are_left_out(away: float, count: int) -> None:
    points = np.concatenate([ball(), np.full((count, 3), [0, -away, 0]) * (1 + np.eye(count, 3))])
    points = points[np.random.default_rng(0).permutation(len(points))]
    scan = clean_scan(points)
    assert len(scan) == 1000 and noted(scan, "far from all others")
    assert scan.frame.scale < 1.1


def test_points_that_are_not_far_stay() -> None:
    points = np.concatenate([ball(), np.random.default_rng(0).uniform(-0.8, 0.8, (50, 3))])
    assert len(clean_scan(points)) == 1050


def test_a_tail_without_a_gap_stays() -> None:
    """As of a scanner that stands on the ground: density falls with the distance."""
    rng = np.random.default_rng(0)
    away, angle = np.exp(rng.uniform(0, 5, 5000)), rng.uniform(0, 2 * np.pi, 5000)
    ground = np.stack([away * np.cos(angle), away * np.sin(angle), rng.normal(0, 1, 5000)], axis=1)
    assert len(clean_scan(ground)) == 5000


@given(
    st.integers(2 * SMALLEST, 300),
    st.floats(3, 1e9),
    st.floats(0.2, 2),
    st.integers(0, 2),
)
def test_scans_far_apart_are_parts(count: int, away: float, size: float, axis: int) -> None:
    shift = np.zeros(3)
    shift[axis] = away * max(size, 1)
    points = np.concatenate([ball(500), size * ball(count, 1) + shift])
    scan = clean_scan(points)
    assert noted(scan, "2 parts") and [len(part) for part in scan.parts()] == [500, count]
    assert np.array_equal(scan.parts()[1].points, points[500:])


def test_parts_keep_what_belongs_to_their_points() -> None:
    points = np.concatenate([ball(60) + 50, ball(500)])
    points = np.concatenate([points, [[1e9, 0, 0]]])
    colors = np.arange(561 * 3).reshape(561, 3) % 256
    parts = clean_scan(points, points, None, colors.astype(np.uint8)).parts()
    assert [len(part) for part in parts] == [500, 60]
    assert np.array_equal(parts[1].points, points[:60])
    assert parts[1].colors is not None and np.array_equal(parts[1].colors, colors[:60])


def test_far_parts_are_the_same_in_every_frame() -> None:
    points = np.concatenate([ball(300), ball(200, 1) + 9, [[70, 0, 0]]])
    before = far_parts(points)
    after = far_parts(points * 1e-3 + [4e5, 5e6, 100])
    assert before.astray.tolist() == after.astray.tolist() == [500]
    assert [part.tolist() for part in before.parts] == [part.tolist() for part in after.parts]


# -- sensors --------------------------------------------------------------------------------------


def test_a_sensor_amid_the_points_is_not_used() -> None:
    scan = clean_scan(ball(), sensors=[0.1, 0, 0])
    assert scan.sensors is None and scan.directions() is None and noted(scan, "amid")
    places = np.tile([0.0, 0, 5], (1000, 1))
    places[400:] = 0.0
    scan = clean_scan(ball(), sensors=places)
    assert noted(scan, "amid the 600") and scan.sensors is not None
    assert np.isfinite(scan.sensors[:400]).all() and np.isnan(scan.sensors[400:]).all()


def test_directions_to_sensors() -> None:
    points, places = ball(), np.tile([0.0, 0, 5], (1000, 1))
    places[0], places[1] = np.nan, points[1]
    ways = clean_scan(points, sensors=places).directions()
    assert ways is not None and not ways[:2].any()
    assert np.allclose(np.linalg.norm(ways[2:], axis=1), 1)
    assert np.allclose(np.cross(ways[2:], places[2:] - points[2:]), 0)


@pytest.mark.parametrize("sensors", [[0, 0], np.zeros((3, 3)), [np.nan, 0, 0], ["a", "b", "c"]])
def test_sensors_that_are_none(sensors: object) -> None:
    with pytest.raises(DataError, match="sensor"):
        clean_scan(ball(), sensors=sensors)  # type: ignore[arg-type]


def test_sensors_of_files(tmp_path: Path) -> None:
    points = ball(100)
    np.savez(tmp_path / "a.npz", points=points, sensors=[0, 0, 4.0])
    scan = clean_scan(tmp_path / "a.npz")
    assert scan.sensors is not None and (scan.sensors == [0, 0, 4]).all()
    rows = "\n".join(f"{x} {y} {z} 1" for x, y, z in points)
    for grid, known in (("10\n10", True), ("1\n100", False)):
        head = f"{grid}\n1 2 3\n1 0 0\n0 1 0\n0 0 1\n1 0 0 0\n0 1 0 0\n0 0 1 0\n1 2 3 1\n"
        (tmp_path / "a.ptx").write_text(head + rows)
        cloud_sensors = clean_scan(tmp_path / "a.ptx", name="x", sensors=None).sensors
        assert (cloud_sensors is not None) is False  # amid the points, or none
        cloud = _cloud(tmp_path / "a.ptx")
        assert (cloud is not None) is known
        assert cloud is None or (cloud == [1, 2, 3]).all()


def _cloud(path: Path) -> Array | None:
    from onet.geometry.point_cloud_io import load_cloud

    return load_cloud(path).sensors


# -- spacing --------------------------------------------------------------------------------------


def test_spacing_of_a_lattice_is_its_cell() -> None:
    side = np.arange(40) * 0.1
    points = np.stack(np.meshgrid(side, side, [0.0]), axis=-1).reshape(-1, 3)
    assert LocalSpacing.of(points).typical == pytest.approx(0.1, rel=0.15)


@given(st.floats(1e-6, 1e6))
def test_spacing_goes_with_the_scale(scale: float) -> None:
    assert LocalSpacing.of(ball(200) * scale).typical == pytest.approx(
        scale * LocalSpacing.of(ball(200)).typical
    )


def test_spacing_differs_from_place_to_place() -> None:
    points = ball(8000)
    dense, sparse = points[points[:, 2] > 0], points[points[:, 2] < 0][::16]
    spacing = LocalSpacing.of(np.concatenate([dense, sparse]), samples=2000)
    ratio = spacing.at(np.array([[0, 0, -0.5]])) / spacing.at(np.array([[0, 0, 0.5]]))
    assert 3 < float(ratio[0]) < 5.5
