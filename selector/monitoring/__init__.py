"""Prometheus metrics: of a running process from its events, and of a store from its rows."""

from __future__ import annotations

from selector.errors import UnavailableError

try:
    from selector.monitoring.running import RunMetrics
    from selector.monitoring.server import serving
    from selector.monitoring.stored import CONTENT_TYPE, render
except ModuleNotFoundError as missing:
    raise UnavailableError(
        f"Metrics need a package that is not installed ({missing.name}). "
        "Install it: pip install 'selector-finetune[metrics]'."
    ) from missing

__all__ = ["CONTENT_TYPE", "RunMetrics", "render", "serving"]
