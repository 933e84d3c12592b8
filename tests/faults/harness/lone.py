"""
One session without a daemon: real files and locks, a clock that the test moves, and a desk that keeps what it is told.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio

from factories import PRICES, RUN, FixedClock, asked, running_state, tell
from orchestrd.ancestry import MARK
from orchestrd.domain import events as ev
from orchestrd.domain import violations
from orchestrd.domain.model import Cause
from orchestrd.domain.retries import REMEDIES
from orchestrd.domain.rows import QuestionRow, RunRow
from orchestrd.policy.engine import Judge
from orchestrd.policy.verdict import ALLOW
from orchestrd.protocol.messages import Message
from orchestrd.runner.desk import Keeping
from orchestrd.runner.heard import Heard
from orchestrd.runner.monitor import Bypass, Monitor
from orchestrd.runner.order import Order
from orchestrd.runner.session import Session
from orchestrd.storage.rundir import RunDir, RunSpec

PATIENCE = 20.0
SILENCE = 900.0
"""Seconds without a sign of life that are too long, as by default."""


class StubDesk:
    """
    Folds what it hears into a state of its own, as the daemon would, and keeps the facts in order.
    """

    def __init__(self, clock: FixedClock) -> None:
        self.state = running_state()
        tell(self.state, ev.RunPrepared(run=RUN, base="0" * 40))
        self.facts: list[ev.AnyEvent] = []
        self.cursor = 0
        self.rounds = 0
        """How often the session looked at everything."""
        self.attachments = 0
        self.frozen = False
        self.reckoned = True
        self.curbed: tuple[Cause, str] | None = None
        self.once_heard: Callable[[], object] | None = None
        """What the test does in the moment at which something was heard, once."""
        self._clock = clock
        self._news = anyio.Event()

    def tell(self, *facts: ev.AnyEvent) -> None:
        """
        Record facts, and wake whoever waits for news.
        """
        tell(self.state, *facts, at=self._clock.wall())
        self.facts += facts
        self._news.set()
        self._news = anyio.Event()

    def keep_tree(self, run: str, call: str) -> Keeping:
        kept = Keeping()
        kept.done.set()
        return kept

    def row(self, run: str) -> RunRow:
        row = self.state.run(run)
        assert row is not None
        return row

    def questions(self, run: str) -> list[QuestionRow]:
        return self.state.questions(run=run)

    def changes(self) -> anyio.Event:
        self.rounds += 1
        return self._news

    def attached(self, run: str) -> None:
        self.attachments += 1

    async def heard(self, run: str, heard: Heard, cursor: Any) -> bool:
        assert cursor.start == self.cursor, "facts of a part of the stream that was read before, or that was left out"
        self.cursor = cursor.end
        known = len(self.questions(run))
        asks = [
            asked(f"{run.rpartition('/')[0]}#{number}", run, text=ask.questions[0].text, request=ask.request)
            for number, ask in enumerate(heard.asks, known + 1)
        ]
        self.tell(*heard.facts, *asks)
        act, self.once_heard = self.once_heard, None
        if act is not None:
            act()
        return True

    async def delivered(self, questions: list[QuestionRow]) -> None:
        self.tell(*(ev.AnswerDelivered(question=q.id) for q in questions))

    async def halt(self, run: str, cause: Cause, reason: str) -> None:
        if self.row(run).stopping is None:
            self.tell(ev.RunStopping(run=run, outcome=REMEDIES[cause].outcome, reason=reason, cause=cause))

    def strikes(self, run: str, facts: Iterable[ev.AnyEvent]) -> bool:
        return violations.strikes(self.row(run), facts, 3)

    async def violated(self, run: str, violation: ev.ViolationSeen, reason: str) -> None:
        self.tell(violation)
        await self.halt(run, Cause.VIOLATION, reason)

    async def cleared(self, run: str) -> bool:
        return self.row(run).stopping is None

    def curb(self, run: str) -> tuple[Cause, str] | None:
        return self.curbed

    async def curtailed(self, run: str, cause: Cause, reason: str) -> None:
        self.tell(ev.RunCurtailed(run=run, cause=cause, reason=reason))

    async def relieved(self, run: str) -> None:
        self.tell(ev.RunRelieved(run=run))

    async def leaving(self, run: str) -> None:
        return None

    async def let_go(self, run: str) -> None:
        self.tell(ev.RunLeaving(run=run))

    def named(self, name: str) -> list[ev.AnyEvent]:
        """
        The facts of one type, such as ``run.stopping``.
        """
        return [fact for fact in self.facts if fact.name == name]


class Trusting(Monitor):
    """
    Takes it that every call was asked about: few of what these agents say is.
    """

    def take(self, messages: list[Message], **_: object) -> list[Bypass]:
        return []


class Lone:
    """
    A run directory and the session on it; nothing runs there unless the test starts it.
    """

    def __init__(self, path: Path, *, silence: float = SILENCE, timeout: float = 1e6, grace: float = 5.0) -> None:
        self.dir = RunDir(path)
        self.clock = FixedClock()
        self.desk = StubDesk(self.clock)
        self.held, self.shim, self.agent = ExitStack(), ExitStack(), ExitStack()
        self.ending: Any = None
        self.judge: Judge = lambda *_: ALLOW
        self._limits = {"silence": silence, "timeout": timeout, "grace": grace}

    def hold(self) -> None:
        """
        Hold both locks, as a living shim and agent do; closing `shim`, `agent` or `held` (both) lets go.
        """
        for stack, lock in ((self.shim, self.dir.shim_lock), (self.agent, self.dir.agent_lock)):
            fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, fd)
            self.held.enter_context(stack)
            fcntl.flock(fd, fcntl.LOCK_EX)

    def pretend(self, home: str = "/nonexistent") -> None:
        """
        Make the directory of a run that lives, of an agent with that *home*.
        """
        self.dir.create(RunSpec(run=RUN, argv=["/bin/true"], cwd="/", env={"HOME": home}))
        self.dir.stdout.touch(0o600)
        # Held open for reading, as the shim does: what is said to it is taken.
        os.mkfifo(self.dir.control, 0o600)
        self.held.callback(os.close, os.open(self.dir.control, os.O_RDWR | os.O_NONBLOCK))
        self.hold()

    @contextmanager
    def shim_told(self) -> Iterator[Callable[[], bytes]]:
        """
        What is said to the shim meanwhile, in its place.
        """
        heard = bytearray()

        def told() -> bytes:
            with suppress(BlockingIOError):
                heard.extend(os.read(fifo, 4096))
            return bytes(heard)

        fifo = os.open(self.dir.control, os.O_RDWR | os.O_NONBLOCK)
        try:
            yield told
        finally:
            os.close(fifo)

    def say(self, *lines: dict[str, Any]) -> None:
        """
        Write lines to the agent's output.
        """
        with self.dir.stdout.open("ab") as file:
            file.writelines(json.dumps(line).encode() + b"\n" for line in lines)

    def processes(self, *programs: str) -> ExitStack:
        """
        Processes of the agent, one for each of *programs*, until the stack that is given is closed.
        """
        stack = ExitStack()
        env = {**os.environ, MARK: str(self.dir.path)}
        for program in programs:
            child = subprocess.Popen([sys.executable, "-c", program], env=env)
            stack.callback(child.wait)
            stack.callback(child.kill)
        return stack

    def session(self) -> Session:
        """
        A session as a daemon makes one that knows what the desk knows.
        """
        spec = self.dir.read_spec()
        assert spec is not None
        return Session(
            Order(run=RUN, spec=spec, opening="Do it.", **self._limits),
            self.dir,
            desk=self.desk,
            judge=self.judge,
            prices=PRICES,
            clock=self.clock,
            cursor=self.desk.cursor,
            monitor=Trusting(lambda *_: ALLOW),
        )

    @asynccontextmanager
    async def driven(self) -> AsyncIterator[Session]:
        """
        The session at work, until the block is over; `ending` is what it came to, when it did.
        """
        session = self.session()

        async def drive() -> None:
            self.ending = await session.drive()

        async with anyio.create_task_group() as group:
            group.start_soon(drive)
            await self.rounds(2)
            yield session
            group.cancel_scope.cancel()

    async def rounds(self, count: int = 2) -> None:
        """
        Wait until the session has looked at everything *count* times more, or has ended.
        """
        wanted = self.desk.rounds + count
        with anyio.fail_after(PATIENCE):
            while self.desk.rounds < wanted and self.ending is None:
                await anyio.sleep(0.002)

    async def pass_(self, seconds: float) -> None:
        """
        Let time pass, and the session see it.
        """
        self.clock.now += seconds
        await self.rounds()

    async def until(self, ready: Any) -> Any:
        """
        The first true value of *ready*.
        """
        with anyio.fail_after(PATIENCE):
            while not (found := ready()):
                await anyio.sleep(0.005)
        return found


def tool_call(
    call: str = "t1", message: str = "m1", command: str = "make", *, of: str | None = None, tool: str = "Bash"
) -> dict[str, Any]:
    """
    The model asks for a tool, in the main conversation or in that *of* a subagent, which is named after the call it began with.
    """
    block = {"type": "tool_use", "id": call, "name": tool, "input": {"command": command}}
    return {**_assistant(message, block), "parent_tool_use_id": of}


def tool_result(call: str = "t1", *, of: str | None = None, **more: Any) -> dict[str, Any]:
    """
    The tool returned.
    """
    block = {"type": "tool_result", "tool_use_id": call, "content": "ok", **more}
    return {"type": "user", "message": {"role": "user", "content": [block]}, "parent_tool_use_id": of}


def words(text: str, message: str = "m1", *, of: str | None = None) -> dict[str, Any]:
    """
    The model says something.
    """
    return {**_assistant(message, {"type": "text", "text": text}), "parent_tool_use_id": of}


def part(kind: str, **event: Any) -> dict[str, Any]:
    """
    A part of an answer, as it comes from the service.
    """
    return {"type": "stream_event", "event": {"type": kind, **event}, "parent_tool_use_id": None}


def delta(kind: str, **held: Any) -> dict[str, Any]:
    """
    Some more of an answer.
    """
    return part("content_block_delta", index=0, delta={"type": f"{kind}_delta", **held})


def system(subtype: str, **more: Any) -> dict[str, Any]:
    """
    A line of the CLI about the run.
    """
    return {"type": "system", "subtype": subtype, **more}


def turn_over(text: str = "Done.") -> list[dict[str, Any]]:
    """
    The agent reports success and is idle.
    """
    result = {"type": "result", "subtype": "success", "is_error": False, "num_turns": 1, "result": text}
    account = {"total_cost_usd": 0.0, "modelUsage": {}, "model_usage_since_last_result": {}}
    idle = {"type": "system", "subtype": "session_state_changed", "state": "idle"}
    return [{**result, **account, "terminal_reason": "completed", "usage": {}}, idle]


def account(number: int, **session: Any) -> dict[str, Any]:
    """
    The CLI's answer to our request *number* for what was spent, by default of a version that does not tell.
    """
    about = {"subtype": "success", "request_id": f"usage-{number}", "response": {"session": session}}
    return {"type": "control_response", "response": about}


def background(*ids: str, kind: str = "local_bash") -> dict[str, Any]:
    """
    What works in the background now.
    """
    tasks = [{"task_id": name, "task_type": kind} for name in ids]
    return {"type": "system", "subtype": "background_tasks_changed", "tasks": tasks}


def hook(request: str, tool: str = "Bash", *, call: str = "t1", **arguments: Any) -> dict[str, Any]:
    """
    The agent asks for leave.
    """
    about = {
        "hook_event_name": "PreToolUse",
        "tool_name": tool,
        "tool_input": arguments,
        "cwd": "/",
        "tool_use_id": call,
    }
    asks = {"subtype": "hook_callback", "callback_id": "pre_tool_use", "input": about, "tool_use_id": call}
    return {"type": "control_request", "request_id": request, "request": asks}


def _assistant(message: str, block: dict[str, Any]) -> dict[str, Any]:
    usage = {"input_tokens": 100, "output_tokens": 1}
    body = {"id": message, "type": "message", "role": "assistant", "model": "claude-opus-5-5", "content": [block]}
    return {"type": "assistant", "message": {**body, "usage": usage}, "parent_tool_use_id": None}
