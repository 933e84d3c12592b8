"""
What an agent's messages come to: facts to record, lines that answer it, questions for a person.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from orchestrd.domain import events as ev
from orchestrd.domain.events import Permit
from orchestrd.policy.effect import Effect
from orchestrd.protocol import control
from orchestrd.protocol import messages as m


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """
    The agent waits for a person: *request* is the hook request that holds its tool call.  *permit*: it is not the agent that asks,
    but the rules, for leave to make that call.
    """

    request: str
    input: dict[str, Any]
    questions: tuple[m.AskedQuestion, ...]
    permit: Permit | None = None


class Channel(StrEnum):
    """
    How the agent asks for leave to call a tool.
    """

    HOOK = "hook"
    PROMPT = "prompt"


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """
    The *line* that answers the agent's *request*; *grants* says by which channel it grants a tool call, None when it grants
    none.  *call* is the tool call's id, *subagent* says that a subagent makes it, *effect* what it
    may do to the tree.
    """

    request: str
    line: bytes
    grants: Channel | None = None
    call: str = ""
    subagent: bool = False
    effect: Effect = Effect.READS

    def denial(self, reason: str) -> bytes:
        """
        The line that denies the tool call, in the place of the one that grants it.
        """
        deny = control.permission_deny if self.grants is Channel.PROMPT else control.hook_deny
        return deny(self.request, reason)


class Heard(msgspec.Struct, kw_only=True):
    """
    What some messages came to: *facts* and *replies* in order, new *asks*, and the requests the agent *withdrew*.
    """

    facts: list[ev.AnyEvent] = []
    replies: list[Reply] = []
    asks: list[Ask] = []
    withdrawn: list[str] = []
