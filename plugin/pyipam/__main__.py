"""`python -m pyipam`."""

import sys

from pyipam.cli.main import main

sys.exit(main())
