"""Where selector keeps things, read from `SELECTOR_*` environment variables."""

from __future__ import annotations

from pathlib import Path

import platformdirs
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Store URL, cache and artifact folders, and whether the network may be used.

    `cache_gb` bounds the outputs of frozen stages that are kept below `cache`.
    """

    model_config = SettingsConfigDict(env_prefix="SELECTOR_", frozen=True)

    store: str = "sqlite:///selector.db"
    cache: Path = Path(platformdirs.user_cache_dir("selector", appauthor=False))
    cache_gb: float = Field(default=20.0, ge=0)
    artifacts: Path = Path("selector-artifacts")
    offline: bool = False


def load_settings() -> Settings:
    """The settings of this process, read from the environment now."""
    return Settings()
