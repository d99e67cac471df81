"""Take the screenshot in README.md from a real panel with an empty workspace: `python -m scripts.screenshot`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.support.browser import chromium, visitor
from tests.support.panel import start_panel

TARGET = Path(__file__).resolve().parent.parent / "docs" / "images" / "home.png"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        panel = start_panel(Path(folder) / "workspace")
        try:
            with chromium() as browser, visitor(browser, panel, viewport={"width": 1280, "height": 560}) as person:
                person.open("/").screenshot(path=TARGET)
        finally:
            panel.stop()
    print(f"{TARGET} ({TARGET.stat().st_size // 1024} KiB)")


if __name__ == "__main__":
    main()
