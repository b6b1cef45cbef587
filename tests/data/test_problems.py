from selector.data.problems import Problem, lines


def test_each_kind_is_cut_after_ten_and_counted() -> None:
    problems = [Problem("bad images", f"image {number}") for number in range(13)]
    problems.insert(5, Problem("folders", "folder"))
    shown = lines(problems)
    assert shown[:10] == [f"image {number}" for number in range(10)]
    assert shown[10:] == ["... and 3 more bad images.", "folder"]
