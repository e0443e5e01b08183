"""`python -m pyipam`."""

from pyipam.cli.main import run

run()
