"""The command line.

Exit status: 0 when the work is done, 1 when `verify` finds damage or `repair` leaves some, 2 for bad input (one line on
standard error says what, where and how to mend it), 130 after Ctrl-C. Anything else is a defect of ours and shows its
traceback. Results go to standard output, progress and remarks to standard error, so that every command can stand in a
pipe.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from commonspace.cli.shared import STOPPED, app, remark
from commonspace.core.errors import CommonspaceError

# The commands, in the order in which help lists them.
from commonspace.cli import spaces, benchmarks, evaluating, judging, collections, indexing, upgrading, keeping, mending  # noqa: F401  # isort: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    sys.exit(run_command(list(sys.argv[1:] if arguments is None else arguments)))


def run_command(arguments: list[str]) -> int:
    """Run one command and return its exit status."""
    try:
        status = app(args=arguments, prog_name="commonspace", standalone_mode=False)
    except CommonspaceError as e:
        remark(f"error: {' '.join(str(e).split())}")
        return 2
    except (KeyboardInterrupt, typer.Abort):
        remark("stopped")
        return STOPPED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as e:
        if e.filename is None:
            raise
        remark(f"error: {e.filename}: {e.strerror}")
        return 2
    except Exception as e:
        if not hasattr(e, "format_message"):  # a usage error of the command line library has one
            raise
        remark(f"error: {e.format_message()} (see commonspace --help)")
        return 2
    if status == STOPPED:
        remark("stopped")
    return status if isinstance(status, int) else 0
