"""
What we say to one agent: every line is kept in its run directory, and none is written twice.

The CLI would ignore a repeat (Claude Code 2.1.330: the first answer to a request and the first message of a uuid count),
so a line may be written again when a crash leaves it uncertain; what is certain is not repeated.
"""

from __future__ import annotations

import uuid

import msgspec

from orchestrd.protocol import control
from orchestrd.protocol.fields import mapping
from orchestrd.runner.meter import ACCOUNT, BEFORE
from orchestrd.storage.rundir import RunDir
from orchestrd.storage.shortage import is_shortage
from orchestrd.storage.spool import Spoiled

WIND_UP = (
    "Not run: {reason}. Call no further tool. Write one short answer now: what is done, what is not, and what comes next. "
    "Then stop; the work is kept."
)
"""What an agent is told whose call is denied for want of money."""
_WIND_UP = WIND_UP.partition("{reason}")[2].encode()
_NAMESPACE = uuid.UUID("6e1f4c1e-9d0b-4a3e-8f57-0d7c1b1f9a52")
_LEAVE = "end"
"""Id of our request that the agent leave."""


class Voice:
    """
    The way to the agent of one run directory.
    """

    def __init__(self, rundir: RunDir) -> None:
        self._dir = rundir
        self._unsaid = b""
        self._spoiled = ""
        """Why nothing can be said any more; empty while it can."""
        self.messages: set[str] = set()
        """Uuids of the user messages that were written."""
        self.dismissed = False
        """True once the agent was asked to leave."""
        self.answered: set[str] = set()
        """Ids of the agent's requests that were answered."""
        self.granted: set[str] = set()
        """Those of them that were granted: the tool call may run."""
        self.unpaid: set[str] = set()
        """Those of them that an earlier daemon denied for want of money."""
        self.asked: set[str] = set()
        """Ids of our requests for an account."""
        self._accounts = 0
        """How often an account of the spend was asked for."""

    def remember(self) -> None:
        """
        Learn what was written before a restart, and wake the shim for it: a daemon may have died after it wrote and before
        it said so.
        """
        try:
            said = self._dir.spool.lines()
        except Spoiled as error:
            self._give_up(error)
            said = b""
        for line in said.splitlines():
            try:
                entry = mapping(msgspec.json.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
            if entry.get("type") == "user":
                self.messages.add(str(entry.get("uuid")))
            elif entry.get("type") == "control_response":
                request = str(mapping(entry.get("response")).get("request_id"))
                self.answered.add(request)
                self.unpaid |= {request} if _WIND_UP in line else set()
                self.granted |= {request} if control.grants(line) else set()
            elif entry.get("request_id") == _LEAVE:
                self.dismissed = True
            elif str(entry.get("request_id")).startswith(ACCOUNT):
                self._accounts += 1
                self.asked.add(str(entry["request_id"]))
        self._dir.wake()

    @property
    def spoiled(self) -> bool:
        """
        True when nothing can be said any more, and nobody knows what was.
        """
        return bool(self._spoiled)

    def hindrance(self) -> str:
        """
        Why nothing that is said reaches an agent whose shim lives, see `RunDir.hindrance`; empty when it does.
        """
        return self._spoiled or self._dir.hindrance()

    def begun(self, subject: str) -> bool:
        """
        True once the channel was opened with the message about *subject*.
        """
        return message_uuid(subject) in self.messages

    def begin(self, subject: str, text: str, *, again: bool) -> None:
        """
        Open the channel with the first message, about *subject*; *again*: the agent is known to have had it.
        """
        name = message_uuid(subject)
        if name not in self.messages and again:
            # The shim would read on where it was, in the middle of what is written now.
            self._give_up(Spoiled("does not hold what was written"))
        elif name not in self.messages:
            self.messages.add(name)
            before, self._accounts = control.get_usage(BEFORE), 1
            self.asked.add(BEFORE)
            self._say(control.initialize("initialize") + before + control.user_message(text, name))

    def ask_account(self) -> str:
        """
        Ask what was spent so far; gives the id of that request.
        """
        # The first one is for the beginning: a run that an earlier version began has none.
        number = max(1, self._accounts)
        self._accounts = number + 1
        name = f"{ACCOUNT}{number}"
        self.asked.add(name)
        self._say(control.get_usage(name))
        return name

    def tell(self, subject: str, text: str) -> None:
        """
        Send a user message about *subject*, once.
        """
        name = message_uuid(subject)
        if name not in self.messages:
            self.messages.add(name)
            self._say(control.user_message(text, name))

    def answer(self, replies: list[tuple[str, bytes]]) -> None:
        """
        Answer the agent's requests: pairs of request id and line; those answered before are left out.
        """
        lines = [line for request, line in replies if request not in self.answered]
        self.granted |= {name for name, line in replies if name not in self.answered and control.grants(line)}
        self.answered |= {request for request, _ in replies}
        if lines:
            self._say(b"".join(lines))

    def interrupt(self) -> None:
        """
        Ask the agent to end its turn now.
        """
        self._say(control.interrupt(control.STOP))

    def dismiss(self) -> None:
        """
        Ask the agent to leave.
        """
        self.dismissed = True
        self._say(control.end_session(_LEAVE))
        self._dir.tell("eof")

    def _say(self, lines: bytes) -> None:
        self._unsaid += lines
        self.flush()

    def flush(self) -> bool:
        """
        Write what could not be written for want of room or descriptors; False while it cannot, or never can.

        Raises `OSError` for any other failure.
        """
        if self._spoiled:
            self._unsaid = b""
            return False
        if not self._unsaid:
            return True
        try:
            self._dir.send(self._unsaid)
        except Spoiled as error:
            self._give_up(error)
            return False
        except OSError as error:
            if not is_shortage(error):
                raise
            return False
        self._unsaid = b""
        return True

    def _give_up(self, why: Spoiled) -> None:
        self._spoiled = self._spoiled or f"its {self._dir.stdin.name} {why}"
        self._unsaid = b""


def message_uuid(subject: str) -> str:
    """
    The uuid of our user message about *subject*: always the same, so that writing it again after a crash changes nothing.
    """
    return str(uuid.uuid5(_NAMESPACE, subject))
