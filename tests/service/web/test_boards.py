"""What the page keeps in memory is made again when what it shows has changed."""

from __future__ import annotations

from pathlib import Path

from selector.records import OpenedScore, OpeningStart
from selector.service.web.boards import Boards
from selector.store import Store
from tests.conftest import Results


def test_a_board_that_is_kept_follows_what_other_studies_see_of_its_test_split(
    filled: Store, results: Results, tmp_path: Path
) -> None:
    results.fill(filled, name="trees")
    boards = Boards(filled, artifacts=tmp_path)
    sealed = boards.board("trees")
    assert sealed.openings == () and boards.board("trees") is sealed

    key = filled.begin_opening(
        OpeningStart(
            study="flowers", trial=1, who="ada@here", why="paper", fingerprint="x", samples=50
        )
    )
    begun = boards.board("trees").openings
    assert [(each.study, each.scores) for each in begun] == [("flowers", ())]

    score = OpenedScore(
        trial=1,
        role="pick",
        validation_score=0.95,
        test_score=0.9,
        ci_low=0.85,
        ci_high=0.94,
        metrics={},
    )
    filled.record_test_scores(key, [score])
    assert boards.board("trees").openings[0].scores == (score,)

    filled.delete_study("flowers")
    assert boards.board("trees").openings[0].study_deleted
