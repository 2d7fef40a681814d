"""Tables of points as programs and people write them: read as meant, or refused by name."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onet.errors import DataError
from onet.geometry.clouds.columns import find_columns
from onet.geometry.point_cloud_io import load_cloud, load_points

POINTS = [[1.5, 2.3, 4.5], [6.25, 7.5, 8.75], [-1.2, 0.5, 2.1], [3.1, 3.2, 3.125]]


def rows(separator: str, decimal: str = ".", before: str = "", after: str = "") -> str:
    """One line a point; `{i}` in what is before stands for its number."""
    lines = []
    for i, point in enumerate(POINTS):
        numbers = [str(value).replace(".", decimal) for value in point]
        lines.append(before.format(i=i) + separator.join(numbers) + after)
    return "\n".join(lines) + "\n"


COMMAS, SPACES = rows(","), rows(" ")
READ = {
    "pandas": ",x,y,z\n" + rows(",", before="{i},"),
    "pandas with semicolons": ";x;y;z\n" + rows(";", ",", before="{i};"),
    "spreadsheet": "sep=;\nx;y;z\n" + rows(";", ","),
    "tabs and decimal commas": "X\tY\tZ\n" + rows("\t", ","),
    "blanks and decimal commas": rows(" ", ","),
    "quotes": '"x","y","z"\n' + rows('","', ",", before='"', after='"'),
    "CloudCompare": "//X Y Z Intensity\n" + rows(" ", after=" 7"),
    "time first": "//GpsTime X Y Z Intensity\n" + rows(" ", before="100{i} ", after=" 5"),
    "two comments": "// exported by X\n// X Y Z\n" + SPACES,
    "comments with numbers": "# 3 scans of 12 in x\n# 2020 11 1\n" + SPACES,
    "percent": "% x y z i\n" + rows(" ", after=" 3"),
    "semicolon comments": "; by me\n; x y z\n" + SPACES,
    "heading of another separator": "//X,Y,Z\n" + SPACES,
    "prose": "Exported by Scanner 3.1\n" + SPACES,
    "units": "X(m),Y(m),Z(m)\n" + COMMAS,
    "units apart": "X [m]  Y [m]  Z [m]\n" + SPACES,
    "units below": "x,y,z\nm,m,m\n" + COMMAS,
    "ParaView": '"N:0","N:1","N:2","Points:0","Points:1","Points:2"\n' + rows(",", before="0,0,1,"),
    "ParaView joined": "Points_0,Points_1,Points_2,Points_Magnitude\n" + rows(",", after=",9"),
    "prefixes": "t,pos_x,pos_y,pos_z\n" + rows(",", before="{i},"),
    "words": "id,X Coordinate (mm),Y Coordinate (mm),Z Coordinate (mm)\n" + rows(",", before="7,"),
    "survey": "Punkt;Rechtswert;Hochwert;Höhe\n" + rows(";", ",", before="A{i};"),
    "names of points": "name,x,y,z\n" + rows(",", before="P{i},"),
    "row names of R": '"x" "y" "z"\n' + rows(" ", before='"{i}" '),
    "DataFrame.to_string": "    x    y    z\n" + rows("   ", before="{i}  "),
    "mark of UTF-8": "\ufeffx,y,z\n" + COMMAS,
    "Windows": ("x,y,z\n" + COMMAS).replace("\n", "\r\n"),
    "old Macintosh": ("x,y,z\n" + COMMAS).replace("\n", "\r"),
    "separators behind": "x,y,z\n" + rows(",", after=","),
    "blank lines": "\n\nx,y,z\n\n" + COMMAS.replace("\n", "\n\n") + ",,\n",
    "joined files": "x,y,z\n"
    + COMMAS[: COMMAS.index("-")]
    + "x,y,z\n"
    + COMMAS[COMMAS.index("-") :],
    "comments behind": rows(" ", after=" # a point"),
    "pipes": "x|y|z\n" + rows("|"),
    "count": "4\n" + SPACES,
    "count below the heading": "//X Y Z\n4\n" + SPACES,
    "exponents": SPACES.replace("1.5 ", "15e-1 ").replace("0.5", ".5"),
}


@pytest.mark.parametrize("name", READ)
def test_tables_that_say_what_they_mean(tmp_path: Path, name: str) -> None:
    path = tmp_path / "scan.txt"
    path.write_text(READ[name], encoding="utf-8", newline="")
    assert load_points(path).tolist() == POINTS


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "scan.csv"
    path.write_text("Länge,x,y,z\n" + rows(",", before="1,"), encoding=encoding)
    assert load_points(path).tolist() == POINTS


def test_columns_stand_anywhere(tmp_path: Path) -> None:
    table = np.array(POINTS)
    for names, order in (("Z,Y,X", [2, 1, 0]), ("northing,easting,elevation", [1, 0, 2])):
        lines = [",".join(map(str, row)) for row in table[:, order]]
        (tmp_path / "a.csv").write_text("\n".join([names, *lines]))
        assert load_points(tmp_path / "a.csv").tolist() == POINTS


REFUSED = {
    "decimal commas between commas": ("x,y,z\n" + rows(",", ","), "names 3 columns.* has 6"),
    "the same without heading": (rows(",", ","), "decimal commas"),
    "thousands or decimals": ("1,234\t5,678\t9,012\n", "separate thousands"),
    "some with commas": ("1,234;5,678;999\n1,235;5,679;9,013\n", "separate thousands"),
    "thousands and decimals": ("1.234,5;5.678,5;9.0,12\n", "decimal commas"),
    "row numbers": (rows(",", before="{i},"), "row numbers"),
    "row numbers from 1000": (rows(" ", before="100{i} "), "row numbers or times"),
    "labels first": (rows(",", before="7,"), "after row numbers or labels"),
    "row and column first": (rows(" ", before="7 {i} ", after=" 1 2 30"), "the first two hold"),
    "raster": ("ncols 3\nnrows 2\ncellsize 1\n1.5 2.5 3.5\n1.5 2.5 3.5\n", "raster"),
    "names without heading": (rows(",", before="P{i},"), "line 1: 'P0'"),
    "degrees": ("lat,lon,alt\n" + COMMAS, "degrees"),
    "polar": ("range,azimuth,elevation\n" + COMMAS, "not all of x, y, z"),
    "no z": ("x,y,intensity\n" + COMMAS, "not all of x, y, z"),
    "twice": ("x,y,z,x,y,z\n" + rows(",", after=",1,2,3"), "several columns"),
    "numbered columns": (",0,1,2\n" + rows(",", before="{i},"), "counts columns"),
    "cut short": ("5\n" + SPACES, "announces 5 points and has 4"),
    "ragged": (COMMAS + "1,2\n", "line 5 has 2 columns"),
    "empty": ("x,y,z\n" + COMMAS + ",1,2\n", r"line 6: column 1 \('x'\) is empty"),
    "no number": ("x,y,z\n1,two,three\n4,5,6\n", "line 2: 'two'"),
    "underscores": ("x,y,z\n1_5,2,3\n", "line 2: '1_5'"),
    "atoms": ("2\nwater\nO 1 2 3\nH 1 2 4\n", "line 3: 'O'"),
    "not measured": ("x,y,z\nnan,1,2\n1,2,3\n", "1 of 2 points are NaN"),
    "two separators": (rows(",", after=" 255 0 0"), "is no number"),
    "normals first": (rows(" ", before="0 0 1 "), "first three columns are normals"),
    "colours first": (rows(" ", before="0 {i} 100 "), "may be colours"),
    "only a heading": ("x,y,z\n", "no points"),
    "prose": ("hello world\n", "no points"),
    "binary": ("\x00\x01\x02\x03" * 40, "is not text"),
    "another heading below": ("//X Y Z\n1 2 3\n//Z Y X\n1 2 3\n", "another heading"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_tables_that_could_mean_several_things(tmp_path: Path, name: str) -> None:
    content, says = REFUSED[name]
    path = tmp_path / "scan.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=says) as error:
        load_points(path)
    assert str(path) in str(error.value)


def test_commas_everywhere_between_semicolons_are_decimal(tmp_path: Path) -> None:
    path = tmp_path / "scan.csv"
    path.write_text("1,234;5,678;9,012\n1,235;5,679;9,013\n")
    assert load_points(path)[0].tolist() == [1.234, 5.678, 9.012]
    path.write_text("1,234;5,678;9,012\n" * 2000 + "1,235;5,679;900\n")  # beyond the first lines
    with pytest.raises(DataError, match="line 2001"):
        load_points(path)


def test_normals_and_colours_by_name_and_by_value(tmp_path: Path) -> None:
    path = tmp_path / "scan.xyz"
    path.write_text("//X Y Z R G B Nx Ny Nz\n" + rows(" ", after=" 255 0 {i} 0 0 2").format(i=7))
    cloud = load_cloud(path)
    assert cloud.colors is not None and cloud.normals is not None
    assert cloud.colors.dtype == np.uint8 and cloud.colors[0].tolist() == [255, 0, 7]
    np.testing.assert_array_equal(cloud.normals, [[0, 0, 1]] * 4)
    for after, normals, colors in (
        (" 0 0.6 0.8", True, False),
        (" 0 10 100", False, True),
        (" 0 10 100 0 0.6 0.8", True, True),
        (" 9.5 8.5 7.5", False, False),
    ):
        path.write_text(rows(" ", after=after))
        cloud = load_cloud(path)
        assert cloud.points.tolist() == POINTS
        assert (cloud.normals is not None, cloud.colors is not None) == (normals, colors)


def test_a_first_column_that_only_grows_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "scan.txt"
    times = [0.0, 0.1, 0.35, 0.4, 0.9, 1.7]
    path.write_text("".join(f"{time} 1.5 {time * time} 3.5\n" for time in times))
    load_points(path)
    assert "if it is a time" in caplog.text


@settings(max_examples=40, deadline=None)
@given(
    st.permutations(["x", "y", "z", "time", "nx", "ny", "nz", "r", "g", "b"]),
    st.sampled_from([",", ";", "\t", " ", ", "]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_any_order_of_columns(
    tmp_path_factory: pytest.TempPathFactory,
    names: list[str],
    separator: str,
    capitals: bool,
    seed: int,
) -> None:
    table = np.random.default_rng(seed).normal(size=(5, len(names))) * 1000
    path = tmp_path_factory.getbasetemp() / "table.csv"
    heading = separator.join(name.upper() if capitals else name for name in names)
    lines = [separator.join(repr(float(value)) for value in row) for row in table]
    decimal = separator in ";\t" and seed % 2 == 0
    text = "\n".join(lines).replace(".", "," if decimal else ".")
    path.write_text(f"{heading}\n{text}\n")
    logging.disable(logging.WARNING)  # of colours that are none
    cloud = load_cloud(path)
    logging.disable(logging.NOTSET)
    np.testing.assert_array_equal(cloud.points, table[:, [names.index(axis) for axis in "xyz"]])
    normals = table[:, [names.index(f"n{axis}") for axis in "xyz"]]
    expected = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    np.testing.assert_allclose(cloud.normals, expected, atol=1e-12)


@pytest.mark.parametrize(
    "names",
    ["X Y Z", "x_coord y_coord z_coord", "Points:0 Points:1 Points:2", "px py pz", "E N H",
     "x:float y:float z:float", "UTM_Easting UTM_Northing Elevation"],
)  # fmt: skip
def test_names_of_columns(names: str) -> None:
    found = find_columns(names.split(), "table")
    assert found is not None and found.points == (0, 1, 2)


@pytest.mark.parametrize("names", ["a b c", "nx ny nz", "r g b", "scale_0 scale_1 scale_2"])
def test_names_of_other_columns(names: str) -> None:
    assert find_columns(names.split(), "table") is None


PTX = """2
1
1 2 3
1 0 0
0 1 0
0 0 1
0 1 0 0
-1 0 0 0
0 0 1 0
10 20 30 1
1 0 0 0.5 255 0 0
0 0 0 0.5 0 0 0
"""


def test_ptx_is_moved_and_misses_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "scan.ptx"
    path.write_text(PTX + PTX)
    cloud = load_cloud(path)
    assert cloud.points.tolist() == [[10, 21, 30]] * 2
    assert cloud.colors is not None and cloud.colors.tolist() == [[255, 0, 0]] * 2
    path.write_text(PTX[:-25])
    with pytest.raises(DataError, match="announces 2 points"):
        load_cloud(path)
    path.write_text(SPACES)
    with pytest.raises(DataError, match="line 1 begins no scan"):
        load_cloud(path)
