"""The error whose message is written for users of vaeline."""

import sys
from collections.abc import Callable

from vaeline.process_start import prepare_process
from vaeline.redaction import redact


class VaelineError(Exception):
    """Bad input or a failed check. The message is one sentence: what, where, what to do. It is without secrets."""

    def __init__(self, message: str) -> None:
        super().__init__(redact(message))


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage. A `VaelineError` prints one sentence on stderr and exits with 1; Ctrl-C exits with 130."""
    prepare_process()
    try:
        main()
    except VaelineError as error:
        sys.exit(f"vaeline: {error}")
    except KeyboardInterrupt:
        print("vaeline: stopped; run the same command again to continue", file=sys.stderr)
        sys.exit(130)
