from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from selector.data.duplicates import crossing, describe, move_to_train, tie
from selector.records import Sample, SplitName


def listed(*rows: tuple[str, str | None, SplitName | None]) -> list[Sample]:
    """Samples a, b, c, ... of (label, group, split)."""
    return [Sample(chr(97 + i), *row) for i, row in enumerate(rows)]


def groups(samples: Sequence[Sample]) -> list[str | None]:
    return [sample.group for sample in samples]


def test_samples_without_a_copy_are_left_alone() -> None:
    samples = listed(("x", None, None), ("x", "g", None), ("y", "g", "train"))
    assert tie(samples, ["1", "2", "3"]) == tuple(samples)


def test_copies_are_tied_under_one_name() -> None:
    samples = listed(("x", None, None), ("x", None, None), ("y", None, None))
    assert groups(tie(samples, ["1", "2", "1"])) == ["copies of a", None, "copies of a"]


def test_groups_that_share_a_picture_become_one() -> None:
    samples = listed(
        ("x", "g", None), ("x", "g", None), ("x", "h", None), ("y", "h", None), ("y", "k", None)
    )
    assert groups(tie(samples, ["1", "2", "2", "3", "4"])) == ["g", "g", "g", "g", "k"]


def test_copies_in_several_given_splits_are_a_problem_each() -> None:
    samples = listed(
        ("x", None, "train"),
        ("x", None, "test"),
        ("x", None, "validation"),
        ("y", None, "train"),
        ("y", None, "train"),
        ("y", None, "test"),
    )
    problems = crossing(samples, ["1", "1", "1", "2", "2", "3"])
    (problem,) = problems
    assert problem.text == (
        "b (test) and a (train) and c (validation) are the same picture in several splits."
    )
    assert "data.on_duplicates: move_to_train" in problem.way_out


def test_what_is_to_be_drawn_crosses_nothing() -> None:
    samples = listed(("x", None, None), ("y", None, None))
    assert crossing(samples, ["1", "1"]) == []


def test_all_copies_of_a_torn_picture_move_to_train() -> None:
    samples = listed(
        ("x", None, "validation"), ("x", None, "test"), ("x", None, "test"), ("y", None, "test")
    )
    placed, moved = move_to_train(samples, ["1", "1", "2", "3"])
    assert [sample.split for sample in placed] == ["train", "train", "test", "test"]
    assert moved == ("a", "b")


def test_a_group_moves_as_a_whole() -> None:
    samples = listed(
        ("x", None, "train"), ("x", "g", "test"), ("y", "g", "test"), ("y", "h", "test")
    )
    placed, moved = move_to_train(samples, ["1", "1", "2", "3"])
    assert [sample.split for sample in placed] == ["train", "train", "train", "test"]
    assert moved == ("b", "c")


def test_duplicates_are_described_the_worst_first() -> None:
    samples = listed(*((label, None, None) for label in "xxyyyzz"))
    splits: list[SplitName] = ["train", "train", "train", "test", "train", "train", "train"]
    copies, near = describe(
        samples, splits, pixels=["1", "1", "2", "2", "3", "4", "5"], alike=[0, 0, 0, 0, -1, 1, 1]
    )
    assert [group.ids for group in copies] == [("c", "d"), ("a", "b")]
    assert copies[0].splits_differ and not copies[0].labels_differ
    # Of the same picture one stands for all.
    assert [group.ids for group in near] == [("a", "c"), ("f", "g")]
    assert near[0].labels == ("x", "y") and near[0].labels_differ


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["train", "validation", "test"]),
        st.sampled_from([None, "g", "h", "k"]),
        st.sampled_from("123456"),
    ),
    max_size=14,
)


@given(rows=ROWS)
def test_after_the_move_nothing_crosses_and_no_group_is_torn_by_it(
    rows: list[tuple[SplitName, str | None, str]],
) -> None:
    samples = [Sample(str(i), "x", group, split) for i, (split, group, _) in enumerate(rows)]
    pixels = [content for _, _, content in rows]
    placed, moved = move_to_train(samples, pixels)
    assert crossing(placed, pixels) == []
    assert set(moved) == {a.id for a, b in zip(samples, placed, strict=True) if a != b}
    for group in {sample.group for sample in placed} - {None}:
        torn = {sample.split for sample in placed if sample.group == group}
        before = {sample.split for sample in samples if sample.group == group}
        assert torn <= before or torn == {"train"}


@given(rows=ROWS)
def test_tied_samples_with_one_picture_share_a_group(
    rows: list[tuple[SplitName, str | None, str]],
) -> None:
    samples = [Sample(str(i), "x", group) for i, (_, group, _) in enumerate(rows)]
    pixels = [content for _, _, content in rows]
    tied = tie(samples, pixels)
    for i, one in enumerate(tied):
        for j, other in enumerate(tied):
            same = pixels[i] == pixels[j] or (
                samples[i].group is not None and samples[i].group == samples[j].group
            )
            if same:
                assert one.group == other.group
