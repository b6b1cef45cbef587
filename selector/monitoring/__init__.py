"""Prometheus metrics: of a running process from its events, and of a store from its rows."""

from __future__ import annotations

import importlib.util

from selector.errors import UnavailableError

if importlib.util.find_spec("prometheus_client") is None:
    raise UnavailableError(
        "Metrics need the package prometheus-client. "
        "Install it: pip install 'selector-finetune[metrics]'."
    )

from selector.monitoring.running import RunMetrics
from selector.monitoring.server import serving
from selector.monitoring.stored import CONTENT_TYPE, render

__all__ = ["CONTENT_TYPE", "RunMetrics", "render", "serving"]
