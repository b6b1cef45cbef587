"""A fixed list of trials through the textbook loop and through `selector`.

    python studies/fetch_emoji.py data/emoji
    python -m benchmarks.study --data data/emoji

Both arms train the same trials on the same split, in turn, trial by trial: same weights, head,
order of samples, learning rates, frozen BatchNorm in evaluation mode, and number of threads. Only
the work differs. Nothing is pruned. What comes before the first trial counts, the audit of the data
too. The pictures are those of `--data` and 1,000 generated JPEGs of 500 x 400. Targets: at least
1.8 times less on the emoji pictures, 3 times on the JPEGs; the last line is the first data set's.
"""

from __future__ import annotations

from benchmarks.side_by_side import measure, options_of


def main() -> None:
    """Freeze depths spread evenly over 0..5."""
    measure(options_of(__doc__), depths=tuple(range(6)))


if __name__ == "__main__":
    main()
