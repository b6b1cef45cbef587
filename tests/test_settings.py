"""Settings come from the environment; what cannot be used is named in one line."""

from __future__ import annotations

import pytest

from selector.errors import InputError
from selector.settings import load_settings


@pytest.mark.parametrize("value", ["inf", "nan", "-1", "abc", ""])
def test_a_size_that_is_none_is_named_with_what_is_allowed(value, monkeypatch):
    monkeypatch.setenv("SELECTOR_CACHE_GB", value)
    with pytest.raises(InputError) as caught:
        load_settings()
    line = str(caught.value)
    assert f"SELECTOR_CACHE_GB='{value}'" in line
    assert "a number of gigabytes from 0 up" in line
    assert "\n" not in line


def test_all_settings_that_cannot_be_used_are_named_at_once(monkeypatch):
    monkeypatch.setenv("SELECTOR_CACHE_GB", "much")
    monkeypatch.setenv("SELECTOR_OFFLINE", "perhaps")
    with pytest.raises(InputError, match=r"CACHE_GB='much'.*OFFLINE='perhaps'.*true or false"):
        load_settings()


def test_settings_are_read_from_the_environment_now(monkeypatch):
    monkeypatch.setenv("SELECTOR_CACHE_GB", "0")
    monkeypatch.setenv("SELECTOR_OFFLINE", "true")
    assert (load_settings().cache_gb, load_settings().offline) == (0.0, True)
