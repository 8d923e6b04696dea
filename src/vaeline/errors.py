"""The one error that a user of vaeline is meant to read."""

import sys
from collections.abc import Callable


class VaelineError(Exception):
    """Bad input or a failed check: one sentence saying what, where and what to do."""


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage; a `VaelineError` becomes one sentence on stderr and exit status 1, Ctrl-C exit status 130."""
    try:
        main()
    except VaelineError as error:
        sys.exit(f"vaeline: {error}")
    except KeyboardInterrupt:
        print("vaeline: stopped; the same command goes on where it stopped", file=sys.stderr)
        sys.exit(130)
