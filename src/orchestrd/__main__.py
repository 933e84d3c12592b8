"""
``orchestrd --home DIR``: argv → config → the daemon in the foreground.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import anyio
import msgspec

from orchestrd.config import find_home, load_config
from orchestrd.daemon import VERSION, check, configure_logging, serve
from orchestrd.errors import OrchestrdError


def main(argv: list[str] | None = None) -> int:
    """
    Serve a home until told to stop.  Exit status: 0 drained, 74 I/O, 75 already running, 78 config or journal needs a
    person (sysexits.h).
    """
    parser = argparse.ArgumentParser(prog="orchestrd", description="Run Claude Code agents on a day's tasks.")
    parser.add_argument("--home", type=Path, help="the home folder (default: $ORCHESTRD_HOME, or an ancestor)")
    parser.add_argument("--check", action="store_true", help="look at what agents need, print JSON, exit 0 or 1")
    parser.add_argument("--version", action="version", version=f"orchestrd {VERSION}")
    arguments = parser.parse_args(argv)
    environ = dict(os.environ)
    # Everything the daemon makes is private to its user, whatever the shell's habit is.
    os.umask(0o077)
    try:
        home = find_home(arguments.home, environ, Path.cwd())
        configure_logging(load_config(home).log_level, sys.stderr)
        if arguments.check:
            found = anyio.run(check, home, environ)
            sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
            return 0 if found.ok else 1
        options = {"use_uvloop": sys.platform == "linux"}
        anyio.run(serve, home, environ, backend="asyncio", backend_options=options)
    except OrchestrdError as error:
        sys.stderr.write(f"orchestrd: {error}\n")
        return error.exit_status
    except BaseExceptionGroup as group:
        known, rest = group.split(OrchestrdError)
        if known is None or rest is not None:
            raise
        first = _first(known)
        sys.stderr.write(f"orchestrd: {first}\n")
        return first.exit_status
    return 0


def _first(group: BaseExceptionGroup[OrchestrdError]) -> OrchestrdError:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


if __name__ == "__main__":
    sys.exit(main())
