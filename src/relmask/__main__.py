"""`python -m relmask`."""

from relmask.cli import main

main()
