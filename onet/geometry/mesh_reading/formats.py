"""Formats of three-dimensional files: those that are read, and those that are not."""

from __future__ import annotations

import re

READERS = {
    ".obj": "obj",
    ".ply": "ply",
    ".off": "off",
    ".stl": "stl",
    ".stl_ascii": "stl",
    ".glb": "gltf",
    ".gltf": "gltf",
    ".3mf": "threemf",
    ".dae": "collada",
}
"""Module that reads each format."""

_SOLIDS = """
    .step .stp .stpz .p21 .iges .igs .brep .brp .sat .sab .x_t .x_b .sldprt .sldasm .ipt .iam .prt
    .asm .catpart .catproduct .jt .fcstd .f3d .3dm .ifc .dwg .dxf .scad .skp .rvt .3dxml
"""
_SCENES = """
    .fbx .blend .usd .usda .usdc .usdz .x3d .x3db .x3dv .wrl .vrml .wrz .3ds .max .ma .mb .c4d .lwo
    .lws .abc .x .ac .b3d .md2 .md3 .md5mesh .ms3d .mesh .ase .cob .dff .nff .smd .pmx .pmd .ogex
    .amf .ctm .drc .m3d .iqm .vrm .u3d .zae .xaml .ztl .kmz .sh3f .msh .vtk .vtp .vtu .gts .gii
"""
_PACKED = ".gz .zip .7z .rar .tar .tgz .bz2 .xz .zst .lzma"
_POINTS = ".xyz .las .laz .pcd .e57 .pts .ptx .vox .vdb .nrrd .splat"

_ADVICE = {
    _SOLIDS: "turn it into triangles with FreeCAD or Gmsh, and export it as .stl",
    _SCENES: "open it in Blender or MeshLab, and export it as .glb, .ply or .obj",
    _PACKED: "unpack it",
    _POINTS: "it holds points or a volume; make a surface of it, and export it as .ply",
}

_PARTS = """
    .mtl .bin .png .jpg .jpeg .jpe .tga .bmp .gif .tif .tiff .webp .dds .ktx .ktx2 .hdr .exr .psd
    .xcf .svg .ico .basis .pbm .pgm .ppm .material .sdf .urdf .xacro .binvox
"""
_TEXTS = """
    .txt .md .rst .csv .tsv .json .jsonl .yaml .yml .xml .toml .ini .cfg .conf .log .lst .html .htm
    .css .pdf .doc .docx .odt .rtf .tex .bib .xls .xlsx .ods .sha256 .md5 .sum .lock .license
"""
_REST = """
    .npy .npz .h5 .hdf5 .mat .pt .pth .pkl .parquet .mp4 .avi .mov .webm .mkv .wav .mp3 .ogg .py
    .ipynb .sh .bat .m .js .c .cpp .h .hpp .cmake .pyc .bak .tmp .part .swp .old .orig .blend1 .db
    .url .lnk .torrent .sqlite .dvc
"""
_OTHERS = frozenset((_PARTS + _TEXTS + _REST).split())
"""What lies beside meshes and is none."""


def unread_format(name: str) -> str | None:
    """Return the format of a file that may be a mesh and is not read, such as `.fbx`, `.obj.gz`.

    None where the format is read, and for what is no mesh: texts, pictures, materials, tables,
    files without a suffix.
    """
    stem, dot, last = name.lower().rpartition(".")
    suffix = dot + last
    if not stem or suffix in READERS or suffix in _OTHERS or not last.strip():
        return None
    if suffix in _PACKED.split():
        inner = "." + stem.rpartition(".")[2] if "." in stem else ""
        return inner + suffix if inner in READERS or inner in _known() else suffix
    return suffix


def advice(suffix: str) -> str:
    """Return what to do with a file of a format that is not read."""
    last = "." + suffix.rpartition(".")[2]
    for suffixes, text in _ADVICE.items():
        if last in suffixes.split():
            return text
    return f"export it as one of {', '.join(READERS)}"


def is_suffix(suffix: str) -> bool:
    """Return whether files of any known format, not only of meshes, have this suffix."""
    suffix = suffix.lower()
    return suffix in READERS or suffix in _OTHERS or suffix in _known()


def _known() -> frozenset[str]:
    return frozenset(suffix for suffixes in _ADVICE for suffix in suffixes.split())


_BEGINNINGS: tuple[tuple[bytes, str], ...] = (  # and the suffixes that such files have
    (rb"ply\s", ".ply"),
    (rb"glTF", ".glb .gltf"),
    (rb"\s*\{.*\"asset\"", ".gltf .glb"),
    (rb"\s*(?:ST)?[CN4n]*OFF\b", ".off"),
    (rb"\s*solid\b.*\bfacet\s+normal\b", ".stl .stl_ascii"),
    (rb".{0,200}<COLLADA\b", ".dae"),
    (rb"PK\x03\x04", ".3mf .npz .zip"),
    (rb"LASF", ".las .laz"),
    (rb"(?:#[^\n]*\n)?VERSION\s+0?\.\d", ".pcd"),
    (rb"# \.PCD", ".pcd"),
    (rb"ASTM-E57", ".e57"),
    (rb"\x93NUMPY", ".npy"),
    (rb"#binvox", ".binvox"),
    (rb"Kaydara FBX", ".fbx"),
    (rb"BLENDER", ".blend"),
    (rb"ISO-10303-21", ".step .stp"),
    (rb"#VRML", ".wrl"),
    (rb"\x89PNG", ".png"),
    (rb"\xff\xd8\xff", ".jpg .jpeg"),
)


def begins_as(content: bytes, suffix: str) -> str | None:
    """Return the suffix of the format that a content begins as, if it is another than `suffix`.

    For files that could not be read: what begins so is not surely of that format.
    """
    start = content[:4096].removeprefix(b"\xef\xbb\xbf")
    for beginning, suffixes in _BEGINNINGS:
        if re.match(beginning, start, re.DOTALL):
            return None if suffix.lower() in suffixes.split() else suffixes.split()[0]
    return None
