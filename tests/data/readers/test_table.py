from __future__ import annotations

from pathlib import Path

import pytest

from selector.data import readers
from selector.data.readers import Listing
from selector.errors import DataError

from ..files import data, listed_images, problems_of, table


def read(path: Path, **settings: object) -> Listing:
    return readers.load("table").read(data(path, **settings), base=Path())


def texts(listing: Listing) -> str:
    return "\n".join(problem.text for problem in listing.problems)


def test_group_and_split_columns_are_used_where_they_exist(tmp_path: Path) -> None:
    rows = listed_images(tmp_path, 2, group=["p", "q", "p", "q"], split=["train", "dev"] * 2)
    listing = read(table(tmp_path / "list.csv", rows))
    assert [sample.group for sample in listing.samples] == ["p", "q", "p", "q"]
    assert [sample.split for sample in listing.samples] == ["train", "validation"] * 2


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    rows = [
        {"file": row["path"], "species": row["label"], "site": "s", "part": "Train"}
        for row in listed_images(tmp_path, 2)
    ]
    listing = read(
        table(tmp_path / "list.csv", rows),
        image_column="file",
        label_column="species",
        group_column="site",
        split_column="part",
    )
    (first, *_) = listing.samples
    assert (first.label, first.group, first.split) == ("ant", "s", "train")


def test_a_parquet_listing_reads_like_a_csv(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = listed_images(tmp_path, 3, group=list("aabbcc"))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "list.parquet")
    table(tmp_path / "list.csv", rows)
    assert read(tmp_path / "list.parquet").samples == read(tmp_path / "list.csv").samples


def test_number_labels_are_names(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = [{**row, "label": 7} for row in listed_images(tmp_path, 1)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "list.parquet")
    assert {sample.label for sample in read(tmp_path / "list.parquet").samples} == {"7"}


def test_a_label_called_na_is_a_label(tmp_path: Path) -> None:
    rows = [{**row, "label": "NA"} for row in listed_images(tmp_path, 1)]
    assert {sample.label for sample in read(table(tmp_path / "l.csv", rows)).samples} == {"NA"}


def test_missing_columns_are_named_together_with_the_likely_ones(tmp_path: Path) -> None:
    rows = [{"paths": row["path"], "lable": row["label"]} for row in listed_images(tmp_path, 1)]
    with pytest.raises(DataError) as caught:
        read(table(tmp_path / "list.csv", rows), split_column="fold")
    text = problems_of(caught.value)
    assert "no column 'path' (data.image_column). Did you mean 'paths'?" in text
    assert "no column 'label' (data.label_column). Did you mean 'lable'?" in text
    assert "no column 'fold' (data.split_column). Columns there are: paths, lable." in text


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("path", "", "list.csv:2: the image path is empty"),
        ("path", "images/gone.png", "list.csv:2: no image file 'images/gone.png'"),
        ("path", "../up.png", "'../up.png' lies outside"),
        ("path", "/etc/passwd", "'/etc/passwd' lies outside"),
        ("path", "images/1.png", "list.csv:3: 'images/1.png' is listed already at list.csv:2"),
        ("label", "", "list.csv:2: the label is empty"),
        ("split", "tain", "unknown split 'tain' in column 'split'. Did you mean 'train'?"),
        ("split", "", "list.csv:2: 'split' is empty here, but not in all rows"),
    ],
)
def test_a_bad_row_is_named_by_its_line(
    tmp_path: Path, column: str, value: str, message: str
) -> None:
    rows = listed_images(tmp_path, 2, split=["train"] * 4)
    rows[0][column] = value
    listing = read(table(tmp_path / "list.csv", rows))
    assert message in texts(listing)


def test_a_split_column_that_is_empty_throughout_says_nothing(tmp_path: Path) -> None:
    listing = read(table(tmp_path / "list.csv", listed_images(tmp_path, 2, split=[""] * 4)))
    assert not listing.problems
    assert {sample.split for sample in listing.samples} == {None}


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    rows = listed_images(tmp_path / "d", 2)
    (tmp_path / "d" / "images" / "0.png").rename(tmp_path / "outside.png")
    (tmp_path / "d" / "images" / "0.png").symlink_to(tmp_path / "outside.png")
    assert "lies outside" in texts(read(table(tmp_path / "d" / "list.csv", rows)))


def test_absolute_paths_inside_the_folder_become_relative_ids(tmp_path: Path) -> None:
    rows = listed_images(tmp_path, 2)
    for row in rows:
        row["path"] = str(tmp_path / row["path"])
    listing = read(table(tmp_path / "list.csv", rows))
    assert listing.samples[0].id == "images/0.png"


def test_backslashes_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    listed_images(tmp_path, 1)
    text = "path,label\nimages\\0.png,ant\nimages\\1.png,bee\n"
    (tmp_path / "list.csv").write_text(text, encoding="utf-8-sig")
    assert [sample.id for sample in read(tmp_path / "list.csv").samples] == [
        "images/0.png",
        "images/1.png",
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "a.csv: the file is empty"),
        ("a.csv", b"path,label\nx,\xff\xfe\n", "not a readable CSV file in UTF-8"),
        ("a.csv", b'path,label\n"x,y\n', "not a readable CSV file"),
        ("a.csv", b"path,label\nx,y,z\n", "a.csv:2: 3 values for 2 columns"),
        ("a.csv", b"path;label\nx;y\n", "Columns there are: path;label"),
        ("a.csv", b"path,label,label\nx,y,y\n", "the column 'label' is there twice"),
        ("a.parquet", b"PAR1 not really", "a.parquet: not a readable Parquet file"),
    ],
)
def test_a_file_that_is_no_table_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path / name)
