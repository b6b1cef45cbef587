"""Where selector keeps things, read from `SELECTOR_*` environment variables."""

from __future__ import annotations

import hashlib
from pathlib import Path

import platformdirs
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from selector.errors import InputError

_PREFIX = "SELECTOR_"
_ALLOWED = {
    "cache_gb": "a number of gigabytes from 0 up, such as 20",
    "lease_seconds": "a number of seconds from 1 to 3600, such as 180",
    "outage_seconds": "a number of seconds from 0 up, such as 300",
    "offline": "true or false",
    "metrics_port": "a port from 0 to 65535, such as 9464; 0 takes a free one",
    "token": "16 characters or more, such as `openssl rand -hex 24` prints",
}
_SECRET = ("store", "token")

REMOTE_EXTRA = "For s3:// and gs:// install the extra: pip install 'selector-finetune[remote]'."


class Settings(BaseSettings):
    """Store URL, cache and artifact folders, and whether the network may be used.

    `artifacts_at` is a folder or a URL.

    `cache_gb` bounds the outputs of frozen stages that are kept below `cache`. A worker that is not
    heard of for `lease_seconds` loses its trial; a store that does not answer for `outage_seconds`
    while a worker has nothing else to do ends that worker. Who has `token` may write through the
    web page.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True)

    store: str = Field(default="sqlite:///selector.db", repr=False)  # may hold a password
    cache: Path = Path(platformdirs.user_cache_dir("selector", appauthor=False))
    cache_gb: float = Field(default=20.0, ge=0, allow_inf_nan=False)
    artifacts_at: str = Field(default="selector-artifacts", validation_alias="SELECTOR_ARTIFACTS")
    offline: bool = False
    lease_seconds: float = Field(default=180.0, ge=1, le=3600, allow_inf_nan=False)
    outage_seconds: float = Field(default=300.0, ge=0, allow_inf_nan=False)
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    metrics_host: str = "127.0.0.1"
    webhook_secret: SecretStr | None = None  # signs what webhooks are sent
    token: str | None = Field(default=None, min_length=16, repr=False)

    @property
    def artifacts_url(self) -> str | None:
        """Where artifacts are kept, if not on this machine."""
        return self.artifacts_at.rstrip("/") if "://" in self.artifacts_at else None

    @property
    def artifacts(self) -> Path:
        """The folder of this machine in which artifacts are written and read."""
        if self.artifacts_url is None:
            return Path(self.artifacts_at)
        name = hashlib.sha256(self.artifacts_url.encode()).hexdigest()[:16]
        return self.cache / "artifacts" / name


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
