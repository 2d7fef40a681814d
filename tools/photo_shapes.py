"""Makes meshes to train and test networks for pictures of single objects on.

    python tools/photo_shapes.py OBJECTS -o shapes
    onet prepare shapes/meshes -o store --listing shapes/listing.csv --labels winding \\
        --resolution 64 --points 20000 --surface 20000 --render 12 --render-size 128

OBJECTS is a folder of meshes with `manifest.csv`, as for `tools/scan_shapes.py`. Trained on are
meshes in the public domain of the categories below, and a stretched copy of each; meshes of other
sources, under whatever licence, are for validation and test alone. All are turned so that things of
one kind face the same way, and painted: parts that hang together have one of up to three colours.
"""

from __future__ import annotations

import argparse
import colorsys
import csv
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

LICENCE = "CC0-1.0"
QUALITIES = ("A", "B")
CATEGORIES = ("chair", "table", "sofa", "bed", "cabinet", "lamp", "vehicle", "vessel")
MOST = {"train": {"vessel": 80}, "test": dict.fromkeys(CATEGORIES, 9),
        "val": dict.fromkeys(CATEGORIES, 4)}  # fmt: skip
"""Meshes of a category at most."""

HELD_OUT = {
    "test": ("sh3d-Scopia", "sh3d-BlendSwap-CC-BY", "gazebo_models", "torcs"),
    "val": ("sh3d-KatorLegaz", "aws-small-house"),
}
SAMPLE = ("sh3d-BlendSwap-CC-0", ("Shelves.ply", "Winchester", "Sofa.ply"))
"""Source of the project's sample, and names of its test shapes: they are left out."""

FACING = ("chair", "sofa", "bed", "cabinet")  # kinds with a front
COPIES = 1
STRETCH, FARTHEST = 0.2, 0.4  # of the logarithms of the lengths along the axes: deviation, bound
COLOURS = 3

Row = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("objects", type=Path, help="folder of meshes with manifest.csv")
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    with (args.objects / "manifest.csv").open(newline="", encoding="utf-8") as file:
        chosen = list(choose(list(csv.DictReader(file))))
    lines = []
    for row, split in chosen:
        for copy in range(1 + COPIES if split == "train" else 1):
            name = row["file"].replace(".ply", f".{copy}.ply") if copy else row["file"]
            path = args.out / "meshes" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            made(args.objects, row, copy).export(path)
            lines.append((name, row["source"], split))
    with (args.out / "listing.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "group", "split"), *lines])
    print(dict(Counter(line[2] for line in lines)))


def choose(rows: list[Row]) -> Iterator[tuple[Row, str]]:
    """Yield the rows of the manifest to take, with their splits; of each source in turn."""
    for category in CATEGORIES:
        of_source: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
        for row in rows:
            split = split_of(row)
            if row["category"] == category and row["quality"] in QUALITIES and split:
                of_source[split][row["source"]].append(row)
        for split, sources in of_source.items():
            lists = [sources[name] for name in sorted(sources)]
            turns = [ms[k] for k in range(max(map(len, lists))) for ms in lists if k < len(ms)]
            for row in turns[: MOST[split].get(category)]:
                if not (row["source"] == SAMPLE[0] and any(n in row["file"] for n in SAMPLE[1])):
                    yield row, split


def split_of(row: Row) -> str | None:
    """Return the split that a mesh may be for; None where it is for none."""
    if row["licence"] == LICENCE:
        return "train"
    return next((split for split, names in HELD_OUT.items() if row["source"] in names), None)


def made(objects: Path, row: Row, copy: int) -> trimesh.Trimesh:
    """Return a mesh, turned and painted; of a later copy also stretched, half of them mirrored."""
    rng = np.random.default_rng([zlib.crc32(row["file"].encode()), copy])
    read: Any = trimesh.load(objects / row["file"], process=False)
    mesh = trimesh.Trimesh(read.vertices, read.faces, process=False)
    angle = np.radians(turn(row))
    cos, sin = np.cos(angle), np.sin(angle)
    vertices = mesh.vertices - mesh.bounds.mean(0)
    vertices = vertices @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T
    if copy:
        logarithms = np.clip(rng.normal(0, STRETCH, 3), -FARTHEST, FARTHEST)
        vertices = vertices * np.exp(logarithms)
        if rng.random() < 0.5:
            vertices, mesh.faces = vertices * [-1, 1, 1], mesh.faces[:, ::-1]
    mesh.vertices = vertices
    mesh.visual = trimesh.visual.ColorVisuals(mesh, vertex_colors=paint(mesh, rng))
    return mesh


def turn(row: Row) -> float:
    """Return the degrees about the vertical axis after which the front is along +z.

    Tables, and buses whose front could not be told, come to lie along x.
    """
    source, category = row["source"], row["category"]
    longer = float(row["ext_z"]) / float(row["ext_x"])
    if source.startswith("kenney-furniturekit") and category in FACING:
        return 180
    if ("oct-2017" in source and category in FACING) or source == "torcs":
        return -90
    if "tank_pack" in source or ("public-transport" in source and longer < 1):
        return 90
    return 90 if category == "table" and longer > 1.15 else 0


def paint(mesh: trimesh.Trimesh, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return colours of the vertices (V, 4): one for what hangs together, of up to three."""
    edges, count = mesh.edges, len(mesh.vertices)
    graph = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
    part = connected_components(graph, directed=False)[1]
    number = int(rng.integers(1, COLOURS + 1))
    drawn = [(rng.random(), rng.beta(1.2, 2.0), rng.uniform(0.15, 1)) for _ in range(number)]
    palette = np.array([colorsys.hsv_to_rgb(*color) for color in drawn])
    of_part = rng.integers(number, size=part.max() + 1) if number > 1 else np.zeros(count, int)
    colors = np.round(255 * palette[of_part[part]]).astype(np.uint8)
    return np.column_stack([colors, np.full(count, 255, np.uint8)])


if __name__ == "__main__":
    main()
