"""Which columns are x, y and z, the normal and the colour, by what they are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from onet.errors import DataError

NAMED = 12  # columns, in an error message


@dataclass(frozen=True)
class Columns:
    """Numbers of the columns of x, y, z, and of the normal and of red, green, blue if there."""

    points: tuple[int, int, int]
    normals: tuple[int, int, int] | None = None
    colors: tuple[int, int, int] | None = None


_UNIT = re.compile(r"\s*[\(\[\{<][^\)\]\}>]*[\)\]\}>]$|\s*/\s*(m|mm|cm|km|ft|in)$")
_GRID = re.compile(r"^(?:utm|grid)[\s_.\-]+(?=[a-z]{2})|[\s_]*[\-]?[\s_]+(?:m|meters?|metres?)$")
_TYPED = re.compile(r":(float|double|f4|f8|float32|float64|decimal|real|number)$")
_INDEXED = re.compile(r"^(.*?)[\s_.:\-]*[\[\(]?([012])[\]\)]?$")
_LETTERED = (
    re.compile(r"^()([xyz])$"),
    re.compile(r"^(.+?)[\s_.:\-]*([xyz])$"),
    re.compile(
        r"^()([xyz])[\s_.:\-]*(?:coords?|coordinates?|koordinate|pos|position|value|val|m|mm|cm|world|global|utm)$"
    ),
)
_PLACES = {
    *("", "coord", "coords", "coordinate", "coordinates", "pos", "position", "positions", "point"),
    *("points", "p", "pt", "pts", "loc", "location", "vertex", "vertices", "v", "world", "global"),
    *("local", "cartesian", "center", "centre", "scan", "xyz", "utm", "cam", "camera", "map"),
    *("pointcoordinates", "point_coordinates", "transform", "translation"),
}
_NORMALS = {"n", "normal", "normals", "norm", "nrm", "vertexnormal", "vertex_normal", "vn", "nor"}
_COLORS = re.compile(
    r"^(?:(?:color|colour|colors|colours|rgb|rgba|diffuse|vertex|c)[\s_.:\-]*)?"
    r"(r|g|b|red|green|blue)f?$"
)
_COLOR_ARRAYS = {"rgb", "rgba", "color", "colors", "colour", "colours", "pointcolors"}
_EAST = {"easting", "east", "e", "eastings", "rechtswert", "ostwert"}
_NORTH = {"northing", "north", "n", "northings", "hochwert", "nordwert"}
_UP = {
    *("elevation", "elev", "height", "altitude", "alt", "z", "h", "hoehe", "höhe", "up"),
    *("ellipsoidalheight", "orthometricheight", "level", "rl"),
}
_DEGREES = {"lat", "latitude", "lon", "long", "lng", "longitude", "breite", "laenge", "länge"}


def find_columns(names: Sequence[str], where: str) -> Columns | None:
    """Return columns by their names, in any case, with units, prefixes or indices; None if none.

    Known are x, y, z, also as `X(m)`, `pos_x`, `x_coord`, `Points:0`; easting, northing and an
    elevation; nx, ny, nz, `normal_x`, `Normals:0`; r, g, b, red, green, blue, `RGB:0`. Plain
    names are preferred to those with prefixes.

    Args:
        names: of all columns.
        where: what to call the table in messages.

    Raises:
        DataError: several columns could be x, y or z, or they are degrees.
    """
    plain = [_plain(name) for name in names]
    found = _triples(plain)
    best = min((style for style in found if style[0] < 2), default=None)
    if best is None:
        points = _surveyed(plain, where)
        if points is None:
            if {*plain} & _DEGREES and len({*plain} & _DEGREES) >= 2:
                raise DataError(
                    f"{where}: has longitudes and latitudes in degrees; project them to a plane "
                    "(UTM for instance) first"
                )
            return None
    else:
        rivals = [style for style in found if style[0] == best[0]]
        if len(rivals) > 1 or any(len(places) > 1 for places in found[best]):
            raise DataError(
                f"{where}: several columns could be x, y, z: {_listed(names)}; call those of the "
                "points x, y, z and the others something else"
            )
        points = _firsts(found[best])
    normals = [style for style in found if style[0] == 2]
    return Columns(
        points,
        _firsts(found[normals[0]]) if normals else None,
        _color_columns(plain),
    )


def looks_like_names(cells: Sequence[str]) -> bool:
    """Return whether cells could be the names of columns that have x, y, z among them."""
    try:
        return find_columns(cells, "heading") is not None
    except DataError:
        return True


def _plain(name: str) -> str:
    """Return a name in lower case without quotes, comment marks and units."""
    text = name.strip().lstrip("\ufeff").strip("\"'`").strip().lower().lstrip("#/%;!").strip()
    text = _UNIT.sub("", _TYPED.sub("", text)).strip()
    return _GRID.sub("", text)


def _triples(plain: Sequence[str]) -> dict[tuple[int, str], tuple[list[int], ...]]:
    """Columns of complete triples by rank (0 plain, 1 with a prefix, 2 normals) and style."""
    styles: dict[tuple[int, str], tuple[list[int], ...]] = {}
    for number, name in enumerate(plain):
        for key, axis in _styles(name):
            styles.setdefault(key, ([], [], []))[axis].append(number)
    return {key: places for key, places in styles.items() if all(places)}


def _styles(name: str) -> list[tuple[tuple[int, str], int]]:
    """Return the triples that a column of this name can belong to, and as which of the three."""
    for kind, pattern in enumerate(_LETTERED):
        if match := pattern.match(name):
            prefix, axis = match.group(1).rstrip("_ .:-"), "xyz".index(match.group(2))
            if prefix in _NORMALS:
                return [((2, f"{prefix}*"), axis)]
            if prefix in _PLACES:
                return [((0 if kind == 0 else 1, f"{kind}{prefix}*"), axis)]
    if (match := _INDEXED.match(name)) and match.group(1):
        prefix, axis = match.group(1), int(match.group(2))
        if prefix in _NORMALS:
            return [((2, f"{prefix}#"), axis)]
        if prefix in _PLACES:
            return [((1, f"{prefix}#"), axis)]
    return []


def _firsts(places: tuple[list[int], ...]) -> tuple[int, int, int]:
    return places[0][0], places[1][0], places[2][0]


def _surveyed(plain: Sequence[str], where: str) -> tuple[int, int, int] | None:
    """Columns of easting, northing and elevation, or of x, y and an elevation."""
    for across, along in (({"x"}, {"y"}), (_EAST, _NORTH)):
        sets = [[i for i, name in enumerate(plain) if name in known] for known in (across, along)]
        ups = [i for i, name in enumerate(plain) if name in _UP]
        if all(sets) and ups:
            if max(len(sets[0]), len(sets[1]), len(ups)) > 1:
                raise DataError(
                    f"{where}: several columns could be the position: {_listed(plain)}; call "
                    "those of the points x, y, z"
                )
            return sets[0][0], sets[1][0], ups[0]
    return None


def _color_columns(plain: Sequence[str]) -> tuple[int, int, int] | None:
    lettered: dict[str, int] = {}
    indexed: dict[int, int] = {}
    for number, name in enumerate(plain):
        if match := _COLORS.match(name):
            lettered.setdefault(match.group(1)[0], number)
        elif (match := _INDEXED.match(name)) and match.group(1) in _COLOR_ARRAYS:
            indexed.setdefault(int(match.group(2)), number)
    if len(lettered) == 3:
        return lettered["r"], lettered["g"], lettered["b"]
    if len(indexed) == 3:
        return indexed[0], indexed[1], indexed[2]
    return None


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:NAMED])
    return shown + (", ..." if len(names) > NAMED else "")
