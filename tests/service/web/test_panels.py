"""What stands beside the studies: champions, schedules, and the store's own metrics."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert

from selector.records import StoredSchedule
from selector.service.web import openapi
from selector.service.web.app import make_app
from selector.store.firing_tables import FiringTable
from tests.service.web.conftest import NAME, TOKEN, Served
from tests.store.test_champions import NEW, decision


@pytest.fixture
def filled(page: Served) -> Served:
    """A page of a store with a champion and a schedule, both called as nobody should be."""
    store = page.site.store
    store.champions.decide("<b>flowers</b>", decision(), after=0, champion=NEW)
    schedule = StoredSchedule(
        study="<i>night</i>",
        file="/studies/night.yaml",
        cron="0 2 * * 1-5",
        timezone="Europe/Berlin",
        decided_until=dt.datetime.now(dt.UTC),
    )
    assert store.schedules.set(schedule, before=None)
    return page


def test_the_page_shows_champions_and_schedules_with_their_names_as_text(filled: Served) -> None:
    text = filled.get("/").text
    assert "<h2" in text and "Champions" in text and "Schedule" in text
    assert "&lt;b&gt;flowers&lt;/b&gt;" in text and "&lt;i&gt;night&lt;/i&gt;" in text
    assert "<b>flowers" not in text and "<i>night" not in text
    assert "trial 3 of flowers" in text


def test_a_store_without_any_has_no_empty_panels(page: Served) -> None:
    text = page.get("/").text
    assert "Champions" not in text and "Schedule" not in text


def test_the_api_tells_the_same(filled: Served) -> None:
    schemas = openapi.document()["components"]["schemas"]
    (champion,) = filled.get("/api/champions").json
    assert set(schemas["Champion"]["required"]) == champion.keys()
    assert champion["champion"]["trial"] == 3 and champion["latest"]["action"] == "first"
    schedules = filled.get("/api/schedules").json
    assert set(schemas["Schedules"]["required"]) == schedules.keys()
    (schedule,) = schedules["schedules"]
    due = dt.datetime.fromisoformat(schedule["next_due"])
    assert schedule["study"] == "<i>night</i>" and due > dt.datetime.now(dt.UTC)


def test_metrics_are_those_of_the_store(page: Served) -> None:
    answer = page.get("/metrics")
    assert answer.status == 200
    families = {each.name: each for each in text_string_to_metric_families(answer.text)}
    (studies,) = families["selector_studies"].samples
    assert studies.value == len(page.site.store.studies()) > 0


@pytest.mark.parametrize("path", ["/api/champions", "/api/schedules", "/metrics"])
def test_other_machines_read_none_of_it_without_the_token(path: str, serve, own_url) -> None:
    served = serve(own_url, host="0.0.0.0")
    assert make_app(served.site) is not None
    assert served.get(path).status == 401
    assert served.get(path, Authorization=f"Bearer {TOKEN}").status == 200


def test_a_champion_leads_to_the_page_of_its_study(page: Served) -> None:
    page.site.store.champions.decide(
        "shipped", decision(), after=0, champion=replace(NEW, study=NAME)
    )
    assert f'<a href="/studies/{NAME}">shipped</a>' in page.get("/").text


def test_a_schedule_shows_the_last_firing_that_ran_not_one_that_was_left_out(
    page: Served,
) -> None:
    stored = StoredSchedule(
        study="night",
        file="/studies/night.yaml",
        cron="0 2 * * *",
        timezone="UTC",
        decided_until=dt.datetime.now(dt.UTC),
    )
    assert page.site.store.schedules.set(stored, before=None)
    start = dt.datetime(2026, 6, 1, 2, tzinfo=dt.UTC)
    rows = [("ended", 0, "swap: better"), ("skipped", None, "an earlier firing runs")]
    with page.site.store.engine.begin() as connection:
        for day, (state, code, line) in enumerate(rows):
            values = {"study": "night", "due": start + dt.timedelta(days=day), "missed": 0}
            more = {"state": state, "exit_code": code, "line": line, "takeovers": 0}
            connection.execute(insert(FiringTable), {**values, **more})
    found = page.get("/api/schedules").json
    assert found["schedules"][0]["last"]["line"] == "swap: better"
    assert [each["state"] for each in found["firings"]] == ["skipped", "ended"]


def test_an_empty_store_says_how_to_submit(serve, tmp_path) -> None:
    empty = f"sqlite:///{tmp_path / 'empty.db'}"
    assert 'href="/submit">submit a study file' in serve(empty).get("/").text
    assert "submit a study file" not in serve(empty, token=None).get("/").text
