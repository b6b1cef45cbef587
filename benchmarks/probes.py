"""A fixed list of linear probes through the textbook loop and through `selector`.

    python studies/fetch_emoji.py data/emoji
    python -m benchmarks.probes --data data/emoji

As `benchmarks.study`, with freeze depth 5 only: the whole backbone is frozen, and the head alone is
trained. Target: at least 30 times less.
"""

from __future__ import annotations

from benchmarks.side_by_side import measure, options_of


def main() -> None:
    """Freeze depth 5 only."""
    measure(options_of(__doc__), depths=(5,))


if __name__ == "__main__":
    main()
