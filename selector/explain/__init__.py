"""Pictures for a report: what a candidate got wrong and where it looked, and near duplicates."""

from selector.explain.alike import draw_alike as draw_alike
from selector.explain.errors import draw_errors as draw_errors
from selector.explain.samples import draw_samples as draw_samples
