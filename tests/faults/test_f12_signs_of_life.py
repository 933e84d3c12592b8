"""
F12: only what an agent does is a sign of life; and whatever it honestly does, however quietly, is one.

The clock is the test's own; directories, locks and processes are real.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from harness.lone import (
    SILENCE,
    Lone,
    account,
    background,
    delta,
    hook,
    part,
    system,
    tool_call,
    tool_result,
    turn_over,
    words,
)
from harness.mutant import Mutant

from factories import RUN, FixedClock
from orchestrd.ancestry import MARK
from orchestrd.domain.model import Cause
from orchestrd.runner import guard
from orchestrd.runner.vitals import since_boot
from orchestrd.runner.watchdog import Finding, Scene, Vitals, Watchdog

HOURS = 3600.0
STEP = 100.0
LINES = "protocol/lines.py"
LIFE = "runner/life.py"
DOG = "runner/watchdog.py"
EMPTY = "test_what_comes_of_itself_is_no_sign_of_life"
HONEST = "test_whatever_is_done_is_a_sign_of_life"
SERVER = "test_a_finished_agent_beside_an_idle_server"
BESIDE = "test_what_works_beside_a_finished_agent"

MUTANTS = (
    Mutant(
        "a ping is life",
        file=LINES,
        old="return not isinstance(line.event, _Ping)",
        new="return True",
        test=f"{EMPTY}[pings]",
    ),
    Mutant(
        "a delta of nothing is life",
        file=LINES,
        old='any(held for name, held in delta.items() if name != "type")',
        new="bool(delta)",
        test=f"{EMPTY}[empty text]",
    ),
    Mutant(
        "our own questions keep it alive", file=LIFE, old="(m.ControlReply, ", new="(", test=f"{EMPTY}[answers to us]"
    ),
    Mutant(
        "whatever it says, it lives", file=LIFE, old="if self._shows(message):", new="if True:", test=f"{EMPTY}[status]"
    ),
    Mutant(
        "a summary that stands still is life",
        file=LIFE,
        old="return not self.compacts or characters != self._characters",
        new="return True",
        test="test_what_is_told_only_at_its_end_has_twice_the_time",
    ),
    Mutant(
        "the CLI's own timer is life",
        file=LIFE,
        old="return not heartbeat",
        new="return True",
        test="test_a_call_of_an_mcp_server_that_hangs",
    ),
    Mutant(
        "a server that writes is idle",
        file=DOG,
        old=" > TRICKLE * (now - since)",
        new=" < 0",
        test="test_an_mcp_server_that_works_on_a_call[writes]",
    ),
    Mutant(
        "what is streamed is no sign of life",
        file="runner/guard.py",
        old="self._signs, moved + life.signs",
        new="self._signs, life.signs",
        test=HONEST,
    ),
    Mutant(
        "thinking that is kept from us is none",
        file=LIFE,
        old="return more > 0",
        new="return False",
        test=f"{HONEST}[an estimate]",
    ),
    Mutant(
        "a summary is not seen to grow",
        file=LIFE,
        old=" or characters != self._characters",
        new="",
        test=f"{HONEST}[a summary]",
    ),
    Mutant(
        "an answer to a subagent has the time of one that is heard",
        file=DOG,
        old="VEILED if scene.veiled else 1.0",
        new="1.0",
        test="test_what_is_told_only_at_its_end_has_twice_the_time",
    ),
    Mutant(
        "a retry is due at once",
        file="runner/guard.py",
        old="pause=life.pause",
        new="pause=0.0 * life.pause",
        test="test_a_retry_that_was_announced_for_later_is_waited_for",
    ),
    Mutant(
        "an idle server is work for ever",
        file=DOG,
        old="vitals.written - before.written > TRICKLE * passed",
        new="vitals.beside",
        test=SERVER,
    ),
    Mutant(
        "what was left behind is not told of",
        file="runner/settlement.py",
        old="leftovers=max(left_behind, ",
        new="leftovers=max(0, ",
        test=SERVER,
    ),
    Mutant(
        "a result is lost with the agent that stays beside its server",
        file="runner/session.py",
        old="(bool(done) or self._let_go)",
        new="bool(done)",
        test=SERVER,
    ),
    Mutant(
        "what speaks in the background is idle",
        file="runner/vitals.py",
        old="            if stat.S_ISREG(file.st_mode):",
        new="            if False:",
        test="test_a_command_that_speaks_beside_a_finished_agent",
    ),
    Mutant(
        "work in the background is idle",
        file=DOG,
        old="vitals.beside_cpu - before.beside_cpu > BUSY * passed",
        new="False",
        test=BESIDE,
    ),
    Mutant(
        "the agent's own turning over is work of what it left",
        file=DOG,
        old="vitals.beside_cpu - before.beside_cpu > BUSY * passed",
        new="vitals.cpu - before.cpu > BUSY * passed",
        test=BESIDE,
    ),
    Mutant(
        "a server in the background excuses a turn that hangs",
        file="runner/interpreter.py",
        old="return bool(self.calls or self.background.delegates)",
        new="return bool(self.calls or self.background.tasks)",
        test="test_a_turn_that_hangs_beside_an_idle_server",
    ),
    Mutant(
        "a server in the background excuses a subagent that hangs",
        file="runner/guard.py",
        old="default=NEVER",
        new="default=EVER",
        test="test_a_subagent_that_hangs_beside_an_idle_server",
    ),
    Mutant(
        "the calls of a subagent are forgotten with the main turn",
        file="runner/interpreter.py",
        old="if self.background.delegates and self._lent(call)",
        new="if False",
        test="test_a_command_of_a_subagent_outlasts_the_main_turn",
    ),
)

BEAT = {"type": "tool_progress", "tool_use_id": "t1-heartbeat-1", "parent_tool_use_id": "t1", "heartbeat": True}
RUNNING = system("session_state_changed", state="running")
LIMITS = {"status": "allowed_warning", "rateLimitType": "five_hour", "utilization": 0.9}
BEGUN = part("message_start", message={"id": "m0", "model": "claude-opus-5-5", "usage": {"input_tokens": 1}})

COMES_OF_ITSELF: dict[str, list[dict[str, Any]]] = {
    "pings": [part("ping")],
    "empty text": [delta("text", text="")],
    "empty thinking": [delta("thinking", thinking="", estimated_tokens=0)],
    "empty input": [delta("input_json", partial_json="")],
    "an odd delta": [part("content_block_delta", index=0)],
    "keep_alive": [{"type": "keep_alive"}],
    "answers to us": [account(1, model_usage={})],
    "echoes": [{"type": "command_lifecycle", "command_uuid": "u", "state": "started"}],
    "replays": [{"type": "user", "isReplay": True, "message": {"role": "user", "content": "Do it."}}],
    "limits": [{"type": "rate_limit_event", "rate_limit_info": LIMITS}],
    "status": [system("status", status="requesting")],
    "state": [RUNNING],
    "a call that is waited for": [BEAT],
    "notices": [system("notification", key="k", text="Still here.", priority="low")],
    "no more thinking": [system("thinking_tokens", estimated_tokens=9, estimated_tokens_delta=0)],
    "no event": [{"neither": "type"}],
}
"""What may be said again and again while nothing is done."""

IS_DONE: dict[str, list[dict[str, Any]]] = {
    "thinking": [delta("thinking", thinking="Hm.")],
    "thinking kept from us": [delta("thinking", thinking="", estimated_tokens=50)],
    "an estimate": [system("thinking_tokens", estimated_tokens=9, estimated_tokens_delta=3)],
    "a signature": [delta("signature", signature="c2ln")],
    "text": [delta("text", text=" ")],
    "input": [part("ping"), delta("input_json", partial_json="{"), part("ping")],
    "a delta of a new kind": [delta("dream", scenes=["one"])],
    "a part of a new kind": [part("content_block_pause")],
    "a message of a new kind": [{"type": "api_metrics", "event": {"type": "thinking_progress"}}],
    "words of a subagent": [words("Hm.", "s1", of="t1")],
    "a call of a subagent": [tool_call("s1", "s1", of="t1"), tool_result("s1", of="t1")],
    "progress of a subagent": [system("task_progress", task_id="a1", usage={"total_tokens": 9})],
    "a request for leave": [hook("r1", call="s9")],
    "a tool that gets on": [{"type": "tool_progress", "tool_use_id": "t1", "elapsed_time_seconds": 30}],
    "a retry": [system("api_retry", attempt=2, max_retries=10, retry_delay_ms=500, error_status=529, error="x")],
}
"""What cannot be said unless something was done."""


def halted(lone: Lone) -> list[Cause]:
    return [fact.cause for fact in lone.desk.named("run.stopping")]


async def begin(lone: Lone, *lines: dict[str, Any]) -> None:
    """
    A turn, in which the CLI says that it cannot tell what it has spent, and what is said besides.
    """
    lone.say(account(0), RUNNING, BEGUN, *lines)
    await lone.rounds()


async def at(lone: Lone, limit: float, reason: str, *lines: dict[str, Any]) -> None:
    """
    See that it is halted at *limit* seconds from now, and not a second before; meanwhile it says *lines* over and over.
    """
    began = lone.clock.now
    while (left := limit - 1.0 - (lone.clock.now - began)) > 0:
        lone.say(*lines)
        await lone.rounds()
        await lone.pass_(min(STEP, left))
        assert halted(lone) == []
    await lone.pass_(2.0)
    await lone.rounds()
    assert halted(lone) == [Cause.STALLED]
    assert reason in lone.desk.row(RUN).stopping_reason


@pytest.mark.anyio
@pytest.mark.parametrize("lines", COMES_OF_ITSELF.values(), ids=COMES_OF_ITSELF)
async def test_what_comes_of_itself_is_no_sign_of_life(lone, lines, tally):
    async with lone.driven():
        await begin(lone)
        await at(lone, SILENCE, "it gave no sign of life for 15 min 00 s", *lines)
    tally("F12", note="what comes of itself is no sign of life, ± 1 s")


@pytest.mark.anyio
@pytest.mark.parametrize("lines", [*IS_DONE.values(), None], ids=[*IS_DONE, "a summary"])
async def test_whatever_is_done_is_a_sign_of_life(lone, lines):
    """
    For four hours, a little before each limit; then no more.
    """
    async with lone.driven():
        await begin(lone)
        for number in range(int(4 * HOURS / (SILENCE - 5.0))):
            summary = system("status", status="compacting", compact_output_chars=number)
            lone.say(*([summary] if lines is None else lines))
            await lone.rounds()
            await lone.pass_(SILENCE - 5.0)
            assert halted(lone) == []
        lone.say(tool_result("s1"), system("status", status=None, compact_result="success"))
        await lone.rounds()
        await at(lone, SILENCE, "it gave no sign of life for 15 min 00 s")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("lines", "more", "reason"),
    [
        ([background("a1", kind="local_agent")], [part("ping")], "its call hangs: for 30 min 00 s nothing was heard"),
        ([tool_call(tool="Agent")], [part("ping")], "its call hangs: for 30 min 00 s nothing was heard"),
        (
            [system("status", status="compacting", compact_output_chars=0)],
            [system("status", status="compacting", compact_output_chars=0)],
            "it gave no sign of life for 30 min 00 s",
        ),
    ],
    ids=["subagent", "subagent in the foreground", "summary"],
)
async def test_what_is_told_only_at_its_end_has_twice_the_time(lone, lines, more, reason, tally):
    async with lone.driven():
        await begin(lone, *lines)
        await at(lone, 2 * SILENCE, reason, *more)
    tally("F12", note="an answer that is told only at its end, ± 1 s")


@pytest.mark.anyio
async def test_a_retry_that_was_announced_for_later_is_waited_for(lone):
    async with lone.driven():
        await begin(lone)
        retry = system("api_retry", attempt=1, max_retries=10, retry_delay_ms=1_200_000, error_status=429, error="x")
        lone.say(retry, system("status", status="requesting"))
        await lone.rounds()
        await at(lone, 1200.0 + SILENCE, "it gave no sign of life for 15 min 00 s", part("ping"))


@pytest.mark.anyio
@pytest.mark.parametrize("stubborn", [False, True], ids=["leaves", "stubborn"])
async def test_a_finished_agent_beside_an_idle_server(lone, stubborn, tally):
    """
    It is asked to leave, and its result counts, whether it goes by itself or not.
    """
    async with lone.driven():
        await begin(lone, words("It runs."), background("b1"), *turn_over())
        with beside(lone):
            await lone.pass_(SILENCE - 1.0)
            assert b"end_session" not in lone.dir.stdin.read_bytes()
            await lone.pass_(2.0)
            await lone.until(lambda: b"end_session" in lone.dir.stdin.read_bytes())
        assert halted(lone) == []
        if not stubborn:
            lone.say(background())
        lone.dir.exit.write_text(json.dumps({**EXIT, "exit_code": 143 if stubborn else 0}))
        lone.held.close()
        await lone.until(lambda: lone.ending)
    ending, _ = lone.ending
    assert (ending.has_result, ending.is_error, ending.finished) == (True, False, True)
    # The agent itself is the first of them, and none of what it left.
    assert ending.leftovers == 1
    tally("F12", note="a finished agent beside an idle server, ± 1 s")


EXIT = {"version": 1, "signal": None, "started_at": 1.0, "ended_at": 2.0, "stopped": False, "leftovers": []}


@pytest.mark.anyio
async def test_a_command_that_speaks_beside_a_finished_agent(lone, tmp_path):
    """
    A line every ten minutes; it is let go a quarter of an hour after the last one.
    """
    log = tmp_path / "tests.log"
    async with lone.driven():
        await begin(lone, words("The tests run."), background("b1"), *turn_over())
        with beside(lone, log):
            for _ in range(6):
                with log.open("a") as file:
                    file.write(".")
                for _ in range(5):
                    await lone.pass_(121.0)
            assert b"end_session" not in lone.dir.stdin.read_bytes()
            for _ in range(4):
                await lone.pass_(121.0)
            await lone.until(lambda: b"end_session" in lone.dir.stdin.read_bytes())
        assert halted(lone) == []


@pytest.mark.parametrize(
    ("works", "limit"),
    [
        (lambda t: Vitals(beside=1, beside_cpu=0.06 * t), 4 * HOURS),
        (lambda t: Vitals(beside=1, written=int(65 * t)), 4 * HOURS),
        (lambda t: Vitals(beside=1, spoken=int(t // 800)), 4 * HOURS),
        # Half a minute's work now and then.
        (lambda t: Vitals(beside=1, beside_cpu=30.0 * (t // 800)), 4 * HOURS),
        (lambda t: Vitals(beside=1, beside_cpu=0.04 * t, cpu=0.5 * t, written=int(60 * t), spoken=7), SILENCE),
        (lambda t: Vitals(beside=1, commands=1, beside_cpu=10.0), SILENCE),
        (lambda t: Vitals(), SILENCE),
    ],
    ids=["works", "writes", "speaks", "works now and then", "turns over", "idles", "is gone"],
)
def test_what_works_beside_a_finished_agent(works, limit):
    """
    What it has used is looked at without the agent's own, from the moment of its result.
    """
    clock = FixedClock()
    dog = Watchdog(clock, silence=SILENCE)
    dog.heard()
    began = clock.now
    finding = Finding.WELL
    while finding is not Finding.RESTLESS and clock.now - began < limit + 1.0:
        clock.now += 0.5
        finding = dog.look(Scene(reported=True, leaves=True))
        if finding is Finding.LOOK:
            finding = dog.examine(works(clock.now - began))
        assert finding in (Finding.WELL, Finding.RESTLESS)
    if limit == SILENCE:
        assert finding is Finding.RESTLESS
        assert abs(clock.now - began - SILENCE) <= 1.0
    else:
        assert finding is Finding.WELL


@pytest.mark.anyio
async def test_a_call_of_an_mcp_server_that_hangs(lone, monkeypatch, tally):
    """
    The server was there before the call; the CLI goes on saying that it waits.
    """
    monkeypatch.setattr(guard, "since_boot", lambda: since_boot() + 60.0)
    async with lone.driven():
        with beside(lone):
            await begin(lone, tool_call(tool="mcp__op__ask"))
            await at(
                lone, SILENCE, "its call hangs: for 15 min 00 s nothing was heard, and no process works on it", BEAT
            )
    tally("F12", note="a call of an MCP server that hangs, ± 1 s")


@pytest.mark.parametrize(
    "works",
    [
        lambda t: Vitals(beside=1, cpu=0.06 * t, beside_cpu=0.06 * t),
        lambda t: Vitals(beside=1, written=int(65 * t)),
        lambda t: Vitals(beside=2, commands=1),
    ],
    ids=["computes", "writes", "began a process"],
)
def test_an_mcp_server_that_works_on_a_call(works):
    """
    For four hours, in which the CLI says again and again that it waits.
    """
    clock = FixedClock()
    dog = Watchdog(clock, silence=SILENCE)
    dog.heard()
    began = clock.now
    while clock.now - began < 4 * HOURS:
        clock.now += 1.0
        if clock.now % 30 < 1.0:
            dog.heard(lives=False)
        finding = dog.look(Scene(occupied=True))
        if finding is Finding.LOOK:
            finding = dog.examine(works(clock.now - began))
        assert finding is Finding.WELL


@pytest.mark.anyio
async def test_a_turn_that_hangs_beside_an_idle_server(lone, tally):
    """
    The service keeps its stream open and says nothing.
    """
    async with lone.driven():
        await begin(lone, background("b1"))
        with beside(lone):
            await at(lone, SILENCE, "it gave no sign of life for 15 min 00 s", part("ping"))
    tally("F12", note="a turn that hangs beside an idle server, ± 1 s")


@pytest.mark.anyio
async def test_a_subagent_that_hangs_beside_an_idle_server(lone, tally):
    async with lone.driven():
        both = background("b1")["tasks"] + background("a1", kind="local_agent")["tasks"]
        await begin(lone, system("background_tasks_changed", tasks=both), *turn_over()[:1])
        with beside(lone):
            await at(lone, 2 * SILENCE, "its call hangs: for 30 min 00 s", part("ping"))
    tally("F12", note="a subagent that hangs beside an idle server, ± 1 s")


@pytest.mark.anyio
async def test_a_command_of_a_subagent_outlasts_the_main_turn(lone, monkeypatch):
    """
    For four hours; what is left of it when the subagent is gone excuses nobody.
    """
    async with lone.driven():
        await begin(lone, background("a1", kind="local_agent"), tool_call("s1", "s1", of="t0"), *turn_over()[:1])
        with beside(lone):
            for _ in range(int(4 * HOURS / 300)):
                await lone.pass_(300.0)
            assert halted(lone) == []
            monkeypatch.setattr(guard, "since_boot", lambda: since_boot() + 60.0)
            lone.say(background(), RUNNING, BEGUN)
            await lone.rounds()
            await at(lone, SILENCE, "it gave no sign of life for 15 min 00 s")


@contextmanager
def beside(lone: Lone, log: Path | None = None) -> Iterator[None]:
    """
    An idle agent, and an idle process that it began, whose output goes to *log*.
    """
    env = {**os.environ, MARK: str(lone.dir.path)}
    argv = [sys.executable, "-c", "import time; time.sleep(600)"]
    with open(log or os.devnull, "ab") as out:  # noqa: PTH123 - a device too
        children = [subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL)]
        time.sleep(0.02)  # starts are told in hundredths of a second, and the first process is the agent
        children.append(subprocess.Popen(argv, env=env, stdout=out))
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()
