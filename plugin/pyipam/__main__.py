"""`python -m pyipam`."""

import sys

from pyipam.cli import main

sys.exit(main())
