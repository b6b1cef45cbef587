"""A listing in a .csv or .parquet file: one row an image, with its label, group and split."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from selector.data.problems import Problem, lines
from selector.data.readers.base import SPLIT_NAMES, Found, Listing, locate, normal
from selector.errors import DataError, did_you_mean
from selector.records import Sample, SplitName

if TYPE_CHECKING:
    from selector.spec.schema import DataSpec

Columns = Mapping[str, Sequence[str]]


class Table:
    """Rows with the columns that the study file names; image paths start at the file's folder."""

    def read(self, spec: DataSpec, *, base: Path) -> Listing:
        """Every row as a sample, named by its image path relative to the file's folder."""
        path = locate(spec.path or "", base)
        table = _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)
        names = _column_names(spec, table, path=path)
        rows = _Rows(path, spec.split_column or "split")
        for row in _rows(table, names):
            rows.take(row)
        rows.check_splits()
        return rows.found.listing()


@dataclass(frozen=True, slots=True)
class _Row:
    where: str  # such as "flowers.csv:7"
    image: str
    label: str
    group: str | None
    split: str | None


@dataclass(frozen=True, slots=True)
class _Table:
    """All values as text; `places` names each row in messages."""

    columns: Columns
    places: Sequence[str]


class _Rows:
    """The rows taken so far, and what was wrong with the others."""

    def __init__(self, path: Path, split_column: str) -> None:
        self.folder = path.parent
        self.split_column = split_column
        self.found = Found()
        self.first_place: dict[str, str] = {}
        self.without_split: list[str] = []

    def take(self, row: _Row) -> None:
        """Check a row and keep it if an image and a label can be made of it."""
        if not row.label:
            self.found.wrong("rows without a label", f"{row.where}: the label is empty.")
        image = self._image(row)
        split = self._split(row)
        if image is None or not row.label:
            return
        sample_id, file = image
        self.found.add(Sample(sample_id, row.label, row.group or None, split), file)

    def check_splits(self) -> None:
        """A column that fills only some rows says nothing about where the others belong."""
        if len(self.without_split) == len(self.first_place):
            return
        for where in self.without_split:
            self.found.wrong(
                "rows without a split",
                f"{where}: '{self.split_column}' is empty here, but not in all rows. "
                f"Legal values: {_legal_splits()}.",
            )

    def _image(self, row: _Row) -> tuple[str, Path] | None:
        """The id and the file of the row's image, unless something is wrong with it."""
        if not row.image:
            self.found.wrong("rows without an image", f"{row.where}: the image path is empty.")
            return None
        file = Path(os.path.normpath(self.folder / row.image.replace("\\", "/")))
        if not _can_be_name(row.image):
            self.found.wrong(
                "names that are no file names",
                f"{row.where}: '{row.image}' cannot be the name of a file.",
            )
            return None
        real = Path(os.path.realpath(file))
        if not file.is_relative_to(self.folder) or not real.is_relative_to(self.folder):
            self.found.wrong(
                "images outside the listing's folder",
                f"{row.where}: '{row.image}' lies outside {self.folder}. "
                "Put the listing into a folder above its images.",
            )
            return None
        if not os.path.isfile(file):  # noqa: PTH113 - false for a name too long to exist, too
            self.found.wrong("missing images", f"{row.where}: no image file '{row.image}'.")
            return None
        return self._once(file.relative_to(self.folder).as_posix(), file, where=row.where)

    def _once(self, sample_id: str, file: Path, *, where: str) -> tuple[str, Path] | None:
        first = self.first_place.setdefault(sample_id, where)
        if first == where:
            return sample_id, file
        self.found.wrong(
            "images listed twice", f"{where}: '{sample_id}' is listed already at {first}."
        )
        return None

    def _split(self, row: _Row) -> SplitName | None:
        if row.split is None:
            return None
        if not row.split:
            self.without_split.append(row.where)
            return None
        split = SPLIT_NAMES.get(row.split.lower())
        if split is None:
            hint = did_you_mean(row.split.lower(), SPLIT_NAMES)
            self.found.wrong(
                "unknown split values",
                f"{row.where}: unknown split '{row.split}' in column '{self.split_column}'."
                f"{hint} Legal values: {_legal_splits()}.",
            )
        return split


def _rows(table: _Table, names: Mapping[str, str]) -> Iterator[_Row]:
    images, labels = table.columns[names["image"]], table.columns[names["label"]]
    groups, splits = (table.columns.get(names.get(key, "")) for key in ("group", "split"))
    for index, where in enumerate(table.places):
        yield _Row(
            where,
            images[index].strip(),
            normal(labels[index].strip()),
            groups[index].strip() if groups else None,
            splits[index].strip() if splits else None,
        )


def _column_names(spec: DataSpec, table: _Table, *, path: Path) -> dict[str, str]:
    """The columns to read, by what they hold; `group` and `split` are used where they exist."""
    names = {"image": spec.image_column, "label": spec.label_column}
    for key, named in (("group", spec.group_column), ("split", spec.split_column)):
        if named is not None or key in table.columns:
            names[key] = named or key
    missing = [
        f"{path.name}: no column '{name}' (data.{key}_column)."
        f"{did_you_mean(name, table.columns)} Columns there are: {', '.join(table.columns)}."
        for key, name in names.items()
        if name not in table.columns
    ]
    if missing:
        raise DataError(missing)
    return names


def _read_csv(path: Path) -> _Table:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            rows = [(reader.line_num, row) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            [f"{path.name}: not a readable CSV file in UTF-8 ({error}). Save it so."]
        ) from error
    if not header:
        raise DataError([f"{path.name}: the file is empty. A header with column names is needed."])
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError([f"{path.name}: the column '{name}' is there twice." for name in twice])
    uneven = [
        Problem(
            "uneven rows",
            f"{path.name}:{line}: {len(row)} values for {len(header)} columns. "
            "Put values that hold a comma into quotes.",
        )
        for line, row in rows
        if len(row) != len(header)
    ]
    if uneven:
        raise DataError(lines(uneven))
    columns = {name: [row[index] for _, row in rows] for index, name in enumerate(header)}
    return _Table(columns, [f"{path.name}:{line}" for line, _ in rows])


def _read_parquet(path: Path) -> _Table:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise DataError([f"{path.name}: not a readable Parquet file ({error})."]) from error
    columns = {
        name: ["" if value is None else str(value) for value in table.column(name).to_pylist()]
        for name in table.column_names
    }
    return _Table(columns, [f"{path.name}, row {row}" for row in range(1, table.num_rows + 1)])


def _can_be_name(text: str) -> bool:
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _legal_splits() -> str:
    return ", ".join(SPLIT_NAMES)
