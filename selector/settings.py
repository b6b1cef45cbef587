"""Where selector keeps things, read from `SELECTOR_*` environment variables."""

from __future__ import annotations

from pathlib import Path

import platformdirs
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from selector.errors import InputError

_PREFIX = "SELECTOR_"
_ALLOWED = {
    "cache_gb": "a number of gigabytes from 0 up, such as 20",
    "lease_seconds": "a number of seconds from 1 to 3600, such as 180",
    "outage_seconds": "a number of seconds from 0 up, such as 300",
    "offline": "true or false",
    "token": "16 characters or more, such as `openssl rand -hex 24` prints",
}
_SECRET = ("store", "token")


class Settings(BaseSettings):
    """Store URL, cache and artifact folders, and whether the network may be used.

    `cache_gb` bounds the outputs of frozen stages that are kept below `cache`. A worker that is not
    heard of for `lease_seconds` loses its trial; a store that does not answer for `outage_seconds`
    while a worker has nothing else to do ends that worker. Who has `token` may write through the
    web page.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True)

    store: str = Field(default="sqlite:///selector.db", repr=False)  # may hold a password
    cache: Path = Path(platformdirs.user_cache_dir("selector", appauthor=False))
    cache_gb: float = Field(default=20.0, ge=0, allow_inf_nan=False)
    artifacts: Path = Path("selector-artifacts")
    offline: bool = False
    lease_seconds: float = Field(default=180.0, ge=1, le=3600, allow_inf_nan=False)
    outage_seconds: float = Field(default=300.0, ge=0, allow_inf_nan=False)
    token: str | None = Field(default=None, min_length=16, repr=False)


def load_settings() -> Settings:
    """The settings of this process, read from the environment now.

    InputError names every variable that cannot be used, its value and what is allowed.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = []
        for found in error.errors(include_url=False):
            name = str(found["loc"][0])
            allowed = _ALLOWED.get(name, found["msg"])
            shown = "..." if name in _SECRET else found["input"]
            problems.append(f"{_PREFIX}{name.upper()}='{shown}': allowed is {allowed}.")
        raise InputError(" ".join(problems)) from error
