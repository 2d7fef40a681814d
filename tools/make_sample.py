"""Makes the embedded sample below `data/` from an archive of CC0 furniture.

The archive is `BlendSwap-CC-0.sh3f` of Debian's package `sweethome3d-furniture` (a zip file):

    apt-get download sweethome3d-furniture && dpkg -x sweethome3d-furniture_*.deb furniture
    python tools/make_sample.py \\
        furniture/usr/share/sweethome3d/furniture/BlendSwap-CC-0.sh3f --training STORE

Written are

    data/sample/            a small store: six test shapes, and a few others to try training with;
                            with pictures and voxels of the watertight meshes (--observations makes
                            these alone, from the store that is there)
    data/scans/             noisy point clouds of the test shapes in the source frame
    data/truth/             the test shapes, watertight, in the source frame, under the same names
    data/CREDITS.md         who made the shapes
    STORE                   the store that the demo network is trained on: all shapes of the archive
                            that can be prepared, and stretched and turned copies of the furniture;
                            without the test shapes, which are its test split

The embedded network `data/demo.safetensors` is the best checkpoint of

    onet train demo data.path=STORE --run RUN
    onet train demo data.path=STORE --run RUN training.learning_rate=1e-4 \\
        training.max_iterations=11000
"""

from __future__ import annotations

import argparse
import csv
import logging
import re
import shutil
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh

from onet.data.parts.renderings import write_renderings
from onet.data.prepare import prepare
from onet.data.store import Store
from onet.data.store_folder import RENDERINGS, SPLITS, VOXELS
from onet.errors import DataError
from onet.geometry.cameras import PUBLISHED_SIZE, ring_cameras
from onet.geometry.mesh_io import load_mesh, save_mesh
from onet.geometry.normalization import UnitFrame
from onet.geometry.voxels import VoxelGrid, voxelize, write_binvox

logger = logging.getLogger("make_sample")

PACKAGE = "sweethome3d-furniture"
RESOLUTION = 128
PICTURES = 24
SCAN_POINTS = 3000
SCAN_NOISE = 0.005  # of the longest edge

CATEGORIES = {
    "chair": """armchair oakChair plasticChair relaxChair silla2 stool sillaBlanca armchair2 chair
        modernArmchair antiqueChair chairWithCushion chair2 foldingChair osakaChair designChair
        winchesterArmchair pianoBench stool2 thonet bench""",
    "sofa": "L_shaped_sofa sofa couch couch2 sofa2 winchesterSofa",
    "table": """oakTable poolTable tableWithTablecloth technicalTable1 technicalTable2 desk table
        islandExtension lbDesk""",
    "cabinet": """bedsideTable2 bookcase doubleOven oven shelves televisionCabinet verticalShelves
        wardrobeWithSlidingDoors cupboard refrigerator drawersCabinet glassDoorCabinet highCabinet
        largeFridge lowerCabinet lowerCornerCabinet sinkCabinet smallUpperCabinet upperCabinet
        upperCornerCabinet upperShelves""",
    "bed": "bed1 bed2 bed3 bedWithTexture",
    "lamp": "desklamp lamp2 JapaneseLantern lantern outdoorLamp stoneLantern",
}
REST = "object"
TEST = ("chair", "winchesterArmchair", "sofa2", "winchesterSofa", "lbDesk", "shelves")
VALIDATION = (
    *("couch", "chairWithCushion", "osakaChair", "table"),
    *("drawersCabinet", "bed1", "lantern"),
)
SAMPLE_EXTRA = ("stool2", "couch2", "technicalTable1", "bedsideTable2", "osakaChair")
COPIES = {"chair": 110, "sofa": 110, "table": 110, "cabinet": 70, "bed": 30, "lamp": 30}


@dataclass(frozen=True)
class Shape:
    """An entry of the archive's catalogue."""

    key: str  # name of the model file, unique in the archive
    title: str
    creator: str
    file: str
    rotation: tuple[float, ...]

    @property
    def category(self) -> str:
        return next((name for name, keys in CATEGORIES.items() if self.key in keys.split()), REST)

    @property
    def split(self) -> str:
        return "test" if self.key in TEST else "val" if self.key in VALIDATION else "train"

    @property
    def path(self) -> str:
        """Its place in a folder of meshes."""
        return f"{self.category}/{self.key}.ply"


def read_catalogue(archive: zipfile.ZipFile) -> list[Shape]:
    """The furniture that the archive describes."""
    text = archive.read("PluginFurnitureCatalog.properties").decode("latin-1")
    entries: dict[str, dict[str, str]] = {}
    for key, number, value in re.findall(r"^(\w+)#(\d+)=(.*)$", text, re.MULTILINE):
        entries.setdefault(number, {})[key] = value.strip()
    return [
        Shape(
            key=Path(entry["model"]).stem,
            title=entry["name"],
            creator=entry["creator"],
            file=entry["model"].lstrip("/"),
            rotation=tuple(float(number) for number in entry.get("modelRotation", "").split()),
        )
        for entry in entries.values()
    ]


def write_meshes(archive: zipfile.ZipFile, shapes: list[Shape], folder: Path) -> list[Shape]:
    """The shapes as they are in the archive, upright, as PLY; returns those that can be read."""
    usable = []
    with tempfile.TemporaryDirectory() as temporary:
        archive.extractall(temporary)
        for shape in shapes:
            try:
                mesh = load_mesh(Path(temporary, shape.file))
            except DataError as error:
                logger.warning("left out: %s", error)
                continue
            if shape.rotation:
                mesh.vertices = mesh.vertices @ np.reshape(shape.rotation, (3, 3)).T
            save_mesh(mesh, folder / shape.path)
            usable.append(shape)
    return usable


def write_copies(shape: Shape, folder: Path, count: int) -> list[str]:
    """Copies stretched along each axis by up to a third and turned about the vertical axis."""
    mesh = load_mesh(folder / shape.path)
    frame = UnitFrame.of(mesh.vertices)
    rng = np.random.default_rng(zlib.crc32(shape.key.encode()))
    files = []
    for number in range(count):
        copy = frame.mesh_to_unit(mesh)
        stretch = np.exp(rng.uniform(-0.3, 0.3, size=3)) * [rng.choice([-1, 1]), 1, 1]
        angle = rng.integers(4) * np.pi / 2 + rng.uniform(-0.2, 0.2)
        turn = trimesh.transformations.rotation_matrix(angle, [0, 1, 0])
        copy.apply_transform(turn @ np.diag([*stretch, 1]))
        files.append(f"{shape.category}/{shape.key}__{number:02d}.ply")
        save_mesh(copy, folder / files[-1])
    return files


def write_listing(path: Path, splits: dict[str, str]) -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "split"])
        writer.writerows(splits.items())
    return path


def make_training_store(
    shapes: list[Shape], meshes: Path, out: Path, workers: int | None
) -> list[str]:
    """The store for training the demo network; returns the meshes that could not be prepared."""
    splits = {shape.path: shape.split for shape in shapes}
    for category, total in COPIES.items():
        originals = [s for s in shapes if s.category == category and s.split == "train"]
        for shape in originals:
            copies = write_copies(shape, meshes, round(total / len(originals)))
            splits |= dict.fromkeys(copies, "train")
    report = prepare(
        meshes,
        out,
        workers=workers,
        points=50_000,
        surface=20_000,
        resolution=RESOLUTION,
        stored_faces=4000,
        listing=write_listing(meshes / "training.csv", splits),
    )
    logger.info("%s: %s in %.0f s", out, report.splits, report.seconds)
    return [f"{failure.file}: {failure.reason}" for failure in report.failures]


def make_sample(shapes: list[Shape], meshes: Path, data: Path) -> None:
    """The embedded store, its scans, truths and credits."""
    chosen = [shape for shape in shapes if shape.key in (*TEST, *SAMPLE_EXTRA)]
    for folder in ("sample", "scans", "truth"):
        if (data / folder).exists():
            shutil.rmtree(data / folder)
    report = prepare(
        meshes,
        data / "sample",
        workers=1,
        points=15_000,
        surface=5_000,
        resolution=RESOLUTION,
        stored_faces=2500,
        listing=write_listing(meshes / "sample.csv", {shape.path: shape.split for shape in chosen}),
    )
    if not report.ok:
        raise DataError(f"{data / 'sample'}: {report.failures}; choose other shapes")
    add_observations(data / "sample")
    for item in Store(data / "sample").items("test"):
        frame = item.frame()
        truth = frame.mesh_to_source(load_mesh(item.mesh_path))
        save_mesh(truth, data / "truth" / f"{item.category}_{item.model}.ply")
        rng = np.random.default_rng(zlib.crc32(item.model.encode()))
        surface = item.load_pointcloud()[0]
        points = surface[rng.choice(len(surface), SCAN_POINTS, replace=False)]
        noisy = points + SCAN_NOISE * rng.standard_normal(points.shape)
        scan = trimesh.PointCloud(frame.to_source(noisy).astype(np.float32))
        path = data / "scans" / f"{item.category}_{item.model}.ply"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(scan.export(file_type="ply"))
    write_credits(data / "CREDITS.md", chosen)


def add_observations(root: Path) -> None:
    """Pictures and voxels of all items of the sample, from the meshes stored there."""
    store = Store(root)
    for item in (item for split in SPLITS for item in store.items(split)):
        solid, frame = load_mesh(item.mesh_path), item.frame()
        write_binvox(item.path / VOXELS, VoxelGrid(voxelize(solid), frame))
        mesh = frame.mesh_to_source(solid)
        rng = np.random.default_rng(zlib.crc32(item.name.encode()))
        cameras = ring_cameras(mesh.bounds, PICTURES, PUBLISHED_SIZE, rng)
        write_renderings(item.path / RENDERINGS, mesh, cameras, PUBLISHED_SIZE, alpha=False)


def write_credits(path: Path, shapes: list[Shape]) -> None:
    """Who made what; CC0 does not ask for it. Sections of other tools stay."""
    written = path.read_text(encoding="utf-8") if path.exists() else ""
    others = "".join(written.partition("\n## ")[1:])
    rows = [
        f"| `{shape.category}/{shape.key}` | {shape.title} | {shape.creator} | {shape.split} |"
        for shape in sorted(shapes, key=lambda shape: shape.path)
    ]
    path.write_text(
        "# Credits\n\n"
        "The shapes in `sample/`, `scans/` and `truth/` are in the public domain under "
        "[CC0 1.0](https://creativecommons.org/publicdomain/zero/1.0/). Their creators published "
        "them on blendswap.com; Emmanuel Puybaret (eTeks) converted them for Sweet Home 3D. They "
        f"are taken from `BlendSwap-CC-0.sh3f` of Debian's package `{PACKAGE}`, and were made "
        "watertight, simplified and sampled by `tools/make_sample.py`. The demo network was "
        "trained on shapes of the same archive and stretched copies of them; the test shapes, "
        "of which the scans are, were not among them.\n\n"
        "| model | title | creator | split |\n|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n"
        + others,
        encoding="utf-8",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("archive", type=Path, nargs="?", help="BlendSwap-CC-0.sh3f")
    parser.add_argument(
        "--observations", action="store_true", help="only pictures and voxels of the sample"
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[1] / "data")
    parser.add_argument("--training", type=Path, help="also write the training store here")
    parser.add_argument("--workers", type=int, help="processes for the training store")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if arguments.observations:
        add_observations(arguments.data / "sample")
        return
    if arguments.archive is None:
        parser.error("give the archive, or --observations")
    with (
        zipfile.ZipFile(arguments.archive) as archive,
        tempfile.TemporaryDirectory() as temporary,
    ):
        meshes = Path(temporary)
        shapes = write_meshes(archive, read_catalogue(archive), meshes)
        make_sample(shapes, meshes, arguments.data)
        if arguments.training:
            failed = make_training_store(shapes, meshes, arguments.training, arguments.workers)
            logger.info("%d meshes could not be prepared", len(failed))


if __name__ == "__main__":
    main()
