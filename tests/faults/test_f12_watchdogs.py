"""
F12: every way to hang is seen at its limit, and nothing that works or waits for a person is taken for it.

The clock is the test's own; directories, locks, processes and transcripts are real.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness.lone import SILENCE, Lone, account, background, hook, tool_call, tool_result, turn_over, words
from harness.mutant import Mutant

from factories import RUN, FixedClock, answered, asked
from orchestrd.domain.model import Cause
from orchestrd.runner import guard
from orchestrd.runner.vitals import since_boot
from orchestrd.runner.watchdog import Finding, Scene, Vitals, Watchdog

FIRST, REST, REPLY, DEAF = 300.0, 60.0, 120.0, 120.0
HOURS = 3600.0

MUTANTS = (
    Mutant(
        "an agent that never says a word is waited for as long as any other",
        file="runner/watchdog.py",
        old="if not self._spoke and silent > min(FIRST_SECONDS, self._silence):",
        new="if False:",
        test="test_an_agent_that_says_nothing_after_its_start",
    ),
    Mutant(
        "what a late daemon has not read yet is taken for silence",
        file="runner/guard.py",
        old="as_of=as_of,\n            standing",
        new="standing",
        test="test_a_late_daemon_reads_before_it_judges",
    ),
    Mutant(
        "a question of ours that is never answered tells nothing",
        file="runner/watchdog.py",
        old="if self._spoke and any(now - since > REPLY_SECONDS for since in self._asked.values()):",
        new="if False:",
        test="test_a_request_that_is_not_answered",
    ),
    Mutant(
        "a request that was answered is waited for",
        file="runner/guard.py",
        old="unanswered=frozenset(self._voice.asked - interpreter.replied),",
        new="unanswered=frozenset(self._voice.asked),",
        test="test_one_that_answers_is_asked_on_and_on",
    ),
    Mutant(
        "whatever it says, an agent answered us",
        file="runner/guard.py",
        old="unanswered=frozenset(self._voice.asked - interpreter.replied),",
        new="unanswered=frozenset(self._voice.asked - interpreter.replied) if row.cut else frozenset(),",
        test="test_a_request_that_is_not_answered",
    ),
    Mutant(
        "a call excuses silence for ever",
        file="runner/watchdog.py",
        old="if works:",
        new="if works or vitals:",
        test="test_a_call_that_nothing_works_on",
    ),
    Mutant(
        "a call with a process of its own is taken for hung",
        file="runner/watchdog.py",
        old="works = vitals.commands > 0 or",
        new="works =",
        test="test_a_command_of_four_hours",
    ),
    Mutant(
        "a server that was there before is taken for the call's own process",
        file="runner/vitals.py",
        old="sum(begun >= since for begun, _, _ in found[1:])",
        new="len(found[1:])",
        test="test_a_call_that_hangs_beside_an_idle_server",
    ),
    Mutant(
        "what an earlier daemon let begin is taken for a server",
        file="runner/guard.py",
        old="EVER if known else since_boot()",
        new="since_boot()",
        test="test_a_command_that_began_before_a_restart_goes_on",
    ),
    Mutant(
        "a call that there is no money for goes round in circles",
        file="runner/guard.py",
        old="self._interpreter.repetition.unpaid |= {reply.request for reply in asked}",
        new="pass",
        test="test_calls_that_there_is_no_money_for_are_no_circle",
    ),
    Mutant(
        "what was denied for want of money is forgotten by a restart",
        file="runner/guard.py",
        old="self._interpreter.repetition.unpaid |= self._voice.unpaid",
        new="pass",
        test="test_calls_that_there_is_no_money_for_are_no_circle",
    ),
    Mutant(
        "work of the agent itself is not seen",
        file="runner/watchdog.py",
        old=" or vitals.cpu - before.cpu > BUSY * (now - since)",
        new="",
        test="test_a_call_that_the_agent_works_on_itself",
    ),
    Mutant(
        "an agent that has reported may stay as long as one that works",
        file="runner/watchdog.py",
        old="if scene.reported and silent > REST_SECONDS:",
        new="if False:",
        test="test_an_agent_that_does_not_rest_after_its_result",
    ),
    Mutant(
        "what was reported before a turn of its own is its last word",
        file="runner/interpreter.py",
        old="over = self.result is not None and not self._begun and not self.occupied",
        new="over = self.result is not None and not self.occupied",
        test="test_a_turn_that_it_begins_by_itself_has_the_time_of_any_other",
    ),
    Mutant(
        "transcripts are not looked at",
        file="runner/guard.py",
        old="self._unheard = bool(",
        new="self._unheard = False and bool(",
        test="test_output_that_has_stopped_while_work_goes_on",
    ),
    Mutant(
        "what was heard before the silence counts as unheard",
        file="runner/guard.py",
        old="read = partial(read_spend, folder, session, beyond=self._transcripts)",
        new="read = partial(read_spend, folder, session)",
        test="test_a_transcript_that_grows_by_what_is_no_answer",
    ),
    Mutant(
        "going round in circles is work",
        file="runner/guard.py",
        old="elif (count := self._interpreter.repetition.count) >= LOOP_CALLS:",
        new="elif (count := self._interpreter.repetition.count) >= 10**9:",
        test="test_the_same_failing_call_again_and_again",
    ),
    Mutant(
        "any failing call is the same one",
        file="runner/repetition.py",
        old='[call.name, call.input], order="sorted"',
        new='[], order="sorted"',
        test="test_other_calls_in_between_are_no_circle",
    ),
    Mutant(
        "a call that worked in between does not count",
        file="runner/repetition.py",
        old="        elif made.effect is not Effect.READS:\n            calls = {}\n",
        new="",
        test="test_the_same_tests_after_each_change_are_no_circle",
    ),
    Mutant(
        "to wait is to look on",
        file="runner/repetition.py",
        old="return Effect.DESTROYS if waits else effect",
        new="return effect",
        test="test_the_same_tests_after_each_change_are_no_circle",
    ),
    Mutant(
        "a command line that fails has changed nothing",
        file="runner/repetition.py",
        old="before is None and made.effect is Effect.DESTROYS",
        new="False",
        test="test_the_same_tests_after_each_change_are_no_circle",
    ),
    Mutant(
        "one that fails again and again changes something each time",
        file="runner/repetition.py",
        old="before is None and made.effect is Effect.DESTROYS",
        new="made.effect is Effect.DESTROYS",
        test="test_what_changes_nothing_in_between_ends_no_circle",
    ),
    Mutant(
        "to look is to change something",
        file="runner/repetition.py",
        old="elif made.effect is not Effect.READS:",
        new="else:",
        test="test_what_changes_nothing_in_between_ends_no_circle",
    ),
    Mutant(
        "a call that works at last is still a failing one",
        file="runner/repetition.py",
        old="        before = calls.pop(made.mark, None)\n",
        new="        before = calls.pop(made.mark, None) if result.is_error else calls.get(made.mark)\n",
        test="test_a_call_that_works_at_last_was_no_circle",
    ),
    Mutant(
        "all conversations of an agent go round together",
        file="runner/repetition.py",
        old="calls = self._failing.pop(result.subagent, {})",
        new="calls = self._failing.popitem()[1] if self._failing else {}",
        test="test_each_conversation_goes_round_for_itself",
    ),
    Mutant(
        "an answer halts one that is about to say where it stands",
        file="runner/guard.py",
        old='question.state == "answered" and (question.request is not None or row.rests)',
        new='question.state == "answered"',
        test="test_its_answer_does_not_break_off_what_it_says_last",
    ),
    Mutant(
        "what is asked by file is waited for while its agent works",
        file="domain/fold/base.py",
        old="any(question.request is not None or run.rests for question in asks)",
        new="bool(asks)",
        test="test_one_that_asks_by_file_and_works_on_is_held_to_its_limits",
    ),
    Mutant(
        "an agent that waits for a person is held to its limits",
        file="runner/guard.py",
        old="waits = row.stands_still or not self._desk.reckoned",
        new="waits = not self._desk.reckoned",
        test="test_nothing_is_held_against_one_that_waits_for_a_person",
    ),
)


def halted(lone: Lone) -> list[Cause]:
    return [fact.cause for fact in lone.desk.named("run.stopping")]


async def at(lone: Lone, limit: float, cause: Cause, reason: str, *, speak: bool = False) -> None:
    """
    See that it is halted at *limit* seconds from now, and not a second before; meanwhile it may *speak*.
    """
    began = lone.clock.now
    while lone.clock.now - began < limit - 1.0:
        if speak:
            lone.say(words("Still here.", f"m{lone.clock.now}"))
        await lone.pass_(min(45.0, limit - 1.0 - (lone.clock.now - began)))
        assert halted(lone) == []
    await lone.pass_(2.0)
    await lone.rounds()
    assert halted(lone) == [cause]
    assert reason in lone.desk.row(RUN).stopping_reason


@pytest.mark.anyio
async def test_an_agent_that_says_nothing_after_its_start(lone, tally):
    async with lone.driven():
        await at(lone, FIRST, Cause.STALLED, "it said nothing for 5 min 00 s after its start")
    tally("F12", note="silence after the start, ± 1 s")


@pytest.mark.anyio
async def test_a_request_that_is_not_answered(lone, tally):
    """
    It goes on talking, and does not hear.
    """
    async with lone.driven():
        lone.say(account(0, model_usage={}), words("Hello."))
        await lone.until(lambda: b"usage-1" in lone.dir.stdin.read_bytes())
        reason = "it did not answer for 2 min 00 s when it was asked what it has spent"
        await at(lone, REPLY, Cause.STALLED, reason, speak=True)
    tally("F12", note="a request without an answer, ± 1 s")


@pytest.mark.anyio
async def test_one_that_answers_is_asked_on_and_on(lone):
    async with lone.driven():
        lone.say(account(0, model_usage={}))
        for number in range(1, 12):
            lone.say(words("Working.", f"m{number}"))
            await lone.until(lambda n=number: f"usage-{n}".encode() in lone.dir.stdin.read_bytes())
            await lone.pass_(REPLY - 1.0)
            lone.say(account(number, model_usage={}))
            await lone.rounds()
        assert halted(lone) == []


@pytest.mark.anyio
async def test_a_call_that_nothing_works_on(lone, tally):
    async with lone.driven():
        lone.say(account(0), tool_call())
        await lone.rounds()
        with lone.processes("import time; time.sleep(600)"):
            reason = "its call hangs: for 15 min 00 s nothing was heard, and no process works on it"
            await at(lone, SILENCE, Cause.STALLED, reason)
    tally("F12", note="a call that hangs, ± 1 s")


@pytest.mark.anyio
async def test_a_call_that_hangs_beside_an_idle_server(lone, monkeypatch, tally):
    """
    The server was there a minute before the call.
    """
    monkeypatch.setattr(guard, "since_boot", lambda: since_boot() + 60.0)
    async with lone.driven():
        with lone.processes(*["import time; time.sleep(600)"] * 2):
            lone.say(account(0), tool_call())
            await lone.rounds()
            await at(lone, SILENCE, Cause.STALLED, "no process works on it")
    tally("F12", note="a call that hangs beside an idle server, ± 1 s")


@pytest.mark.anyio
async def test_a_command_that_began_before_a_restart_goes_on(lone, monkeypatch):
    """
    A daemon that reads of its call again does not know when that was.
    """
    async with lone.driven():
        lone.say(account(0), tool_call())
        await lone.until(lambda: lone.desk.named("run.tool_called"))
    monkeypatch.setattr(guard, "since_boot", lambda: since_boot() + 60.0)
    with lone.processes(*["import time; time.sleep(600)"] * 2):
        async with lone.driven():
            await lone.rounds()
            for _ in range(int(4 * HOURS / 100)):
                await lone.pass_(100.0)
            assert halted(lone) == []


@pytest.mark.anyio
async def test_a_late_daemon_reads_before_it_judges(lone, monkeypatch):
    """
    It stood still for an hour after it had read all there was; meanwhile the agent called a tool.
    """
    affords, stood = guard.Guard.affords, []

    async def stand(self):
        if not stood:
            stood.append(lone.say(account(0), account(1), tool_call()))
            lone.clock.now += HOURS
        return await affords(self)

    async with lone.driven():
        lone.say(words("Hello."))
        await lone.rounds()
        monkeypatch.setattr(guard.Guard, "affords", stand)
        await lone.until(lambda: lone.desk.named("run.tool_called") or halted(lone))
        assert stood
        assert halted(lone) == [], lone.desk.row(RUN).stopping_reason


@pytest.mark.anyio
async def test_a_command_of_four_hours(lone, tally):
    """
    It has a process of its own, and does not say a word.
    """
    async with lone.driven():
        lone.say(account(0), tool_call())
        await lone.rounds()
        with lone.processes(*["import time; time.sleep(600)"] * 2):
            for _ in range(int(4 * HOURS / 100)):
                await lone.pass_(100.0)
        assert halted(lone) == []
        lone.say(tool_result())
        await lone.rounds()
        await at(lone, SILENCE, Cause.STALLED, "it gave no sign of life for 15 min 00 s")
    tally("F12", note="a command of four hours goes on")


@pytest.mark.parametrize(("share", "limit"), [(0.06, 4 * HOURS), (0.04, SILENCE)])
def test_a_call_that_the_agent_works_on_itself(share, limit):
    """
    It has no process but the agent's own: what counts is whether that uses the processor.
    """
    clock = FixedClock()
    dog = Watchdog(clock, silence=SILENCE)
    dog.heard()
    began = clock.now
    finding = Finding.WELL
    while finding is not Finding.HUNG and clock.now - began < limit + 1.0:
        clock.now += 0.5
        finding = dog.look(Scene(occupied=True))
        if finding is Finding.LOOK:
            finding = dog.examine(Vitals(cpu=share * (clock.now - began)))
    if limit == SILENCE:
        assert finding is Finding.HUNG
        assert abs(clock.now - began - SILENCE) <= 1.0
    else:
        assert finding is not Finding.HUNG


@pytest.mark.anyio
async def test_an_agent_that_does_not_rest_after_its_result(lone, tally):
    """
    It is asked to leave, and its result counts.
    """
    async with lone.driven():
        result, _ = turn_over()
        running = {"type": "system", "subtype": "session_state_changed", "state": "running"}
        lone.say(account(0), running, words("Done."), result)
        await lone.rounds()
        await lone.pass_(REST - 1.0)
        assert b"end_session" not in lone.dir.stdin.read_bytes()
        await lone.pass_(2.0)
        await lone.until(lambda: b"end_session" in lone.dir.stdin.read_bytes())
        assert halted(lone) == []
    tally("F12", note="no rest after the result, ± 1 s")


@pytest.mark.anyio
async def test_a_turn_that_it_begins_by_itself_has_the_time_of_any_other(lone, tally):
    """
    The end of a command in the background wakes it, and the model takes its time.
    """
    async with lone.driven():
        running = {"type": "system", "subtype": "session_state_changed", "state": "running"}
        lone.say(account(0), running, words("The tests run."), background("b1"), *turn_over())
        await lone.rounds()
        await lone.pass_(300.0)
        lone.say(background(), running)
        await lone.rounds()
        await at(lone, SILENCE, Cause.STALLED, "it gave no sign of life for 15 min 00 s")
        assert b"end_session" not in lone.dir.stdin.read_bytes()
    tally("F12", note="a turn of its own, ± 1 s")


@pytest.mark.anyio
async def test_output_that_has_stopped_while_work_goes_on(lone, tmp_path, tally):
    transcript = Transcript(lone, tmp_path)
    async with lone.driven():
        transcript.answer("m1")
        lone.say(account(0), tool_call(message="m1"))
        await lone.rounds()
        await lone.pass_(15.0)
        transcript.answer("m2")
        with lone.processes(*["import time; time.sleep(600)"] * 2):
            # Looked at every ten seconds.
            await lone.pass_(10.0)
            await lone.rounds()
            reason = "its output has stopped while it works on: its transcript holds what was never heard"
            await at(lone, DEAF, Cause.STALLED, reason)
    tally("F12", note="output that stopped, ± 1 s")


@pytest.mark.anyio
async def test_a_transcript_that_grows_by_what_is_no_answer(lone, tmp_path):
    """
    Notes of the progress of a long command, and what it has had from the model before.
    """
    transcript = Transcript(lone, tmp_path)
    async with lone.driven():
        transcript.answer("m0")
        transcript.answer("m1")
        lone.say(account(0), tool_call(message="m1"))
        await lone.rounds()
        with lone.processes(*["import time; time.sleep(600)"] * 2):
            for _ in range(30):
                await lone.pass_(30.0)
                transcript.note()
        assert halted(lone) == []


@pytest.mark.anyio
async def test_the_same_failing_call_again_and_again(lone, tally):
    async with lone.driven():
        lone.say(account(0))
        for number in range(10):
            assert halted(lone) == []
            fail(lone, number)
            await lone.rounds()
        assert halted(lone) == [Cause.LOOPED]
        reason = lone.desk.row(RUN).stopping_reason
        assert reason == "it made the same failing call 10 times and changed nothing in between: Bash make"
    tally("F12", note="ten times the same failing call")


@pytest.mark.anyio
async def test_calls_that_there_is_no_money_for_are_no_circle(lone):
    """
    Nor are they for a daemon that reads of them again.
    """
    async with lone.driven():
        lone.say(account(0))
        lone.desk.curbed = (Cause.DAY_LIMIT, "the day's limit of $50.00 is reached")
        for number in range(12):
            call, request = f"t{number}", f"r{number}"
            lone.say(tool_call(call, f"m{number}"), hook(request, call=call, command="make"))
            # The end of its response, for which a call waits a moment, is not told here.
            await lone.rounds()
            await lone.pass_(1.0)
            await lone.until(lambda request=request: f'"{request}"'.encode() in lone.dir.stdin.read_bytes())
            lone.say(tool_result(call, is_error=True))
            await lone.rounds()
        assert halted(lone) == []
    lone.desk.curbed = None
    async with lone.driven():
        await lone.rounds()
        assert halted(lone) == []
        for number in range(20, 30):
            assert halted(lone) == []
            fail(lone, number)
            await lone.rounds()
        assert halted(lone) == [Cause.LOOPED]


@pytest.mark.anyio
async def test_other_calls_in_between_are_no_circle(lone):
    async with lone.driven():
        lone.say(account(0))
        for number in range(60):
            fail(lone, number)
            if number % 9 == 8:
                # Another call that fails, or one that does not.
                call = f"o{number}"
                lone.say(tool_call(call, f"mo{number}", "make other"), tool_result(call, is_error=number % 2 == 0))
            await lone.rounds()
        assert halted(lone) == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("tool", "command", "fails"),
    [
        ("Read", "a.py", False),
        ("Bash", "git status && cat a.py", False),
        ("TodoWrite", "", False),
        ("Bash", "make other", True),
        ("Edit", "a.py", True),
    ],
)
async def test_what_changes_nothing_in_between_ends_no_circle(lone, tool, command, fails):
    async with lone.driven():
        lone.say(account(0))
        for number in range(10):
            assert halted(lone) == []
            fail(lone, number)
            between(lone, number, tool, command, fails=fails)
            await lone.rounds()
        assert halted(lone) == [Cause.LOOPED]
        assert "10 times and changed nothing in between: Bash make" in lone.desk.row(RUN).stopping_reason


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("tool", "command", "fails"),
    [
        ("Edit", "a.py", False),
        ("Bash", "sed -i s/a/b/ a.py", False),
        ("Bash", "sleep 30", False),
        ("Agent", "Mend it.", False),
        ("AskUserQuestion", "", False),
        ("Bash", "echo {number} > a.py && make", True),
    ],
)
async def test_the_same_tests_after_each_change_are_no_circle(lone, tool, command, fails):
    async with lone.driven():
        lone.say(account(0))
        for number in range(30):
            fail(lone, number)
            between(lone, number, "Read", "a.py")
            between(lone, number, tool, command.format(number=number), fails=fails)
            await lone.rounds()
        assert halted(lone) == []


@pytest.mark.anyio
async def test_a_call_that_works_at_last_was_no_circle(lone):
    async with lone.driven():
        lone.say(account(0))
        for number in range(40):
            between(lone, number, "Read", "a.py", fails=number % 9 != 8)
            between(lone, number, "Grep", "TODO")
            await lone.rounds()
        assert halted(lone) == []


@pytest.mark.anyio
async def test_each_conversation_goes_round_for_itself(lone):
    """
    A subagent fails at something of its own, in between.
    """
    async with lone.driven():
        lone.say(account(0))
        for number in range(10):
            assert halted(lone) == []
            call = f"s{number}"
            lone.say(
                tool_call(call, f"ms{number}", "make other", of="a1"),
                tool_result(call, is_error=number % 2 == 0, of="a1"),
            )
            fail(lone, number)
            await lone.rounds()
        assert halted(lone) == [Cause.LOOPED]
        assert lone.desk.row(RUN).stopping_reason.endswith("10 times and changed nothing in between: Bash make")


@pytest.mark.anyio
async def test_one_that_asks_by_file_and_works_on_is_held_to_its_limits(lone):
    async with lone.driven():
        lone.say(account(0, model_usage={}), words("Hm."))
        await lone.until(lambda: b"usage-1" in lone.dir.stdin.read_bytes())
        lone.say(account(1, model_usage={}))
        lone.desk.tell(asked(request=None))
        await lone.rounds()
        await at(lone, SILENCE, Cause.STALLED, "it gave no sign of life for 15 min 00 s")


@pytest.mark.anyio
async def test_its_answer_does_not_break_off_what_it_says_last(lone):
    """
    There is no money for more: it may come to the end of its turn, and its answer goes to the run that follows.
    """
    async with lone.driven():
        lone.say(account(0), words("Hm."))
        lone.desk.tell(asked(request=None))
        lone.desk.curbed = (Cause.DAY_LIMIT, "the day's limit of $50.00 is reached")
        lone.desk.tell(answered())
        await lone.rounds(4)
        assert halted(lone) == []
        lone.say(*turn_over())
        await lone.until(lambda: halted(lone) == [Cause.DAY_LIMIT])
        assert b"Answer to your question" not in lone.dir.stdin.read_bytes()


@pytest.mark.anyio
async def test_nothing_is_held_against_one_that_waits_for_a_person(lone):
    async with lone.driven():
        lone.say(account(0, model_usage={}), words("Hm."))
        await lone.until(lambda: b"usage-1" in lone.dir.stdin.read_bytes())
        lone.say(hook("r1", "AskUserQuestion", questions=[{"question": "Which?"}]))
        await lone.rounds()
        for _ in range(24):
            await lone.pass_(HOURS)
        assert halted(lone) == []
        lone.desk.tell(answered(lone.desk.questions(RUN)[0].id))
        await lone.rounds()
        await lone.pass_(REPLY - 2.0)
        assert halted(lone) == []


def fail(lone: Lone, number: int) -> None:
    lone.say(tool_call(f"t{number}", f"m{number}"), tool_result(f"t{number}", is_error=True))


def between(lone: Lone, number: int, tool: str, command: str, *, fails: bool = False) -> None:
    """
    Another call, in its turn.
    """
    call = f"{tool}{number}"
    lone.say(tool_call(call, f"m{call}", command, tool=tool), tool_result(call, is_error=fails))


class Transcript:
    """
    The session's transcript, as the CLI keeps it.
    """

    def __init__(self, lone: Lone, home: Path) -> None:
        session = lone.desk.row(RUN).session
        self._path = home / ".claude" / "projects" / "tree" / f"{session}.jsonl"
        self._path.parent.mkdir(parents=True)

    def answer(self, message: str) -> None:
        body = {"id": message, "role": "assistant", "model": "claude-opus-5-5", "usage": {"input_tokens": 1}}
        self._write({"type": "assistant", "timestamp": "2026-11-22T10:00:00Z", "message": body})

    def note(self) -> None:
        self._write({"type": "progress", "data": {"type": "bash_progress", "output": "assistant"}})

    def _write(self, line: dict[str, object]) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")
