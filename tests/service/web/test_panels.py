"""What stands beside the studies: champions, schedules, and the store's own metrics."""

from __future__ import annotations

import datetime as dt

import pytest
from prometheus_client.parser import text_string_to_metric_families

from selector.records import StoredSchedule
from selector.service.web import openapi
from selector.service.web.app import make_app
from tests.service.web.conftest import TOKEN, Served
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
