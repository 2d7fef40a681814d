"""A baked GLB in a browser looks as we draw it.

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
  gltf.scene.traverse(o => { if (o.isMesh) o.material = new THREE.MeshBasicMaterial({
    map: o.material.map, color: o.material.color, vertexColors: o.material.vertexColors,
    side: THREE.DoubleSide}); });
  const scene = new THREE.Scene();
  scene.add(gltf.scene);
  renderer.render(scene, camera);
  const out = document.createElement("pre");
  out.textContent = renderer.domElement.toDataURL("image/png");
  document.body.append(out);
}, error => { document.body.append("failed " + error); });
</script></body>"""


def in_browser(glb: Path, camera: Camera, folder: Path) -> NDArray[np.uint8]:
    """What three.js shows of a file, (SIZE, SIZE, 4), without light."""
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
    found = re.search(r"data:image/png;base64,([^<]+)", done.stdout)
    assert found, done.stdout[-500:] + done.stderr[-2000:]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1]))).convert("RGBA"))


def compared(glb: Path, folder: Path) -> float:
    """The mean difference in levels of 255, where both show nothing but the object."""
    textured = load_textured(glb)
    camera = ring_cameras(textured.mesh.bounds, 5, SIZE)[1]
    ours = render_textured(textured, camera, SIZE).image
    theirs = in_browser(glb, camera, folder)
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
