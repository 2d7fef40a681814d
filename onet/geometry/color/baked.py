"""A mesh with a baked texture, and the files that it becomes."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError
from onet.files import replacing
from onet.geometry.color.atlas import Atlas
from onet.geometry.color.obj_writing import textured_obj
from onet.geometry.mesh_io import load_mesh, save_mesh
from onet.geometry.topology import Topology, topology

if TYPE_CHECKING:
    import trimesh
    from PIL.Image import Image

BAKED_SUFFIXES = (".glb", ".obj", ".ply")
"""Formats that a textured mesh is written to."""


@dataclass(frozen=True, eq=False)
class BakedMesh:
    """A mesh with the texture of its surface.

    Attributes:
        mesh: without a texture, one vertex a place: closed if it was.
        atlas: where its faces lie in the texture.
        texture: (S, S, 3) uint8, sRGB, the first row at the top.
        vertex_colors: (V, 3) float64 in [0, 1], what the field says at the vertices of `mesh`.
        report: `size`, `charts`, `covered` (part of the texture), `faces_before`, `faces` and
            seconds.
    """

    mesh: trimesh.Trimesh
    atlas: Atlas
    texture: NDArray[np.uint8]
    vertex_colors: NDArray[np.float64]
    report: dict[str, Any] = field(default_factory=dict)

    def picture(self) -> Image:
        """Return the texture as a picture."""
        from PIL import Image

        return Image.fromarray(self.texture)

    def textured(self) -> trimesh.Trimesh:
        """Return a mesh with the texture as its material: rough, not metallic, as PBR.

        Its vertices are those of `mesh` repeated along seams.
        """
        import trimesh
        from trimesh.visual.material import PBRMaterial
        from trimesh.visual.texture import TextureVisuals

        material = PBRMaterial(
            name="baked",
            baseColorTexture=self.picture(),
            baseColorFactor=[255, 255, 255, 255],
            metallicFactor=0.0,
            roughnessFactor=1.0,
        )
        mesh = trimesh.Trimesh(
            np.asarray(self.mesh.vertices)[self.atlas.source], self.atlas.faces, process=False
        )
        if "vertex_normals" in self.mesh._cache.cache:  # those of the field, or of a file
            normals = self.mesh.vertex_normals[self.atlas.source]
            mesh.vertex_normals = normals  # type: ignore[method-assign]
        for name, values in self.mesh.vertex_attributes.items():
            mesh.vertex_attributes[name] = np.asarray(values)[self.atlas.source]
        mesh.visual = TextureVisuals(uv=self.atlas.uv, material=material)
        mesh.metadata["bake"] = dict(self.report)
        return mesh

    def colored(self) -> trimesh.Trimesh:
        """Return the mesh with colours of its vertices in place of the texture."""
        import trimesh

        mesh = trimesh.Trimesh(self.mesh.vertices, self.mesh.faces, process=False)
        mesh.vertex_attributes.update(self.mesh.vertex_attributes)
        mesh.visual = trimesh.visual.ColorVisuals(
            mesh, vertex_colors=np.round(255 * self.vertex_colors).astype(np.uint8)
        )
        mesh.metadata.update(self.mesh.metadata)
        return mesh

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the mesh in the format of the suffix, each file atomically.

        GLB embeds the texture as PNG. OBJ has `NAME.mtl` and `NAME.png` beside it, which are
        written before it. PLY has colours of vertices and no texture.

        Raises:
            DataError: another suffix, or vertices that the format cannot hold.
        """
        path = Path(path)
        match path.suffix.lower():
            case ".glb":
                return save_mesh(self.textured(), path)
            case ".ply":
                return save_mesh(self.colored(), path)
            case ".obj":
                return self._save_obj(path)
        raise DataError(
            f"{path}: a texture cannot be written as {path.suffix!r}; use one of "
            f"{', '.join(BAKED_SUFFIXES)}"
        )

    def save_and_examine(self, path: str | os.PathLike[str]) -> Topology:
        """Write the mesh and tell the topology of what is read back.

        Of a GLB, whose vertices are repeated along seams, it is that of the mesh without seams.

        Raises:
            DataError: see `save`.
        """
        written = self.save(path)
        return topology(self.mesh if written.suffix.lower() == ".glb" else load_mesh(written))

    def _save_obj(self, path: Path) -> Path:
        data = textured_obj(path, self.mesh, self.atlas, path.with_suffix(".mtl").name)
        picture = io.BytesIO()
        self.picture().save(picture, format="PNG")
        lines = (
            "newmtl baked", "Ka 0 0 0", "Kd 1 1 1", "Ks 0 0 0", "illum 1",
            f"map_Kd {path.with_suffix('.png').name}", "",
        )  # fmt: skip
        material = "\n".join(lines).encode()
        for suffix, content in ((".png", picture.getvalue()), (".mtl", material), (".obj", data)):
            with replacing(path.with_suffix(suffix)) as temporary:
                temporary.write_bytes(content)
        return path
