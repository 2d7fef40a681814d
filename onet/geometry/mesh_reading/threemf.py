"""3MF: the objects that are to be built, where they are to be built."""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from array import array
from dataclasses import dataclass, field
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from onet.geometry.mesh_reading.files import MeshFiles
from onet.geometry.mesh_reading.raw import RawMesh, check_range, joined

_READ = ("/core/", "/production/", "/material/", "/trianglesets/")
"""Parts of the namespaces of extensions that are read, or do not concern the geometry."""

_REFUSED = ("beamlattice", "booleanshape", "displacementmesh", "implicitfunction", "levelset")
_MOST_BYTES = 2**30
_MOST_COPIES = 100_000


@dataclass
class _Object:
    vertices: array[float] = field(default_factory=lambda: array("d"))
    triangles: array[int] = field(default_factory=lambda: array("q"))
    components: list[_Reference] = field(default_factory=list)


@dataclass
class _Reference:
    """An object of a part of the package, and the (4, 4) transform that acts on rows."""

    part: str
    number: str
    transform: NDArray[np.float64]


@dataclass
class _Model:
    objects: dict[str, _Object] = field(default_factory=dict)
    items: list[_Reference] = field(default_factory=list)


def read_threemf(files: MeshFiles, colors: bool) -> RawMesh:
    """Read the items of a 3MF package with their components; colours and units are left out.

    Raises:
        DataError: no such package, one that unpacks to far more than it holds, an extension that
            changes the geometry, or a reference to nothing.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(files.data)) as package:
            return _Package(files, package).mesh()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError,
            ElementTree.ParseError, OSError) as error:  # fmt: skip
        raise files.error(
            f"cannot be read as a mesh ({type(error).__name__}: {error}); it is cut or no 3MF "
            "package, copy or export it again"
        ) from error


class _Package:
    def __init__(self, files: MeshFiles, package: zipfile.ZipFile) -> None:
        self.files, self.package = files, package
        self.names = {_part(info.filename): info for info in package.infolist()}
        self.models: dict[str, _Model] = {}

    def mesh(self) -> RawMesh:
        """Return all items of the build, or where there are none, all objects."""
        start = self._start()
        root = self._model(start)
        waiting = root.items or [_Reference(start, number, np.eye(4)) for number in root.objects]
        waiting = list(reversed(waiting))
        parts, copies, most = [], 0, max(5_000_000, len(self.files.data))
        while waiting:
            reference = waiting.pop()
            copies += 1
            found = self._model(reference.part).objects.get(reference.number)
            if found is None:
                raise self.files.error(
                    f"refers to the object {reference.number[:20]!r}, which is not there"
                )
            waiting += [
                _Reference(
                    component.part, component.number, component.transform @ reference.transform
                )
                for component in reversed(found.components)
            ]
            if found.triangles:
                parts.append(self._placed(found, reference.transform))
                most -= len(parts[-1].faces) + len(parts[-1].vertices)
            if copies > _MOST_COPIES or most < 0:
                raise self.files.error(
                    "its components make millions of copies, or contain themselves; export each "
                    "object once"
                )
        return joined(parts)

    def _placed(self, found: _Object, transform: NDArray[np.float64]) -> RawMesh:
        vertices = np.array(found.vertices).reshape(-1, 3)
        faces = np.array(found.triangles, dtype=np.int64).reshape(-1, 3)
        check_range(self.files, faces.reshape(-1), len(vertices))
        if np.linalg.det(transform[:3, :3]) < 0:
            faces = faces[:, ::-1]
        return RawMesh(vertices @ transform[:3, :3] + transform[3, :3], faces)

    def _start(self) -> str:
        """Return the name of the part that the package says is its model."""
        if "_rels/.rels" in self.names:
            for element in ElementTree.fromstring(self._content("_rels/.rels")):
                if element.get("Type", "").endswith("/3dmodel"):
                    return _part(posixpath.normpath(element.get("Target", "")))
        models = [name for name in self.names if name.endswith(".model")]
        if not models:
            raise self.files.error("holds no model; export it again")
        return models[0]

    def _content(self, name: str) -> bytes:
        info = self.names.get(name)
        if info is None:
            raise self.files.error(f"refers to its part {name[:80]!r}, which is not there")
        if info.file_size > min(_MOST_BYTES, 2**24 + 200 * info.compress_size):
            raise self.files.error(
                f"its part {name[:80]!r} has {info.compress_size} bytes and declares to unpack to "
                f"{info.file_size}; it is not unpacked, export it again in parts"
            )
        return self.package.read(info)

    def _model(self, name: str) -> _Model:
        if name not in self.models:
            self.models[name] = self._parse(name)
        return self.models[name]

    def _parse(self, name: str) -> _Model:
        model, spaces = _Model(), {}
        current = _Object()
        stream = io.BytesIO(self._content(name))
        for event, element in ElementTree.iterparse(stream, ("start-ns", "start", "end")):
            if event == "start-ns":
                spaces[element[0]] = element[1]
                continue
            tag = element.tag.rpartition("}")[2]
            if event == "start":
                if tag == "model":
                    self._check_extensions(element.get("requiredextensions", ""), spaces)
                elif tag == "object":
                    current = model.objects[element.get("id", "")] = _Object()
                elif tag in _REFUSED:
                    raise self.files.error(
                        f"uses {tag}, which is not read; export it as plain triangles"
                    )
                continue
            if tag == "vertex":
                current.vertices.extend(float(element.get(axis, "")) for axis in "xyz")
            elif tag == "triangle":
                current.triangles.extend(int(element.get(v, "")) for v in ("v1", "v2", "v3"))
            elif tag == "component":
                current.components.append(self._reference(element, name))
            elif tag == "item":
                model.items.append(self._reference(element, name))
            if tag != "model":
                element.clear()
        return model

    def _check_extensions(self, required: str, spaces: dict[str, str]) -> None:
        for prefix in required.split():
            space = spaces.get(prefix, prefix)
            if not any(part in space for part in _READ):
                raise self.files.error(
                    f"requires the extension {space}, which is not read; export it without"
                )

    def _reference(self, element: ElementTree.Element, part: str) -> _Reference:
        for key, value in element.attrib.items():
            if key.rpartition("}")[2] == "path":  # of the production extension
                part = _part(value)
        transform = np.eye(4)
        text = element.get("transform")
        if text:
            transform[:, :3] = np.array([float(word) for word in text.split()]).reshape(4, 3)
        return _Reference(part, element.get("objectid", ""), transform)


def _part(name: str) -> str:
    """Return the name of a part of the package; capitals make no difference."""
    return name.lstrip("/").lower()
