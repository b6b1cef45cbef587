"""Fetches the Google emoji pictures and sorts them into one folder a category.

    python studies/fetch_emoji.py            # writes data/emoji/<category>/<code point>.png

The pictures (64 x 64, Apache-2.0) come in the npm package `emoji-datasource-google`, so `npm` must
be installed. Flags and components are left out: 1,636 pictures in 8 classes remain.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "emoji-datasource-google@16.0.0"
LEFT_OUT = ("Flags", "Component")


def fetch(target: Path) -> int:
    """Write the pictures below `target` and give their number."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["npm", "pack", PACKAGE, "--silent", "--pack-destination", folder], check=True
        )
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as packed:
            return _sort(packed, target)


def _sort(packed: tarfile.TarFile, target: Path) -> int:
    listing = packed.extractfile("package/emoji.json")
    assert listing is not None
    wanted = {
        f"package/img/google/64/{emoji['image']}": _folder(emoji["category"])
        for emoji in json.load(listing)
        if emoji["has_img_google"] and emoji["category"] not in LEFT_OUT
    }
    for member in packed:
        if member.name in wanted:
            picture = packed.extractfile(member)
            assert picture is not None
            path = target / wanted[member.name] / Path(member.name).name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture.read())
    return len(wanted)


def _folder(category: str) -> str:
    return category.lower().replace(" & ", "-")


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "data/emoji")
    print(f"{fetch(folder)} pictures in {folder}", file=sys.stderr)
