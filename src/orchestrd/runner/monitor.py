"""
Whether every tool call that ran had been given leave: the stream held against what was answered.

The CLI asks before each call (`protocol.control.initialize`) and does as it is told.  That it does is proved at the start
(`services.canary`) and looked at here all the same, call by call: a result that shows that the tool ran, or any other sign that
it does, of a call that nobody was asked about, or that was denied, or not answered yet, means that the hook was bypassed.
Nothing that such an agent says can be relied on any more.

Pure: the same stream and the same answers give the same findings, so a stream that is read again from its start after a
restart is judged as it was before.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from orchestrd.domain import events as ev
from orchestrd.policy.engine import Judge
from orchestrd.policy.verdict import ALLOW, Verdict
from orchestrd.protocol import messages as m
from orchestrd.protocol.refusals import ran, ran_all_the_same
from orchestrd.redaction import Redact
from orchestrd.runner.wording import describe

UNASKED = "it ran and nobody was asked for leave"
DENIED = "it ran though leave was denied"
UNANSWERED = "it ran before leave was given"
SIGN_CHARS = 250
"""Of what shows that a call ran, in the evidence."""
EXCHANGED = "leave was asked for something else than what was called"


class Bypass(msgspec.Struct, frozen=True, kw_only=True):
    """
    A tool call that ran without leave.  *how* is one of this module's sentences, *sign* what shows that it ran; *verdict* is what
    the policy says of the call.
    """

    call: str
    tool: str
    input: dict[str, Any]
    how: str
    sign: str
    subagent: bool = False
    verdict: Verdict = ALLOW


class Monitor:
    """
    The calls of one process's stream.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._calls: dict[str, m.ToolCall] = {}
        """Calls that have not returned."""
        self._asked: dict[str, list[m.HookRequest | m.PermissionRequest]] = {}
        """Calls to the requests that asked for leave, until they return."""
        self._requests: set[str] = set()
        self._verdicts: dict[str, Verdict] = {}
        self._cwd: str | None = None
        self.recent: list[m.ToolCall] = []
        """Calls that have returned since somebody emptied this."""
        self.damaged = False
        """True once a part of the output is known to be lost."""
        self._excused = 0
        self._found: set[str] = set()

    def under_way(self, granted: Collection[str]) -> list[m.ToolCall]:
        """
        The calls that have leave, or were never asked about, and have not returned.
        """
        waiting = {call for call, asked in self._asked.items() if not any(ask.request_id in granted for ask in asked)}
        return [made for call, made in self._calls.items() if call not in waiting]

    def take(self, messages: list[m.Message], *, granted: Collection[str], answered: Collection[str]) -> list[Bypass]:
        """
        What *messages* show to have run without leave.  *granted* and *answered* are the ids of all requests that were, so far.
        """
        found: list[Bypass] = []
        for message in messages:
            match message:
                case m.ToolCall():
                    self._calls[message.id] = message
                    # Judged where it stands in the stream, whatever is asked about it and when.
                    self._verdicts[message.id] = self._judge(message.name, message.input, self._cwd, message.id)
                case m.HookRequest() | m.PermissionRequest():
                    self._asked.setdefault(message.tool_use_id, []).append(message)
                    self._requests.add(message.request_id)
                    if isinstance(message, m.HookRequest) and message.subagent is None and message.cwd:
                        self._cwd = message.cwd
                case m.ToolResult():
                    found += self._returned(message, granted, answered)
                case m.BackgroundTask(status="started", tool_use_id=call) if call in self._calls:
                    found += self._look(call, "it is at work in the background", granted, answered)
                case m.ToolProgress(tool_use_id=call) if call in self._calls:
                    found += self._look(call, "it tells of its progress", granted, answered)
                case m.Malformed() | m.Oversize():
                    self.damaged = True
                case _:
                    pass
        return found

    def _returned(self, result: m.ToolResult, granted: Collection[str], answered: Collection[str]) -> list[Bypass]:
        found: list[Bypass] = []
        asked = self._asked.get(result.id, [])
        denied = any(ask.request_id in answered for ask in asked) and not any(
            ask.request_id in granted for ask in asked
        )
        if ran_all_the_same(result) if denied else ran(result):
            sign = "it failed" if result.is_error else "it succeeded"
            words = " ".join(result.text.split())
            found = self._look(result.id, f"{sign}: {words}" if words else sign, granted, answered)
        if (made := self._calls.pop(result.id, None)) is not None and not denied:
            self.recent.append(made)
        self._asked.pop(result.id, None)
        self._verdicts.pop(result.id, None)
        return found

    def _look(self, call: str, sign: str, granted: Collection[str], answered: Collection[str]) -> list[Bypass]:
        """
        The *call* runs, or ran, as *sign* shows.
        """
        how = self._how(call, granted, answered)
        if not how or call in self._found:
            return []
        self._found.add(call)
        made = self._calls.get(call)
        bypass = Bypass(
            call=call,
            tool=made.name if made is not None else "",
            input=made.input if made is not None else {},
            subagent=made is not None and made.subagent is not None,
            how=how,
            sign=sign,
            verdict=self._verdicts.get(call, ALLOW),
        )
        return [bypass]

    def _how(self, call: str, granted: Collection[str], answered: Collection[str]) -> str:
        asked = self._asked.get(call, [])
        leave = [ask for ask in asked if ask.request_id in granted]
        if leave:
            return EXCHANGED if self._exchanged(call, leave) else ""
        if any(ask.request_id in answered for ask in asked):
            return DENIED
        if asked:
            return UNANSWERED
        # A request may be lost with a part of the output: it was answered, and stands in no stream.
        if self.damaged and len(set(granted) - self._requests) > self._excused:
            self._excused += 1
            return ""
        return UNASKED

    def _exchanged(self, call: str, leave: list[m.HookRequest | m.PermissionRequest]) -> bool:
        """
        True when the *call* is forbidden as the model made it, and leave was asked for other arguments.
        """
        made, verdict = self._calls.get(call), self._verdicts.get(call, ALLOW)
        if made is None or verdict.allowed or any(_holds(ask, made.input) for ask in leave):
            return False
        # What was forbidden may be allowed a moment later, once a file of the tree is written.
        return not self._judge(made.name, made.input, self._cwd, made.id).allowed


def _holds(ask: m.HookRequest | m.PermissionRequest, arguments: dict[str, Any]) -> bool:
    """
    True when leave was asked for these *arguments*, among defaults that the CLI adds.
    """
    shown = ask.tool_input if isinstance(ask, m.HookRequest) else ask.input
    return all(name in shown and shown[name] == value for name, value in arguments.items())


def violation(run: str, bypass: Bypass, redact: Redact) -> ev.ViolationSeen:
    """
    The fact that tells of *bypass*, as *redact* leaves it.
    """
    verdict = bypass.verdict
    # What ran is not known to have been harmless: nobody looked at it before.
    rule = "exec-unknown" if verdict.allowed else verdict.rule
    who = "a subagent" if bypass.subagent else "the agent"
    return ev.ViolationSeen(
        run=run,
        call=bypass.call,
        tool=bypass.tool,
        rule=rule,
        target=redact(verdict.target) or describe(bypass.input, redact),
        reason=redact(f"The hook was bypassed: {bypass.how}. {verdict.reason}".rstrip()),
        fixed=True,
        seen_by="monitor",
        # Before it is cut: half a secret is not known for one.
        evidence=f"{who} called {bypass.tool or 'a tool'} ({bypass.call}); {redact(bypass.sign)[:SIGN_CHARS]}",
    )
