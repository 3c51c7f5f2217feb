"""`python -m lmkeras`: the command line."""

import sys

from lmkeras.cli import main

sys.exit(main())
