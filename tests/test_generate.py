import json

import numpy as np
import pytest
import trimesh
from test_reconstructor import CONFIG, blob_model

import onet
from onet.checkpoints.checkpoint import save_checkpoint
from onet.data.item_writing import write_pointcloud, write_points
from onet.data.store import Store
from onet.errors import ConfigError, DataError
from onet.geometry.mesh_io import load_mesh
from onet.geometry.normalization import UnitFrame
from onet.geometry.sampling import sample_box
from onet.geometry.topology import topology
from onet.inference.generate import generate
from onet.inference.generation_folder import COLUMNS, read_results, read_settings, take_in_turn

FRAME = UnitFrame(np.array([10.0, -4.0, 2.0]), 3.0)


def write_item(folder, radius=0.5, count=800):
    """A ball around the origin of the unit frame, as a prepared item."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    points = sample_box(count, 0.1, rng).astype(np.float16)
    inside = np.linalg.norm(points.astype(float), axis=1) < radius
    write_points(folder / "points.npz", points, inside, FRAME)
    normals = rng.standard_normal((count, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    write_pointcloud(folder / "pointcloud.npz", radius * normals, normals, FRAME)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with a checkpoint."""
    path = tmp_path_factory.mktemp("run")
    save_checkpoint(path / "checkpoints" / "best.safetensors", blob_model(), CONFIG, {})
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two categories with three and one items in the split `test`."""
    root = tmp_path_factory.mktemp("store")
    for category, models in {"ball": ["a", "b", "c"], "orb": ["d"]}.items():
        for model in models:
            write_item(root / category / model)
        (root / category / "test.lst").write_text("\n".join(models) + "\n")
    return root


@pytest.mark.slow
def test_items_of_a_store(run, store, tmp_path):
    out = tmp_path / "out"
    report = generate(run, data=store, out=out, seed=1)
    assert report.ok and len(report.rows) == 4 and report.skipped == 0
    assert [report.count(k) for k in ("watertight", "manifold", "oriented", "outward")] == [4] * 4
    for row in report.rows:
        assert set(row) == set(COLUMNS)
        mesh = load_mesh(out / "meshes" / row["category"] / f"{row['model']}.ply")
        assert topology(mesh).solid and len(mesh.faces) == row["faces"]
        np.testing.assert_allclose(mesh.bounds.mean(axis=0), FRAME.loc, atol=1)
        cloud = trimesh.load(out / "inputs" / row["category"] / f"{row['model']}.ply")
        assert cloud.vertices.shape == (50, 3)
        radii = np.linalg.norm(cloud.vertices - FRAME.loc, axis=1) / FRAME.scale
        np.testing.assert_allclose(radii, 0.5, atol=0.01)
    assert read_results(out) == {(r["category"], r["model"]): r for r in report.rows}
    told = read_settings(out)
    assert told["seed"] == 1 and told["resolution"] == 32 and told["split"] == "test"
    assert len(told["checkpoint"]["sha256"]) == 64
    assert told["version"] == onet.__version__
    assert (out / "failures.csv").read_text().splitlines() == ["category,model,reason"]
    assert "4 of 4" in report.summary()


def test_every_target_is_found_observed_reconstructed_and_written_once(
    run, store, tmp_path, monkeypatch
):
    from onet.inference import generate as module

    calls = []
    for name in ("find", "observe", "reconstruct", "write"):
        known = getattr(module, name)

        def count(*arguments, name=name, known=known):
            calls.append(name)
            return known(*arguments)

        monkeypatch.setattr(module, name, count)
    assert generate(run, data=store, out=tmp_path).ok
    assert calls == ["find", *["observe", "reconstruct", "write"] * 4]


def test_an_item_depends_on_seed_and_name_only(run, store, tmp_path):
    def vertices(name, **options):
        report = generate(run, data=store, out=tmp_path / name, **options)
        return {r["model"]: load_mesh(report.out / r["mesh"]).vertices for r in report.rows}

    everything, one = vertices("all"), vertices("orb", categories=["orb"])
    np.testing.assert_array_equal(everything["d"], one["d"])
    assert not np.array_equal(everything["a"], everything["b"])
    assert not np.array_equal(vertices("seed", categories=["orb"], seed=5)["d"], one["d"])


def test_limit_takes_from_the_categories_in_turn(run, store, tmp_path):
    report = generate(run, data=store, out=tmp_path, limit=2)
    assert {row["category"] for row in report.rows} == {"ball", "orb"}
    assert take_in_turn("aaabbc", 4, str) == list("aabc")
    assert take_in_turn("aab", 9, str) == list("aab")


def test_a_second_call_makes_only_what_is_missing(run, store, tmp_path):
    generate(run, data=store, out=tmp_path, limit=2)
    kept = tmp_path / "meshes" / "orb" / "d.ply"
    kept_at = kept.stat().st_mtime_ns
    report = generate(run, data=store, out=tmp_path)
    assert (len(report.rows), report.skipped) == (4, 2)
    assert kept.stat().st_mtime_ns == kept_at
    (tmp_path / "meshes" / "ball" / "b.ply").unlink()
    assert generate(run, data=store, out=tmp_path).skipped == 3
    assert (tmp_path / "meshes" / "ball" / "b.ply").is_file()


def test_what_an_earlier_version_began_is_completed(run, store, tmp_path):
    settings = generate(run, data=store, out=tmp_path, limit=2).settings
    settings["threshold"] = settings.pop("probability")
    (tmp_path / "generation.json").write_text(json.dumps(settings))
    assert generate(run, data=store, out=tmp_path).skipped == 2
    assert "threshold" not in json.loads((tmp_path / "generation.json").read_text())


def test_other_settings_need_overwrite(run, store, tmp_path):
    generate(run, data=store, out=tmp_path, limit=1)
    with pytest.raises(ConfigError, match=r"probability.*overwrite"):
        generate(run, data=store, out=tmp_path, limit=1, probability=0.5)
    report = generate(
        run, data=store, out=tmp_path, limit=1, probability=0.5, format="off", overwrite=True
    )
    assert report.skipped == 0
    assert [p.suffix for p in (tmp_path / "meshes").rglob("*.*")] == [".off"]


def test_surface_options_reach_the_meshes(run, store, tmp_path):
    options = {"refine": "root", "simplify": 100, "normals": True}
    report = generate(run, data=store, out=tmp_path, limit=1, **options)
    (row,) = report.rows
    assert row["faces"] == 100 and row["watertight"] and row["manifold"]
    read = trimesh.load(tmp_path / row["mesh"], process=False)
    assert b"property float nx" in (tmp_path / row["mesh"]).read_bytes()[:400]
    assert len(read.faces) == 100
    told = read_settings(tmp_path)
    assert {key: told[key] for key in options} == options
    with pytest.raises(ConfigError, match=r"simplify.*overwrite"):
        generate(run, data=store, out=tmp_path, limit=1, **options | {"simplify": 200})


def test_overwrite_spares_a_folder_that_is_not_ours(run, store, tmp_path):
    treasure = tmp_path / "meshes" / "treasure.ply"
    treasure.parent.mkdir()
    treasure.write_text("mine")
    generate(run, data=store, out=tmp_path, limit=1, overwrite=True)
    assert treasure.read_text() == "mine"


def test_failures_are_rows_and_the_rest_goes_on(run, tmp_path):
    root = tmp_path / "store"
    for model in ("a", "b", "c"):
        write_item(root / "ball" / model)
    (root / "ball" / "test.lst").write_text("a\nb\nc\n")
    (root / "ball" / "b" / "pointcloud.npz").write_bytes(b"PK\x03\x04 cut short")
    out = tmp_path / "out"
    report = generate(run, data=root, out=out)
    assert not report.ok
    assert [row["status"] for row in report.rows] == ["ok", "failed", "ok"]
    assert "pointcloud.npz" in report.failures[0]["reason"]
    header, line = (out / "failures.csv").read_text().splitlines()
    assert header == "category,model,reason" and line.startswith("ball,b,")
    (root / "ball" / "b" / "pointcloud.npz").write_bytes(
        (root / "ball" / "a" / "pointcloud.npz").read_bytes()
    )
    again = generate(run, data=root, out=out)
    assert again.ok and again.skipped == 2


def test_no_surface_is_a_failure_with_its_reason(run, store, tmp_path, recwarn):
    report = generate(run, data=store, out=tmp_path, limit=1, probability=1 - 1e-12)
    (row,) = report.failures
    assert "no surface" in row["reason"] and row["evaluations"] > 0
    assert not any("no surface" in str(w.message) for w in recwarn)
    assert list((tmp_path / "inputs").rglob("*.ply"))


def test_a_folder_of_scans(run, tmp_path):
    scans = tmp_path / "scans"
    (scans / "street").mkdir(parents=True)
    points = trimesh.creation.icosphere(subdivisions=2).vertices * 100 + [0, 500, 0]
    np.save(scans / "lamp.npy", points)
    np.savetxt(scans / "lamp.xyz", points)
    np.savetxt(scans / "street" / "car.txt", points)
    np.save(scans / "bad.npy", points[:, :2])
    (scans / "notes.md").write_text("no scan")
    report = generate(run, input=scans, out=tmp_path / "out", format="glb")
    names = {(r["category"], r["model"]): r["status"] for r in report.rows}
    assert names == {
        ("", "bad"): "failed",
        ("", "lamp.npy"): "ok",
        ("", "lamp.xyz"): "ok",
        ("street", "car"): "ok",
    }
    mesh = load_mesh(tmp_path / "out" / "meshes" / "street" / "car.glb")
    assert topology(mesh).solid
    np.testing.assert_allclose(mesh.bounds.mean(axis=0), [0, 500, 0], atol=30)
    assert 50 < mesh.extents.max() < 250


def test_one_scan_and_default_folders(run, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("scan.npy", trimesh.creation.icosphere(subdivisions=2).vertices)
    checkpoint = run / "checkpoints" / "best.safetensors"
    assert generate(checkpoint, input="scan.npy").out == tmp_path / "generation-scan"
    assert (tmp_path / "generation-scan" / "meshes" / "scan.ply").is_file()
    assert generate(run, input="scan.npy").out == run / "generation-scan"
    assert generate(run, data=store, limit=1).out == run / "generation"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"format": "fbx"}, "format"),
        ({"probability": 0.0}, "probability"),
        ({"resolution": 0}, "resolution"),
        ({"limit": 0}, "limit"),
        ({"input": "x", "data": "y"}, "excludes"),
    ],
)
def test_bad_arguments_are_named_before_any_work(run, tmp_path, options, word):
    with pytest.raises(ConfigError, match=word):
        generate(run, out=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_nothing_to_do_is_an_error(run, store, tmp_path):
    with pytest.raises(DataError, match="no scans"):
        generate(run, input=tmp_path, out=tmp_path / "out")
    with pytest.raises(DataError, match="no such"):
        generate(run, input=tmp_path / "missing.ply", out=tmp_path / "out")
    (store / "ball" / "none.lst").write_text("\n")
    (store / "orb" / "none.lst").write_text("")
    with pytest.raises(DataError, match="no items"):
        generate(run, data=store, split="none", out=tmp_path / "out")
    assert Store(store).categories == ["ball", "orb"]


def test_a_damaged_folder_says_so(run, store, tmp_path):
    generate(run, data=store, out=tmp_path, limit=1)
    (tmp_path / "results.csv").write_text("category,model\nball,a\n")
    with pytest.raises(DataError, match=r"results.csv.*overwrite"):
        generate(run, data=store, out=tmp_path, limit=1)
    (tmp_path / "generation.json").write_text(json.dumps([1]))
    with pytest.raises(DataError, match=r"generation.json"):
        generate(run, data=store, out=tmp_path, limit=1)
