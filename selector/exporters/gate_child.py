"""The other side of the parity gate: a process that has only what a consumer has.

Run as `python -I gate_child.py REQUEST`; never imported. Reads raw images, predicts them with the
bundle's own program, and writes what it found beside the request.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WARMUP_REPEATS = 3


class Without:
    """A finder of Python's, blind to packages that a consumer need not have installed."""

    def __init__(self, finder: Any, hidden: frozenset[str]) -> None:
        self._finder = finder
        self._hidden = hidden

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """What the finder finds, unless the package is hidden."""
        if name.partition(".")[0] in self._hidden:
            return None
        return self._finder.find_spec(name, path, target)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)


def main(request_file: Path) -> None:
    """Answer one request."""
    before = _packages()  # what Python's own start has imported
    request = json.loads(request_file.read_text())
    hidden = frozenset(request["hidden"])
    sys.meta_path[:] = [Without(finder, hidden) for finder in sys.meta_path]
    sys.path.insert(0, request["bundle"])
    found = _predict(request)
    loaded = _packages() - before
    foreign = sorted(loaded & hidden)
    if foreign:  # something found a way around the finders
        raise SystemExit(f"the bundle imports what it does not list: {', '.join(foreign)}")
    answer = {**found, "packages": sorted(loaded & set(request["packages"]))}
    Path(request["answer"]).write_text(json.dumps(answer))


def _packages() -> set[str]:
    return {name.partition(".")[0] for name in sys.modules}


def _predict(request: dict[str, Any]) -> dict[str, Any]:
    # Here and not above: from now on only what the bundle lists can be imported.
    import importlib

    import numpy as np

    predict = importlib.import_module("predict")
    folder = Path(request["bundle"])
    classifier = predict.Classifier.open(folder)
    parts = [
        classifier.log_probabilities(np.stack([classifier.pixels(image) for image in chunk]))
        for chunk in _chunks(_images(request), predict.BATCH)
    ]
    found = np.concatenate(parts)
    np.save(request["output"], found)
    bounded = predict.Classifier.open(folder, threads=request["threads"])
    pixels = bounded.pixels(_images(request)[0])[None]
    times = [_seconds(bounded, pixels) for _ in range(WARMUP_REPEATS + request["repeats"])]
    names = classifier.class_names
    return {
        "class_names": list(names),
        "labels": [
            classifier.label(dict(zip(names, map(float, row), strict=True)))
            for row in np.exp(found)
        ],
        "latency_ms": 1000 * statistics.median(times[WARMUP_REPEATS:]),
    }


def _images(request: dict[str, Any]) -> Sequence[Any]:
    """Paths of image files, or images made of pixels where there are no files."""
    if request["pixels"] is None:
        return [Path(path) for path in request["paths"]]
    import numpy as np
    from PIL import Image

    return [Image.fromarray(pixels) for pixels in np.load(request["pixels"], allow_pickle=False)]


def _chunks(images: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [images[start : start + size] for start in range(0, len(images), size)]


def _seconds(classifier: Any, pixels: Any) -> float:
    started = time.perf_counter()
    classifier.log_probabilities(pixels)
    return time.perf_counter() - started


if __name__ == "__main__":
    main(Path(sys.argv[1]))
