"""The vertices of OBJ files, with normals and colours where there is one for each of them."""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy as np

from onet.errors import DataError
from onet.geometry.clouds.cloud import PointCloud, make_cloud


def read_obj_cloud(path: Path) -> PointCloud:
    """A `PointCloud` of the lines `v` of an OBJ file, faces or not.

    Colours are the three numbers behind the position. Normals are taken where the file has no faces
    and as many lines `vn` as `v`.

    Raises:
        DataError: a line `v` or `vn` with other than numbers.
    """
    points, normals, colors = array("d"), array("d"), array("d")
    faces = False
    with path.open(encoding="utf-8-sig", errors="replace") as stream:
        for number, line in enumerate(stream, 1):
            words = line.split()
            if not words or words[0] not in ("v", "vn", "f"):
                continue
            if words[0] == "f":
                faces = True
                continue
            try:
                values = [float(word) for word in line.partition("#")[0].split()[1:]]
            except ValueError:
                values = []
            if len(values) < 3:
                raise DataError(
                    f"{path}: line {number} is {line.strip()[:60]!r}, expected {words[0]} and "
                    "three numbers; correct it or export it again"
                )
            (points if words[0] == "v" else normals).extend(values[:3])
            if words[0] == "v" and len(values) >= 6:
                colors.extend(values[3:6])
    each = [np.frombuffer(values, dtype=np.float64).reshape(-1, 3) for values in (normals, colors)]
    positions = np.frombuffer(points, dtype=np.float64).reshape(-1, 3)
    kept = [
        values if len(values) == len(positions) and not (faces and i == 0) else None
        for i, values in enumerate(each)
    ]
    return make_cloud(positions, kept[0], kept[1], str(path))
