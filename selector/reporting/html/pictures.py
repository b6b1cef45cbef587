"""The pictures that were drawn for a candidate: images it got wrong, and where it looked."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selector.reporting import figures

MANIFEST = "errors.json"
ALIKE_MANIFEST = "alike.json"
_KINDS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One validation image with what the candidate said of it; images are `data:` URLs."""

    sample: str
    label: str
    predicted: str
    probability: float
    image: str
    saliency: str | None

    @property
    def stated(self) -> str:
        """The probability in per cent."""
        return figures.certain(self.probability)


@dataclass(frozen=True, slots=True, kw_only=True)
class Captioned:
    """An image with what there is to say of it; `image` is a `data:` URL."""

    sample: str
    caption: str
    image: str


def alike_folder_of(artifacts: Path, study: str) -> Path:
    """Where the pictures of a study's near duplicates lie."""
    return artifacts / study / "alike-pictures"


def read_alike(artifacts: Path, study: str) -> tuple[tuple[Captioned, ...], ...]:
    """The near duplicates of a study in groups; empty where none were drawn."""
    folder = alike_folder_of(artifacts, study)
    try:
        manifest = json.loads((folder / ALIKE_MANIFEST).read_text(encoding="utf-8"))
        return tuple(
            tuple(
                Captioned(
                    sample=str(entry["sample"]),
                    caption=f"{entry['split']}, {entry['label']}",
                    image=_data_url_of(folder / Path(entry["image"]).name),
                )
                for entry in group
            )
            for group in manifest["groups"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def folder_of(artifacts: Path, study: str, trial: int) -> Path:
    """Where the pictures of a candidate lie."""
    return artifacts / study / f"trial-{trial:04d}-pictures"


def read_pictures(artifacts: Path, study: str, trial: int) -> tuple[Picture, ...]:
    """The pictures of a candidate, the most confident error first; empty where none were drawn."""
    folder = folder_of(artifacts, study, trial)
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return tuple(_picture(folder, entry) for entry in manifest["errors"])
    except (OSError, ValueError, KeyError, TypeError):
        # Pictures are made anew when a report is asked for; a half-written folder means none yet.
        return ()


def _picture(folder: Path, entry: dict[str, Any]) -> Picture:
    return Picture(
        sample=str(entry["sample"]),
        label=str(entry["label"]),
        predicted=str(entry["predicted"]),
        probability=float(entry["probability"]),
        image=_data_url_of(folder / Path(entry["image"]).name),
        saliency=_data_url_of(folder / Path(entry["saliency"]).name) if entry["saliency"] else None,
    )


def data_url(content: bytes) -> str:
    """A PNG or JPEG as a `data:` URL; ValueError for anything else."""
    kind = next((kind for start, kind in _KINDS.items() if content.startswith(start)), None)
    if kind is None:
        raise ValueError("neither PNG nor JPEG")
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _data_url_of(path: Path) -> str:
    return data_url(path.read_bytes())
