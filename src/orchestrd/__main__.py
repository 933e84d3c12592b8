"""
``orchestrd --home DIR``: argv → config → the daemon in the foreground.
"""

from __future__ import annotations

import signal

if __name__ == "__main__":
    # What follows is read for a good part of a second: a signal waits until it is known what was asked for.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))

import argparse
import faulthandler
import os
import sys
import traceback
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType

import anyio
import msgspec

from orchestrd import __version__
from orchestrd.ancestry import refuse_runs
from orchestrd.clock import SystemClock
from orchestrd.config import agent_environment, find_home, load_config
from orchestrd.edges import signals
from orchestrd.edges.systemd import Service
from orchestrd.errors import OrchestrdError, ServiceFailed
from orchestrd.heap import share
from orchestrd.protocol.api import Doctor
from orchestrd.redaction import Redact, Redactor, secrets_of


def main(argv: list[str] | None = None) -> int:
    """
    Serve a home until told to stop.  Exit status: 0 drained, 70 a part of it broke, 74 I/O, 75 already running, 77 asked for
    by an agent, 78 config, journal or repository needs a person (sysexits.h).
    """
    try:
        return _run(argv)
    finally:
        _let_go_of_stderr()


def _run(argv: list[str] | None) -> int:
    parser = argparse.ArgumentParser(prog="orchestrd", description="Run Claude Code agents on a day's tasks.")
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="for --offline cancel")
    parser.add_argument("--home", type=Path, help="the home folder (default: $ORCHESTRD_HOME, or an ancestor)")
    parser.add_argument("--check", action="store_true", help="look at what agents need, print JSON, exit 0 or 1")
    parser.add_argument("--deep", action="store_true", help="with --check: look whether the home itself is whole")
    parser.add_argument("--repair", action="store_true", help="with --check --deep: mend what is safe before")
    parser.add_argument("--offline", choices=("cancel", "freeze", "thaw"), help="act without a daemon, print JSON")
    parser.add_argument("--all", action="store_true", help="for --offline cancel: every task of the day")
    parser.add_argument("--day", help="for --offline cancel: the day of the tasks")
    parser.add_argument("--version", action="version", version=f"orchestrd {__version__}")
    arguments = parser.parse_args(argv)
    if arguments.tasks and arguments.offline != "cancel":
        parser.error("tasks are named for --offline cancel only")
    if (arguments.deep and not arguments.check) or (arguments.repair and not arguments.deep):
        parser.error("--deep goes with --check, and --repair with --deep")
    (signals.heed if arguments.check or arguments.offline else signals.leave_at_once)()
    # A hang that the watchdog ends, or a crash in compiled code, leaves its place in the log.
    faulthandler.enable()
    service = Service()
    # Everything the daemon makes is private to its user, whatever the shell's habit is.
    os.umask(0o077)
    try:
        service = Service.take(os.environ)
        environ = dict(os.environ)
        if not arguments.offline and (arguments.repair or not arguments.check):
            refuse_runs("orchestrd --repair" if arguments.repair else "orchestrd", environ)
        home = find_home(arguments.home, environ, Path.cwd())
        if arguments.check and arguments.deep:
            from orchestrd.audit.report import deep

            return _print(deep(home, environ, clock=SystemClock(), mend=arguments.repair))
        if arguments.offline:
            return _offline(home, arguments)
        share()
        from orchestrd.daemon import bound_drain, check, serve
        from orchestrd.logs import configure_logging

        config = load_config(home)
        redact = Redactor(secrets_of(environ, agent_environment(config.agent, environ)))
        sys.excepthook = partial(_tell_crash, redact)
        configure_logging(config.log_level, sys.stderr, redact)
        if arguments.check:
            return _print(anyio.run(check, home, environ))
        options = {"use_uvloop": sys.platform == "linux"}
        serving = partial(serve, home, environ, service=service, draining=bound_drain)
        anyio.run(serving, backend="asyncio", backend_options=options)
    except OrchestrdError as error:
        return _end(error, service)
    except BaseExceptionGroup as group:
        known, rest = group.split(OrchestrdError)
        if known is None or rest is not None:
            raise
        return _end(_first(known), service)
    return 0


def _print(found: Doctor) -> int:
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    return 0 if found.ok else 1


def _offline(home: Path, arguments: argparse.Namespace) -> int:
    """
    Act without a daemon: one line, ``{"result": …}`` or ``{"error": {"message", "hint", "code", "exit_status"}}``.

    Loads nothing of the daemon and reads no setting: stopping everything must be quick, and work whatever is wrong.
    """
    from orchestrd.logs import configure_logging
    from orchestrd.protocol import api
    from orchestrd.services import offline

    # Whoever asked reads one line from stdout.
    configure_logging("warning", sys.stderr)
    answer: dict[str, object]
    code = 0
    try:
        refuse_runs(f"orchestrd --offline {arguments.offline}", os.environ)
        if arguments.offline == "cancel":
            names = api.TaskNames(tasks=arguments.tasks, day=arguments.day, all=arguments.all)
            answer = {"result": anyio.run(offline.cancel, home, names)}
        else:
            act = offline.freeze if arguments.offline == "freeze" else offline.thaw
            answer = {"result": anyio.run(act, home)}
    except OrchestrdError as error:
        code = error.exit_status
        told = {"message": error.message, "hint": error.hint, "code": error.rpc_code, "exit_status": code}
        answer = {"error": told}
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    return code


def _tell_crash(redact: Redact, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """
    As Python tells of an error that nobody expected, without secrets.
    """
    with suppress(OSError):
        sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))


def _end(error: OrchestrdError, service: Service) -> int:
    """
    Say why the process ends, unless the log has said it; gives its exit status.
    """
    redact = Redactor(secrets_of(os.environ))
    service.failed(redact(error.message))
    if not isinstance(error, ServiceFailed):
        with suppress(OSError):
            sys.stderr.write(redact(f"orchestrd: {error}\n"))
    return error.exit_status


def _let_go_of_stderr() -> None:
    """
    What cannot be written any more, on a full disk, is lost; how this process ended is not: Python would end it with 120.
    """
    try:
        sys.stderr.flush()
    except OSError:
        # As where a process has none.
        sys.stderr = None


def _first(group: BaseExceptionGroup[OrchestrdError]) -> OrchestrdError:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


if __name__ == "__main__":
    sys.exit(main())
