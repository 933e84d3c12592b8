"""
Act in a home whose daemon does not answer: by a process of the daemon's own program, which does it without one.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TypeVar

import msgspec

from orchctl.failures import Failed, Remote
from orchctl.launcher import program
from orchestrd.protocol import api

ACT_SECONDS = 60.0
"""How long stopping and letting go may take."""
CANCEL_SECONDS = 900.0
"""The same for ending agents: each is given its grace, all at once."""
ResultT = TypeVar("ResultT")


class _Told(msgspec.Struct):
    message: str
    hint: str
    code: int
    exit_status: int


class _Answer(msgspec.Struct):
    result: msgspec.Raw = msgspec.Raw()
    error: _Told | None = None


def freeze(home: Path) -> api.Frozen:
    """
    Stop everything.  Raises `Remote`, `Failed`.
    """
    return _act(home, "freeze", kind=api.Frozen, timeout=ACT_SECONDS)


def thaw(home: Path) -> api.Frozen:
    """
    Let everything go on.  Raises `Remote`, `Failed`.
    """
    return _act(home, "thaw", kind=api.Frozen, timeout=ACT_SECONDS)


def cancel(home: Path, names: api.TaskNames) -> api.Changed:
    """
    Cancel tasks and end their agents.  Raises `Remote`, `Failed`.
    """
    options = [*(["--all"] if names.all else []), *(["--day", names.day] if names.day else []), "--", *names.tasks]
    return _act(home, "cancel", *options, kind=api.Changed, timeout=CANCEL_SECONDS)


def _act(home: Path, what: str, *options: str, kind: type[ResultT], timeout: float) -> ResultT:
    try:
        done = subprocess.run(
            program("--home", str(home), "--offline", what, *options),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        answer = msgspec.json.decode(done.stdout, type=_Answer)
        if answer.error is None:
            return msgspec.json.decode(answer.result, type=kind)
    except subprocess.TimeoutExpired:
        raise Failed(f"{what} without a daemon was not done within {timeout:g} s") from None
    except (OSError, msgspec.DecodeError) as error:
        words = done.stderr.decode("utf-8", "replace").strip() if isinstance(error, msgspec.DecodeError) else str(error)
        raise Failed(f"{what} could not be done without a daemon: {words}") from None
    told = answer.error
    raise Remote(told.message, code=told.code, status=told.exit_status, hint=told.hint)
