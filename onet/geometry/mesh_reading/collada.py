"""COLLADA (.dae): the scene's polygons, in double precision, its transforms applied."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from onet.geometry.mesh_reading.files import MeshFiles
from onet.geometry.mesh_reading.raw import RawMesh, from_polygons, joined, strip_triangles

Element = ElementTree.Element

_MOST_COPIES = 100_000


def read_collada(files: MeshFiles, colors: bool) -> RawMesh:
    """Read triangles, strips, fans and polygons of the scene; skins are in their bind pose.

    Coordinates stay in the file's unit and axes. Colours, lines and splines are left out.

    Raises:
        DataError: damaged XML, polygons with holes, references to nothing or to other files.
    """
    try:
        root = ElementTree.fromstring(files.data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise files.error(
            f"cannot be read as a mesh: its XML is damaged ({error}); copy or export it again"
        ) from error
    for element in root.iter():
        if isinstance(element.tag, str):
            element.tag = element.tag.rpartition("}")[2]
    return _Document(files, root).mesh()


class _Document:
    def __init__(self, files: MeshFiles, root: Element) -> None:
        self.files, self.root = files, root
        self.ids = {element.get("id"): element for element in root.iter() if element.get("id")}
        self.shapes: dict[int, RawMesh] = {}

    def mesh(self) -> RawMesh:
        """Return the scene, or where there is none, all geometries as they are."""
        scene = self.root.find("scene/instance_visual_scene")
        top = self.root.find("library_visual_scenes/visual_scene")
        if scene is not None:
            top = self._target(scene.get("url"), "visual_scene")
        if top is None:
            return joined(
                [self._shape(g) for g in self.root.iterfind("library_geometries/geometry")]
            )
        parts, most = [], max(5_000_000, len(self.files.data))
        for shape, transform in self._placed(top):
            linear = transform[:3, :3]
            faces = shape.faces[:, ::-1] if np.linalg.det(linear) < 0 else shape.faces
            parts.append(RawMesh(shape.vertices @ linear.T + transform[:3, 3], faces))
            most -= len(shape.vertices) + len(faces)
            if most < 0:
                raise self._too_many()
        return joined(parts)

    def _too_many(self) -> Exception:
        return self.files.error(
            "its nodes make millions of copies, or contain themselves; export each object once"
        )

    def _target(self, url: str | None, tag: str) -> Element:
        found = self.ids.get(url[1:]) if url and url.startswith("#") else None
        if found is None or found.tag != tag:
            raise self.files.error(
                f"refers to {str(url)[:80]!r}, which is no {tag} in this file; "
                "export it as one file"
            )
        return found

    def _placed(self, top: Element) -> Iterator[tuple[RawMesh, NDArray[np.float64]]]:
        """Yield the shapes below a scene and their transforms, depth first."""
        waiting = [(node, np.eye(4)) for node in reversed(top.findall("node"))]
        copies = 0
        while waiting:
            node, above = waiting.pop()
            copies += 1
            if copies > _MOST_COPIES:
                raise self._too_many()
            here = above @ self._transform(node)
            below = []
            for child in node:
                if child.tag == "instance_geometry":
                    yield self._shape(self._target(child.get("url"), "geometry")), here
                elif child.tag == "instance_controller":
                    yield self._bound(self._target(child.get("url"), "controller"), here)
                elif child.tag == "node":
                    below.append((child, here))
                elif child.tag == "instance_node":
                    below.append((self._target(child.get("url"), "node"), here))
            waiting += reversed(below)

    def _bound(
        self, controller: Element, here: NDArray[np.float64]
    ) -> tuple[RawMesh, NDArray[np.float64]]:
        """Return the mesh of a skin as it was bound, or the base of morph targets."""
        for _ in range(8):  # a skin may be of a morph controller
            part = controller.find("skin")
            if part is not None:
                bind = part.find("bind_shape_matrix")
                here = np.eye(4) if bind is None else self._numbers(bind, 16).reshape(4, 4)
            else:
                part = controller.find("morph")
            if part is None:
                break
            source = self.ids.get(str(part.get("source"))[1:])
            if source is not None and source.tag == "geometry":
                return self._shape(source), here
            controller = self._target(part.get("source"), "controller")
        raise self.files.error("has a controller without geometry; export it again")

    def _numbers(self, element: Element, count: int) -> NDArray[np.float64]:
        words = (element.text or "").split()
        if len(words) != count:
            raise self.files.error(f"<{element.tag}> has {len(words)} numbers, not {count}")
        return self._floats(words)

    def _floats(self, words: list[str]) -> NDArray[np.float64]:
        try:
            return np.array([float(word) for word in words], dtype=np.float64)
        except ValueError as error:
            commas = ", with decimal commas" if any("," in word for word in words[:100]) else ""
            raise self.files.error(
                f"has numbers that are none{commas} ({error}); export it again with decimal points"
            ) from error

    def _transform(self, node: Element) -> NDArray[np.float64]:
        from scipy.spatial.transform import Rotation

        result = np.eye(4)
        for element in node:
            step = np.eye(4)
            if element.tag == "matrix":
                step = self._numbers(element, 16).reshape(4, 4)
            elif element.tag == "translate":
                step[:3, 3] = self._numbers(element, 3)
            elif element.tag == "scale":
                step[:3, :3] = np.diag(self._numbers(element, 3))
            elif element.tag == "rotate":
                *axis, angle = self._numbers(element, 4)
                length = np.linalg.norm(axis)
                if length > 0:
                    turn = np.array(axis) / length * np.deg2rad(angle)
                    step[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
            elif element.tag in ("lookat", "skew") and _has_shapes(node):
                raise self.files.error(
                    f"places objects by <{element.tag}>, which is not read; export it with matrices"
                )
            else:
                continue
            result = result @ step
        return result

    def _shape(self, geometry: Element) -> RawMesh:
        key = id(geometry)
        if key not in self.shapes:
            mesh = geometry.find("mesh")
            parts = [] if mesh is None else [self._part(mesh, child) for child in mesh]
            self.shapes[key] = joined([part for part in parts if part is not None])
        return self.shapes[key]

    def _part(self, mesh: Element, primitive: Element) -> RawMesh | None:
        if primitive.tag not in ("triangles", "tristrips", "trifans", "polylist", "polygons"):
            return None
        if primitive.find("ph") is not None:
            raise self.files.error("has polygons with holes (<ph>); export it as triangles")
        inputs = primitive.findall("input")
        width = max((int(i.get("offset", "0")) for i in inputs), default=0) + 1
        corner = next((i for i in inputs if i.get("semantic") == "VERTEX"), None)
        if corner is None:
            raise self.files.error(f"<{primitive.tag}> has no input VERTEX; export it again")
        offset = int(corner.get("offset", "0"))
        if not 0 <= offset < width:
            raise self.files.error(f"<{primitive.tag}> has an input offset of {offset}")
        vertices = self._positions(corner.get("source"))
        runs = [
            np.array((p.text or "").split(), dtype=np.int64)[offset::width]
            for p in primitive.findall("p")
        ]
        corners, sizes = self._polygons(primitive, runs)
        return from_polygons(self.files, vertices, corners, sizes)[0]

    def _polygons(
        self, primitive: Element, runs: list[NDArray[np.int64]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return corners and sizes of the polygons, strips and fans as triangles."""
        tag = primitive.tag
        if tag in ("tristrips", "trifans"):
            runs = [
                run[strip_triangles(len(run)) if tag == "tristrips" else _fan(len(run))].reshape(-1)
                for run in runs
            ]
        corners = np.concatenate([np.zeros(0, dtype=np.int64), *runs])
        if tag == "polygons":
            return corners, np.array([len(run) for run in runs], dtype=np.int64)
        if tag == "polylist":
            counts = primitive.find("vcount")
            words = [] if counts is None else (counts.text or "").split()
            sizes = np.array(words, dtype=np.int64)
            if len(sizes) and (sizes.min() < 0 or sizes.max() > len(corners)):
                raise self.files.error("<vcount> is larger than the list <p>; export it again")
        elif len(corners) % 3:
            raise self.files.error(f"<{tag}> has {len(corners)} corners; export it again")
        else:
            sizes = np.full(len(corners) // 3, 3, dtype=np.int64)
        if sizes.sum() != len(corners):
            raise self.files.error(
                f"<{tag}> declares {sizes.sum()} corners, but has {len(corners)}; export it again"
            )
        return corners, sizes

    def _positions(self, url: str | None) -> NDArray[np.float64]:
        vertices = self._target(url, "vertices")
        position = vertices.find("input[@semantic='POSITION']")
        source = self._target(None if position is None else position.get("source"), "source")
        accessor = source.find("technique_common/accessor")
        numbers = source.find("float_array")
        if accessor is not None and str(accessor.get("source"))[1:] in self.ids:
            numbers = self._target(accessor.get("source"), "float_array")  # of any source
        if numbers is None:
            raise self.files.error("has a source without <float_array>; export it again")
        values = self._floats((numbers.text or "").split())
        if accessor is None:
            return values[: len(values) // 3 * 3].reshape(-1, 3)
        axes = _axes([param.get("name", "") for param in accessor.iterfind("param")])
        step, first = int(accessor.get("stride", "3")), int(accessor.get("offset", "0"))
        count = int(accessor.get("count", (len(values) - first) // max(step, 1)))
        least = max(axes) + 1
        if (
            step < least
            or first < 0
            or count < 0
            or (count and first + (count - 1) * step + least > len(values))
        ):
            raise self.files.error(
                f"a source declares {count} vertices of {step} numbers, but has {len(values)} "
                "numbers; the file is damaged, export it again"
            )
        places = first + step * np.arange(count)[:, None] + np.array(axes)
        return values[places]


def _axes(params: list[str]) -> list[int]:
    """Return where x, y and z stand among the parameters of a source; ones without name are none.

    They are in the order of their names X, Y, Z, and of other names in that of the file.
    """
    named = [k for k, name in enumerate(params) if name]
    letters = {params[k].upper(): k for k in named}
    if {"X", "Y", "Z"} <= letters.keys():
        return [letters[axis] for axis in "XYZ"]
    return named[:3] if len(named) >= 3 else [0, 1, 2]


def _fan(count: int) -> NDArray[np.int64]:
    steps = np.arange(1, max(count - 1, 1))
    return np.stack([np.zeros_like(steps), steps, steps + 1], axis=1)


def _has_shapes(node: Element) -> bool:
    return any(
        e.tag in ("instance_geometry", "instance_controller", "instance_node") for e in node.iter()
    )
