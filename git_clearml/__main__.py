"""Where the program begins: `git-clearml`, `python -m git_clearml`, and the hooks."""

import signal
import sys

# Until `main` heeds the signals, Ctrl-C ends us as it ends a program without a handler. There is nothing to clean up
# yet, and to load what follows takes a tenth of a second, in which Python would show a traceback.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from git_clearml.cli import main

if __name__ == "__main__":
    sys.exit(main())
