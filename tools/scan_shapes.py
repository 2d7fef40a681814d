"""Makes the packed file of shapes that the network for scans is trained on.

    python tools/scan_shapes.py OBJECTS -o scan_shapes.npz --solids 1500 --bodies 100

OBJECTS is a folder of meshes with `manifest.csv`, whose columns `file`, `category`, `source`,
`licence`, `creator` and `quality` are read. Taken are the meshes in the public domain (CC0-1.0) of
quality A and B, whose winding number tells inside from outside. Those of the sources `HELD_OUT`
are for validation. To these come exact solids of the generator in `onet.data.scan_solids` (which
needs `manifold3d`), and bodies of `anny`, if asked for; 1 in 20 of them is for validation.

`--credits data/CREDITS.md` writes who made the meshes, as a section of that file.
"""

from __future__ import annotations

import argparse
import csv
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from onet.data.scan_shapes import PackedShapes, Shape, pack_shapes
from onet.data.scan_solids import KINDS, random_solid
from onet.data.solids.bodies import bodies
from onet.errors import DataError
from onet.files import replacing
from onet.geometry.mesh_io import load_mesh

logger = logging.getLogger("scan_shapes")

LICENCE = "CC0-1.0"
QUALITIES = ("A", "B")
HELD_OUT = ("sh3d-BlendSwap-CC-0", "quaternius-survival_pack")
"""Sources for validation; the first is that of the project's sample."""

EVERY = 20  # of generated shapes, one for validation
SPDX_OF_PROJECT = "MIT"

MAKERS = {
    "basemesh": "[The Base Mesh](https://thebasemesh.com)",
    "kenney": "[Kenney](https://kenney.nl)",
    "quaternius": "[Quaternius](https://quaternius.com)",
    "pmndrs": "contributors of [market.pmnd.rs](https://market.pmnd.rs)",
}
"""Who made the meshes of a source whose manifest names nobody, by the beginning of its name."""

HEADING = "## What the network for scans is trained on"
INTRODUCTION = """\
Meshes that their makers put in the public domain under
[CC0 1.0](https://creativecommons.org/publicdomain/zero/1.0/), of the sources below; those of
`sh3d-BlendSwap-CC-0` and `quaternius-survival_pack` were for validation alone. Besides these,
solids of the generators in `onet/data/solids/`, and bodies by
[anny](https://github.com/naver/anny) (Apache-2.0; its assets, of the MakeHuman community, are CC0).
`tools/scan_shapes.py` packs them.
None of the meshes is part of the project; CC0 does not ask for credit."""


def objects(folder: Path) -> list[Shape]:
    """Return the meshes of a folder whose licence and quality allow it; see above.

    Those that cannot be read, or are inside out, are left out with a warning.
    """
    shapes = []
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if wanted(row)]
    for row in rows:
        try:
            mesh = load_mesh(folder / row["file"])
        except DataError as error:
            logger.warning("left out: %s", error)
            continue
        if signed_volume(mesh.vertices[mesh.faces]) <= 0:
            logger.warning("left out: %s is inside out, or encloses nothing", row["file"])
            continue
        split = "val" if row["source"] in HELD_OUT else "train"
        name = str(Path(row["file"]).with_suffix(""))
        words = (name, row["category"], row["source"], row["licence"], split)
        shapes.append(Shape(mesh.vertices, mesh.faces, *words))
    return shapes


def wanted(row: dict[str, str]) -> bool:
    """Return whether a line of the manifest is of a mesh to take."""
    return row["licence"] == LICENCE and row["quality"] in QUALITIES


def signed_volume(triangles: np.ndarray) -> float:
    """Return the volume that triangles (F, 3, 3) enclose, negative if they face inward."""
    return float(np.linalg.det(triangles - triangles.mean(axis=(0, 1))).sum() / 6)


def solids(count: int) -> Iterator[Shape]:
    """Yield generated solids, of each kind as many as its weight says."""
    total, done = sum(KINDS.values()), 0
    for kind, weight in KINDS.items():
        for seed in range(round(count * weight / total)):
            vertices, faces = random_solid(kind, seed)
            done += 1
            if done % 100 == 0:
                logger.info("%d solids", done)
            words = (f"solid-{kind}-{seed}", kind, "onet.data.scan_solids", SPDX_OF_PROJECT)
            yield Shape(vertices, faces, *words, split_of(seed))


def people(count: int) -> Iterator[Shape]:
    """Yield bodies made by `anny`."""
    for number, (vertices, faces) in enumerate(bodies(count) if count else ()):
        words = (f"body-{number}", "person", "anny", LICENCE)
        yield Shape(vertices, faces, *words, split_of(number))


def split_of(number: int) -> str:
    """Return the split of a generated shape by its number among those of its kind."""
    return "val" if number % EVERY == EVERY - 1 else "train"


def credits(folder: Path) -> str:
    """Return who made the meshes that `objects` takes, as a section in Markdown."""
    counts: dict[str, Counter[str]] = {}
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if wanted(row):
                counts.setdefault(row["source"], Counter())[row["creator"]] += 1
    lines = []
    for source, creators in sorted(counts.items()):
        named = sorted(creator for creator in creators if creator)
        makers = ", ".join(named) or MAKERS.get(source.partition("-")[0], "")
        lines.append(f"| `{source}` | {makers} | {creators.total()} |")
    return "\n".join([HEADING, "", INTRODUCTION, "", "| source | creators | meshes |",
                      "|---|---|---|", *lines, ""])  # fmt: skip


def write_credits(path: Path, folder: Path) -> None:
    """Write the section to a file of credits, in place of the one that is there."""
    written = path.read_text(encoding="utf-8") if path.exists() else "# Credits\n"
    before, _, section = written.partition(HEADING)
    after = "".join(section.partition("\n## ")[1:])
    with replacing(path) as temporary:
        text = before.rstrip("\n") + "\n\n" + credits(folder) + after
        temporary.write_text(text, encoding="utf-8")


def main() -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("objects", type=Path, help="folder with manifest.csv")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--solids", type=int, default=0, help="about how many to generate")
    parser.add_argument("--bodies", type=int, default=0, help="how many to make with anny")
    parser.add_argument("--credits", type=Path, help="file to write who made them to")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    shapes = objects(arguments.objects)
    shapes += [*solids(arguments.solids), *people(arguments.bodies)]
    pack_shapes(arguments.output, shapes)
    if arguments.credits:
        write_credits(arguments.credits, arguments.objects)
    packed = PackedShapes(arguments.output)
    print(f"{len(packed)} shapes, {arguments.output.stat().st_size / 1e6:.1f} MB")
    for word in ("split", "licence", "source", "category"):
        print(word, Counter(getattr(packed, word).tolist()).most_common(12))


if __name__ == "__main__":
    main()
