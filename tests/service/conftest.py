"""A store with a small finished study."""

from __future__ import annotations

import pytest

from selector.run import run

STUDY = """\
name: shown-in-the-browser
data: {source: "builtin:digits", limit: 200}
metric: {name: f1_macro, goal: maximize}
search:
  backbone: toy:cnn
  lr: {log_uniform: [1.0e-3, 1.0e-2]}
  freeze_depth: [0, 1]
  batch_size: [16, 32]
  image_size: 16
pruner: none
budget: {trials: 3, epochs: 3}
finals: off
"""


@pytest.fixture(scope="session")
def finished_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a store in which one study has run to its end."""
    folder = tmp_path_factory.mktemp("dashboard")
    (folder / "study.yaml").write_text(STUDY)
    url = f"sqlite:///{folder / 'selector.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELECTOR_CACHE", str(folder / "cache"))
        patch.setenv("SELECTOR_ARTIFACTS", str(folder / "artifacts"))
        run(folder / "study.yaml", store=url)
    return url
