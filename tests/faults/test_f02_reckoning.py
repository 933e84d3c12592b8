"""
F2: agents spend while no daemon lives.  The next one lets nobody go on before it has read what all of them have spent.
"""

from __future__ import annotations

from contextlib import suppress

import anyio
import msgspec
import pytest
from harness.check import check
from harness.indoors import MovedClock, aside, serving
from harness.lone import SILENCE, Lone
from harness.mutant import Mutant
from harness.script import ask, gate, huge, say, tool
from harness.world import GONE, FaultWorld
from kit.files import wait_file
from kit.script import DAY, question, task

from factories import RUN
from orchestrd.domain import events as ev
from orchestrd.domain.model import Cause, Outcome
from orchestrd.domain.outcomes import Ending
from orchestrd.runner.lookout import Lookout
from orchestrd.services import runs
from orchestrd.storage.rundir import RunSpec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
LIMIT = 10.0
MUCH = {"output": 1_000_000}
"""Twenty dollars' worth."""
NOISE = 24 << 20
"""Bytes that are read before what was spent is: whoever has less to be read is followed sooner."""

MUTANTS = (
    Mutant(
        "who is read first is let go on",
        file="runner/accounts.py",
        old="        return reply.grants is not None and not self._reckoned()\n",
        new="        return False\n",
        test="test_nobody_goes_on_before_all_is_reckoned",
    ),
    Mutant(
        "an agent is followed as soon as what was recorded has been read",
        file="runner/intake.py",
        old=" and (not self._grows or self._offset >= self._there)",
        new="",
        test="test_nobody_goes_on_before_all_is_reckoned",
    ),
    Mutant(
        "an answer is handed over before all is reckoned",
        file="runner/session.py",
        old="        if self._desk.reckoned and await self._guard.affords():\n",
        new="        if await self._guard.affords():\n",
        test="test_no_answer_is_handed_over_before_all_is_reckoned",
    ),
    Mutant(
        "all is taken for reckoned once the start has waited long enough",
        file="services/runs.py",
        old="        self._followed.set()\n",
        new="        self._followed.set()\n        self._desk.reckon()\n",
        test="test_a_start_that_waits_no_longer_lets_nobody_go_on[much]",
    ),
    Mutant(
        "who waits for what all have spent is found to hang",
        file="runner/guard.py",
        old="waits = row.stands_still or not self._desk.reckoned",
        new="waits = row.stands_still",
        test="test_a_start_that_waits_no_longer_lets_nobody_go_on[little]",
    ),
    Mutant(
        "what is read late is never reckoned",
        file="services/runs.py",
        old="            event.set()\n            self._reckon()\n",
        new="            event.set()\n",
        test="test_a_start_that_waits_no_longer_lets_nobody_go_on[little]",
    ),
    Mutant(
        "one that is to be stopped gets its first message",
        file="runner/session.py",
        old="            if row.stopping is not None or not self._desk.reckoned:\n",
        new="            if not self._desk.reckoned:\n",
        test="test_an_agent_that_is_to_stop_is_asked_nothing",
    ),
    Mutant(
        "one that is asked nothing is interrupted, and waited for",
        file="runner/session.py",
        old="elif row.phase is RunPhase.STOPPING and not self._opened:",
        new="elif row.phase is RunPhase.STOPPING and row.attempt < 0:",
        test="test_an_agent_that_is_to_stop_is_asked_nothing",
    ),
    Mutant(
        "one that there is no money for gets its first message",
        file="runner/session.py",
        old="            if (curb := self._desk.curb(self.run)) is not None:\n",
        new="            if (curb := self._desk.curb(self.run)) is not None and row.attempt < 0:\n",
        test="test_an_agent_without_money_is_asked_nothing",
    ),
    Mutant(
        "who was started gets its first message before all is reckoned",
        file="runner/session.py",
        old="            if row.stopping is not None or not self._desk.reckoned:\n",
        new="            if row.stopping is not None:\n",
        test="test_no_first_message_before_all_is_reckoned",
    ),
    Mutant(
        "what an agent's programs ask for is passed on while it is interrupted",
        file="runner/ladder.py",
        old="            self._dir.shut_off()\n            self._voice.interrupt()\n",
        new="            self._voice.interrupt()\n",
        test="test_nothing_more_is_asked_with_the_key_of_one_that_is_to_stop[day_limit]",
    ),
    Mutant(
        "who is not wanted any more is started",
        file="runner/session.py",
        old="            if not await self._desk.cleared(self.run):\n",
        new="            if self._desk.row(self.run).attempt < 0:\n",
        test="test_an_agent_that_is_not_wanted_any_more_is_not_started",
    ),
)


@pytest.fixture
def world():
    reserve = {"low": 0, "medium": 0, "high": 0}
    config = {"max_daily_cost_usd": LIMIT, "budget": {"reserve": reserve}}
    with FaultWorld(agents=2, config=config) as made:
        yield made


def spend(world: FaultWorld, held) -> None:
    """
    Let the spender write much, and then what costs twice the limit.
    """
    since = world.truth_file.stat().st_size
    held.release()
    world.wait_truth("told", since=since, run=f"{DAY}/spender/1")


def test_nobody_goes_on_before_all_is_reckoned(world, tally):
    world.script("spender", [gate("spends"), huge(NOISE), tool("Bash", usage=MUCH), say()])
    world.script("other", [gate("asks"), tool("Bash", input={"command": "echo on"}), say()])
    world.submit_tasks(task("spender", retries=0), task("other", retries=0), day=DAY)
    spends, asks = world.gate.arrive("spends"), world.gate.arrive("asks")
    world.kill()
    asks.release()
    wait_file(world.run_dir("other/1") / "stdout.jsonl", lambda data: b"hook_callback" in data)
    spend(world, spends)
    world.start()
    world.wait()
    returned = [e["event"] for e in world.events("run.tool_returned", run=f"{DAY}/other/1")]
    assert all(event["is_error"] for event in returned), "its call was granted when the day's money was spent"
    tally("F2", kills=1, note="spent twice the limit while no daemon lived", **check(world).counts)


def test_no_answer_is_handed_over_before_all_is_reckoned(world, tally):
    world.script("spender", [gate("spends"), huge(NOISE), tool("Bash", usage=MUCH), say()])
    world.script("other", [ask(question("Which?", "One", "Two")), say()])
    world.submit_tasks(task("spender", retries=0), task("other", retries=0), day=DAY)
    held = world.gate.arrive("spends")
    world.wait_event("question.asked")
    # Answered, and not handed over yet: its daemon dies at that moment.
    world.kill()
    world.start("session.answer.before_write=kill")
    with suppress(*GONE):
        world.rpc("question.answer", task=f"{DAY}/other", options=["A"], by="cli")
    world.died()
    assert world.events("question.answered")
    spend(world, held)
    world.start()
    world.wait("spender")
    assert not world.events("question.delivered")
    tally("F2", kills=2, note="an answer waits for what all have spent", **check(world).counts)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("usage", "end"), [(MUCH, "queued"), ({"input": 10, "output": 10}, "succeeded")], ids=["much", "little"]
)
async def test_a_start_that_waits_no_longer_lets_nobody_go_on(world, tally, monkeypatch, usage, end):
    """
    One of two agents can only be taken up long after the daemon serves again: what it spent is not known before that.
    """
    world.script("spender", [gate("spends"), tool("Bash", usage=usage), say()])
    world.script("other", [gate("asks"), tool("Bash", input={"command": "echo on"}), say()])
    await aside(world.submit_tasks, task("spender", retries=0), task("other", retries=0), day=DAY)
    spends, asks = await aside(world.gate.arrive, "spends"), await aside(world.gate.arrive, "asks")
    world.kill()
    asks.release()
    await aside(wait_file, world.run_dir("other/1") / "stdout.jsonl", lambda data: b"hook_callback" in data)
    await aside(spend, world, spends)
    let, begin = anyio.Event(), Lookout.begin

    async def begin_late(self: Lookout) -> None:
        if self._run == f"{DAY}/spender/1":
            await let.wait()
        await begin(self)

    monkeypatch.setattr(Lookout, "begin", begin_late)
    monkeypatch.setattr(runs, "ADOPTION_SECONDS", 0.2)
    clock = MovedClock()
    async with serving(world, clock):
        # However long that takes: neither is it let go on, nor is it found to hang.
        for _ in range(6):
            clock.pass_by(600.0)
            await anyio.sleep(0.25)
        assert not world.events("run.tool_returned", "run.stopping")
        let.set()
        ends = await aside(world.wait)
    assert ends == dict.fromkeys(("spender", "other"), end)
    returned = [e["event"]["is_error"] for e in world.events("run.tool_returned", run=f"{DAY}/other/1")]
    assert returned == ([False] if end == "succeeded" else [])
    tally("F2", kills=1, note="taken up after the start had waited long enough", **check(world).counts)


def said(lone: Lone) -> bytes:
    """
    What the agent was told.
    """
    return lone.dir.stdin.read_bytes() if lone.dir.stdin.exists() else b""


async def ended_unasked(lone: Lone) -> None:
    """
    See that its shim is told to end the agent, and that the agent itself is told nothing before that.
    """
    with lone.shim_told() as told:
        await lone.until(lambda: b"stop" in told())
    assert said(lone) == b""


STOPPING = ev.RunStopping(run=RUN, outcome=Outcome.OVER_BUDGET, reason="limit", cause=Cause.DAY_LIMIT)


@pytest.mark.anyio
async def test_an_agent_that_is_to_stop_is_asked_nothing(lone):
    """
    It was started, and the day's limit was reached before it had its first message.
    """
    lone.desk.tell(STOPPING)
    async with lone.driven():
        await ended_unasked(lone)


@pytest.mark.anyio
@pytest.mark.parametrize("cause", [Cause.DAY_LIMIT, Cause.VIOLATION])
async def test_nothing_more_is_asked_with_the_key_of_one_that_is_to_stop(lone, cause):
    """
    It has a gateway, and programs of its own that ask through it.
    """
    async with lone.driven():
        await lone.rounds()
        assert not lone.dir.shut.exists()
        lone.desk.tell(msgspec.structs.replace(STOPPING, cause=cause))
        await lone.until(lone.dir.shut.exists)


@pytest.mark.anyio
async def test_an_agent_without_money_is_asked_nothing(lone):
    lone.desk.curbed = (Cause.TASK_LIMIT, "the task's limit is reached")
    async with lone.driven():
        await ended_unasked(lone)
    assert lone.desk.row(RUN).stopping_cause is Cause.TASK_LIMIT


@pytest.mark.anyio
async def test_no_first_message_before_all_is_reckoned(lone):
    lone.desk.reckoned = False
    async with lone.driven():
        await lone.pass_(SILENCE * 4)
        assert said(lone) == b""
        assert lone.desk.row(RUN).stopping is None
        lone.desk.reckoned = True
        await lone.until(lambda: b'"user"' in said(lone))


@pytest.mark.anyio
async def test_an_agent_that_is_not_wanted_any_more_is_not_started(tmp_path):
    """
    Everything was made ready for it when the day's limit was reached.
    """
    lone = Lone(tmp_path / "run")
    lone.dir.create(RunSpec(run=RUN, argv=["/bin/true"], cwd="/", env={}))
    lone.desk.tell(STOPPING)
    async with lone.driven():
        await lone.until(lambda: lone.ending)
    assert lone.ending == (Ending(unbegun=True), [])
    assert not lone.dir.started()
