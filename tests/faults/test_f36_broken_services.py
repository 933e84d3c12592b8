"""
F36: a bug in one of the daemon's loops.  Where all depends on it, the log names it once, the process ends with status 70 and
the next one takes the agents up; where not, it is started again, or one caller is told, and everything else goes on.
"""

from __future__ import annotations

import json

import anyio
import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import ask, gate, say, stream
from kit.files import wait_file
from kit.rpc import Link, RpcError
from kit.script import DAY, question, task
from structlog.testing import capture_logs

from factories import FixedClock
from orchestrd.errors import ServiceFailed, StorageError
from orchestrd.protocol.jsonrpc import INTERNAL_ERROR
from orchestrd.services import supervisor as service
from orchestrd.services.pulse import Pulse
from orchestrd.services.supervisor import Supervisor

slow = pytest.mark.slow
CORE = {
    "store": "store.taken=raise@20",
    "runs": "loop.runs=raise",
    "scheduler": "loop.scheduler=raise@20",
    "rpc": "rpc.listening=raise",
}
"""The service and the place at which it breaks: two at the start, two under way."""
SIDE = {"preflight": "loop.preflight=raise", "questions": "loop.questions=raise@3", "reports": "loop.reports=raise@3"}

MUTANTS = (
    Mutant(
        "a core loop that broke is started again and again",
        file="daemon.py",
        old='partial(core, "scheduler",',
        new='partial(side, "scheduler",',
        test="test_what_all_depends_on_ends_the_daemon_with_its_name",
    ),
    Mutant(
        "the log does not name what broke",
        file="services/supervisor.py",
        old='                log.critical("service.failed", service=name, exc_info=True)\n',
        new="                pass\n",
        test="test_what_all_depends_on_ends_the_daemon_with_its_name",
    ),
    Mutant(
        "everybody who falls with it tells it again",
        file="services/supervisor.py",
        old="            if not self._failed:\n",
        new="            if True:\n",
        test="test_what_breaks_next_is_not_told_again",
    ),
    Mutant(
        "a failed service ends well",
        file="errors.py",
        old="    rpc_code = -32050\n    exit_status = 70\n",
        new="    rpc_code = -32050\n    exit_status = 0\n",
        test="test_what_all_depends_on_ends_the_daemon_with_its_name",
    ),
    Mutant(
        "writing copies is vital",
        file="daemon.py",
        old='partial(side, "reports",',
        new='partial(core, "reports",',
        test="test_what_nobody_depends_on_is_started_again",
    ),
    Mutant(
        "what broke once is left broken",
        file="services/supervisor.py",
        old='                log.exception("service.broken", service=name, again_in=pause)\n',
        new='                log.exception("service.broken", service=name, again_in=pause)\n                return\n',
        test="test_what_nobody_depends_on_is_started_again",
    ),
    Mutant(
        "it is started again at once, for ever",
        file="services/supervisor.py",
        old="            await anyio.sleep(pause)\n",
        new="            await anyio.sleep(0)\n",
        test="test_each_break_is_waited_for_longer",
    ),
    Mutant(
        "a start waits for whatever does not come up",
        file="services/supervisor.py",
        old="            started.started()\n",
        new="",
        test="test_a_start_is_not_held_up_by_what_does_not_come_up",
    ),
    Mutant(
        "only the outermost group is looked into for an error of ours",
        file="services/supervisor.py",
        old="        return all(map(_known, error.exceptions))\n",
        new="        return all(isinstance(inner, OrchestrdError) for inner in error.exceptions)\n",
        test="test_an_error_that_says_what_to_do_is_told_as_it_is",
    ),
    Mutant(
        "reports written before the break are not looked at again",
        file="services/reports.py",
        old="            days: set[str | None] = {None}\n",
        new="            days: set[str | None] = set()\n",
        test="test_reports_catch_up_after_a_break",
    ),
    Mutant(
        "a broken handler ends the daemon",
        file="edges/rpc.py",
        old='        except Exception:\n            log.exception("rpc.failed", method=request.method)\n',
        new='        except ZeroDivisionError:\n            log.exception("rpc.failed", method=request.method)\n',
        test="test_one_call_that_breaks_is_one_callers_trouble",
    ),
    Mutant(
        "a connection that broke is kept, and nobody answers there",
        file="edges/connection.py",
        old='        failpoint("rpc.connected")\n',
        new='        try:\n            failpoint("rpc.connected")\n        except Exception:\n            return\n',
        test="test_one_connection_that_breaks_is_one_callers_trouble",
    ),
    Mutant(
        "a subscription that broke keeps its reader waiting",
        file="edges/connection.py",
        old="        except Exception:\n            self.close()\n            raise\n",
        new="        except Exception:\n            raise\n",
        test="test_a_subscription_that_breaks_hangs_up",
    ),
)


def told(world, event: str) -> list[dict]:
    lines = world.log.read_bytes().splitlines()
    return [entry for line in lines if line.startswith(b"{") and (entry := json.loads(line))["event"] == event]


@slow
@pytest.mark.parametrize("name", CORE)
def test_what_all_depends_on_ends_the_daemon_with_its_name(fault_world, tally, name):
    world = fault_world()
    world.script("works", [stream(3), gate("held"), stream(3), say()])
    world.script("other", [stream(30), say()])
    world.submit_tasks(task("works"), day=DAY)
    held = world.gate.arrive("held")
    world.kill()
    world.arm(CORE[name])
    world.log = world.root / "broken.log"
    world.daemon = world.spawn()
    if "@" in CORE[name]:
        wait_file(world.log, lambda data: b"daemon.ready" in data, writer=world.daemon)
        with pytest.raises((EOFError, ConnectionError, RpcError)), Link(world.socket) as link:
            path = world.day(task("other"), day="2026-11-23")
            link.call("task.submit", path=str(path), text=path.read_text(encoding="utf-8"), request_id="one")
            while True:
                link.line(60.0)
    assert world.died() == 70
    (entry,) = told(world, "service.failed")
    assert (entry["service"], entry["level"]) == (name, "critical")
    assert "failpoint" in json.dumps(entry["exception"])
    text = world.log.read_text(encoding="utf-8")
    assert "Traceback" not in text, "told once more, as a page of tracebacks"
    assert text.count(f"failpoint {CORE[name].partition('=')[0]}") >= 1
    world.start()
    assert world.agents()[:1] == [held.pid] or held.pid in world.agents()
    held.release()
    world.submit_tasks(task("other"), day="2026-11-23")
    assert world.wait(f"{DAY}/works", "2026-11-23/other") == {"works": "succeeded", "other": "succeeded"}
    tally(row="F36", kills=1, note=f"{name} broke: exit 70", **check(world).counts)


@slow
@pytest.mark.parametrize("name", SIDE)
def test_what_nobody_depends_on_is_started_again(fault_world, tally, name):
    world = fault_world(start=False)
    world.start(SIDE[name])
    world.script("works", [stream(5), say()])
    world.script("asks", [ask(question("Which?", "One", "Two")), say()])
    world.submit_tasks(task("works"), task("asks"), day=DAY)
    world.wait_event("question.asked")
    # Broken by now, and taken up again: what it does for the person is done.
    wait_file(world.log, lambda data: b'"service.broken"' in data)
    (entry,) = told(world, "service.broken")
    assert (entry["service"], entry["again_in"]) == (name, service.FIRST_PAUSE)
    wait_file(world.home / "var" / "agent_questions" / DAY / "asks.md", lambda data: b"Which?" in data)
    (world.home / "var" / "agent_questions" / DAY / "asks-answer.md").write_text("Two\n", encoding="utf-8")
    assert world.wait() == {"works": "succeeded", "asks": "succeeded"}
    wait_file(world.home / "var" / "agent_status" / DAY / "asks.json", lambda data: b'"succeeded"' in data)
    wait_file(world.home / "var" / "results" / f"{DAY}-report.json", bool)
    assert not told(world, "service.failed")
    assert world.rpc("daemon.status")["pid"] == world.daemon.pid
    tally(row="F36", note=f"{name} broke: started again", **check(world).counts)


@slow
def test_reports_catch_up_after_a_break(fault_world, tally):
    """
    What may have been missed is looked at again: also a day about which nothing more is heard.
    """
    world = fault_world()
    world.script("default", [stream(2), say()])
    for day in ("2026-11-20", "2026-11-21"):
        world.submit_tasks(task("a"), day=day)
        assert world.wait(f"{day}/a") == {"a": "succeeded"}
    world.kill()
    old = world.home / "var" / "agent_status" / "2026-11-20" / "a.json"
    old.unlink()
    world.start("loop.reports=raise@2")
    world.submit_tasks(task("a"), day="2026-11-22")
    wait_file(old, lambda data: b'"succeeded"' in data)
    assert told(world, "service.broken")
    world.wait("2026-11-22/a")
    tally(row="F36", kills=1, **check(world).counts)


@slow
def test_one_call_that_breaks_is_one_callers_trouble(fault_world, tally):
    world = fault_world(start=False)
    world.start("rpc.synced.before_reply=raise")
    path = world.day(task("a"), day=DAY)
    world.script("a", [stream(2), say()])
    with Link(world.socket) as link:
        with pytest.raises(RpcError, match=r"task\.submit failed inside the daemon; see its log") as caught:
            link.call("task.submit", path=str(path), text=path.read_text(encoding="utf-8"), request_id="one")
        assert caught.value.code == INTERNAL_ERROR
        # It is done all the same, and who asks again is told so.
        again = link.call("task.submit", path=str(path), text=path.read_text(encoding="utf-8"), request_id="one")
        assert again["accepted"] == ["a"]
    assert world.wait() == {"a": "succeeded"}
    (entry,) = told(world, "rpc.failed")
    assert entry["method"] == "task.submit"
    tally(row="F36", note="a handler broke: one caller is told", **check(world).counts)


@slow
def test_one_connection_that_breaks_is_one_callers_trouble(fault_world, tally):
    world = fault_world(start=False)
    world.start("rpc.connected=raise@2")
    with Link(world.socket) as first:
        first.call("daemon.status")
        with pytest.raises((EOFError, ConnectionError)), Link(world.socket) as second:
            second.call("daemon.status")
        assert first.call("daemon.status")["pid"] == world.daemon.pid
        assert world.rpc("daemon.status")["pid"] == world.daemon.pid
    tally(row="F36", note="a connection broke: one caller is hung up on")


@slow
def test_a_subscription_that_breaks_hangs_up(fault_world, tally):
    world = fault_world(start=False)
    world.start("rpc.following=raise")
    with Link(world.socket) as link:
        link.call("events.subscribe", since=0)
        with pytest.raises(EOFError):
            link.line(60.0)
    # Whoever resumes gets everything.
    assert world.wait_event("daemon.started")["seq"] == 1
    tally(row="F36", note="a subscription broke: its reader resumes")


class Clockwork:
    """
    A loop that breaks whenever it is told to.
    """

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.starts = 0
        self.up = anyio.Event()

    async def run(self, *, task_status) -> None:
        self.starts += 1
        task_status.started()
        if self._errors:
            raise self._errors.pop(0)
        self.up.set()
        await anyio.sleep_forever()


def supervised() -> Supervisor:
    clock = FixedClock()
    return Supervisor(clock, Pulse(clock))


@pytest.fixture
def naps(monkeypatch):
    """
    The pauses that were slept, at once.
    """
    slept: list[float] = []

    async def nap(seconds: float) -> None:
        slept.append(seconds)
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr(service.anyio, "sleep", nap)
    return slept


@pytest.mark.anyio
async def test_each_break_is_waited_for_longer(naps, tally):
    loop = Clockwork(*(ValueError(str(n)) for n in range(9)))
    with capture_logs() as logs:
        async with anyio.create_task_group() as group:
            await group.start(supervised().side, "copies", loop.run)
            await loop.up.wait()
            group.cancel_scope.cancel()
    assert naps == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert loop.starts == 10
    assert [entry["again_in"] for entry in logs] == naps
    tally(row="F36")


@pytest.mark.anyio
async def test_a_start_is_not_held_up_by_what_does_not_come_up(naps):
    async def never(*, task_status):
        raise ValueError

    async with anyio.create_task_group() as group:
        with anyio.fail_after(10):
            await group.start(supervised().side, "copies", never)
        group.cancel_scope.cancel()
    assert naps is not None


@pytest.mark.anyio
async def test_what_breaks_next_is_not_told_again():
    supervisor = supervised()
    with capture_logs() as logs, pytest.raises(ExceptionGroup) as caught:
        async with anyio.create_task_group() as group:
            for name in ("store", "scheduler"):
                group.start_soon(supervisor.core, name, Clockwork(ValueError(name)).run)
    assert [entry["service"] for entry in logs] == ["store"]
    assert caught.group_contains(ServiceFailed)


@pytest.mark.anyio
async def test_an_error_that_says_what_to_do_is_told_as_it_is():
    error = ExceptionGroup("", [ExceptionGroup("", [StorageError("the disk is full")])])
    with capture_logs() as logs, pytest.raises(ExceptionGroup) as caught:
        await supervised().core("store", Clockwork(error).run)
    assert caught.value is error
    assert not logs
