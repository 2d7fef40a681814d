"""The comparison of methods: trained, scored, kept, drawn."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]


def scored(iou: float | None, chamfer: float, status: str = "ok", model: str = "a") -> Any:
    row = {"category": "c", "model": model, "status": status, "closed": iou is not None}
    return row | {"iou": iou, "chamfer_l1": chamfer, "normal_consistency": 0.5, "f_score_1pct": 0.1}


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT)
    import benchmarks.compare

    return benchmarks.compare


def test_an_open_mesh_leaves_no_iou_and_a_failed_item_counts_as_none(compare: Any) -> None:
    rows = [scored(0.5, 0.1), scored(0.7, 0.3), scored(0.0, 3**0.5, "failed")]
    found = compare.means(rows)
    assert found["iou"] == pytest.approx(0.4) and found["failed"] == 1 and found["closed"] == 3
    assert found["iou_low"] < 0.4 < found["iou_high"]
    opened = compare.means([*rows, scored(None, 0.2)])
    assert opened["iou"] is None and opened["iou_low"] is None and opened["closed"] == 3
    assert opened["chamfer_l1"] == pytest.approx((0.6 + 3**0.5) / 4)


def test_the_sheet_has_the_worst_and_the_best(compare: Any) -> None:
    from benchmarks._compare_sheet import spread

    rows = [scored(0.5, chamfer, model=str(chamfer)) for chamfer in (0.3, 0.1, 0.5, 0.2, 0.4)]
    assert [row["chamfer_l1"] for row in spread(rows, 3)] == [0.5, 0.3, 0.1]
    assert len(spread(rows, 9)) == 5 and spread(rows, 1)[0]["chamfer_l1"] == 0.5


def arguments(store: Path, out: Path, *methods: str) -> argparse.Namespace:
    changes = [
        *("training.batch_size=2", "data.points_subsample=50", "training.validation_points=100"),
        *("data.input.count=30", "generation.resolution=16", "training.precision=32-true"),
        *("data.categories=null", "generation.refine=none"),
    ]
    return argparse.Namespace(
        store=store, input=["points"], minutes=1e-6, samples=200, methods=list(methods),
        set=changes, out=out, sheet=2,
    )  # fmt: skip


def table(out: Path) -> list[dict[str, str]]:
    with (out / "compare.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_unknown_methods_are_refused(compare: Any, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="screened Poisson"):
        compare.run(arguments(tmp_path, tmp_path, "Poisson"))


@pytest.mark.slow
def test_methods_are_trained_scored_and_kept(
    compare: Any, sample_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compare.run(arguments(sample_store, tmp_path, "ONet"))
    assert [row["method"] for row in table(tmp_path)] == ["ONet"]
    weights = tmp_path / "points" / "pointcloud_small" / "checkpoints" / "last.safetensors"
    before = weights.stat().st_mtime_ns
    compare.run(arguments(sample_store, tmp_path, "3D-R2N2", "alpha shapes"))
    assert weights.stat().st_mtime_ns == before
    rows = {row["method"]: row for row in table(tmp_path)}
    told = capsys.readouterr().out
    assert set(rows) >= {"ONet", "3D-R2N2"}
    assert "alpha shapes" in rows or "onet[open3d]" in told
    assert all(row["items"] == "2" and row["chamfer_l1"] for row in rows.values())
    assert len((tmp_path / "compare.md").read_text().splitlines()) == 2 + len(rows)
    sheet = np.asarray(Image.open(tmp_path / "compare_points.png").convert("RGB"))
    assert sheet.shape[0] > 2 * 128 and sheet.std() > 1
