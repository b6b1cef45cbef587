"""The dashboard in a real browser."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser


@pytest.fixture
def served(finished_url: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The URL that `selector dashboard` prints, and its process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "selector.cli", "dashboard", "--port", "0"],
        env={**os.environ, "SELECTOR_STORE": finished_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+/", line)
    try:
        assert found, line + process.stderr.read()
        yield found[0], process
    finally:
        process.kill()
        process.communicate()


def test_the_page_shows_study_trials_and_intermediate_values(
    served: tuple[str, subprocess.Popen[str]], chromium: Any, tmp_path: Path
) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    url, process = served
    page = chromium.new_page(viewport={"width": 1400, "height": 1200})
    page.set_default_timeout(60_000)
    page.goto(url)
    page.get_by_text("shown-in-the-browser").click()
    # The plot of intermediate values draws one line a trial, of one point an epoch.
    plot = page.locator("#graph-intermediate-values")
    sync_api.expect(plot.locator(".scatterlayer .trace")).to_have_count(3)
    sync_api.expect(plot.locator(".scatterlayer .trace path.point")).to_have_count(9)
    page.screenshot(path=tmp_path / "study.png", full_page=True)

    page.locator('a[href="/dashboard/studies/1/trials"]').click()
    sync_api.expect(page.get_by_text("3 Trials")).to_be_visible()
    for number in range(3):
        sync_api.expect(page.get_by_text(f"Trial {number}").first).to_be_visible()
    page.screenshot(path=tmp_path / "trials.png", full_page=True)
    page.close()
    for name in ("study.png", "trials.png"):
        assert (tmp_path / name).stat().st_size > 10_000

    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0
