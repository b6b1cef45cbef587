from selector.data.problems import Problem, lines


def test_each_kind_is_cut_after_ten_and_counted() -> None:
    problems = [Problem("bad images", f"image {number}") for number in range(13)]
    problems.insert(5, Problem("folders", "folder"))
    shown = lines(problems)
    assert shown[:10] == [f"image {number}" for number in range(10)]
    assert shown[10:] == ["... and 3 more bad images.", "folder"]


def test_the_way_out_of_a_kind_ends_its_last_line() -> None:
    problems = [Problem("bad images", f"image {number}.", "Skip them.") for number in range(2)]
    assert lines([*problems, Problem("folders", "folder")]) == [
        "image 0.",
        "image 1. Skip them.",
        "folder",
    ]
