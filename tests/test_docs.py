"""Every example in the README and in docs/ is run: studies, commands and Python."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from selector.cli import main
from selector.predict import candidate_of
from selector.promotion import promote
from selector.spec import parse_study
from selector.store import Store
from tests.conftest import enter

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
QUICK = ["data.limit=200", "search.backbone=toy:cnn", "search.image_size=16"]
QUICK += ["budget.trials=2", "budget.epochs=1"]
# These would not end, or would train for minutes: their arguments are checked by other means.
SERVES = ("dashboard", "serve")


def run_command(words: list[str]) -> None:
    """Run the command line; anything but success fails the test."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0


def blocks(language: str) -> list[pytest.ParameterSet]:
    """Every fenced block of a language, under the name of its page and its number there."""
    found = []
    for page in PAGES:
        texts = re.findall(rf"```{language}\n(.*?)```", page.read_text(), flags=re.DOTALL)
        found += [
            pytest.param(text, id=f"{page.stem}-{number}") for number, text in enumerate(texts)
        ]
    return found


def commands() -> list[pytest.ParameterSet]:
    """Every `$ selector ...` line."""
    return [
        pytest.param(line.removeprefix("$ "), id=f"{block.id}-{number}")
        for block in blocks("console")
        for number, line in enumerate(str(block.values[0]).splitlines())
        if line.startswith("$ selector ")
    ]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a checkout, with emoji pictures, an image, and a finished quickstart."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "studies", folder / "studies")
    for name in ("food", "people"):
        (folder / "data/emoji" / name).mkdir(parents=True)
        for number in range(12):
            color = (20 * number, 200 if name == "food" else 0, 90)
            Image.new("RGB", (20, 20), color).save(folder / f"data/emoji/{name}/{number}.png")
    Image.new("RGB", (20, 20), "white").save(folder / "some-image.png")
    with pytest.MonkeyPatch.context() as patch:
        enter(folder, patch)
        sets = [word for change in QUICK for word in ("--set", change)]
        run_command(["run", "studies/quickstart.yaml", *sets, "--quiet"])
    return folder


@pytest.fixture
def inside(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The checkout as the current folder, with its own store and cache."""
    enter(checkout, monkeypatch)
    yield checkout


@pytest.mark.parametrize("text", blocks("yaml"))
def test_study_in_the_docs_is_valid(text: str) -> None:
    parse_study(text)


@pytest.mark.parametrize("command", commands())
def test_command_in_the_docs_works(command: str, inside: Path) -> None:
    words = shlex.split(command.partition(" > ")[0])[1:]
    if words[0] in SERVES or (words[0] == "schedule" and words[1].startswith("studies")):
        words = [words[0], "--help"]
    if words[0] == "run" and "--dry-run" not in words:
        if "--fork" in words:  # another name, which `validate` sets like any other key
            place = words.index("--fork")
            words[place : place + 2] = ["--set", f"name={words[place + 1]}"]
        words = ["validate", *words[1:]]
    if words[0] == "export":
        words.append("--force")
    if words[0] == "renew":
        words += [word for change in QUICK for word in ("--set", change)]
    export_first(command)
    champion_first(words)
    run_command(words)
    if words[0] == "stop":  # the other examples work on the same study
        with Store.open(f"sqlite:///{inside / 'selector.db'}") as store:
            store.lift_stop(words[1])


def export_first(text: str) -> None:
    """The bundle that an earlier example of the page makes, where this one reads it."""
    if "shipped" in text and "selector export" not in text and not Path("shipped").exists():
        run_command(["export", "quickstart", "--format", "onnx", "--output", "shipped"])


def champion_first(words: list[str]) -> None:
    """The champions that earlier examples of the page make: one, and another to go back from."""
    if words[0] not in ("champion", "promote", "rollback"):
        return
    with Store.open(f"sqlite:///{Path('selector.db').absolute()}") as store:
        decisions = store.champions.decisions("quickstart")
        numbers = [t.number for t in store.trials("quickstart") if t.state == "complete"]
        for number in numbers[: 2 if words[0] == "rollback" else 1]:
            if number not in [each.champion.trial for each in decisions]:
                promote(store, "quickstart", trial=number)
        if words[0] == "promote":  # the pick, which must not be the champion already
            other = next(n for n in numbers if n != candidate_of(store, "quickstart").number)
            present = store.champions.present("quickstart")
            if present is None or present.trial != other:
                promote(store, "quickstart", trial=other)


@pytest.mark.parametrize("text", blocks("python"))
def test_python_in_the_docs_works(text: str, inside: Path) -> None:
    export_first(text)
    # The same lines against the small study that this test's store holds.
    text = text.replace(
        'selector.run("studies/quickstart.yaml")',
        f'selector.run("studies/quickstart.yaml", overrides={QUICK!r})',
    ).replace(
        'renew("studies/quickstart.yaml")',
        f'renew("studies/quickstart.yaml", overrides={QUICK!r})',
    )
    exec(compile(text, "docs", "exec"), {})


@pytest.mark.parametrize("study", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda p: p.stem)
def test_study_file_that_ships_is_valid(study: Path) -> None:
    assert parse_study(study.read_text()).name == study.stem


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
