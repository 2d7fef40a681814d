"""Meshes on a page of HTML, to turn with the mouse: no other file, no library, no network.

One WebGL context draws them all, because browsers allow few; each view is a canvas that its picture
is copied to. Views of one group turn together.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import trimesh

FACES = 12_000
"""Of a mesh on a page; larger ones are drawn coarser."""

_CELLS = 192  # along the longest edge, at first
_COARSER = 0.8


@dataclass
class MeshViews:
    """Collects the meshes of a page, and says where each is seen.

    Attributes:
        meshes: what was collected, as the page holds it.
    """

    meshes: list[dict[str, str | None]]

    def __init__(self) -> None:
        self.meshes = []

    def view(
        self,
        mesh: trimesh.Trimesh,
        group: int,
        label: str,
        shades: NDArray[np.floating] | None = None,  # (V,)
    ) -> str:
        """Return the element that shows a mesh.

        Args:
            mesh: in the unit frame.
            group: views of one turn together.
            label: for those who cannot see it.
            shades: of its vertices, from 0 to 1; None is grey.
        """
        colors = None
        if shades is not None:
            colors = _text(np.rint(255 * np.clip(shades, 0, 1)).astype(np.uint8))
        self.meshes.append(
            {
                "v": _text(np.asarray(mesh.vertices, dtype="<f4")),
                "f": _text(np.asarray(mesh.faces, dtype="<u4")),
                "c": colors,
            }
        )
        return (
            f'<canvas class="view" width="360" height="360" data-mesh="{len(self.meshes) - 1}" '
            f'data-group="{group}" role="img" aria-label="{escape(label)}"></canvas>'
        )

    def script(self) -> str:
        """Return the meshes and the code that draws them, for the end of the page."""
        if not self.meshes:
            return ""
        data = json.dumps(self.meshes)
        return (
            f'<script type="application/json" id="meshes">{data}</script><script>{_CODE}</script>'
        )


def for_display(mesh: trimesh.Trimesh, faces: int = FACES) -> trimesh.Trimesh:
    """Return the mesh itself, or one of at most `faces` faces that looks like it from afar.

    Vertices in one cell of a lattice become one. That closes and opens what it likes: for pictures
    alone.
    """
    import trimesh

    vertices, triangles = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    low = vertices.min(axis=0)
    extent = float((vertices.max(axis=0) - low).max())
    cells = float(_CELLS)
    while len(triangles) > faces:
        index = np.floor((np.asarray(mesh.vertices) - low) * (cells / extent)).astype(np.int64)
        _, cell, count = np.unique(index, axis=0, return_inverse=True, return_counts=True)
        cell = cell.reshape(-1)
        vertices = np.stack(
            [np.bincount(cell, mesh.vertices[:, k]) / count for k in range(3)], axis=1
        )
        triangles = np.sort(cell[np.asarray(mesh.faces)], axis=1)
        kept = (triangles[:, 0] < triangles[:, 1]) & (triangles[:, 1] < triangles[:, 2])
        triangles = np.unique(triangles[kept], axis=0)
        cells *= _COARSER
    return trimesh.Trimesh(vertices, triangles, process=False)


def _text(array: NDArray[np.generic]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


_CODE = """
(() => {
  const views = [...document.querySelectorAll("canvas.view")];
  const screen = document.createElement("canvas");
  const gl = screen.getContext("webgl2", {antialias: true, preserveDrawingBuffer: true});
  if (!gl) {
    for (const view of views) {
      const note = document.createElement("p");
      note.className = "none";
      note.textContent = "This browser draws no WebGL 2.";
      view.replaceWith(note);
    }
    return;
  }
  const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const shader = (kind, code) => {
    const made = gl.createShader(kind);
    gl.shaderSource(made, "#version 300 es\\nprecision highp float;\\n" + code);
    gl.compileShader(made);
    return made;
  };
  const program = gl.createProgram();
  gl.attachShader(program, shader(gl.VERTEX_SHADER, `
    in vec3 place; in float shade; uniform mat3 turn; uniform vec2 zoom; out vec3 at; out float far;
    void main() {
      at = turn * place; far = shade;
      gl_Position = vec4(at.xy * zoom.x, -at.z * zoom.y, 1.0);
    }`));
  gl.attachShader(program, shader(gl.FRAGMENT_SHADER, `
    in vec3 at; in float far; uniform float shaded; out vec4 color;
    void main() {
      vec3 normal = normalize(cross(dFdx(at), dFdy(at)));
      float light = 0.35 + 0.65 * abs(dot(normal, normalize(vec3(0.3, 0.5, 0.8))));
      vec3 low = vec3(0.55, 0.68, 0.86), middle = vec3(0.97, 0.85, 0.45);
      vec3 high = vec3(0.80, 0.15, 0.12);
      vec3 ramp = far < 0.5 ? mix(low, middle, 2.0 * far) : mix(middle, high, 2.0 * far - 1.0);
      color = vec4(light * mix(vec3(0.78), ramp, shaded), 1.0);
    }`));
  gl.linkProgram(program);
  gl.useProgram(program);
  gl.enable(gl.DEPTH_TEST);
  const spots = ["place", "shade"].map(name => gl.getAttribLocation(program, name));
  const [turnAt, zoomAt, shadedAt] =
    ["turn", "zoom", "shaded"].map(name => gl.getUniformLocation(program, name));
  const meshes = JSON.parse(document.getElementById("meshes").textContent).map(mesh => {
    const array = gl.createVertexArray();
    gl.bindVertexArray(array);
    const fill = (target, data) => {
      gl.bindBuffer(target, gl.createBuffer());
      gl.bufferData(target, data, gl.STATIC_DRAW);
    };
    fill(gl.ARRAY_BUFFER, bytes(mesh.v));
    gl.enableVertexAttribArray(spots[0]);
    gl.vertexAttribPointer(spots[0], 3, gl.FLOAT, false, 0, 0);
    if (mesh.c) {
      fill(gl.ARRAY_BUFFER, bytes(mesh.c));
      gl.enableVertexAttribArray(spots[1]);
      gl.vertexAttribPointer(spots[1], 1, gl.UNSIGNED_BYTE, true, 0, 0);
    }
    const faces = bytes(mesh.f);
    fill(gl.ELEMENT_ARRAY_BUFFER, faces);
    return {array, count: faces.length / 4, shaded: mesh.c ? 1 : 0};
  });
  const poses = {};
  const pose = view => poses[view.dataset.group] ??= {a: 0.6, b: 0.45, zoom: 1.3};
  const draw = view => {
    const {a, b, zoom} = pose(view), mesh = meshes[view.dataset.mesh];
    const [ca, sa, cb, sb] = [Math.cos(a), Math.sin(a), Math.cos(b), Math.sin(b)];
    if (screen.width !== view.width) screen.width = view.width;
    if (screen.height !== view.height) screen.height = view.height;
    gl.viewport(0, 0, screen.width, screen.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.uniformMatrix3fv(turnAt, false, [ca, sa * sb, -sa * cb, 0, cb, sb, sa, -ca * sb, ca * cb]);
    gl.uniform2f(zoomAt, zoom, 0.2);
    gl.uniform1f(shadedAt, mesh.shaded);
    gl.bindVertexArray(mesh.array);
    gl.drawElements(gl.TRIANGLES, mesh.count, gl.UNSIGNED_INT, 0);
    const paper = view.getContext("2d");
    paper.clearRect(0, 0, view.width, view.height);
    paper.drawImage(screen, 0, 0);
    view.dataset.drawn = "yes";
  };
  const group = view => views.filter(other => other.dataset.group === view.dataset.group);
  for (const view of views) {
    view.addEventListener("pointermove", event => {
      if (!event.buttons) return;
      const at = pose(view);
      at.a += event.movementX * 0.01;
      at.b = Math.max(-1.57, Math.min(1.57, at.b + event.movementY * 0.01));
      group(view).forEach(draw);
    });
    view.addEventListener("pointerdown", event => view.setPointerCapture(event.pointerId));
    view.addEventListener("wheel", event => {
      event.preventDefault();
      pose(view).zoom *= Math.exp(-event.deltaY * 0.001);
      group(view).forEach(draw);
    }, {passive: false});
    draw(view);
  }
})();
"""
