"""The picture of the demonstration, with fewer colours than `onet demo` gives it.

python examples/demo.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from _pictures import folder, keep
from PIL import Image

from onet.demo import run_demo


def main() -> None:
    out = folder(__doc__)
    with tempfile.TemporaryDirectory() as temporary:
        run_demo(Path(temporary))
        with Image.open(Path(temporary) / "contact_sheet.png") as sheet:
            keep(sheet.convert("RGB"), out / "demo.png")


if __name__ == "__main__":
    main()
