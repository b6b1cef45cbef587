"""Takes a picture of a page of a running `selector serve`, as the ones in this folder.

selector serve &
python docs/draw_page.py http://127.0.0.1:8000/studies/emoji docs/serve.png
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("file", type=Path)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=840)
    parser.add_argument("--full", action="store_true", help="The whole page, however long.")
    parser.add_argument("--dark", action="store_true")
    wanted = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": wanted.width, "height": wanted.height},
            color_scheme="dark" if wanted.dark else "light",
        )
        page.goto(wanted.url)
        page.screenshot(path=wanted.file, full_page=wanted.full)
        browser.close()


if __name__ == "__main__":
    main()
