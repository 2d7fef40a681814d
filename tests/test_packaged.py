"""Networks that come with the package, by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from safetensors.torch import save_file

import onet
from onet import cli
from onet.checkpoints import packaged
from onet.checkpoints.checkpoint import resolve_checkpoint
from onet.checkpoints.scan_weights import holds_scan_network, scan_options
from onet.errors import CheckpointError
from onet.inference.scan_files import load_network
from onet.models.scan import ScanNetwork

SMALL = {"widths": [4, 4], "features": 4, "hidden": 4, "blocks": 1}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of a small network for scans, as it is packaged."""
    path = tmp_path / "weights.safetensors"
    state = {k: v.half().contiguous() for k, v in ScanNetwork(**SMALL).state_dict().items()}
    save_file(state, path, {"options": json.dumps(SMALL)})
    return path


def test_every_described_network_is_there_and_fits_into_the_package() -> None:
    found = packaged.packaged_models()
    assert {"demo", "photo", "scan"} <= found.keys()
    for model in found.values():
        assert model.size is not None and model.size < 10e6, model.path
        assert model.input and model.trained_on and model.licence
        kind = packaged.SCAN if holds_scan_network(model.path) else packaged.RUN
        assert model.kind == kind


def test_a_name_is_the_file_of_the_package() -> None:
    path = packaged.packaged_models()["demo"].path
    assert resolve_checkpoint("demo") == path
    assert isinstance(onet.load("demo", device="cpu"), onet.Reconstructor)


def test_what_lies_there_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").write_bytes(b"mine")
    assert resolve_checkpoint("demo") == Path("demo")
    (tmp_path / "demo").unlink()
    (tmp_path / "demo" / "checkpoints").mkdir(parents=True)
    with pytest.raises(CheckpointError, match=r"demo: no checkpoints"):
        resolve_checkpoint("demo")


@pytest.mark.parametrize("name", ["demmo", "Demo", ""])
def test_a_wrong_name_lists_the_names(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if name:
        with pytest.raises(CheckpointError, match=r"there are: demo, photo, scan") as caught:
            onet.load(name)
        assert name in str(caught.value)
    assert packaged.packaged_model(name) is None


def test_a_path_lists_no_names() -> None:
    with pytest.raises(CheckpointError) as caught:
        onet.load("runs/absent")
    assert "packaged" not in str(caught.value)


def test_a_file_of_a_network_for_scans_is_known_by_its_header(weights: Path) -> None:
    from onet.inference.scan_reconstructor import ScanReconstructor

    assert holds_scan_network(weights)
    model = onet.load(weights, device="cpu")
    assert isinstance(model, ScanReconstructor)
    loaded, intervals = load_network(weights, "cpu")
    assert isinstance(loaded, ScanReconstructor) and intervals is None


def test_other_files_are_no_network_for_scans(tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, other)
    text = tmp_path / "text.safetensors"
    text.write_text("no weights")
    for path in (other, text, tmp_path, tmp_path / "absent"):
        assert not holds_scan_network(path)
    with pytest.raises(CheckpointError, match="no network for scans"):
        load_network(packaged.packaged_models()["demo"].path, "cpu")


@pytest.mark.parametrize("options", ["{", "[1]", "3"])
def test_damaged_options_are_refused(options: str) -> None:
    with pytest.raises(CheckpointError, match="options"):
        scan_options({"options": options}, Path("x"))


@pytest.mark.parametrize("call", ["reconstructor", "generate"])
def test_where_a_code_is_needed_the_message_says_what_to_use(
    call: str, weights: Path, tmp_path: Path
) -> None:
    from onet.inference import reconstructor
    from onet.inference.fit import fit

    with pytest.raises(CheckpointError, match="onet scan"):
        if call == "reconstructor":
            reconstructor.load(weights)
        else:
            fit(mesh=_tetrahedron(tmp_path), model=weights, out=tmp_path / "out")


def _tetrahedron(folder: Path) -> Path:
    path = folder / "mesh.ply"
    trimesh.creation.icosphere(subdivisions=1).export(path)
    return path


def test_a_missing_file_of_a_name_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described = {"ghost": {"file": "ghost.safetensors", "kind": "scan", "input": "i",
                           "trained_on": "t", "licence": "l", "scores": {"IoU": 0.5}}}  # fmt: skip
    (tmp_path / packaged.LIST).write_text(json.dumps(described))
    monkeypatch.setattr(packaged, "assets_dir", lambda: tmp_path)
    with pytest.raises(CheckpointError, match=r"ghost.*install onet again"):
        resolve_checkpoint("ghost")


def test_models_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    cli.app(["models", "--json"], standalone_mode=False)
    listed = json.loads(capsys.readouterr().out)
    keys = {"name", "input", "trained_on", "licence", "scores", "size"}
    assert all(keys <= entry.keys() for entry in listed)
    cli.app(["models"], standalone_mode=False)
    shown = capsys.readouterr().out
    for entry in listed:
        assert entry["name"] in shown and entry["licence"] in shown


def test_generate_takes_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    points = np.random.default_rng(0).uniform(-1, 1, (500, 3))
    np.save(tmp_path / "box.npy", points)
    report = onet.generate("demo", input=tmp_path / "box.npy", resolution=16, device="cpu")
    assert report.ok and report.out == tmp_path / "generation-box"


def test_photo_makes_a_mesh_of_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    from onet.geometry.rendering import render_mesh

    monkeypatch.chdir(tmp_path)
    box = trimesh.creation.box((0.6, 0.9, 0.6))
    Image.fromarray(render_mesh(box, size=128)).save(tmp_path / "box.png")
    report = onet.generate("photo", input=tmp_path / "box.png", resolution=16, device="cpu")
    assert report.ok
    made = trimesh.load(report.out / "meshes" / "box.ply", process=False)
    assert made.is_watertight and np.ptp(made.vertices, axis=0).argmax() == 1  # upright
