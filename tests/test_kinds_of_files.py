"""What a file is told to be, by its name and its beginning."""

from __future__ import annotations

from pathlib import Path

import pytest

from onet.checkpoints.kinds_of_files import no_mesh

VERTICES = "element vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
LIST = "property list uchar int vertex_indices\n"


@pytest.mark.parametrize(
    ("elements", "mesh"),
    [
        (VERTICES, False),
        (VERTICES + "element face 0\n" + LIST, False),
        (VERTICES + "element face 1\n" + LIST, True),
        (VERTICES + "element faces 1\n" + LIST, True),
        (VERTICES + "element face 0\n" + LIST + "element tristrips 1\n" + LIST, True),
        ("comment " + 5000 * "x" + "\n" + VERTICES + "element face 1\n" + LIST, True),
    ],
)
def test_a_ply_file_is_a_mesh_where_its_heading_tells_of_faces(
    elements: str, mesh: bool, tmp_path: Path
) -> None:
    path = tmp_path / "a.ply"
    path.write_text(f"ply\nformat ascii 1.0\n{elements}end_header\n")
    assert (no_mesh(path) is None) == mesh


def test_a_heading_without_end_is_for_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    path.write_text("ply\nformat ascii 1.0\n")
    assert no_mesh(path) is None
