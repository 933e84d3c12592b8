"""
The client's own errors, and the exit status each error ends a command with.

Exit statuses: 1 the answer is no, 2 usage, 3 daemon not reachable, 4 refused, 5 not found.
"""

from __future__ import annotations

from orchestrd.errors import OrchestrdError

REFUSED = 4
_KNOWN = frozenset((1, 2, 3, 4, 5))


class Misuse(OrchestrdError):
    """
    The command line, or what it names, cannot be understood.
    """

    exit_status = 2


class Unreachable(OrchestrdError):
    """
    No daemon answers on the home's socket.
    """

    exit_status = 3


class Failed(OrchestrdError):
    """
    The command was understood and could not be done on this machine.
    """

    exit_status = 4


class Remote(OrchestrdError):
    """
    The daemon answered with an error: *code* is its JSON-RPC code, *status* the exit status it asks for.
    """

    def __init__(self, message: str, *, code: int, status: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.status = status


def exit_status(error: OrchestrdError) -> int:
    """
    The command's exit status for *error*; the daemon's own statuses (74, 75, 78) become 4, refused.
    """
    status = error.status if isinstance(error, Remote) else error.exit_status
    return status if status in _KNOWN else REFUSED


def code_of(error: OrchestrdError) -> int:
    """
    The JSON-RPC code of *error*, also of one that never travelled.
    """
    return error.code if isinstance(error, Remote) else error.rpc_code
