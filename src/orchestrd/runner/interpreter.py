"""
An agent's messages → facts for the journal and lines for the agent.

The same stream and the same verdicts give the same facts and the same answers, so after a restart a run's stream is simply
read again from its start, and whatever has been recorded or answered already is left out by the caller.
"""

from __future__ import annotations

from orchestrd.domain import events as ev
from orchestrd.domain.budget import PriceTable
from orchestrd.domain.model import Usage
from orchestrd.policy.engine import Judge
from orchestrd.protocol import control
from orchestrd.protocol import messages as m
from orchestrd.redaction import BY_LOOKS, Redact
from orchestrd.runner.background import Background
from orchestrd.runner.heard import Heard, Reply
from orchestrd.runner.leave import Leave
from orchestrd.runner.life import Life
from orchestrd.runner.meter import ACCOUNT, Meter
from orchestrd.runner.repetition import Repetition
from orchestrd.runner.wording import TEXT_LIMIT, describe, first_line

SUBAGENT_TOOLS = ("Agent", "Task")
"""The tools that begin a subagent, by their name now and before."""
_RETURNED = " (has returned)"
"""What is told of a call for as long as nothing comes after it."""
_STIRRING = (m.MessageUsage, m.HookRequest, m.ToolResult, m.BackgroundTasks, m.Compacted, m.ApiRetry)


class Interpreter:
    """
    One process's stream.
    """

    def __init__(self, run: str, prices: PriceTable, judge: Judge, redact: Redact = BY_LOOKS) -> None:
        """
        What the agent says and calls is recorded, and shown, as *redact* leaves it.
        """
        self.run = run
        self._redact = redact
        self.meter = Meter(run, prices)
        self.result: m.Result | None = None
        """The last result of a real turn."""
        self.state: str | None = None
        self.background = Background()
        self.cut_short = False
        """True once an interrupt ended work in the background, or came before the agent had gone on with what that came to."""
        self.completed: set[str] = set()
        """Uuids of our user messages that the agent is done with."""
        self.failure = ""
        """The CLI's word for the failure of the API that its last result tells of; empty when it tells of none."""
        self._doing = ""
        self._delegated: dict[str, str] = {}
        """Calls that began a subagent which is not done: id → what they are about."""
        self.refused = ""
        """Why the agent refused to work on this channel, or empty."""
        self._windows: dict[str, m.RateLimit] = {}
        """The usage windows that are used up, as the service told of each kind last."""
        self.spoke = False
        """True once the model answered anything."""
        self.stirred = False
        """True when something was heard, since this was last set False, that may have cost what no reading shows."""
        self.unclear = False
        """True when something has come to its end since this was last set False of which only an account tells what it cost."""
        self.accountable = True
        """False once it is known that the CLI cannot be asked what it has spent."""
        self.calls: dict[str, str] = {}
        """Tool calls that have not returned: id → what they are about."""
        self.replied: set[str] = set()
        """Ids of our requests for an account that were answered."""
        self.failed: set[str] = set()
        """Ids of those that it could not answer with an account, since the last that it did."""
        self.repetition = Repetition()
        self.life = Life()
        self.leave = Leave(run, judge, redact)
        self._made: dict[str, m.ToolCall] = {}
        """Tool calls that have not returned."""
        self._initialised = False
        self._words = self._failing = ""
        self._empty_turn = False
        self._begun = False
        """True from the first sign of a turn until it ends; the agent begins one by itself when work in the background ends."""

    @property
    def activity(self) -> str:
        """
        What it does, one line: of several things the one that was heard of last.  Where no call is under way and the main
        conversation waits, a subagent is at work if there is one, of which nothing is told while the model answers it.
        """
        waits = not self.calls and (not self._begun or self._doing.endswith(_RETURNED))
        if not (waits and self.background.delegates):
            return self._doing
        at_work = (what for call, what in reversed(self._delegated.items()) if self.background.began(call))
        return f"{next(at_work, 'a subagent')} (at work)"

    @property
    def window(self) -> m.RateLimit | None:
        """
        The usage window that is used up, of several the one that lasts longest; None when none is.
        """
        return max(self._windows.values(), key=lambda told: told.resets_at or 0.0, default=None)

    def turn_over(self, sent: set[str]) -> bool:
        """
        True when the agent has nothing left to do: it reported a result, has begun no turn since, is idle, no subagent or
        command of it works in the background, or was cut short there, and it is done with every user message in *sent*.
        """
        return (
            self.result is not None
            and not self._begun
            and self.state in (None, "idle")
            and not self.background.tasks
            and not self.cut_short
            and (not self.completed or sent <= self.completed)
        )

    def reported(self, sent: set[str]) -> bool:
        """
        True when its last turn has ended with a result, nothing of it is under way but commands in the background, nothing was
        cut short, and it is done with every user message in *sent*: without those, all that is missing is that it says it rests.
        """
        over = self.result is not None and not self._begun and not self.occupied and not self.cut_short
        return over and (not self.completed or sent <= self.completed)

    def hollow(self, sent: set[str]) -> bool:
        """
        True when a resumed agent took every message in *sent* and is idle, and the model was never asked: the conversation
        cannot be gone on with.
        """
        idle = self.result is None and self.state == "idle" and not self.background.tasks
        return idle and self._empty_turn and not self.spoke and bool(sent) and sent <= self.completed

    @property
    def occupied(self) -> bool:
        """
        True while silence is no bad sign: a tool call is under way, or a subagent.  A command in the background excuses nobody:
        who has begun a turn is expected to go on with it.
        """
        return bool(self.calls or self.background.delegates)

    @property
    def veiled(self) -> bool:
        """
        True while the model may answer without a word of it being told before its end: to a subagent, or to sum up the
        conversation (Claude Code 2.1.330).
        """
        starts = any(self._made[call].name in SUBAGENT_TOOLS for call in self.calls)
        return bool(self.background.delegates or starts or self.life.compacts)

    @property
    def patience(self) -> float:
        """
        Seconds of silence that a turn which is over must be followed by to be the last one.

        The end of work in the background wakes an idle agent for a turn of its own, which begins a moment after it is
        told (Claude Code 2.1.330); told to leave in between, the agent would break that turn off as an error.
        """
        return self.background.patience

    def take(self, messages: list[m.Message]) -> Heard:
        """
        What *messages* come to.
        """
        heard = Heard()
        for message in messages:
            self._take(message, heard)
        return heard

    def _take(self, message: m.Message, heard: Heard) -> None:
        facts = heard.facts
        self._note(message)
        match message:
            case m.MessageUsage():
                self.spoke = self.spoke or message.usage != Usage()
                if message.subagent is None and not self.meter.knows(message.message_id):
                    self._doing = "the model answers"
                facts += self.meter.read(message)
            case m.ControlReply(request_id=request) if request.startswith(ACCOUNT):
                self._note_account(request, told=m.read_account(message.response) is not None)
                facts += self.meter.account(message)
            case m.ToolCall():
                self._call(message, facts)
            case m.ToolResult():
                facts += self.leave.ruled_out(self._made.get(message.id), message)
                self._returned(message)
                facts.append(ev.ToolReturned(run=self.run, call=message.id, is_error=message.is_error))
            case m.HookRequest() | m.PermissionRequest():
                self._answer(message, heard)
            case m.ControlCancel(request_id=request):
                self.leave.withdraw(request, heard)
            case m.McpRequest(request_id=request) | m.ControlUnknown(request_id=request):
                heard.replies.append(Reply(request=request, line=control.control_error(request, "not served here")))
            case m.ControlReply(ok=False, error=error, request_id=request) if request == "initialize":
                self.refused = error or "initialize failed"
            case m.Init():
                self.state = "running" if self.state == "idle" else self.state
                if not self._initialised:
                    self._initialised = True
                    facts.append(ev.RunInitialised(run=self.run, model=message.model, cli_version=message.cli_version))
            case m.Result():
                self._settle(message, facts)
            case m.StateChanged(state=state):
                self.state = state
                self.background.waking = self.background.waking and state == "idle"
            case m.BackgroundTask() | m.BackgroundTasks():
                self._note_background(message)
            case m.Lifecycle(uuid=uuid, state="completed"):
                self.completed.add(uuid)
            case m.Text():
                self._say(message)
            case m.ApiRetry():
                self._doing = f"the API is asked again ({message.error}, attempt {message.attempt})"
                facts.append(self._trouble(message))
            case m.RateLimit() | m.Malformed() | m.Oversize():
                facts.append(self._trouble(message))
            case _:
                pass

    def _note(self, message: m.Message) -> None:
        """
        What any message tells: that it may have cost something, and that a turn goes on, by what the main conversation says in a
        turn and never after it, or will not go on.
        """
        self.stirred = self.stirred or isinstance(message, _STIRRING)
        self.unclear = self.unclear or isinstance(message, m.Compacted)
        self.life.note(message)
        match message:
            case m.Init():
                self._begun = True
            case m.MessageUsage(message_id=response, subagent=None) | m.ToolCall(message_id=response, subagent=None):
                # Of one that a result has accounted for it is a late repeat.
                self._begun = self._begun or response not in self.meter.settled
            case m.StateChanged(state=state):
                # One that rests has ended its turn, reported or not.
                self._begun = state != "idle"
            case m.ControlReply(request_id=control.STOP):
                self.cut_short = self.cut_short or bool(self.background.tasks) or self.background.waking
            case m.ApiFailure(kind=kind):
                self._failing = kind
            case _:
                pass

    def _trouble(self, message: m.ApiRetry | m.RateLimit | m.Malformed | m.Oversize) -> ev.AnyEvent:
        """
        What the service or the stream has to say of itself.
        """
        match message:
            case m.ApiRetry():
                return ev.RetrySeen(run=self.run, attempt=message.attempt, status=message.status, error=message.error)
            case m.RateLimit():
                self._windows.pop(message.kind, None)
                # Where overage is paid for the service answers on, and what it refuses then is not for the window's sake.
                if message.status == "rejected" and not message.overage:
                    self._windows[message.kind] = message
                return ev.RateLimitSeen(
                    run=self.run,
                    status=message.status,
                    window=message.kind,
                    utilization=message.utilization,
                    resets_at=message.resets_at,
                    overage=message.overage,
                )
            case _:
                reason = message.reason if isinstance(message, m.Malformed) else "line too long"
                return ev.StreamDamaged(run=self.run, offset=message.offset, length=message.length, reason=reason)

    def _say(self, message: m.Text) -> None:
        self.meter.answered(message.message_id)
        if message.subagent is None:
            self._words, self._doing = message.text, first_line(self._redact(message.text[:TEXT_LIMIT]))

    def _call(self, message: m.ToolCall, facts: list[ev.AnyEvent]) -> None:
        self.meter.answered(message.message_id)
        target = describe(message.input, self._redact)
        self._doing = f"{message.name} {target}".strip()
        self.spoke = True
        self.calls[message.id] = self._doing
        self._made[message.id] = message
        if message.name in SUBAGENT_TOOLS:
            self._delegated[message.id] = self._doing
            self.meter.conversations.begun(message.id)
        self.repetition.made(message)
        facts.append(
            ev.ToolCalled(run=self.run, call=message.id, tool=message.name, target=target, subagent=message.subagent)
        )

    def _answer(self, request: m.HookRequest | m.PermissionRequest, heard: Heard) -> None:
        self.repetition.asked(request.tool_use_id, request.request_id)
        if isinstance(request, m.PermissionRequest):
            self.leave.prompt(request, heard)
        elif waits := self.leave.hook(request, heard):
            self._doing = waits
            self.unclear = self.unclear or request.subagent is not None

    def _returned(self, message: m.ToolResult) -> None:
        what = self.calls.pop(message.id, "")
        if what:
            self._doing = next(reversed(self.calls.values()), f"{what}{_RETURNED}")
        self.repetition.returned(message, what)
        self._made.pop(message.id, None)
        # A subagent goes on as well after a call that came to nothing before it asked for leave.
        self.unclear = self.unclear or (message.subagent is not None and not self.leave.requested(message.id))
        self.leave.returned(message)
        self.background.returned(message.id)
        if not self.background.began(message.id):
            self._over(message.id)

    def _lent(self, call: str) -> bool:
        """
        True for a call of a subagent, which goes on when the turn of the main conversation ends.
        """
        return self._made[call].subagent is not None

    def _over(self, call: str) -> None:
        """
        The subagent of that *call*, if there was one, is done.
        """
        self.unclear = self.meter.conversations.over(call) or self.unclear
        self.repetition.over(call)
        self._delegated.pop(call, None)

    def _note_background(self, message: m.BackgroundTask | m.BackgroundTasks) -> None:
        had, idle = self.background.delegates, self.state == "idle"
        if isinstance(message, m.BackgroundTask):
            self._over(self.background.told(message, idle=idle))
        else:
            for call in self.background.listed(message, idle=idle):
                self._over(call)
        if had and not self.background.delegates:
            # One that was ended returns no more.
            self.calls = {call: what for call, what in self.calls.items() if not self._lent(call)}

    def has_answered(self, account: str) -> bool:
        """
        True once our request for an *account* was answered, be it by none.
        """
        return account in self.replied or account in self.failed

    def _note_account(self, request: str, *, told: bool) -> None:
        """
        A CLI that cannot tell what it has spent says so when it is first asked; one that could and fails is asked again, and
        has not answered until then.
        """
        if not self.replied:
            self.accountable = told
        if told or not self.accountable:
            self.replied |= {request, *self.failed}
            self.failed.clear()
        else:
            self.failed.add(request)
            self.stirred = True

    def _settle(self, result: m.Result, facts: list[ev.AnyEvent]) -> None:
        """
        A turn has ended, with an account of what it cost.

        A resume after a kill first emits an empty turn (no turns, no account) whose total is carried over from earlier
        processes: it is no result of ours (Claude Code 2.1.330).
        """
        if result.models_since is None and result.num_turns == 0 and not result.is_error:
            self._empty_turn = True
            self._begun = False
            return
        facts += self.meter.settle(result)
        self.calls = {call: what for call, what in self.calls.items() if self.background.delegates and self._lent(call)}
        self._made = {call: made for call, made in self._made.items() if call in self.calls}
        self.stirred = self._begun = False
        self.result = result
        self.failure, self._failing = self._failing, ""
        # `errors` holds diagnostics of the CLI, not words of the agent.
        text = result.text or self._words
        text = self._redact(text[: 2 * TEXT_LIMIT])
        self._doing = first_line(text)
        facts.append(
            ev.TurnEnded(
                run=self.run,
                is_error=result.is_error,
                terminal_reason=result.terminal_reason,
                text=text[:TEXT_LIMIT],
                turns=result.num_turns,
            )
        )

    def uncertain(self, reply: Reply) -> bool:
        """
        True while only an account can tell what the response cost whose call is answered by *reply*, and none has.
        """
        made = self._made.get(reply.call)
        return self.meter.uncertain(made.message_id if made is not None else "", subagent=reply.subagent)

    def unended(self, reply: Reply) -> bool:
        """
        True while the response whose call is answered by *reply* was not heard to end: the call may ask for leave before that,
        and even before the line that tells of it (Claude Code 2.1.197).
        """
        made = self._made.get(reply.call)
        return made is None or (not reply.subagent and self.meter.unended(made.message_id))
