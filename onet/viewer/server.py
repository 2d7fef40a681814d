"""Entries in the browser, by viser: a list, sliders, colours, pictures and GLB files to keep."""

from __future__ import annotations

import getpass
import io
import logging
import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image

from onet.errors import MissingDependency, OnetError
from onet.geometry.color.srgb import LINEAR_OF_BYTE
from onet.geometry.mesh_writing import points_ply, save_mesh
from onet.geometry.normalization import UnitFrame
from onet.report.mesh_viewer import COLORS
from onet.report.shape import Shape, limits_of
from onet.viewer.entry import MADE, Entry, Panel
from onet.viewer.export import colors_of, frames_of, panels_of
from onet.viewer.reading import made_shape

logger = logging.getLogger(__name__)

GAP = 1.25
"""From the middle of a panel to the next, where the longest edge is 1."""

FRAMES_A_SECOND = 15
GREY, ORANGE = (140, 155, 188), (217, 84, 26)
ANGLE = 0.7
"""Of the camera, from its lower to its upper edge, in radians."""
RAMP = np.array([[140, 173, 219], [247, 217, 115], [204, 38, 31]], np.float64)
"""Colours of the least, the middle and the largest number, as on pages."""

NONE = "none"
_RESOLUTIONS = (16, 256)
_TICK = 0.05  # seconds


def check_library() -> Any:
    """Return the library.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        import viser
    except ImportError as error:
        raise MissingDependency(
            f"the viewer needs viser ({error}); pip install 'onet[viewer]', or write a page, which "
            "needs nothing: --export page.html"
        ) from error
    return viser


class Viewer:
    """A server with entries to look at.

    Attributes:
        server: of viser.
        message: what went wrong last, or what is seen; empty at first.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        *,
        port: int,
        host: str = "127.0.0.1",
        up: Literal["x", "y", "z"] = "y",
    ) -> None:
        self.entries = list(entries)
        library = check_library()
        logging.getLogger("websockets").setLevel(logging.WARNING)  # tells of every connection
        with redirect_stdout(io.StringIO()):  # which tells a URL, but not how to come there
            self.server = library.ViserServer(host=host, port=port, label="onet", verbose=False)
        self.message = ""
        self._up: Any = up
        self._panels: list[Panel] = []
        self._frames: list[UnitFrame | None] = []
        self._limits: dict[str, float] = {}
        self._handles: list[Any] = []
        self._shown = threading.RLock()
        self._wanted = threading.Event()
        self._busy = threading.Event()
        self._end = threading.Event()
        self._offering = False
        self._made: Any = None
        self._controls()
        self._choose()
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._extracting, self._play)
        ]
        for thread in self._threads:
            thread.start()

    # -- where it is, and how long --------------------------------------------------------------

    def where(self) -> str:
        """Return what to open, and how through SSH."""
        port, host = self.server.get_port(), self.server.get_host()
        own = host in ("127.0.0.1", "localhost")
        name = "localhost" if own else socket.gethostname()
        lines = f"open http://{name}:{port} in a browser; Ctrl-C ends"
        if own:
            name = f"{getpass.getuser()}@{socket.gethostname()}"
            lines += f"\nfrom another machine: ssh -L {port}:localhost:{port} {name}"
            if os.environ.get("SSH_CONNECTION"):
                lines += "\n(this is such a session: run that line on the machine in front of you)"
        return lines

    def wait(self) -> None:
        """Serve until the program is stopped."""
        while not self._end.is_set():
            time.sleep(_TICK)

    def stop(self) -> None:
        """End the server."""
        self._end.set()
        self._wanted.set()
        with redirect_stdout(io.StringIO()):
            self.server.stop()

    @property
    def settled(self) -> bool:
        """Whether nothing is being extracted."""
        return not (self._wanted.is_set() or self._busy.is_set())

    # -- controls -------------------------------------------------------------------------------

    def _controls(self) -> None:
        gui = self.server.gui
        gui.configure_theme(show_logo=False, show_share_button=False)
        gui.main_panel.dock_right()
        names = _numbered([entry.name for entry in self.entries])
        self._numbers = {name: number for number, name in enumerate(names)}
        self.item = gui.add_dropdown("item", names, initial_value=names[0])
        self.item.visible = len(names) > 1
        self.colors = gui.add_dropdown("colours", (NONE,), initial_value=NONE)
        self.time = gui.add_slider("time", 0, 1, 1, 0)
        self.play = gui.add_checkbox("play", False)
        with gui.add_folder("surface") as self.surface:
            self.probability = gui.add_slider("probability", 0.01, 0.99, 0.01, 0.5)
            self.resolution = gui.add_slider("resolution", *_RESOLUTIONS, 8, 32)
            self.toward = gui.add_dropdown("blend with", (NONE,), initial_value=NONE)
            self.share = gui.add_slider("share of it", 0.0, 1.0, 0.02, 0.0)
        self.upward = gui.add_dropdown("up", ("x", "y", "z"), initial_value=self._up)
        self.told = gui.add_markdown("")
        self.picture = gui.add_button("Save picture")
        self.glb = gui.add_button("Save GLB")
        self.item.on_update(lambda _: self._choose())
        self.colors.on_update(lambda _: self._draw())
        self.time.on_update(lambda _: self._draw())
        self.upward.on_update(lambda _: self._turn())
        for slider in (self.probability, self.resolution, self.toward, self.share):
            slider.on_update(lambda _: self._ask())
        self.picture.on_click(self._save_picture)
        self.glb.on_click(self._save_glb)
        self._turn()

    def _turn(self) -> None:
        """Let the chosen axis point upward, and look from the front."""
        self._up = self.upward.value
        self.server.scene.set_up_direction(f"+{self._up}")
        with self._shown:
            count = max(1, len(self._panels))
        away = max(1.15, 0.66 * count) / (1.3 * np.tan(ANGLE / 2))
        middle = self._right() * GAP * (count - 1) / 2
        seen_from = middle + self._toward_viewer() * away + self._upward() * 0.35 * away
        self.server.initial_camera.position = tuple(seen_from)
        self.server.initial_camera.look_at = tuple(middle)
        self.server.initial_camera.fov = ANGLE
        for client in self.server.get_clients().values():
            with client.atomic():
                client.camera.position = tuple(seen_from)
                client.camera.look_at = tuple(middle)
        self._draw()

    def _upward(self) -> NDArray[np.float64]:
        return np.eye(3)["xyz".index(self._up)]

    def _right(self) -> NDArray[np.float64]:
        return np.eye(3)[1 if self._up == "x" else 0]

    def _toward_viewer(self) -> NDArray[np.float64]:
        return np.cross(self._right(), self._upward())

    @property
    def entry(self) -> Entry:
        """What is looked at."""
        return self.entries[self._numbers[self.item.value]]

    def _choose(self) -> None:
        """Read the chosen entry, and offer what it has."""
        entry = self.entry
        panels = panels_of(entry)
        with self._shown:
            count = len(self._panels)
            self._panels, self._frames = panels, frames_of(panels)
            self._limits = limits_of(shape for panel in panels for shape in panel.frames)
        steps = max(len(panel.frames) for panel in panels)
        self.play.value = False
        self.time.visible = self.play.visible = steps > 1
        if steps > 1:
            moving = max(panels, key=lambda panel: len(panel.frames))
            self.time.value = 0
            self.time.label, self.time.max = moving.axis, steps - 1
        found = [*dict.fromkeys(colors_of(panels)), NONE]
        before = self.colors.value
        self.colors.options = tuple(found)
        self.colors.value = before if before in found and before != NONE else found[0]
        self.colors.visible = len(found) > 1
        self._offer(entry)
        self.message = ""
        if len(panels) != count:
            self._turn()
        self._draw()

    def _offer(self, entry: Entry) -> None:
        """Set the sliders to what an entry was made with; hide them where nothing makes it."""
        live = entry.live
        self.surface.visible = live is not None
        if live is None:
            return
        others = [name for name, k in self._numbers.items() if self.entries[k].live is live]
        self._offering = True
        self.toward.visible = self.share.visible = live.blends and len(others) > 1
        self.toward.options = (NONE, *others)
        self.toward.value, self.share.value = NONE, 0.0
        self.resolution.min = min(_RESOLUTIONS[0], live.resolution)
        self.resolution.max = max(_RESOLUTIONS[1], live.resolution)
        self.probability.value = round(live.probability, 2)
        self.resolution.value = live.resolution
        self._made = self._asked()
        self._offering = False

    def _asked(self) -> tuple[Any, ...]:
        """Return what the sliders ask for."""
        sliders = (self.probability, self.resolution, self.toward, self.share)
        return (self.item.value, *(slider.value for slider in sliders))

    # -- what is drawn --------------------------------------------------------------------------

    def _draw(self) -> None:
        with self._shown, self.server.atomic():
            for handle in self._handles:
                handle.remove()
            self._handles = []
            for number, (panel, frame) in enumerate(zip(self._panels, self._frames, strict=True)):
                where = self._right() * GAP * number
                self._handles += self._drawn(panel, frame, f"/panel{number}", where)
        self._tell()

    def _drawn(
        self, panel: Panel, frame: UnitFrame | None, name: str, where: NDArray[np.float64]
    ) -> list[Any]:
        scene, words = self.server.scene, panel.title
        parts: list[Any] = []
        if panel.picture is not None:
            pixels = np.asarray(panel.picture.convert("RGB"))
            high, wide = pixels.shape[:2]
            size = max(high, wide)
            turned = self._facing()
            parts.append(scene.add_image(f"{name}/picture", pixels, wide / size, high / size,
                                         wxyz=turned, position=tuple(where)))  # fmt: skip
        elif panel.frames and frame is not None:
            shape = panel.frames[min(int(self.time.value), len(panel.frames) - 1)]
            parts.append(self._shape(shape.to_unit(frame), name, where))
        else:
            words += f": {panel.reason[:120]}"
        below = tuple(where - self._upward() * 0.68)
        parts.append(scene.add_label(f"{name}/label", words, position=below, anchor="top-center"))
        return parts

    def _facing(self) -> tuple[float, float, float, float]:
        """Return the rotation (w, x, y, z) that lets a picture face who looks from the front."""
        columns = np.stack([self._right(), -self._upward(), -self._toward_viewer()], axis=1)
        matrix = np.eye(4)
        matrix[:3, :3] = columns
        w, x, y, z = trimesh.transformations.quaternion_from_matrix(matrix)
        return float(w), float(x), float(y), float(z)

    def _shape(self, shape: Shape, name: str, where: NDArray[np.float64]) -> Any:
        colors = painted(shape, self.colors.value, self._limits)
        if not len(shape.faces):
            plain = ORANGE if colors is None else colors
            size = 0.006 if len(shape.vertices) > 20_000 else 0.011
            return self.server.scene.add_point_cloud(
                f"{name}/points", shape.vertices.astype(np.float32), plain, point_size=size,
                position=tuple(where), point_shape="circle",
            )  # fmt: skip
        if colors is None:
            return self.server.scene.add_mesh_simple(
                f"{name}/mesh", shape.vertices.astype(np.float32), shape.faces.astype(np.uint32),
                color=GREY, side="double", position=tuple(where), cast_shadow=False,
            )  # fmt: skip
        mesh = trimesh.Trimesh(shape.vertices, shape.faces, process=False)
        light = np.rint(255 * LINEAR_OF_BYTE[colors]).astype(np.uint8)  # as glTF means them
        mesh.visual = trimesh.visual.ColorVisuals(mesh, vertex_colors=light)
        return self.server.scene.add_mesh_trimesh(
            f"{name}/mesh", mesh, position=tuple(where), cast_shadow=False
        )

    def _tell(self) -> None:
        """Write what is seen below the controls."""
        lines = []
        for panel in self._panels:
            if panel.frames:
                number = min(int(self.time.value), len(panel.frames) - 1)
                shape = panel.frames[number]
                count = f"{len(shape.vertices):,}"
                if len(shape.faces):
                    what = f"{count} vertices, {len(shape.faces):,} faces"
                else:
                    what = f"{count} points"
                at = f", {panel.axis} {panel.labels[number]}" if len(panel.frames) > 1 else ""
                lines.append(f"**{panel.title}**: {what}{at}")
            elif panel.reason:
                lines.append(f"**{panel.title}**: {panel.reason}")
        if self.colors.value not in (NONE, COLORS):
            by = self.colors.value
            if by in self._limits:  # a surface made again has no uncertainty
                lines.append(f"{by}: blue 0, red {self._limits[by]:.3g}")
        if self.message:
            lines.append(f"*{self.message}*")
        self.told.content = "\n\n".join(lines)

    # -- surfaces made again --------------------------------------------------------------------

    def _ask(self) -> None:
        """Ask for another surface, unless that of the sliders is there."""
        if self.entry.live is not None and not self._offering and self._asked() != self._made:
            self._wanted.set()

    def _extracting(self) -> None:
        """Make the surface that the sliders ask for; only the last one, where they move fast."""
        while True:
            self._wanted.wait()
            if self._end.is_set():
                return
            self._busy.set()
            self._wanted.clear()
            try:
                self._extract()
            except Exception as error:  # of any kind: the thread has to be there for the next one
                logger.exception("the surface of %s cannot be made", self.item.value)
                self.message = f"cannot be extracted: {error}"
                self._tell()
            finally:
                self._busy.clear()

    def _extract(self) -> None:
        entry, start = self.entry, time.monotonic()
        if entry.live is None:
            return
        self._made = self._asked()
        toward = self.toward.value
        other = "" if toward == NONE else self.entries[self._numbers[toward]].key
        self.message = "extracting ..."
        self._tell()
        try:
            mesh = entry.live.mesh(
                entry.key, float(self.probability.value), int(self.resolution.value), other,
                float(self.share.value),
            )  # fmt: skip
        except (OnetError, OSError) as error:
            self.message = f"cannot be extracted: {error}"
            self._tell()
            return
        if entry is not self.entry:
            return  # something else is looked at by now
        self.message = f"extracted in {time.monotonic() - start:.1f} s"
        if not len(mesh.faces):
            self.message = "no surface at this probability"
            self._tell()
            return
        with self._shown:
            self._panels = [
                replace(panel, frames=[made_shape(mesh)]) if self._is_made(panel) else panel
                for panel in self._panels
            ]
            self._limits = limits_of(shape for panel in self._panels for shape in panel.frames)
        self._draw()

    @staticmethod
    def _is_made(panel: Panel) -> bool:
        return panel.title == MADE

    def _play(self) -> None:
        """Move the slider of time while it plays."""
        while not self._end.wait(1 / FRAMES_A_SECOND):
            if self.play.value and self.time.visible:
                self.time.value = (int(self.time.value) + 1) % (int(self.time.max) + 1)

    # -- to keep --------------------------------------------------------------------------------

    def _save_picture(self, event: Any) -> None:
        client = event.client
        if client is None:
            return
        camera = client.camera
        pixels = client.get_render(
            height=camera.image_height, width=camera.image_width, transport_format="png"
        )
        content = io.BytesIO()
        image = Image.fromarray(pixels)
        if image.mode == "RGBA":
            white = Image.new("RGBA", image.size, "white")
            white.alpha_composite(image)
            image = white.convert("RGB")
        image.save(content, format="PNG")
        client.send_file_download(f"{self._stem()}.png", content.getvalue(), save_immediately=True)

    def _save_glb(self, event: Any) -> None:
        """Send what was made last, or the last mesh or cloud, in its own frame."""
        if event.client is None:
            return
        name, content = self.kept()
        event.client.send_file_download(name, content, save_immediately=True)

    def kept(self) -> tuple[str, bytes]:
        """Return name and content of the file of what is seen: the reconstruction, else the first
        mesh as GLB; a cloud as PLY.
        """
        with self._shown:
            shapes = [
                (not self._is_made(panel), not len(shape.faces), shape)
                for panel in self._panels
                for shape in [*panel.frames][int(self.time.value) :][:1] or [*panel.frames][-1:]
            ]
        if not shapes:
            self.message = "there is no mesh to save"
            self._tell()
            return "nothing.txt", b"there is no mesh to save\n"
        shape = min(shapes, key=lambda row: row[:2])[2]
        if not len(shape.faces):
            return f"{self._stem()}.ply", points_ply(shape.vertices, colors=shape.colors)
        mesh = trimesh.Trimesh(shape.vertices, shape.faces, process=False)
        if shape.colors is not None:
            mesh.visual = trimesh.visual.ColorVisuals(mesh, vertex_colors=shape.colors)
        for key, values in shape.shades.items():
            mesh.vertex_attributes[key] = values.astype(np.float32)
        with TemporaryDirectory() as folder:
            return f"{self._stem()}.glb", save_mesh(mesh, Path(folder) / "mesh.glb").read_bytes()

    def _stem(self) -> str:
        name = self.entry.name.split(" | ")[0]
        return Path(name).stem or "mesh"


def painted(shape: Shape, by: str, limits: Mapping[str, float]) -> NDArray[np.uint8] | None:
    """Return the colours (V, 3) of the vertices by what is chosen; None where it has none.

    Args:
        shape: what is drawn.
        by: `COLORS`, or the name of a shade.
        limits: the number that gets the last colour, by the name of the shade.
    """
    if by == COLORS:
        return shape.colors
    if by not in shape.shades:
        return None
    values = shape.shades[by]
    limit = limits[by]
    share = 2 * np.clip(np.nan_to_num(values, nan=limit) / limit, 0, 1)
    low = np.minimum(share.astype(int), 1)
    part = (share - low)[:, None]
    return np.rint(RAMP[low] * (1 - part) + RAMP[low + 1] * part).astype(np.uint8)


def _numbered(names: Sequence[str]) -> list[str]:
    """Return names that differ, those that are there already with a number behind."""
    found: dict[str, int] = {}
    result = []
    for name in names:
        found[name] = found.get(name, 0) + 1
        result.append(name if found[name] == 1 else f"{name} ({found[name]})")
    return result
