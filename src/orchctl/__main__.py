"""
``orchctl``: run one command; errors end it with one clear message and the right exit status, never a traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from orchestrd.errors import OrchestrdError

if TYPE_CHECKING:
    from orchctl.invocation import Invocation

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the command line *argv* (without the program's name) and give its exit status.
    """
    from typer.exceptions import Abort, TyperException
    from typer.main import get_command

    from orchctl.cli.app import app
    from orchctl.failures import code_of, exit_status
    from orchctl.invocation import Invocation

    args = list(sys.argv[1:] if argv is None else argv)
    here = Invocation()
    try:
        result = get_command(app).main(args, prog_name="orchctl", standalone_mode=False, obj=here)
    except OrchestrdError as error:
        _complain(here, error.message, error.hint, code_of(error))
        return exit_status(error)
    except TyperException as error:
        return _misused(here, args, error)
    except (KeyboardInterrupt, Abort):
        return INTERRUPTED
    finally:
        here.close()
    return result if isinstance(result, int) else 0


def _misused(here: Invocation, args: list[str], error: Any) -> int:
    """
    Tell what is wrong with the command line.  A group called without a command shows its help instead.
    """
    context = getattr(error, "ctx", None)
    if not error.format_message() and context is not None:
        return int(error.exit_code)
    here.json = here.json or "--json" in args
    path = context.command_path if context is not None else "orchctl"
    _complain(here, error.format_message(), f"{path} --help", -32602)
    return int(error.exit_code)


def _complain(here: Invocation, message: str, hint: str, code: int) -> None:
    """
    One error on standard error: text, or with ``--json`` an object.
    """
    if here.json:
        import msgspec

        error = {"error": {"message": message, "hint": hint, "code": code}}
        sys.stderr.write(msgspec.json.encode(error).decode() + "\n")
        return
    red, dim, off = ("\x1b[31m", "\x1b[2m", "\x1b[0m") if _colour() else ("", "", "")
    sys.stderr.write(f"{red}error:{off} {message}\n")
    if hint:
        sys.stderr.write(f"{dim}hint: {hint}{off}\n")


def _colour() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


if __name__ == "__main__":
    sys.exit(main())
