"""The HTML report, opened in a real browser."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selector.records import AlikePictures, DataAudit
from selector.reporting import compare_stored, html
from selector.reporting.html.contents import sections
from selector.reporting.html.pictures import (
    ALIKE_MANIFEST,
    MANIFEST,
    alike_folder_of,
    folder_of,
    read_alike,
    read_pictures,
)
from selector.store import Store

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)></script><script>document.title='owned'</script>"
TEN_MEGABYTES = 10 * 2**20


def with_trials(material, count, *, backbone="toy:cnn"):
    """The material as if its study had `count` trials, one in three of them complete."""
    rng = np.random.default_rng(5)
    complete, pruned = (
        next(t for t in material.trials if t.state == state) for state in ("complete", "pruned")
    )
    (row, *_), (_, epoch) = material.board.candidates, material.epochs[0]
    trials, rows, epochs = [], [], []
    for number in range(count):
        lr = float(10 ** rng.uniform(-5, -2))
        params = {"backbone": backbone, "lr": lr, "freeze_depth": int(rng.integers(0, 6))}
        score = 0.3 + 0.1 * float(np.log10(lr / 1e-5)) + 0.02 * float(rng.normal())
        own = {"number": number, "backbone": backbone, "params": params, "score": score}
        trials.append(replace(complete if number % 3 == 0 else pruned, **own))
        epochs += [(number, replace(epoch, epoch=n, score=score * n / 10)) for n in range(1, 11)]
        if number % 3 == 0:
            del own["number"]
            own |= {"trial": number, "ci_low": score - 0.05, "ci_high": score + 0.05}
            rows.append(replace(row, **own))
    rows = [replace(r, rank=n) for n, r in enumerate(sorted(rows, key=lambda r: -r.score), 1)]
    board = replace(material.board, candidates=tuple(rows), cheapest={})
    return replace(material, trials=tuple(trials), epochs=tuple(epochs), board=board)


def draw_pictures(artifacts: Path, study: str, trial: int) -> None:
    folder = folder_of(artifacts, study, trial)
    folder.mkdir(parents=True)
    Image.new("RGB", (8, 8), "red").save(folder / "00.jpg")
    entry = {
        "sample": "ant/1.png",
        "label": "ant",
        "predicted": "bee",
        "probability": 0.9997,
        "image": "00.jpg",
        "saliency": None,
    }
    (folder / MANIFEST).write_text(json.dumps({"errors": [entry]}), encoding="utf-8")


def test_every_figure_is_drawn_and_the_browser_has_nothing_to_complain_of(
    stored, tmp_path, open_report
):
    draw_pictures(tmp_path, "flowers", 1)
    opened = open_report(html.write(html.gather(stored, "flowers", artifacts=tmp_path)))
    opened.scroll_through()
    assert opened.complaints == []
    assert opened.requests == []
    headings = opened.page.locator("h2").all_inner_texts()
    assert headings[:2] == ["Verdict", "Leaderboard"]
    leader = "of trial 1, which leads"
    assert headings[2] == f"Most confident errors {leader}"
    assert {f"Classes {leader}", f"Calibration {leader}"} <= set(headings)
    assert {"Learning curves", "Failures"} <= set(headings)
    # Sure, and still wrong: that is no 100%.
    assert "said bee (99.97%), labelled ant" in opened.page.locator("#errors").inner_text()
    assert opened.page.locator("figure img").evaluate_all("all => all.every(i => i.naturalWidth)")
    # One line of points a trial state, the leader apart.
    curves = opened.page.locator('[data-figure="curves"] .scatterlayer .trace')
    assert curves.count() == 3


def test_a_figure_is_a_table_as_well(stored, tmp_path, open_report):
    opened = open_report(html.write(html.gather(stored, "flowers", artifacts=tmp_path)))
    for section in opened.page.locator("section:has([data-figure])").all():
        name = section.get_attribute("id")
        if name == "slices":
            continue  # its numbers are in the table of the parallel coordinates
        assert section.locator("details tbody tr").count() > 0, name


def test_it_fits_a_phone(stored, tmp_path, open_report):
    opened = open_report(html.write(html.gather(stored, "flowers", artifacts=tmp_path)), width=390)
    opened.scroll_through()
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_figure_has_as_much_room_as_it_takes(stored, tmp_path, open_report):
    opened = open_report(html.write(html.gather(stored, "flowers", artifacts=tmp_path)))
    places = opened.page.locator("[data-figure]")
    before = places.evaluate_all("all => all.map(e => e.clientHeight)")
    opened.scroll_through()
    drawn = places.evaluate_all(
        "all => all.map(e => e.querySelector('.main-svg').getBoundingClientRect().height)"
    )
    assert before == drawn


def test_names_of_classes_stay_apart_on_a_phone(stored, tmp_path, open_report):
    material = html.gather(stored, "flowers", artifacts=tmp_path)
    names = ("smileys-emotion", "animals-nature", "travel-places")
    data = replace(material.study.data, class_names=names)
    material = replace(material, study=replace(material.study, data=data))
    opened = open_report(html.write(material), width=375)
    opened.scroll_through()
    place = opened.page.locator('[data-figure="confusion"]')
    rooms = place.evaluate(
        """e => {
          const box = name => e.querySelector(name).getBoundingClientRect();
          const [names, title] = [box('.xaxislayer-above'), box('.xtitle')];
          return [names.bottom, title.top, title.bottom, e.getBoundingClientRect().bottom];
        }"""
    )
    assert rooms == sorted(rooms)  # names, below them the title, both inside
    assert place.locator(".xtick text").all_text_contents() == list(names)


def test_a_table_that_is_too_wide_says_so(decided, tmp_path, open_report):
    text = html.write(html.gather(decided, "flowers", artifacts=tmp_path))
    finals = "#finals .scroll:first-of-type + .hint"
    assert open_report(text, width=375).page.locator(finals).first.is_visible()
    assert not open_report(text, width=1280).page.locator(finals).first.is_visible()


def test_hostile_names_stay_text(stored, tmp_path, open_report):
    material = html.gather(stored, "flowers", artifacts=tmp_path)
    opened = open_report(html.write(with_trials(material, 12, backbone=f"toy:{HOSTILE}")))
    opened.scroll_through()
    assert opened.page.title() == "flowers · selector report"
    assert opened.complaints == []
    assert opened.page.locator("img[src='x']").count() == 0
    assert HOSTILE in opened.page.locator("#verdict").inner_text()


def test_a_thousand_trials_stay_usable(stored, tmp_path, open_report):
    text = html.write(with_trials(html.gather(stored, "flowers", artifacts=tmp_path), 1000))
    assert len(text.encode()) < TEN_MEGABYTES
    opened = open_report(text)
    opened.scroll_through()
    assert opened.complaints == []
    assert opened.page.locator('[data-figure="importance"] .bars .point').count() == 2


def test_a_study_without_a_candidate_says_so(tmp_path, results, open_report):
    with Store.open(f"sqlite:///{tmp_path / 'empty.db'}") as store:
        store.create_study(results.study())
        opened = open_report(html.write(html.gather(store, "flowers", artifacts=tmp_path)))
    assert "No trial has completed yet" in opened.page.locator("#verdict").inner_text()
    assert opened.complaints == []


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"errors": [{"sample": 3}]}'])
def test_pictures_that_cannot_be_read_count_as_none(broken, tmp_path):
    folder = folder_of(tmp_path, "flowers", 1)
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_text(broken, encoding="utf-8")
    assert read_pictures(tmp_path, "flowers", 1) == ()


def test_a_manifest_names_files_of_its_own_folder_only(tmp_path):
    (tmp_path / "secret.jpg").write_bytes(b"\xff\xd8\xffsecret")
    draw_pictures(tmp_path, "flowers", 1)
    manifest = folder_of(tmp_path, "flowers", 1) / MANIFEST
    manifest.write_text(manifest.read_text().replace("00.jpg", "../../secret.jpg"))
    assert read_pictures(tmp_path, "flowers", 1) == ()


def test_the_best_so_far_goes_on_to_the_last_trial(stored, tmp_path):
    material = html.gather(stored, "flowers", artifacts=tmp_path)
    (history,) = next(s for s in sections(material) if s.anchor == "history").figures
    line = next(trace for trace in history.spec["data"] if trace["name"] == "best so far")
    assert line["x"][-1] == max(trial.number for trial in material.trials)
    assert line["y"][-1] == max(line["y"])


@pytest.mark.parametrize(("trials", "best"), [(6, "best trial"), (60, "best 20%")])
def test_parallel_coordinates_name_the_same_best_in_text_and_legend(stored, tmp_path, trials, best):
    material = with_trials(html.gather(stored, "flowers", artifacts=tmp_path), trials)
    section = next(s for s in sections(material) if s.anchor == "parallel")
    (figure,) = section.figures
    assert section.words == (f"One line a completed trial; in red the {best}.",)
    assert figure.spec["data"][-1]["name"] == best
    ticks = [each["text"] for each in figure.spec["layout"]["annotations"]]
    assert all(len(tick) <= 8 for tick in ticks), ticks


def test_near_duplicates_are_shown_beside_each_other(stored, tmp_path, open_report):
    material = html.gather(stored, "flowers", artifacts=tmp_path)
    group = AlikePictures(("a/1.png", "b/2.png"), ("a", "b"), ("train", "test"))
    folder = alike_folder_of(tmp_path, "flowers")
    folder.mkdir(parents=True)
    entries = []
    for place, (name, label, split) in enumerate(
        zip(group.ids, group.labels, group.splits, strict=True)
    ):
        Image.new("RGB", (8, 8), "red").save(folder / f"{place}.jpg")
        entries.append({"sample": name, "label": label, "split": split, "image": f"{place}.jpg"})
    manifest = {"fingerprint": material.study.data.fingerprint, "groups": [entries]}
    (folder / ALIKE_MANIFEST).write_text(json.dumps(manifest))
    data = replace(material.study.data, audit=DataAudit(near=(group,)))
    drawn = replace(
        material,
        study=replace(material.study, data=data),
        alike=read_alike(tmp_path, "flowers"),
    )
    opened = open_report(html.write(drawn))
    section = opened.page.locator("#data")
    assert "1 of them lie in several splits" in section.inner_text()
    assert section.locator("img").count() == 2
    assert opened.complaints == []


def test_a_comparison_shows_what_two_candidates_disagree_on(stored, open_report):
    found = compare_stored(stored, "flowers:0", "flowers:1")
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "JPEG")
    names = [each.sample for each in found.disagreements[:3]]
    opened = open_report(html.write_comparison(found, dict.fromkeys(names, buffer.getvalue())))
    assert opened.complaints == []
    images = opened.page.locator("#disagreements img")
    assert images.count() == 3
    assert images.evaluate_all("all => all.every(i => i.naturalWidth)")
    first = found.disagreements[0]
    text = opened.page.locator("#disagreements figcaption").first.inner_text()
    assert text.startswith(f"labelled {first.label}: A says {first.a}, B says {first.b}")
    assert "better by" in opened.page.locator("#verdict").inner_text()
