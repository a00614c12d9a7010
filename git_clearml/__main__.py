"""Where the program begins: `git-clearml`, `python -m git_clearml`, and the hooks."""

import _signal  # type: ignore[import-not-found, unused-ignore]  # built in: `signal` would load enum first
import sys

# Until `main` heeds the signals, Ctrl-C ends us as it ends a program without a handler. There is nothing to clean up
# yet, and to load what follows takes a tenth of a second, in which Python would show a traceback.
if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

from git_clearml.cli import main

if __name__ == "__main__":
    sys.exit(main())
