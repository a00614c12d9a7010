"""`python -m git_clearml` is `git clearml`."""

import sys

from git_clearml.cli import main

sys.exit(main())
