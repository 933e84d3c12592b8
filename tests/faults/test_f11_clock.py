"""
F11: the wall clock jumps, is set back, knows summer, or stands still while the machine sleeps.  Limits are measured on the
monotonic clock and do not notice; due times are of the wall clock and fire once; numbers, not times, order the facts.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from harness.check import Checked, check
from harness.indoors import MovedClock, aside, serving, work_on
from harness.mutant import Mutant
from harness.script import ask, busy, gate, say, stream, tool
from kit.files import wait_file
from kit.processes import alive
from kit.script import DAY, question, task

from factories import NOW, OPUS, PRICES, FixedClock, make_day, make_rules, make_run
from orchestrd.domain import schedule
from orchestrd.domain.model import TaskState, Usage
from orchestrd.domain.rows import TaskRow
from orchestrd.domain.state import State
from orchestrd.domain.tasks import parse_task_file
from orchestrd.errors import InvalidTaskFile
from orchestrd.policy.verdict import ALLOW
from orchestrd.runner.interpreter import Interpreter
from orchestrd.runner.settlement import settle_up
from orchestrd.runner.worktime import WorkTime
from orchestrd.services import scheduler
from orchestrd.storage.rundir import RunDir, RunSpec

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
HOUR, YEARS = 3600.0, 10 * 365 * 86400.0
JUMPS = [HOUR, -HOUR, YEARS, -YEARS]
QUICK = 0.25

MUTANTS = (
    Mutant(
        "work is measured on the wall clock",
        file="runner/worktime.py",
        old="        now = self._clock.monotonic()\n",
        new="        now = self._clock.wall()\n",
        test="test_a_clock_that_is_set_adds_no_work",
    ),
    Mutant(
        "what an earlier daemon saw of the work is forgotten",
        file="runner/worktime.py",
        old="self.worked = self._left = left.worked + since",
        new="pass",
        test="test_time_without_a_daemon_is_no_work_whatever_the_clock_does",
    ),
    Mutant(
        "what a daemon saw is left behind only when the agent begins to wait",
        file="runner/worktime.py",
        old=" or self.worked >= self._left + LEAVE_SECONDS:",
        new=":",
        test="test_time_without_a_daemon_is_no_work_whatever_the_clock_does",
    ),
    Mutant(
        "time without a daemon is work",
        file="runner/worktime.py",
        old="min(max(0.0, self._looked - left.at), LEAVE_SECONDS)",
        new="self._looked - left.at",
        test="test_time_without_a_daemon_is_no_work_whatever_the_clock_does",
    ),
    Mutant(
        "time under a freeze without a daemon is work",
        file="runner/worktime.py",
        old="min(max(0.0, self._looked - left.at), LEAVE_SECONDS)",
        new="self._looked - left.at",
        test="test_a_freeze_without_a_daemon_is_no_work",
    ),
    Mutant(
        "time under a daemon that does nothing is work",
        file="runner/worktime.py",
        old="min(now - self._looked, STEP_SECONDS)",
        new="now - self._looked",
        test="test_time_under_a_daemon_that_stands_is_no_work",
    ),
    Mutant(
        "a life of a second is none",
        file="runner/worktime.py",
        old="min(max(0.0, self._looked - left.at), LEAVE_SECONDS)",
        new="0.0",
        test="test_lives_of_a_moment_add_up",
    ),
    Mutant(
        "what lies between start and end is shown as work",
        file="services/endings.py",
        old="work=ending.work,",
        new="work=None,",
        test="test_a_jump_ends_no_run_and_costs_nothing",
    ),
    Mutant(
        "what lies between start and now is shown as work",
        file="services/views.py",
        old="if run is not last or seen is None else seen.worked",
        new="if True else 0.0",
        test="test_time_without_a_daemon_is_no_work_whatever_the_clock_does",
    ),
    Mutant(
        "when the agent is gone time goes on as its work",
        file="services/runs.py",
        old="        return self._sessions.get(run) or Left(worked=self._worked(run))\n",
        new="        return self._sessions.get(run)\n",
        test="test_what_comes_after_the_agent_is_no_work",
    ),
    Mutant(
        "who waits for a person works",
        file="runner/worktime.py",
        old="0.0 if standing else min(",
        new="min(",
        test="test_who_waits_for_a_person_does_not_work_daemon_or_not",
    ),
    Mutant(
        "a pause is slept through",
        file="services/scheduler.py",
        old="min(look, max(0.05, due))",
        new="max(0.05, due)",
        test="test_a_retry_comes_once",
    ),
    Mutant(
        "a pause holds until its moment comes again",
        file="domain/schedule.py",
        old="return task.not_before if ahead(task.not_before, now, since=task.changed_at) else 0.0",
        new="return task.not_before",
        test="test_a_retry_comes_once",
    ),
    Mutant(
        "a waiting run keeps its slot until its moment comes again",
        file="domain/schedule.py",
        old="since is None or ahead(since + rules.waiting_frees_slot_after, now, since=since)",
        new="since is None or now < since + rules.waiting_frees_slot_after",
        test="test_a_slot_is_freed_once",
    ),
    Mutant(
        "a pause that is over is looked at again and again",
        file="domain/schedule.py",
        old="            if (start := max(not_before(task, now), task.spec.start_at or 0.0)) > now:\n",
        new="            if start := max(not_before(task, now), task.spec.start_at or 0.0):\n",
        test="test_a_start_time_is_met_once",
    ),
    Mutant(
        "a killed run's account begins at the wall time of its start",
        file="runner/settlement.py",
        old="row.started_at if row.resumes and spec.transcripts is None else 0.0",
        new="row.started_at",
        test="test_a_clock_set_back_in_a_run_hides_none_of_its_cost",
    ),
    Mutant(
        "what an earlier run paid is told by its time",
        file="runner/settlement.py",
        old="since=since, beyond=spec.transcripts",
        new="since=row.started_at if row.resumes else 0.0",
        test="test_a_clock_set_back_between_a_run_and_its_resume_costs_nothing_twice",
    ),
    Mutant(
        "nobody notes what earlier runs have paid",
        file="services/preparation.py",
        old="config_dir(cell.env), run.session) if run.resumes else {}",
        new="config_dir(cell.env), 'x') if run.resumes else {}",
        test="test_a_clock_set_back_between_a_run_and_its_resume_costs_nothing_twice",
    ),
    Mutant(
        "facts are numbered by their time",
        file="services/store.py",
        old="ev.Record(seq=number, at=at, event=fact, source=source)",
        new="ev.Record(seq=max(number, int(at) % 10**9), at=at, event=fact, source=source)",
        test="test_numbers_order_what_times_do_not",
    ),
    Mutant(
        "of an hour that comes twice the second one counts",
        file="domain/taskfile/measures.py",
        old="at.replace(tzinfo=zone)",
        new="at.replace(tzinfo=zone, fold=1)",
        test="test_summer_time_lets_a_start_time_come_once[an hour that comes twice]",
    ),
    Mutant(
        "a time that the clock leaves out is taken for an hour later",
        file="domain/taskfile/measures.py",
        old="        if back != at.replace(tzinfo=None):\n",
        new="        if back.replace(tzinfo=at.tzinfo).timestamp() != seconds:\n",
        test="test_a_time_that_the_clock_leaves_out_is_refused",
    ),
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(scheduler, "LOOK_SECONDS", QUICK)


async def worked(world, name: str) -> float:
    """
    Seconds of work that are shown for a task.
    """
    seconds: float = (await aside(world.status, f"{DAY}/{name}"))["worked_seconds"]
    return seconds


async def goes_on(world, held) -> Checked:
    """
    What is *held* at the gate is let go, and nothing was held against it.
    """
    held.release()
    assert await aside(world.wait) == {"held": "succeeded"}
    assert not world.events("run.stopping")
    return check(world)


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_jump_ends_no_run_and_costs_nothing(fault_world, tally, jump):
    world, clock = fault_world(start=False), MovedClock()
    world.script("held", [stream(2), tool("Bash", gate="tool"), stream(2), say()])
    world.script("idle", [stream(1), gate("idle"), say()])
    world.script("later", [stream(2), say()])
    async with serving(world, clock):
        await aside(world.submit_tasks, task("held"), task("idle"), day=DAY)
        held, idle = await aside(world.gate.arrive, "tool"), await aside(world.gate.arrive, "idle")
        clock.shift += jump
        # A whole run under the new time, so that every loop and both sessions have gone round many times.
        await aside(world.submit_tasks, task("later"), day="2026-11-23")
        await aside(world.wait_event, "run.exited", run="2026-11-23/later/1")
        assert alive(held.pid)
        assert alive(idle.pid)
        assert not world.events("run.stopping")
        held.release()
        idle.release()
        assert await aside(world.wait) == {"later": "succeeded"}
        assert await aside(world.wait, f"{DAY}/held", f"{DAY}/idle") == {"held": "succeeded", "idle": "succeeded"}
        # What they worked is what was seen of it.
        for name in ("held", "idle"):
            assert 0 < await worked(world, name) < 120
        found = check(world)
    tally(row="F11", note=f"{jump:+.0f} s in a run", **found.counts)


@pytest.mark.parametrize("jump", JUMPS)
async def test_time_without_a_daemon_is_no_work_whatever_the_clock_does(fault_world, tally, jump):
    """
    A minute is a minute that a daemon saw: 48 seconds are not too long, though a day went by in their midst; 16 more are.
    """
    world, clock = fault_world(start=False, watched=True), MovedClock()
    world.script("held", [stream(2), tool("Bash", gate="tool"), say()])
    async with serving(world, clock):
        await aside(world.submit_tasks, task("held", timeout="1m", retries=0), day=DAY)
        held = await aside(world.gate.arrive, "tool")
        await work_on(world, clock, 24)
    clock.pass_by(24 * HOUR)
    clock.shift += jump
    async with serving(world, clock):
        await aside(world.wait_event, "daemon.started")
        await work_on(world, clock, 24)
        assert alive(held.pid)
        assert 48 <= await worked(world, "held") < 60
        assert not world.events("run.stopping")
        # Its session does not go on for ever.
        await work_on(world, clock, 16, loop="freezer")
        stopping = await aside(world.wait_event, "run.stopping")
        assert stopping["event"]["outcome"] == "timed_out"
        await aside(world.wait_event, "run.exited", run=f"{DAY}/held/1")
        assert 60 < await worked(world, "held") < 90
        found = check(world)
    tally(row="F11", note=f"{jump:+.0f} s between daemons", **found.counts)


async def test_what_comes_after_the_agent_is_no_work(fault_world, tally, tmp_path):
    world, clock = fault_world(start=False), MovedClock()
    world.script("held", [stream(2), say()])
    async with serving(world, clock):
        flag = tmp_path / "flag"
        checks = [f"until test -e {flag}; do sleep 0.05; done"]
        await aside(world.submit_tasks, task("held", checks=checks), day=DAY)
        await aside(world.wait_event, "task.checking")
        clock.shift += 24 * HOUR
        assert 0 < await worked(world, "held") < 120
        flag.touch()
        assert await aside(world.wait, f"{DAY}/held") == {"held": "succeeded"}
        assert 0 < await worked(world, "held") < 120
        found = check(world)
    tally(row="F11", note="a day of checks", **found.counts)


async def test_time_under_a_daemon_that_stands_is_no_work(fault_world, tally):
    """
    Stopped with all its threads, or waiting for room: for the agent it is as if there were none.
    """
    # The fake's command has no process of its own.
    world, clock = fault_world(start=False, watched=True, config={"agent": {"silence_limit": "1d"}}), MovedClock()
    world.script("held", [stream(2), tool("Bash", gate="tool"), say()])
    async with serving(world, clock):
        await aside(world.submit_tasks, task("held", timeout="1m"), day=DAY)
        held = await aside(world.gate.arrive, "tool")
        for _ in range(5):
            clock.pass_by(HOUR)
            await aside(world.rounds, "session")
        found = await goes_on(world, held)
    tally(row="F11", **found.counts)


@pytest.mark.parametrize("jump", JUMPS)
def test_a_clock_that_is_set_adds_no_work(tmp_path, tally, jump):
    clock = MovedClock()
    time_of = WorkTime(RunDir(tmp_path), clock)
    before = time_of.count(standing=False)
    clock.shift += jump
    assert time_of.count(standing=False) - before == pytest.approx(0.0, abs=1.0)
    tally(row="F11")


def test_lives_of_a_moment_add_up(tmp_path, tally):
    """
    Under daemons that die soon after each look a limit falls due all the same.
    """
    clock, rundir = FixedClock(), RunDir(tmp_path)
    worked = 0.0
    for life in range(20):
        time_of = WorkTime(rundir, clock)
        if life:
            time_of.resume()
        worked = time_of.count(standing=False)
        clock.now += 0.9
    assert worked == pytest.approx(19 * 0.9)
    tally(row="F11")


async def test_a_freeze_without_a_daemon_is_no_work(fault_world, tally):
    world, clock = fault_world(start=False), MovedClock()
    world.script("held", [stream(2), tool("Bash", gate="tool"), say()])
    async with serving(world, clock):
        await aside(world.submit_tasks, task("held", timeout="1h"), day=DAY)
        held = await aside(world.gate.arrive, "tool")
        await aside(wait_file, world.run_dir("held/1") / "work.json", lambda data: bool(data))
    assert (await aside(world.orchctl, "freeze")).code == 0
    clock.pass_by(24 * HOUR)
    async with serving(world, clock):
        await aside(world.rpc, "home.thaw")
        found = await goes_on(world, held)
    tally(row="F11", **found.counts)


async def test_who_waits_for_a_person_does_not_work_daemon_or_not(fault_world, tally):
    world, clock = fault_world(start=False, watched=True), MovedClock()
    world.script("asks", [ask(question("Which?", "One", "Two")), say()])
    async with serving(world, clock):
        await aside(world.submit_tasks, task("asks", timeout="1m"), day=DAY)
        await aside(world.wait_event, "question.asked")
        record = world.run_dir("asks/1") / "work.json"
        await aside(wait_file, record, lambda data: b'"standing":true' in data)
        clock.pass_by(2 * HOUR)
    clock.pass_by(2 * HOUR)
    clock.shift -= YEARS
    async with serving(world, clock):
        await work_on(world, clock, 80)
        # A whole run meanwhile, so that every session has gone round many times.
        world.script("later", [stream(1), say()])
        await aside(world.submit_tasks, task("later"), day="2026-11-23")
        await aside(world.wait_event, "run.exited", run="2026-11-23/later/1")
        await aside(world.write, "question.answer", task="asks", options=["A"])
        assert await aside(world.wait, f"{DAY}/asks") == {"asks": "succeeded"}
        assert not world.events("run.stopping")
        found = check(world)
    tally(row="F11", **found.counts)


@pytest.mark.parametrize("way", ["passes", "asleep"])
async def test_a_start_time_is_met_once(fault_world, tally, way):
    """
    Not never, after a sleep that the monotonic clock did not see; not twice, when the moment comes again; and no storm.
    """
    world, clock = fault_world(start=False, watched=True), MovedClock()
    world.script("default", [stream(1), say()])
    world.script("holds", [tool("Bash", gate="held"), say()])
    due = datetime.now(UTC) + timedelta(hours=2)
    early = [task("due", start_at=due.isoformat()), task("holds", timeout="6h")]
    # Its moment is past when it still waits for another.
    early.append(task("after", start_at=datetime.now(UTC).isoformat(), depends_on=["holds"]))
    async with serving(world, clock):
        await aside(world.submit_tasks, *early, day=DAY)
        held = await aside(world.gate.arrive, "held")
        clock.pass_by(HOUR)
        assert (await aside(world.status, "due"))["why"] == "waits for its start time"
        if way == "passes":
            clock.pass_by(1.1 * HOUR)
        else:
            clock.shift += 1.1 * HOUR
        await aside(world.wait_event, "run.exited", run=f"{DAY}/due/1")
        # Nothing happens any more: it looks now and then, for which one of four may be woken.
        assert await aside(world.wait, f"{DAY}/due") == {"due": "succeeded"}
        began = time.monotonic()
        await aside(world.rounds, "scheduler", 4)
        took = time.monotonic() - began
        clock.shift -= 3 * HOUR
        for _ in range(3):
            await aside(world.submit_tasks, task("again", start_at=due.isoformat()), day="2026-11-23")
        clock.shift += 3 * HOUR
        await aside(world.wait_event, "run.exited", run="2026-11-23/again/1")
        held.release()
        await aside(world.wait, f"{DAY}/holds", f"{DAY}/after")
        assert Counter(e["event"]["task"] for e in world.events("run.started")).most_common(1)[0][1] == 1
        found = check(world)
    assert took > 3 * QUICK, f"four looks within {took:.2f} s"
    tally(row="F11", **found.counts)


@pytest.mark.parametrize("jump", [1.1 * HOUR, -HOUR, -YEARS])
async def test_a_retry_comes_once(fault_world, tally, jump):
    world, clock = fault_world(start=False, config={"busy_pause": "1h"}), MovedClock()
    world.script("busy", [stream(1), busy()], [stream(1), say()])
    async with serving(world, clock):
        await aside(world.submit_tasks, task("busy"), day=DAY)
        await aside(world.wait_event, "task.requeued")
        assert (await aside(world.status, "busy"))["state"] == "queued"
        clock.shift += jump
        assert await aside(world.wait) == {"busy": "succeeded"}
        clock.shift -= jump
        await aside(world.rpc, "task.status")
        assert len(world.events("run.started")) == 2
        found = check(world)
    tally(row="F11", **found.counts)


@pytest.mark.parametrize("jump", [0.2 * HOUR, -HOUR, -YEARS])
async def test_a_slot_is_freed_once(fault_world, tally, jump):
    world = fault_world(start=False, agents=1, config={"question_frees_slot_after": "10m"})
    clock = MovedClock()
    world.script("asks", [ask(question("Which?", "One", "Two")), say()])
    world.script("next", [gate("next"), say()])
    world.script("third", [say()])
    async with serving(world, clock):
        await aside(world.submit_tasks, task("asks"), task("next"), task("third"), day=DAY)
        await aside(world.wait_event, "question.asked")
        assert (await aside(world.status, "next"))["why"] == "all 1 agent slots are taken"
        clock.shift += jump
        held = await aside(world.gate.arrive, "next")
        await aside(world.rpc, "task.status")
        # One slot was freed, not one at each look.
        assert [e["event"]["task"] for e in world.events("run.started")] == [f"{DAY}/asks", f"{DAY}/next"]
        held.release()
        await aside(world.wait_event, "run.exited", run=f"{DAY}/third/1")
        await aside(world.write, "question.answer", task="asks", options=["A"])
        await aside(world.wait)
        found = check(world)
    tally(row="F11", **found.counts)


@pytest.mark.parametrize("resumes", [False, True])
async def test_a_clock_set_back_in_a_run_hides_none_of_its_cost(tmp_path, tally, resumes):
    """
    What the transcript dates before the run's start is the run's own all the same, unless it took a conversation up.
    """
    row = make_run(started_at=NOW, resumes=resumes)
    usage = {"input_tokens": 10, "output_tokens": 500}
    before = datetime.fromtimestamp(NOW - HOUR, UTC).isoformat()
    entry = {"type": "assistant", "timestamp": before, "message": {"id": "msg_1", "model": OPUS, "usage": usage}}
    transcript = tmp_path / "projects" / "x" / f"{row.session}.jsonl"
    transcript.parent.mkdir(parents=True)
    transcript.write_text(json.dumps(entry) + "\n", encoding="utf-8")
    spec = RunSpec(run=row.key, argv=[], cwd="/", env={"CLAUDE_CONFIG_DIR": str(tmp_path)})
    interpreter = Interpreter(row.key, PRICES, lambda *_: ALLOW)
    _, facts = await settle_up(
        row,
        spec,
        RunDir(tmp_path),
        interpreter,
        PRICES,
        questions=[],
        over=False,
        hollow=False,
        swept=[],
        left_behind=0,
        work=0.0,
    )
    booked = [spend.usage for fact in facts for spend in fact.spends]
    assert booked == ([] if resumes else [Usage(input=10, output=500)])
    tally(row="F11")


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
async def test_a_clock_set_back_between_a_run_and_its_resume_costs_nothing_twice(fault_world, tally, jump):
    world, clock = fault_world(start=False), MovedClock()
    stopped = [[stream(6), gate("first")], [stream(3), gate("second")]]
    world.script("killed", *stopped, [stream(2), say()])
    async with serving(world, clock):
        await aside(world.submit_tasks, task("killed"), day=DAY)
        first = await aside(world.gate.arrive, "first")
        clock.shift += jump
        os.kill(first.pid, signal.SIGKILL)
        second = await aside(world.gate.arrive, "second")
        os.kill(second.pid, signal.SIGKILL)
        assert await aside(world.wait) == {"killed": "succeeded"}
        assert all(e["event"]["resumes"] for e in world.events("run.started")[1:])
        # Every cent of every run by the agents' own ledger.
        found = check(world)
    tally(row="F11", kills=2, note=f"{jump:+.0f} s before a resume", **found.counts)


async def test_numbers_order_what_times_do_not(fault_world, tally):
    world, clock = fault_world(start=False), MovedClock()
    world.script("default", [stream(5), say()])
    async with serving(world, clock):
        for day, jump in (("2026-11-22", -YEARS), ("2026-11-23", 2 * YEARS), ("2026-11-24", -YEARS)):
            await aside(world.submit_tasks, task("a"), day=day)
            await aside(world.wait)
            clock.shift += jump
        shown = await aside(world.rpc, "event.list", limit=500)
        found = check(world)
        assert [e["seq"] for e in shown["events"]] == list(range(1, len(shown["events"]) + 1))
        times = [e["at"] for e in world.events()]
        assert times != sorted(times), "the clock was never set back"
        since = shown["events"][10]["seq"]
        rest = await aside(world.rpc, "event.list", since=since, limit=500)
        known = shown["events"][11:]
        # A snapshot may have been taken in between.
        assert rest["events"][: len(known)] == known
    async with serving(world, clock):
        assert (await aside(world.status))["settled"]
    tally(row="F11", **found.counts)


@pytest.mark.parametrize(
    ("moment", "hour_utc"),
    [("2026-10-25T02:30:00", 0), ("2026-10-25T02:30:00+01:00", 1), ("2026-03-29T03:30:00", 1)],
    ids=["an hour that comes twice", "its second time", "after the hour that is left out"],
)
def test_summer_time_lets_a_start_time_come_once(tally, moment, hour_utc):
    day = moment[:10]
    (spec,) = parse_task_file(_file(moment), source="x.yaml", zone=ZoneInfo("Europe/Berlin")).tasks
    midnight = datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp() - HOUR
    row = TaskRow(spec=spec, state=TaskState.QUEUED, submitted_at=midnight, changed_at=midnight)
    state = State([make_day(day), row])
    minutes = [midnight + 60 * n for n in range(6 * 60)]
    ready = [bool(schedule.decide(state, make_rules(), now).starts) for now in minutes]
    first = ready.index(True)
    assert all(ready[first:]), "due, and then not due again"
    assert datetime.fromtimestamp(minutes[first], UTC).strftime("%H:%M") == f"{hour_utc:02}:30"
    assert {schedule.decide(state, make_rules(), now).look_again for now in minutes[:first]} == {minutes[first]}
    tally(row="F11", note="summer time")


def test_a_time_that_the_clock_leaves_out_is_refused():
    with pytest.raises(InvalidTaskFile, match="does not exist on that day"):
        parse_task_file(_file("2026-03-29T02:30:00"), source="x.yaml", zone=ZoneInfo("Europe/Berlin"))


def _file(moment: str) -> bytes:
    return f"""\
date: {moment[:10]}
tasks:
  - {{id: a, name: A, description: Do it., start_at: "{moment}"}}
""".encode()
