"""The web page in a real browser: on a desk, on a phone, by keyboard, in the dark."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from selector.records import TrialEnd
from tests.service.web.conftest import LIMIT_SECONDS, RUNNING, TOKEN, Served, run_of

pytestmark = pytest.mark.browser

NAME = "shown-in-the-browser"
PAGES = ("/", f"/studies/{NAME}", f"/studies/{RUNNING}", "/login", "/submit", "/nope")
HOSTILE = "<img src=x onerror=alert(1)></script><script>document.title='owned'</script>"
AA = 4.5  # WCAG 2.2, success criterion 1.4.3
# For every piece of text that is seen: its colour, and what it stands on.
COLOURS = """() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim(), element = walker.currentNode.parentElement;
    if (!text || !element.checkVisibility() || element.closest("noscript")) continue;
    let under = element, ground;
    do { ground = getComputedStyle(under).backgroundColor; under = under.parentElement; }
    while (under && ground.endsWith(", 0)"));
    found.push([text, getComputedStyle(element).color, ground]);
  }
  return found;
}"""


@dataclass
class Tab:
    """A page in the browser, with what the browser complained of and asked the network for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def browse(chromium: Any) -> Iterator[Callable[..., Tab]]:
    """Opens a page of a server in a browser without a history."""
    contexts = []

    def browse_to(served: Served, path: str = "/", *, width: int = 1280, **options: Any) -> Tab:
        context = chromium.new_context(viewport={"width": width, "height": 800}, **options)
        contexts.append(context)
        context.set_default_timeout(1000 * LIMIT_SECONDS)
        tab = Tab(context.new_page())
        tab.page.on("console", lambda message: tab.complaints.append(message.text))
        tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.page.on("dialog", lambda dialog: tab.complaints.append("a dialog opened"))
        tab.page.on("request", lambda request: tab.requests.append(request.url))
        tab.page.goto(served.url + path)
        return tab

    yield browse_to
    for context in contexts:
        context.close()


def log_in(tab: Tab, served: Served) -> None:
    tab.page.goto(f"{served.url}/login")
    tab.page.get_by_label("Token").fill(TOKEN)
    tab.page.get_by_role("button", name="Log in").click()
    tab.page.get_by_role("button", name="Log out").wait_for()


def luminance(colour: str) -> float:
    """The relative luminance of `rgb(r, g, b)` (WCAG 2.2)."""
    parts = [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_way_from_the_list_to_study_and_report(
    shown: Served, browse: Callable[..., Tab]
) -> None:
    tab = browse(shown)

    tab.page.locator("#studies").get_by_role("link", name=NAME).click()

    page = tab.page
    assert page.locator("h1").inner_text() == NAME
    rows = page.locator("#leaderboard tbody tr")
    assert rows.count() == 3
    board = shown.site.boards.board(NAME)
    for row, expected in zip(rows.all(), board.candidates, strict=True):
        assert f"{expected.score:.4f}" in row.inner_text()
        assert f"{expected.ci_low:.3f}–{expected.ci_high:.3f}" in row.inner_text()
    page.get_by_role("link", name="Report").click()
    page.locator("#verdict").wait_for()
    page.locator("[data-figure]").first.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length > 0")
    assert tab.complaints == []
    assert all(url.startswith((shown.url, "data:", "blob:")) for url in tab.requests)


@pytest.mark.parametrize("width", [375, 1200])
def test_every_page_fits(shown: Served, browse: Callable[..., Tab], width: int) -> None:
    tab = browse(shown, width=width)
    log_in(tab, shown)
    for path in PAGES:
        tab.page.goto(shown.url + path)
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_a_phone_has_room_for_all_of_the_bar_and_shows_that_tables_scroll(
    shown: Served, browse: Callable[..., Tab]
) -> None:
    tab = browse(shown, width=375)
    log_in(tab, shown)
    tab.page.goto(shown.url)
    box = tab.page.get_by_role("button", name="Log out").bounding_box()
    bar = tab.page.locator(".bar").bounding_box()
    assert box is not None and bar is not None
    assert box["x"] + box["width"] <= 375 and bar["height"] < 60, "in one line"
    for panel in ("#champions", "#schedule"):
        shade = tab.page.locator(f"{panel} .scroll").first
        assert "scroll" in shade.evaluate("e => getComputedStyle(e).backgroundAttachment"), panel


def test_a_phone_shows_who_leads_and_how_sure_that_is(
    shown: Served, browse: Callable[..., Tab]
) -> None:
    tab = browse(shown, f"/studies/{NAME}", width=375)
    for column in ("trial", "backbone", "f1_macro ↑"):
        heading = tab.page.locator("#leaderboard th", has_text=column).first
        box = heading.bounding_box()
        assert box is not None and box["x"] + box["width"] <= 375, column


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(shown: Served, browse: Callable[..., Tab], scheme: str) -> None:
    tab = browse(shown, color_scheme=scheme)
    log_in(tab, shown)
    paper = set()
    for path in (*PAGES, "/states"):
        if path == "/states":  # each state has a colour of its own
            tab.page.evaluate(
                """() => { document.querySelector("main").innerHTML =
                ["running", "waiting", "stopped", "interrupted", "failed", "finished"]
                .map((s) => `<span class="state ${s}">${s}</span>`).join("")
                + '<button class="danger">Stop</button>'; }"""
            )
        else:
            tab.page.goto(shown.url + path)
        paper.add(tab.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        seen = tab.page.evaluate(COLOURS)
        assert len(seen) >= 6
        weak = [(text, contrast(ink, ground)) for text, ink, ground in seen]
        assert [each for each in weak if each[1] < AA] == [], path
    (ground,) = paper
    assert (luminance(ground) < 0.1) == (scheme == "dark")


@pytest.mark.parametrize("path", ["/", f"/studies/{NAME}", f"/studies/{RUNNING}"])
def test_everything_can_be_reached_by_keyboard(
    shown: Served, browse: Callable[..., Tab], path: str
) -> None:
    tab = browse(shown, path)
    page, reached = tab.page, []
    wanted = page.locator("a, button, .scroll").count()
    for _ in range(wanted):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            """() => { const e = document.activeElement, style = getComputedStyle(e);
            return [e.innerText || e.className, style.outlineStyle]; }"""
        )
        assert outline != "none", name
        reached.append(name)
    assert reached[0] == "To the content"
    assert len(reached) == wanted and page.evaluate("document.activeElement !== document.body")
    page.goto(shown.url)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**#main")


def test_the_page_is_kept_fresh(page: Served, browse: Callable[..., Tab], results: Any) -> None:
    tab = browse(page, f"/studies/{NAME}")
    listed = browse(page)
    tab.page.evaluate("window.here = true")

    page.site.store.begin_run(run_of(page.site.store, NAME))
    page.site.store.ask_to_stop(NAME, who="ann@box")
    results.fill(page.site.store, name="new")

    tab.page.locator("#facts .state", has_text="stopped").wait_for()
    assert tab.page.evaluate("window.here")  # without loading it again
    listed.page.get_by_role("link", name="new").wait_for()
    assert tab.complaints == listed.complaints == []


def test_the_page_works_without_scripts(shown: Served, browse: Callable[..., Tab]) -> None:
    tab = browse(shown, f"/studies/{NAME}", java_script_enabled=False)
    assert tab.page.locator("#leaderboard tbody tr").count() == 3
    assert tab.page.locator("meta[http-equiv=refresh]").get_attribute("content") == "30"


def test_who_is_logged_in_submits_and_stops(page: Served, browse: Callable[..., Tab]) -> None:
    store = page.site.store
    store.begin_run(run_of(store, NAME))  # so that there is something to stop
    tab = browse(page, f"/studies/{NAME}")
    assert tab.page.get_by_role("button", name="Stop").count() == 0
    log_in(tab, page)

    tab.page.get_by_role("link", name="Submit").click()
    tab.page.get_by_label("Study file").fill("name: sent\nbugdet: {trials: 3}\n")
    tab.page.get_by_role("button", name="Check and register").click()

    alert = tab.page.get_by_role("alert")
    alert.wait_for()
    assert "budget" in alert.inner_text()
    assert "bugdet: {trials: 3}" in tab.page.get_by_label("Study file").input_value()

    tab.page.goto(f"{page.url}/studies/{NAME}")
    tab.page.get_by_role("button", name="Stop").click()

    tab.page.locator("#facts .state", has_text="stopped").wait_for()
    assert store.state(NAME) == "stopped"
    tab.page.get_by_role("button", name="Log out").click()
    tab.page.get_by_role("link", name="Log in").wait_for()
    # Answers of 422 are shown in the console by the browser itself.
    assert [line for line in tab.complaints if "422" not in line] == []


def test_hostile_names_stay_text(page: Served, browse: Callable[..., Tab], results: Any) -> None:
    store, name = page.site.store, "hostile"
    study = results.study(name)
    labels = (HOSTILE, "bee", "cat")
    data = dataclasses.replace(study.data, class_names=labels)
    store.create_study(dataclasses.replace(study, data=data))
    run = store.begin_run(dataclasses.replace(results.run_start(name), command=HOSTILE))
    start = results.trial_start(0, backbone=f"toy:{HOSTILE}")
    store.start_trial(name, run, start)
    store.finish_trial(name, results.complete(0))
    store.start_trial(name, run, results.trial_start(1, backbone=f"toy:{HOSTILE}"))
    failed = dataclasses.replace(results.failed(1), failure_cause="bug", failure_message=HOSTILE)
    assert isinstance(failed, TrialEnd)
    store.finish_trial(name, failed)
    store.create_study(results.study(f"x{HOSTILE}"))

    tab = browse(page)
    assert HOSTILE in tab.page.locator("#studies").inner_text()
    tab.page.goto(f"{page.url}/studies/{name}")

    assert tab.page.title() == "hostile · selector"
    for part in ("#leaderboard", "#failures", "#runs"):
        assert HOSTILE in tab.page.locator(part).inner_text(), part
    assert tab.page.locator("img[src='x']").count() == 0
    tab.page.goto(f"{page.url}/studies/{name}/report")
    assert tab.page.title() == "hostile · selector report"
    assert tab.complaints == []
