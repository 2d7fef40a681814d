"""`onet stability`: pictures, tables and a page from one line, and clear refusals."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_cli import fails, run

COMMANDS = {
    "dirac": (["--steps=60", "--reg-param=0.25"], {"methods", "dimensions", "others", "annealed"}),
    "games": (["bilinear", "four_points", "--steps=60"], {"games"}),
    "spectrum": (["four_points", "--gamma=0.1"], {"eigenvalues", "schemes", "advice"}),
    "poincare": (["--draws=2000", "--network-steps=5"], {"xi_min", "settings"}),
    "landscape": (["--n=4"], {"two_points", "separable", "relativistic", "imbalanced"}),
}


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(name, marks=[] if name in ("dirac", "landscape") else pytest.mark.slow)
        for name in COMMANDS
    ],
)
def test_commands_write_pictures_tables_and_a_page(command, tmp_path, capsys):
    arguments, tables = COMMANDS[command]
    run("stability", command, *arguments, f"--out={tmp_path}")
    printed = capsys.readouterr().out
    assert str(tmp_path / "report.html") in printed
    assert {path.stem for path in tmp_path.glob("*.csv")} == tables
    numbers = json.loads((tmp_path / "results.json").read_text())
    assert numbers.keys() == {"settings", *tables}
    for name in tables:
        with (tmp_path / f"{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(numbers[name]) > 0
    pictures = list(tmp_path.glob("*.png"))
    for path in pictures:
        assert np.asarray(Image.open(path).convert("L")).std() > 5
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png;base64,") == len(pictures) >= 1
    assert page.count("<table>") == len(tables) + 1
    assert not re.search(r"(src|href)=\"(?!data:)", page)


def test_numbers_are_the_published_ones(tmp_path, capsys):
    run("stability", "spectrum", "four_points", "--gamma=1", "--count=2", f"--out={tmp_path}")
    numbers = json.loads((tmp_path / "results.json").read_text())
    found = [row["real_part"] for row in numbers["eigenvalues"]]
    assert found == pytest.approx([-0.351732, -0.5], abs=1e-6)
    assert numbers["settings"]["largest_difference_to_differentiation"] < 1e-12
    capsys.readouterr()


def test_same_command_same_files(tmp_path, capsys):
    for folder in ("a", "b"):
        run("stability", "landscape", f"--out={tmp_path / folder}")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    capsys.readouterr()


@pytest.mark.slow
def test_samples_of_ones_own(tmp_path, capsys):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "wide.npy", 2 * rng.standard_normal((3000, 2)))
    np.savetxt(tmp_path / "line.txt", rng.uniform(size=500))
    for name, expected in (("wide.npy", 0.25), ("line.txt", np.pi**2)):
        words = ["stability", "poincare", tmp_path / name, f"--out={tmp_path / 'out'}"]
        run(*words, "--count=2", "--network-steps=80", "--augment=noise", "--augment=mixup=0.4")
        numbers = json.loads((tmp_path / "out" / "results.json").read_text())
        for row in numbers["eigenvalues"]:
            slack = 0.3 if row["features"] == "network" else 0.15
            assert row["xi_1"] == pytest.approx(expected, rel=slack)
        assert numbers["eigenvalues"][-1] | {"xi_1": 0} == {
            "features": "network", "xi_1": 0, "xi_2": None,
        }  # fmt: skip
        assert {row["loss"] for row in numbers["advice"]} >= {"js", "wasserstein"}
        ranked = {row["name"]: row["strength"] for row in numbers["augmentations"]}
        assert ranked == {"none": 0, "noise": 0.5, "mixup": 0.4}
    capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dirac", "--gamma=-1"], "gamma = -1"),
        (["dirac", "--reg-param=-1"], "reg_param = -1"),
        (["dirac", "--pair=jss"], "unknown activation pair 'jss'"),
        (["games", "elipse"], "did you mean 'ellipse'"),
        (["spectrum", "ellipses"], "did you mean 'ellipse'"),
        (["spectrum", "ellipse", "--count=5"], "5 eigenvalues asked for; the game 'ellipse' has 4"),
        (["spectrum", "ellipse", "--measure=middle"], "unknown penalty measure"),
        (["poincare", "none.npy"], "none.npy"),
        (["poincare", "--augment=noise"], "name a file of samples"),
        (["poincare", "none.npy", "--augment=noise=big"], "'big' is no number"),
        (["networks", "none"], "none: no such file"),
        (["landscape", "--loss=jsd"], "unknown loss 'jsd'"),
        (["landscape", "--n=1"], "n = 1"),
    ],
)
def test_mistakes_are_named(words, message, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert message in fails(monkeypatch, capsys, "stability", *words)
    assert not list(tmp_path.iterdir())
