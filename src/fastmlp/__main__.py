"""The command ``fastmlp``, also ``python -m fastmlp``: it ends at once on Ctrl-C, whatever it is at."""

import os
import sys

from fastmlp.command_line import INTERRUPTED


def main() -> None:
    """Run the command line."""
    try:
        # Typer takes a while to import.
        from fastmlp.cli import app

        app()
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        _leave()
    except SystemExit as end:
        if end.code == INTERRUPTED or _comes_of_interrupt(end):
            _leave()
        raise


def _comes_of_interrupt(end: BaseException) -> bool:
    """Whether it was Ctrl-C, of which Typer makes an error like any other."""
    before: BaseException | None = end
    while before is not None and not isinstance(before, KeyboardInterrupt):
        before = before.__cause__ or before.__context__
    return before is not None


def _leave() -> None:
    """End without waiting for what still compiles."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
