"""A folder tree: one folder a class, with or without train, validation and test folders above."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from selector.data.image import SUFFIXES, is_junk
from selector.data.readers.base import SPLIT_NAMES, Found, Listing, locate, normal
from selector.records import Sample, SplitName

if TYPE_CHECKING:
    from selector.spec.schema import DataSpec


_DEEPEST = 100  # folders in folders; the walk goes down one call a folder


class ImageFolder:
    """Class folders with image files at any depth; the first folder's name is the label."""

    def read(self, spec: DataSpec, *, base: Path) -> Listing:
        """Every image below `data.path`, named by its path relative to it."""
        root = locate(spec.path or "", base)
        tree = _Tree(root)
        split_folders = tree.split_folders()
        if split_folders:
            for split, folder in split_folders.items():
                tree.read_classes(folder, split)
        else:
            tree.read_classes(root, None)
        return tree.found.listing()


class _Tree:
    """One walk through the folder; `found` fills up on the way."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.found = Found()
        self.ids: set[str] = set()
        self.top = self._entries(root)

    def split_folders(self) -> dict[SplitName, Path]:
        """The split folders at the top; empty if the class folders are there.

        A class may be called `train`, next to `bus` and `car`, so two split names (or nothing
        else) are needed to tell the layouts apart.
        """
        folders = [entry for entry in self.top if entry.is_dir()]
        named = [entry for entry in folders if entry.name.lower() in SPLIT_NAMES]
        if len(named) < min(2, len(folders)) or not named:
            return {}
        splits: dict[SplitName, Path] = {}
        for entry in folders:
            split = SPLIT_NAMES.get(entry.name.lower())
            if split is None:
                self.found.wrong(
                    "folders beside the split folders",
                    f"{entry.name}: unexpected folder beside "
                    f"{', '.join(other.name for other in named)}. Move it into a split or away.",
                )
            elif split in splits:
                self.found.wrong(
                    "doubled split folders",
                    f"{entry.name}: {splits[split].name} is the {split} split already. "
                    "Keep one of the two.",
                )
            else:
                splits[split] = Path(entry.path)
        return splits

    def read_classes(self, folder: Path, split: SplitName | None) -> None:
        """The class folders inside `folder`; loose files beside them are passed over."""
        classes = 0
        for entry in self.top if folder == self.root else self._entries(folder):
            if not entry.is_dir():
                self._loose(entry)
                continue
            classes += 1
            self._read_class(entry, split)
        if classes == 0:
            self.found.wrong(
                "folders without classes",
                f"{folder}: no class folders. Put the images into one folder a class, "
                "or list them in a .csv with the columns path and label.",
            )

    def _read_class(self, entry: os.DirEntry[str], split: SplitName | None) -> None:
        before, skipped = len(self.found.samples), len(self.found.skipped)
        complaints = len(self.found.problems)
        label = normal(entry.name)
        self._enter(entry, parents=(str(self.root),), label=label, split=split)
        if len(self.found.samples) > before:
            return
        self.found.blamed.add(label)
        if len(self.found.problems) > complaints:
            return  # which says why there are none
        others = len(self.found.skipped) - skipped
        note = f", only {others} other files" if others else ""
        self.found.wrong(
            "empty class folders",
            f"{self._relative(entry)}: the class folder holds no images{note}. "
            f"Add some ({', '.join(sorted(SUFFIXES))}) or remove the folder.",
        )

    def _enter(
        self,
        entry: os.DirEntry[str],
        *,
        parents: tuple[str, ...],
        label: str,
        split: SplitName | None,
    ) -> None:
        """Walk into a folder; `parents` are the real paths of the folders it lies in."""
        real = os.path.realpath(entry.path)
        if entry.is_symlink():
            if not self._stays_inside(entry, real):
                return
            if any(Path(parent).is_relative_to(real) for parent in parents):
                self.found.wrong(
                    "links in a circle",
                    f"{self._relative(entry)}: the link leads back to a folder it lies in. "
                    "Remove it.",
                )
                return
        if len(parents) > _DEEPEST:
            text = f"{self._relative(entry)}: more than {_DEEPEST} folders deep. Move it up."
            self.found.wrong("folders that lie too deep", text)
            return
        for child in self._entries(Path(entry.path)):
            if child.is_dir():
                self._enter(child, parents=(*parents, real), label=label, split=split)
            else:
                self._take(child, label, split)

    def _take(self, entry: os.DirEntry[str], label: str, split: SplitName | None) -> None:
        if entry.is_symlink() and not self._stays_inside(entry, os.path.realpath(entry.path)):
            return
        if not entry.is_file() or Path(entry.name).suffix.lower() not in SUFFIXES:
            self._loose(entry)
            return
        sample_id = self._relative(entry)
        if not _is_text(sample_id):
            self.found.wrong(
                "names that are not UTF-8",
                f"{sample_id!r}: the file's name is not valid UTF-8. Rename it.",
            )
            return
        if sample_id in self.ids:
            self.found.wrong(
                "names that differ in their spelling only",
                f"{sample_id}: two files have this name, with accented letters written in "
                "different ways. Rename one of them.",
            )
            return
        self.ids.add(sample_id)
        self.found.add(Sample(sample_id, label, split=split), Path(entry.path))

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """What lies in a folder, by name, without what systems drop there by themselves."""
        try:
            with os.scandir(folder) as entries:
                visible = [entry for entry in entries if not is_junk(entry.name)]
        except OSError as error:
            self.found.wrong(
                "folders that cannot be read", f"{folder}: cannot be read ({error.strerror})."
            )
            return []
        return sorted(filter(self._can_be_followed, visible), key=lambda entry: entry.name)

    def _can_be_followed(self, entry: os.DirEntry[str]) -> bool:
        """Whether it can be told what an entry is; not so for a link to itself, for example."""
        try:
            entry.is_dir()
            entry.is_file()
        except OSError as error:
            self.found.wrong(
                "links that cannot be followed",
                f"{self._relative(entry)}: the link cannot be followed ({error.strerror}). "
                "Remove it.",
            )
            return False
        return True

    def _loose(self, entry: os.DirEntry[str]) -> None:
        self.found.skipped.append(self._relative(entry))

    def _stays_inside(self, entry: os.DirEntry[str], real: str) -> bool:
        relative = self._relative(entry)
        if not Path(real).is_relative_to(self.root):
            self.found.wrong(
                "links out of the data folder",
                f"{relative}: the link leads out of the data folder, to {real}. "
                "Replace it by what it points to.",
            )
            return False
        if not Path(real).exists():
            self.found.wrong(
                "broken links", f"{relative}: the link points to {real}, which does not exist."
            )
            return False
        return True

    def _relative(self, entry: os.DirEntry[str]) -> str:
        return normal(Path(entry.path).relative_to(self.root).as_posix())


def _is_text(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)
