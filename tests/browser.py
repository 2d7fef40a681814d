"""Chromium without a window, for tests that look at pages as people do: load, click, drag, see."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
OPTIONS = (
    "--headless=new --no-sandbox --use-angle=swiftshader --enable-unsafe-swiftshader "
    "--disable-gpu-sandbox --no-first-run --disable-extensions --disable-background-networking "
    "--remote-debugging-port=0"
)
SECONDS = 60


class Tab:
    """A page: what was logged as an error, and what was asked of the network, is kept."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._number = 0
        self.errors: list[str] = []
        self.asked: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=SECONDS))
            self._note(message)
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    def _note(self, message: dict[str, Any]) -> None:
        told = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        if message.get("method") == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.errors.append(told["entry"]["text"])
        if message.get("method") == "Network.requestWillBeSent":
            self.asked.append(told["request"]["url"])

    def open(self, url: str, width: int = 1200, height: int = 900) -> None:
        """Load a page in a window of that size."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        self.send("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def value(self, code: str) -> Any:
        """Return the value of an expression."""
        told = self.send("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def wait(self, code: str, seconds: float = SECONDS) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.value(code):
            assert time.monotonic() < end, f"{code}: not within {seconds} s; {self.errors}"
            time.sleep(0.05)

    def place(self, selector: str) -> tuple[float, float]:
        """Return the middle of an element, after scrolling to it."""
        code = (
            "(() => {const e = document.querySelector(%s); e.scrollIntoView({block: 'center'});"
            "const b = e.getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2]})()"
        )
        x, y = self.value(code % json.dumps(selector))
        return x, y

    def mouse(self, kind: str, x: float, y: float, buttons: int = 0) -> None:
        """Move or press the mouse."""
        self.send(
            "Input.dispatchMouseEvent",
            type=f"mouse{kind}", x=x, y=y, buttons=buttons, clickCount=1,
            button="left" if buttons or kind == "Released" else "none",
        )  # fmt: skip

    def click(self, selector: str) -> None:
        """Click on an element."""
        x, y = self.place(selector)
        self.mouse("Pressed", x, y, 1)
        self.mouse("Released", x, y)

    def drag(self, selector: str, right: float, down: float) -> None:
        """Drag from the middle of an element."""
        x, y = self.place(selector)
        self.mouse("Pressed", x, y, 1)
        for step in (0.5, 1.0):
            self.mouse("Moved", x + step * right, y + step * down, 1)
        self.mouse("Released", x + right, y + down)

    def picture(self, path: Path, whole: bool = False) -> Path:
        """Write what is seen, or the whole page, as PNG."""
        options: dict[str, Any] = {"captureBeyondViewport": whole}
        if whole:
            size = self.send("Page.getLayoutMetrics")["cssContentSize"]
            options["clip"] = {**size, "scale": 1}
        data = self.send("Page.captureScreenshot", format="png", **options)["data"]
        path.write_bytes(base64.b64decode(data))
        return path


@contextmanager
def browser(folder: Path) -> Iterator[Tab]:
    """A tab of a browser that keeps its things in a folder; skips where there is none."""
    client = pytest.importorskip("websockets.sync.client")
    if PROGRAM is None:
        pytest.skip("no Chromium")
    command = [PROGRAM, *OPTIONS.split(), f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        told = folder / "DevToolsActivePort"
        end = time.monotonic() + SECONDS
        while not (told.is_file() and len(told.read_text().splitlines()) == 2):
            assert process.poll() is None and time.monotonic() < end, "Chromium does not start"
            time.sleep(0.05)
        port = told.read_text().splitlines()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
            pages = [page for page in json.load(answer) if page["type"] == "page"]
        with client.connect(pages[0]["webSocketDebuggerUrl"], max_size=None) as socket:
            yield Tab(socket)
    finally:
        process.terminate()
        process.wait(timeout=SECONDS)
