"""A baked or animated GLB in a browser looks as we draw it.

Needs Chromium, and the npm package `three` in `node_modules` or in the folder that THREE names.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray
from PIL import Image

from onet.geometry.cameras import Camera, ring_cameras
from onet.geometry.color.baking import bake
from onet.geometry.color.textured_files import load_textured
from onet.geometry.color.views import render_textured
from onet.geometry.mesh_io import save_mesh
from onet.geometry.sequences.moving_mesh import MovingMesh
from onet.geometry.sequences.reading import read_sequence
from onet.geometry.sequences.writing import save_animation

SIZE = 256
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
ROOT = Path(__file__).parents[1]
THREE = Path(os.environ.get("THREE", ROOT / "node_modules" / "three"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium"),
    pytest.mark.skipif(not (THREE / "build").is_dir(), reason="no npm package three"),
]

PAGE = """<!DOCTYPE html><body><script type="importmap">{"imports": {
"three": "%(three)s/build/three.module.js"}}</script><script type="module">
import * as THREE from "three";
import {GLTFLoader} from "%(three)s/examples/jsm/loaders/GLTFLoader.js";
window.createImageBitmap = undefined;  // nothing waits for bitmaps, but for pictures
const bytes = Uint8Array.from(atob("%(glb)s"), c => c.charCodeAt(0));
const renderer = new THREE.WebGLRenderer({
  antialias: true, preserveDrawingBuffer: true, alpha: true});
renderer.setSize(%(size)d, %(size)d, false);
const camera = new THREE.PerspectiveCamera();
camera.matrixAutoUpdate = false;
camera.matrix.fromArray(%(pose)s).invert();
camera.updateMatrixWorld(true);
camera.projectionMatrix.fromArray(%(projection)s);
camera.projectionMatrixInverse.copy(camera.projectionMatrix).invert();
new GLTFLoader().parse(bytes.buffer, "", gltf => {
  gltf.scene.traverse(o => { if (o.isMesh) o.material = gltf.animations.length
    ? new THREE.MeshNormalMaterial({flatShading: true})
    : new THREE.MeshBasicMaterial({
      map: o.material.map, color: o.material.color, vertexColors: o.material.vertexColors,
      side: THREE.DoubleSide}); });
  const scene = new THREE.Scene();
  scene.add(gltf.scene);
  const mixer = new THREE.AnimationMixer(gltf.scene);
  for (const clip of gltf.animations) {
    const action = mixer.clipAction(clip).setLoop(THREE.LoopOnce);
    action.clampWhenFinished = true;
    action.play();
  }
  for (const time of %(times)s) {
    mixer.setTime(time);
    renderer.render(scene, camera);
    const out = document.createElement("pre");
    out.textContent = renderer.domElement.toDataURL("image/png");
    document.body.append(out);
  }
}, error => { document.body.append("failed " + error); });
</script></body>"""


def in_browser(
    glb: Path, camera: Camera, folder: Path, times: Sequence[float] = (0,)
) -> list[NDArray[np.uint8]]:
    """What three.js shows of a file at times of its animation, (SIZE, SIZE, 4) each.

    Without light; an animated mesh in the colours of the normals of its faces.
    """
    flip = np.diag([1.0, -1.0, -1.0])
    pose = np.vstack([flip @ camera.pose, [0, 0, 0, 1]])
    depth = np.linalg.norm(camera.centre)
    near, far = 0.01 * depth, 10 * depth
    focal = 2 * camera.intrinsics[0, 0] / SIZE
    projection = np.diag([focal, focal, (near + far) / (near - far), 0.0])
    projection[2, 3], projection[3, 2] = 2 * near * far / (near - far), -1.0
    page = folder / "page.html"
    values = {
        "three": THREE.resolve().as_uri(),
        "glb": base64.b64encode(glb.read_bytes()).decode(),
        "size": SIZE,
        "times": json.dumps(list(times)),
        "pose": json.dumps(pose.T.reshape(-1).tolist()),
        "projection": json.dumps(projection.T.reshape(-1).tolist()),
    }
    page.write_text(PAGE % values)
    options = "--headless --no-sandbox --use-angle=swiftshader --enable-unsafe-swiftshader"
    more = f"--allow-file-access-from-files --virtual-time-budget=20000 --user-data-dir={folder}/b"
    done = subprocess.run(
        [str(BROWSER), *options.split(), *more.split(), "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    found = re.findall(r"data:image/png;base64,([^<]+)", done.stdout)
    assert len(found) == len(times), done.stdout[-500:] + done.stderr[-2000:]
    files = [io.BytesIO(base64.b64decode(text)) for text in found]
    return [np.asarray(Image.open(file).convert("RGBA")) for file in files]


def compared(glb: Path, folder: Path) -> float:
    """The mean difference in levels of 255, where both show nothing but the object."""
    textured = load_textured(glb)
    camera = ring_cameras(textured.mesh.bounds, 5, SIZE)[1]
    ours = render_textured(textured, camera, SIZE).image
    theirs = in_browser(glb, camera, folder)[0]
    both = (ours[..., 3] == 255) & (theirs[..., 3] == 255)
    assert both.sum() > 0.95 * (ours[..., 3] == 255).sum() > 1000
    if "PICTURE" in os.environ:
        Image.fromarray(np.hstack([ours, theirs])).save(os.environ["PICTURE"])
    return float(np.abs(ours.astype(float) - theirs)[both][:, :3].mean())


def stripes(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 + 0.5 * np.sin(np.asarray(points) * 12 + [0, 1, 2])


def ball() -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=0.5)
    mesh.apply_scale([1, 0.7, 0.5])
    return mesh


def test_a_baked_texture(tmp_path: Path) -> None:
    glb = bake(ball(), stripes, 512).save(tmp_path / "a.glb")
    assert compared(glb, tmp_path) < 3


def test_colours_of_vertices(tmp_path: Path) -> None:
    mesh = ball().subdivide()
    mesh.visual.vertex_colors = np.round(255 * stripes(mesh.vertices)).astype(np.uint8)
    assert compared(save_mesh(mesh, tmp_path / "a.glb"), tmp_path) < 3


@pytest.mark.skipif("GLB" not in os.environ, reason="no file named by GLB")
def test_a_file_of_ones_own(tmp_path: Path) -> None:
    assert compared(Path(os.environ["GLB"]), tmp_path) < 3


def drawn(moving: MovingMesh, time: float, camera: Camera, folder: Path) -> NDArray[np.uint8]:
    """Our picture of a moving mesh at a time, in the colours of the normals of its faces."""
    mesh = trimesh.Trimesh(moving.at(np.array([time])).vertices[0], moving.faces[0], process=False)
    normals = mesh.face_normals @ (np.diag([1.0, -1.0, -1.0]) @ camera.pose[:, :3]).T
    apart = trimesh.Trimesh(
        mesh.triangles.reshape(-1, 3), np.arange(3 * len(mesh.faces)).reshape(-1, 3), process=False
    )
    apart.visual.vertex_colors = np.repeat(np.round(255 * (normals / 2 + 0.5)), 3, 0).astype("u1")
    textured = load_textured(save_mesh(apart, folder / "apart.glb"))
    return render_textured(textured, camera, SIZE).image


def differing(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """The mean difference in levels of 255, transparent places in black."""
    shown = [p[..., :3] * (p[..., 3:] / 255.0) for p in (a, b)]
    return float(np.abs(shown[0] - shown[1]).mean())


def compared_over_time(glb: Path, moving: MovingMesh, folder: Path, least: float) -> None:
    """A browser plays what we draw: at the start, between frames, and at the end.

    Pictures of different times differ by `least` or more.
    """
    begin, end = moving.times[0], moving.times[-1]
    times = [begin, begin + 0.37 * (end - begin), end]
    everything = np.concatenate(moving.vertices)
    box = np.array([everything.min(axis=0), everything.max(axis=0)])
    camera = ring_cameras(box, 5, SIZE)[1]
    ours = [drawn(moving, time, camera, folder) for time in times]
    theirs = in_browser(glb, camera, folder, [time - begin for time in times])
    if "PICTURE" in os.environ:
        rows = [np.hstack(pictures) for pictures in (ours, theirs)]
        Image.fromarray(np.vstack(rows)).save(os.environ["PICTURE"])
    for a, b in ((0, 1), (1, 2), (0, 2)):
        moved = differing(ours[a], ours[b])
        assert moved > least
        assert differing(theirs[a], theirs[b]) == pytest.approx(moved, rel=0.05, abs=0.05)
    for our, their in zip(ours, theirs, strict=True):
        assert differing(our, their) < 1


def test_an_animation(tmp_path: Path) -> None:
    mesh = ball()
    places = [
        mesh.vertices * [1, 1 + 0.5 * k, 1] + [0.1 * k, 0, 0.2 * mesh.vertices[:, 0].max() * k]
        for k in range(3)
    ]
    places[1] = places[1] + 0.2 * np.sin(4 * mesh.vertices[:, :1]) * [0, 0, 1]
    moving = MovingMesh(places, [np.asarray(mesh.faces)] * 3, np.array([2.0, 2.4, 3.0]), "ball")
    compared_over_time(save_animation(moving, tmp_path / "a.glb"), moving, tmp_path, 3)


@pytest.mark.skipif("ANIMATION" not in os.environ, reason="no file named by ANIMATION")
def test_an_animation_of_ones_own(tmp_path: Path) -> None:
    glb = Path(os.environ["ANIMATION"])
    compared_over_time(glb, read_sequence(glb, fps=60), tmp_path, 0)
