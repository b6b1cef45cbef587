"""The test split: out of reach for search and finals, and opened once on purpose."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sqlalchemy import update
from typer.testing import CliRunner, Result

from selector import metrics
from selector.cli.app import app
from selector.data import inspect, without_test
from selector.errors import DataError, InputError
from selector.events import Event, RunReady
from selector.predict import candidate_of, load_predictor
from selector.reporting.ranking import rank
from selector.run import ignore, run
from selector.sealed import open_test_split, require_test
from selector.spec.schema import DataSpec
from selector.store import Store
from selector.store.tables import TrialTable

STUDY = """
name: colours
data: {path: images}
metric: {name: f1_macro, goal: maximize}
search:
  backbone: toy:cnn
  lr: {log_uniform: [1.0e-3, 1.0e-2]}
  freeze_depth: [0, 2]
  batch_size: 8
  image_size: 8
pruner: none
budget: {trials: 3, epochs: 2}
finals: {top: 2, seeds: 2}
"""
SHORT = ("finals=off", "budget.trials=1")  # overrides for a study of one trial
CLASSES = ("blue", "green", "red")


def selector(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="selector")


def unseal(*options: str) -> Result:
    return selector("unseal", "colours", "--folder", ".", *options)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a study file and noisy coloured images in train, validation and test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SELECTOR_STORE", raising=False)
    monkeypatch.delenv("SELECTOR_ARTIFACTS", raising=False)
    monkeypatch.setenv("SELECTOR_CACHE", str(tmp_path / "cache"))
    (tmp_path / "study.yaml").write_text(STUDY)
    noise = np.random.default_rng(0)
    for split, count in (("train", 12), ("validation", 6), ("test", 6)):
        for channel, name in enumerate(CLASSES):
            folder = tmp_path / "images" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = noise.integers(0, 200, (8, 8, 3))
                pixels[..., channel] += 55
                image = Image.fromarray(pixels.astype(np.uint8))
                image.save(folder / f"{split}-{number}.png")
    return tmp_path


@pytest.fixture(scope="module")
def finished_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("finished") / "place"


@pytest.fixture
def finished(place: Path, finished_copy: Path) -> Path:
    """The same place once the study with its finals has ended; it is run once for all tests."""
    if not finished_copy.exists():
        run("study.yaml")
        shutil.copytree(place, finished_copy)
        return place
    # The same content with the same times, but elsewhere: nothing may hang on absolute paths.
    shutil.rmtree(place / "images")
    shutil.copytree(finished_copy, place, dirs_exist_ok=True)
    return place


@pytest.fixture
def store(finished: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{finished / 'selector.db'}") as opened:
        yield opened


def test_search_and_finals_run_to_their_end_without_any_test_image(place: Path) -> None:
    def destroy(event: Event) -> None:
        # The audit has read all images by now; whoever asks for one of these later, fails.
        if isinstance(event, RunReady):
            for image in (place / "images/test").rglob("*.png"):
                image.write_bytes(b"no image")

    board = run("study.yaml", observe=destroy)

    assert board.trials.complete == 3 and board.trials.failed == 0
    assert board.finals is not None and board.finals.decided
    assert all(row.failed == 0 for row in board.finals.finalists)
    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        with pytest.raises(DataError, match="cannot be decoded"):
            open_test_split(store, "colours", observe=ignore)
        assert store.openings("colours") == ()


def test_the_opening_scores_the_pick_and_the_reference_side_by_side(store: Store) -> None:
    opening = open_test_split(store, "colours", folder=Path(), observe=ignore)

    pick = candidate_of(store, "colours")
    assert opening.trial == pick.number and opening.samples == 18
    assert "@" in opening.who and opening.why == "final evaluation of the pick"
    scored = {score.role: score for score in opening.scores}
    assert scored["pick"].validation_score == pick.score
    # The same network asked image by image, from the files.
    predictor = load_predictor(
        Path("selector-artifacts") / str(pick.checkpoint),
        device=torch.device("cpu"),
    )
    files = sorted(Path("images/test").rglob("*.png"))
    labels = np.array([CLASSES.index(file.parent.name) for file in files])
    said = np.array([list(p.probabilities.values()) for p in predictor.predict(files)])
    expected = metrics.compute("f1_macro", labels, np.log(said).astype(np.float32))
    assert scored["pick"].test_score == pytest.approx(expected)
    assert scored["pick"].ci_low <= expected <= scored["pick"].ci_high
    others = {trial.number for trial in store.trials("colours")} - {pick.number}
    if pick.number != 0:
        assert scored["reference"].trial == 0
    else:
        assert scored.keys() == {"pick"} and others


def test_a_second_look_is_refused_and_with_again_it_is_shown_for_ever(finished: Path) -> None:
    first = unseal("-q", "--why", "paper")
    assert first.exit_code == 0, first.stderr
    assert "paper" in first.stdout and "gap" in first.stdout

    second = unseal("-q")
    assert second.exit_code == 3
    assert "was opened on" in second.stderr and "(paper)" in second.stderr

    unexplained = unseal("-q", "--again")
    assert unexplained.exit_code == 2 and "--why REASON" in unexplained.stderr

    third = unseal("-q", "--again", "--why", "more data came")
    assert third.exit_code == 0, third.stderr
    for report in (selector("report", "colours").stdout, selector("show", "colours").stdout):
        assert "paper" in report and "more data came" in report
        assert "It was opened 2 times" in " ".join(report.split())
    document = json.loads(selector("report", "colours", "--format", "json").stdout)
    assert [each["why"] for each in document["openings"]] == ["paper", "more data came"]
    last = document["openings"][-1]["scores"][0]
    assert last["gap"] == pytest.approx(last["test_score"] - last["validation_score"])
    assert document["verdict"]["test_score"] == last["test_score"]


def test_another_study_on_the_same_data_is_told_of_the_opening(finished: Path) -> None:
    assert unseal("-q", "--why", "paper").exit_code == 0

    board = run("study.yaml", overrides=["name=hues", "finals=off"])
    assert [each.study for each in board.openings] == ["colours"]
    assert board.after_opening == (0, 1, 2)
    assert board.verdict is None  # the score of another study's pick is none of this one

    refused = selector("unseal", "hues", "-q")
    assert refused.exit_code == 3
    assert "of study 'colours' on the same data (paper)" in refused.stderr
    assert selector("unseal", "hues", "-q", "--again", "--why", "new idea").exit_code == 0
    for name, first in (("hues", "trial colours:"), ("colours", "trial hues:")):
        report = " ".join(selector("report", name).stdout.split())
        assert first in report and "It was opened 2 times" in report
    # Its own images in other splits: another test split.
    other = run("study.yaml", overrides=["name=far", "finals=off", "data.limit=40"])
    assert other.openings == ()


@pytest.fixture
def reborn(name: str, place: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> Result:
    """What the run of study `name` said, after `colours` was opened and deleted."""
    monkeypatch.setenv("SELECTOR_STORE", store_url)
    run("study.yaml", overrides=SHORT)
    assert unseal("-q", "--why", "paper").exit_code == 0
    deleted = selector("delete", "colours", "--yes")
    assert deleted.exit_code == 0, deleted.stderr
    assert "stays   1 opening of the test split: other studies" in deleted.stderr
    overrides = [word for each in (f"name={name}", *SHORT) for word in ("--set", each)]
    return selector("run", "study.yaml", *overrides)


@pytest.mark.parametrize("name", ["colours", "hues"])
def test_a_deletion_is_no_way_round_the_seal(name: str, reborn: Result) -> None:
    assert reborn.exit_code == 0, reborn.stderr
    said = [line for line in reborn.stderr.splitlines() if line.startswith("seal ")]
    assert len(said) == 1 and "for colours:0, a study deleted since" in said[0]

    refused = selector("unseal", name, "-q")
    assert refused.exit_code == 3
    whose = "an earlier study" if name == "colours" else "study"
    words = f"for trial 0 of {whose} 'colours', deleted since, on the same data (paper)"
    assert words in refused.stderr

    again = selector("unseal", name, "-q", "--again", "--why", "new idea")
    assert again.exit_code == 0, again.stderr
    report = " ".join(selector("report", name).stdout.split())
    assert "It was opened 2 times" in report and "for trial 0: new idea" in report
    # Its own images in other splits: another test split, that nobody has seen.
    other = run("study.yaml", overrides=["name=far", "data.limit=40", *SHORT])
    assert other.openings == ()
    assert selector("unseal", "far", "-q").exit_code == 0


@pytest.mark.parametrize("name", ["colours", "hues"])
def test_reports_and_card_say_that_a_deleted_study_has_looked(
    name: str, reborn: Result, place: Path
) -> None:
    for report in (selector("report", name), selector("show", name)):
        said = " ".join(report.stdout.split())
        assert "for trial colours:0, a study deleted since: paper" in said
        assert "colours:0 (deleted)" in said
        assert "chosen with its help possible: trial 0." in said
    page = selector("report", name, "--format", "html")
    assert "for trial colours:0, a study deleted since: paper" in page.stdout
    document = json.loads(selector("report", name, "--format", "json").stdout)
    looks = [(each["study"], each["study_deleted"]) for each in document["openings"]]
    assert looks == [("colours", True)]
    assert "verdict" not in document  # what a trial of the deleted study scored is none of it

    exported = selector("export", name, "--output", "bundle")
    assert exported.exit_code == 0, exported.stderr
    card = (place / "bundle" / "MODEL_CARD.md").read_text()
    assert "The test split has not been opened for this candidate." in card
    assert "The same test split was also opened:" in card
    assert "The candidate was trained after the split had first been opened" in card
    earlier = "an earlier study" if name == "colours" else "study"
    assert f"for trial 0 of {earlier} 'colours', deleted since, on the same data: paper" in card


def test_a_run_after_an_opening_says_so_and_the_report_marks_what_it_adds(finished: Path) -> None:
    assert unseal("-q").exit_code == 0

    longer = selector("run", "study.yaml", "--set", "budget.trials=4", "--set", "finals.seeds=3")

    assert longer.exit_code == 0, longer.stderr
    said = [line for line in longer.stderr.splitlines() if line.startswith("seal ")]
    assert len(said) == 1 and "what is chosen from now on may be chosen with its help" in said[0]
    report = " ".join(selector("report", "colours").stdout.split())
    assert "3†" in report and "chosen with its help possible: trial 3." in report
    assert "The pick was chosen after the test split was opened" in report
    document = json.loads(selector("report", "colours", "--format", "json").stdout)
    assert document["after_opening"] == [3] and document["verdict"]["after_opening"]


@pytest.mark.parametrize("fate", ["pruned", "not kept"])
def test_without_a_stored_reference_the_report_says_why_no_gap_stands_there(
    finished: Path, store: Store, fate: str
) -> None:
    board = rank(store, "colours")
    pick = next(row.trial for row in board.candidates if row.trial != 0)
    with store.engine.begin() as connection:
        if fate == "pruned":  # as a first configuration may be
            connection.execute(
                update(TrialTable).where(TrialTable.number == 0).values(state="pruned")
            )
    if fate == "not kept":  # as an earlier program left it
        store.forget_checkpoints("colours", [0])

    result = unseal("-q", "--trial", str(pick))

    assert result.exit_code == 0, result.stderr
    words = {"pruned": "trial 0 was pruned in the search"}.get(
        fate, "the checkpoint of trial 0 was not kept"
    )
    assert words in " ".join(result.stdout.split())
    assert words in " ".join(selector("report", "colours").stdout.split())
    assert store.openings("colours")[0].no_reference == words


def test_an_opening_that_told_nothing_may_be_made_up_for(finished: Path, store: Store) -> None:
    for image in Path("images/test").rglob("*.png"):
        image.rename(image.with_suffix(".away"))
    refused = unseal("-q")
    assert refused.exit_code in (2, 3) and store.openings("colours") == ()
    for image in Path("images/test").rglob("*.away"):
        image.rename(image.with_suffix(".png"))

    assert unseal("-q").exit_code == 0
    assert len(store.openings("colours")) == 1


def test_other_data_than_the_studys_is_no_test_of_it(finished: Path) -> None:
    Image.new("RGB", (8, 8)).save("images/test/red/test-0.png")
    result = unseal("-q")
    assert result.exit_code == 3
    assert "is not what study 'colours' was run on" in result.stderr


def test_the_data_is_found_where_the_study_file_of_the_run_lay(
    place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # A run of its own: the folder of another test's run may be gone.
    run("study.yaml", overrides=SHORT)
    monkeypatch.setenv("SELECTOR_ARTIFACTS", str(place / "selector-artifacts"))
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    store = f"sqlite:///{place / 'selector.db'}"
    result = selector("unseal", "colours", "-q", "--store", store)
    assert result.exit_code == 0, result.stderr


def test_a_study_without_a_test_split_says_so() -> None:
    dataset = inspect(DataSpec(source="builtin:digits", limit=100), base=Path())
    with pytest.raises(InputError, match="Study 'x' has no test split"):
        require_test("x", without_test(dataset))
