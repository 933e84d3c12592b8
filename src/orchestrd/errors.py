"""
One error tree, cut by *who must act*.

Each class knows the JSON-RPC code it travels under and the exit status a command ends with, so no layer above
translates errors by hand.  A message says what happened, to which id, and what to do next.  This module knows nothing
of the rest of the program.
"""

from __future__ import annotations

from typing import ClassVar


class OrchestrdError(Exception):
    """
    Base of every error the program raises on purpose; never raised itself.

    *hint* is the next step for the person, one sentence, or empty.
    """

    rpc_code: ClassVar[int] = -32000
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class ConfigError(OrchestrdError):
    """
    The operator must mend a setting; the message names file, line and key.  Exit 78 (``EX_CONFIG``) from the daemon.
    """

    rpc_code = -32010
    exit_status = 78


class RequestError(OrchestrdError):
    """
    The caller asked for something that cannot be done as asked.
    """

    rpc_code = -32020
    exit_status = 4


class NotFound(RequestError):
    """
    The task, question, day or file that was named does not exist.
    """

    rpc_code = -32021
    exit_status = 5


class Refused(RequestError):
    """
    Understood, and not done: it would break a rule or a promise.
    """

    rpc_code = -32022
    exit_status = 4


class InsideRun(Refused):
    """
    Asked for from inside a run, and for a person to do.  Exit 77 (``EX_NOPERM``) from the daemon's own program.
    """

    exit_status = 77


class Unsettled(Refused):
    """
    The project is between two states: an apply is going on, or was cut off and could not be taken back yet.
    """

    rpc_code = -32022
    exit_status = 4


class InvalidTaskFile(RequestError):
    """
    A task file with at least one problem; nothing was changed.  The message holds every problem, one a line.
    """

    rpc_code = -32023
    exit_status = 2


class AlreadyAnswered(Refused):
    """
    Another answer came first.
    """

    rpc_code = -32024


class AgentError(OrchestrdError):
    """
    The agent CLI is missing, of the wrong version, not logged in, or would not start.
    """

    rpc_code = -32030
    exit_status = 4


class StorageError(OrchestrdError):
    """
    The machine failed: disk, permissions, a damaged database.  Exit 74 (``EX_IOERR``) from the daemon.
    """

    rpc_code = -32040
    exit_status = 74


class ServiceFailed(OrchestrdError):
    """
    A part of the daemon that nothing can do without broke: a bug.  Its log holds the details; exit 70 (``EX_SOFTWARE``).
    """

    rpc_code = -32050
    exit_status = 70


class AlreadyRunning(StorageError):
    """
    Another daemon holds this home.  Exit 75 (``EX_TEMPFAIL``).
    """

    rpc_code = -32041
    exit_status = 75


class HeldByRun(AlreadyRunning):
    """
    Processes of a run hold this home's lock, by their ids *pids*: they serve nobody, and may be ended.
    """

    def __init__(self, message: str, *, pids: list[int], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.pids = pids


class DamagedJournal(StorageError):
    """
    The journal is not what was written: a person decides what becomes of it.  Exit 78 (``EX_CONFIG``).
    """

    rpc_code = -32042
    exit_status = 78


class NewerJournal(StorageError):
    """
    A newer version wrote the journal: this one leaves it alone.  Exit 78 (``EX_CONFIG``).
    """

    rpc_code = -32043
    exit_status = 78


class LostWork(StorageError):
    """
    The repository that holds the agents' work is gone or cannot be read: a person decides what becomes of it.  Exit 78
    (``EX_CONFIG``).
    """

    rpc_code = -32045
    exit_status = 78


class GitFailed(StorageError):
    """
    git ended with *status*, negative for a signal: 128 when it could not use the repository.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class GitTooSlow(StorageError):
    """
    git took longer than it may, and was stopped: to do the same again would take as long.
    """


class NotNow(StorageError):
    """
    Nothing can be written for the moment.  What a person asked for is refused, what happened by itself waits until it can.
    """


class JournalLocked(NotNow):
    """
    Another program holds the database.
    """


class DiskFull(NotNow):
    """
    There is no room to write.
    """

    rpc_code = -32044
