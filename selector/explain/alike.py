"""Pictures of near duplicates, for people to judge."""

from __future__ import annotations

import json
from pathlib import Path

from selector import data
from selector.explain.source import SIDE, dataset_of, made_at_once
from selector.reporting.html.pictures import ALIKE_MANIFEST, alike_folder_of
from selector.settings import Settings
from selector.store import Store

SHOWN = 12  # groups, those that lie in several splits first
OF_A_GROUP = 4


def draw_alike(store: Store, study: str, *, settings: Settings) -> Path | None:
    """The folder with pictures of the study's near duplicates, drawn where they are not there yet.

    None where the audit found none. Raises DataError or ConflictError where the data is not here.
    """
    row = store.require_study(study)
    groups = sorted(row.data.audit.near, key=lambda group: not group.splits_differ)[:SHOWN]
    if not groups:
        return None
    folder = alike_folder_of(settings.artifacts, study)
    if _fingerprint(folder) == row.data.fingerprint:
        return folder
    dataset = dataset_of(store, study, settings=settings)
    places = {sample.id: index for index, sample in enumerate(dataset.samples)}
    with made_at_once(folder) as made:
        drawn = []
        for number, group in enumerate(groups):
            entries = []
            members = zip(group.ids, group.splits, group.labels, strict=True)
            for member, (name, split, label) in enumerate(members):
                if member == OF_A_GROUP:
                    break
                file = f"{number:02}-{member}.jpg"
                _save(dataset, places[name], made / file)
                entries.append({"sample": name, "split": split, "label": label, "image": file})
            drawn.append(entries)
        manifest = {"fingerprint": row.data.fingerprint, "groups": drawn}
        (made / ALIKE_MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    return folder


def _fingerprint(folder: Path) -> str | None:
    """Of the data that the folder was drawn from; None where it was not drawn."""
    try:
        manifest = json.loads((folder / ALIKE_MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(manifest.get("fingerprint")) if isinstance(manifest, dict) else None


def _save(dataset: data.Dataset, index: int, path: Path) -> None:
    image = dataset.images.load(index).image
    image.thumbnail((SIDE, SIDE))
    image.save(path, quality=88)
