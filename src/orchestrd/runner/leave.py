"""
Whether an agent may make a tool call: what its requests for leave come to, by the policy.
"""

from __future__ import annotations

from typing import Any

from orchestrd.domain import events as ev
from orchestrd.domain import permission
from orchestrd.domain.events import Permit
from orchestrd.policy.effect import Effect, effect_of
from orchestrd.policy.engine import Judge
from orchestrd.policy.verdict import Verdict
from orchestrd.protocol import control
from orchestrd.protocol import messages as m
from orchestrd.protocol.questions import ASK_TOOL, questions_in
from orchestrd.protocol.refusals import ruled_out
from orchestrd.redaction import Redact
from orchestrd.runner.heard import Ask, Channel, Heard, Reply
from orchestrd.runner.wording import describe, first_line, whole


class Leave:
    """
    The requests of one process: each is answered at once, or held until a person has answered.
    """

    def __init__(self, run: str, judge: Judge, redact: Redact) -> None:
        self._run = run
        self._judge = judge
        self._redact = redact
        self.denied = ""
        """The hook request that a rule denied last, or empty."""
        self._requested: set[str] = set()
        """Calls under way for which leave was asked."""
        self._asked: dict[str, Ask] = {}
        self._unheeded: dict[str, str | None] = {}
        """Hook request to its tool call, of what was asked and has not returned with an answer."""

    def requested(self, call: str) -> bool:
        """
        True when leave was asked for the *call*, which has not returned.
        """
        return call in self._requested

    def asking(self, request: str) -> bool:
        """
        True while the call that asked by this hook *request* has not returned with the answer, whatever became of its turn.
        """
        return request in self._unheeded

    def hook(self, request: m.HookRequest, heard: Heard) -> str:
        """
        Answer the *request*; what the agent waits for, one line, when a person is to answer it.
        """
        self._requested.add(request.tool_use_id)
        questions = questions_in(request.tool_name, request.tool_input)
        if questions and request.tool_name == ASK_TOOL:
            if request.request_id in self._asked:
                return ""
            self._hold(Ask(request=request.request_id, input=request.tool_input, questions=questions), heard)
            self._unheeded[request.request_id] = request.tool_use_id
            return f"asks: {first_line(self._redact(questions[0].text))}"
        verdict = self._judge(request.tool_name, request.tool_input, request.cwd or None, request.tool_use_id)
        if verdict.decision == "ask":
            return "" if request.request_id in self._asked else self._ask(request, verdict, heard)
        if verdict.allowed:
            line, effect = control.hook_allow(request.request_id), effect_of(request.tool_name, request.tool_input)
            heard.replies.append(_reply(request, line, grants=Channel.HOOK, effect=effect))
        else:
            self.denied = request.request_id
            heard.replies.append(_reply(request, control.hook_deny(request.request_id, verdict.reason)))
            heard.facts.append(self._violation(request.tool_use_id, request.tool_name, request.tool_input, verdict))
        return ""

    def prompt(self, request: m.PermissionRequest, heard: Heard) -> None:
        """
        Answer a prompt that the hook's verdict did not settle, by the same policy.
        """
        verdict, name = self._judge(request.tool_name, request.input, None, request.tool_use_id), request.request_id
        if verdict.allowed and not request.requires_user:
            line, effect = control.permission_allow(name, request.input), effect_of(request.tool_name, request.input)
            heard.replies.append(_reply(request, line, grants=Channel.PROMPT, effect=effect))
        else:
            reason = verdict.reason or "This needs a person; go on without it."
            heard.replies.append(_reply(request, control.permission_deny(name, reason)))

    def withdraw(self, request: str, heard: Heard) -> None:
        """
        The agent does not wait for the answer to its *request* any more.
        """
        if self._asked.pop(request, None) is not None:
            heard.withdrawn.append(request)

    def returned(self, result: m.ToolResult) -> None:
        """
        A call has returned.
        """
        self._requested.discard(result.id)
        if not result.is_error:
            self._unheeded = {request: call for request, call in self._unheeded.items() if call != result.id}

    def ruled_out(self, call: m.ToolCall | None, result: m.ToolResult) -> list[ev.AnyEvent]:
        """
        The violation in a *call* that the CLI's own rules refused before anybody was asked: the policy has the same rules
        (`policy.backstop`).
        """
        if call is None or call.id in self._requested or not ruled_out(result):
            return []
        verdict = self._judge(call.name, call.input, None, call.id)
        if verdict.allowed:
            return []
        return [self._violation(call.id, call.name, call.input, verdict, seen_by="rules")]

    def _ask(self, request: m.HookRequest, verdict: Verdict, heard: Heard) -> str:
        """
        The call waits until a person has answered.
        """
        permit = Permit(
            call=request.tool_use_id,
            tool=request.tool_name,
            rule=verdict.rule,
            reason=self._redact(verdict.reason),
            target=self._target(request.tool_input, verdict),
            act=verdict.act,
        )
        text = permission.text(permit, self._redact(whole(request.tool_input)))
        options = tuple((option.label, option.description) for option in permission.OPTIONS)
        question = m.AskedQuestion(text=text, header=permission.header(permit), options=options)
        self._hold(
            Ask(request=request.request_id, input=request.tool_input, questions=(question,), permit=permit), heard
        )
        return f"waits for leave: {permit.tool} {permit.target}"

    def _hold(self, ask: Ask, heard: Heard) -> None:
        self._asked[ask.request] = ask
        heard.asks.append(ask)

    def _violation(
        self, call: str, tool: str, arguments: dict[str, Any], verdict: Verdict, *, seen_by: str = "hook"
    ) -> ev.ViolationSeen:
        return ev.ViolationSeen(
            run=self._run,
            call=call,
            tool=tool,
            rule=verdict.rule,
            target=self._target(arguments, verdict),
            reason=self._redact(verdict.reason),
            decision="" if verdict.allowed else "deny",
            act=verdict.act,
            fixed=verdict.fixed,
            seen_by=seen_by,
        )

    def _target(self, arguments: dict[str, Any], verdict: Verdict) -> str:
        return self._redact(verdict.target) or describe(arguments, self._redact)


def _reply(
    request: m.HookRequest | m.PermissionRequest,
    line: bytes,
    *,
    grants: Channel | None = None,
    effect: Effect = Effect.READS,
) -> Reply:
    return Reply(
        request=request.request_id,
        line=line,
        grants=grants,
        call=request.tool_use_id,
        subagent=request.subagent is not None,
        effect=effect,
    )
