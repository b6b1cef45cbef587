"""`python -m selector.cli`, the same as `selector`."""

from selector.cli import main

main()
