"""The bytes of a mesh file and of the files beside it that it names."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from onet.errors import DataError

logger = logging.getLogger(__name__)

UTF8_MARK = b"\xef\xbb\xbf"
_SAMPLE = 512


class MeshFiles:
    """A mesh file, and access to the files that it refers to, which stay inside its folder.

    Attributes:
        path: the mesh file.
        data: its bytes.
        sources: SHA-256 of each file that was read, by its name relative to the mesh file's folder.
    """

    def __init__(self, path: Path, data: bytes | None = None) -> None:
        self.path = path
        if data is None:
            try:
                data = path.read_bytes()
            except OSError as error:
                raise self.error(f"cannot be read ({error.strerror}); check its rights") from error
        self.data = data
        self.sources = {path.name: hashlib.sha256(data).hexdigest()}

    def error(self, reason: str) -> DataError:
        """Return the error that says what is wrong with the mesh file."""
        return DataError(f"{self.path}: {reason}")

    def side_file(self, reference: str) -> bytes:
        """Return the content of a file beside the mesh file, as a URI or a plain relative name.

        Raises:
            DataError: an absolute name, one that leads outside the folder (through a link too), or
                a file that cannot be read.
        """
        return self._read(self._inside(reference), reference)

    def has(self, reference: str) -> bool:
        """Return whether `side_file` would find the file."""
        try:
            self._inside(reference)
        except DataError:
            return False
        return True

    def _inside(self, reference: str) -> Path:
        folder = self.path.parent.resolve()
        shown = _shown(reference)
        if "\0" in unquote(reference):
            raise self.error(f"refers to {shown}, which is no file name; export it again")
        for name in dict.fromkeys((reference, unquote(reference))):
            plain = PurePosixPath(name.replace("\\", "/").strip())
            target = (folder / plain).resolve()
            if plain.is_absolute() or ":" in name[:12] or not target.is_relative_to(folder):
                raise self.error(
                    f"refers to {shown}, which lies outside its folder; put the file beside it "
                    "and name it without a path"
                )
            if _is_file(target):
                return target
        raise self.error(f"refers to {shown}, which is not there; put it beside the mesh")

    def _read(self, target: Path, reference: str) -> bytes:
        try:
            data = target.read_bytes()
        except OSError as error:
            raise self.error(
                f"refers to {_shown(reference)}, which cannot be read ({error.strerror})"
            ) from error
        name = target.relative_to(self.path.parent.resolve()).as_posix()
        self.sources[name] = hashlib.sha256(data).hexdigest()
        return data


def _is_file(target: Path) -> bool:
    try:
        return target.is_file()
    except OSError:  # a name that is too long
        return False


def _shown(reference: str) -> str:
    return repr(reference if len(reference) <= 80 else f"{reference[:77]}...")


def decoded(text: bytes) -> str:
    """Return text in the encoding that it is most likely in: UTF-8, else Windows' Latin-1."""
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError:
        return text.decode("cp1252", errors="replace")


def plain_text(data: bytes) -> bytes:
    """Return text with lines ending in a newline, without a byte order mark; UTF-16 as UTF-8."""
    encoding = _wide_encoding(data[:_SAMPLE])
    if encoding is not None:
        data = data.decode(encoding, errors="replace").encode("utf-8")
    data = data.removeprefix(UTF8_MARK)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return data


def _wide_encoding(start: bytes) -> str | None:
    """Return the kind of UTF-16 that a text begins in, with a mark or without; None for others."""
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if start.startswith(mark):
            return encoding
    even, odd = start[::2].count(0), start[1::2].count(0)
    if min(even, odd) == 0 and max(even, odd) > 0.4 * len(start):
        return "utf-16-be" if even else "utf-16-le"
    return None
