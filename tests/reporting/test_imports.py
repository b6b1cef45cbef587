"""Reading results is quick because it loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys

from selector.store import Store

CODE = """
import sys
from selector import reporting
from selector.reporting.ranking import rank
from selector.store import Store
with Store.open(sys.argv[1]) as store:
    for fmt in reporting.formats():
        reporting.render(rank(store, "flowers"), fmt)
heavy = ("torch", "torchvision", "sklearn", "scipy", "optuna", "pandas", "alembic")
print([name for name in heavy if name in sys.modules])
"""


def test_the_report_loads_nothing_heavy(stored: Store) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, stored.url], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
