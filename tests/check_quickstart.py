"""What the quickstart promises, checked on a store in which it has just run: `URL` as argument."""

from __future__ import annotations

import sys

from selector import Study

WANTED_SCORE = 0.95
WANTED_TRIALS = 12
ALLOWED_SECONDS = 300


def check(url: str) -> list[str]:
    """What does not hold."""
    study = Study.load("quickstart", store=url)
    counts, best = study.counts, study.best
    seconds = float(study.trials()["seconds"].sum())
    promises = {
        f"{WANTED_TRIALS} trials or more": counts.complete + counts.pruned >= WANTED_TRIALS,
        "some trials are pruned": counts.pruned > 0,
        "no trial fails": counts.failed == 0,
        f"best score of at least {WANTED_SCORE}": best.score >= WANTED_SCORE,
        f"at most {ALLOWED_SECONDS} s of training": seconds <= ALLOWED_SECONDS,
    }
    print(f"quickstart: best {best.score:.4f}, {counts}, {seconds:.0f} s of training")
    return [promise for promise, holds in promises.items() if not holds]


if __name__ == "__main__":
    broken = check(sys.argv[1])
    if broken:
        sys.exit("The quickstart does not keep: " + "; ".join(broken))
