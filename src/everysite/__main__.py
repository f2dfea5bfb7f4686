"""`python -m everysite` is the same as `everysite`."""

import sys

from everysite.cli import main

sys.exit(main())
