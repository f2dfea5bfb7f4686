"""`python -m everysite.cli` is the same as `everysite`."""

import sys

from everysite.cli import main

sys.exit(main())
