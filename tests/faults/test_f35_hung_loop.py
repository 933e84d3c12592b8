"""
F35: a loop of the daemon hangs.  Nobody vouches for it any more, systemd restarts it, and no agent notices.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from harness.check import check
from harness.manager import cgroup_root
from harness.mutant import Mutant
from harness.script import gate, say, stream
from harness.world import FaultWorld
from kit.files import wait_file
from kit.processes import alive
from kit.script import DAY, task

from orchestrd.address import socket_places

pytestmark = pytest.mark.slow
WITHIN = 3.0
"""Seconds of the watchdog: a loop is late after half of it."""

MUTANTS = (
    Mutant(
        "the watchdog is fed by a timer alone",
        file="edges/systemd.py",
        old="if not pulse.late():",
        new="if pulse is not None:",
        test="test_nobody_vouches_for_a_daemon_with_a_loop_that_hangs",
    ),
    Mutant(
        "a session that hangs is not missed",
        file="services/runs.py",
        old="if (session.attended or since) < since]",
        new="if since < (session.attended or since) < since]",
        test="test_nobody_vouches_for_a_daemon_with_a_loop_that_hangs",
    ),
    Mutant(
        "the writer is believed without being asked",
        file="services/pulse.py",
        old="            await ask()\n",
        new="",
        test="test_nobody_vouches_for_a_daemon_with_a_loop_that_hangs",
    ),
    Mutant(
        "an idle loop sleeps until something happens",
        file="services/scheduler.py",
        old="with anyio.move_on_after(min(look, max(0.05, due))):",
        new="with anyio.move_on_after(max(600.0, due)):",
        test="test_an_idle_daemon_is_vouched_for",
    ),
    Mutant(
        "the daemon is called ready before it serves",
        file="daemon.py",
        old='    service.starting("reading the journal")\n',
        new="    service.ready()\n",
        test="test_an_idle_daemon_is_vouched_for",
    ),
    Mutant(
        "callers that find no socket are not missed",
        file="edges/knock.py",
        old="        return False\n",
        new="",
        test="test_a_socket_that_was_taken_away_is_missed",
    ),
    Mutant(
        "no ping is asked for by the service manager",
        file="../orchctl/units/orchestrd.service",
        old="WatchdogSec=30\n",
        new="",
        test="test_a_blocked_daemon_is_restarted_and_its_agents_notice_nothing",
    ),
    Mutant(
        "a daemon that does not take the watchdog's signal is left as it is",
        file="../orchctl/units/orchestrd.service",
        old="KillMode=process\n",
        new="KillMode=process\nSendSIGKILL=no\n",
        test="test_a_stopped_daemon_is_restarted",
    ),
    Mutant(
        "who only looks waits as long as for a change",
        file="../orchctl/cli/daemon.py",
        old='call("daemon.status", timeout=LOOK_SECONDS)',
        new='call("daemon.status")',
        test="test_whoever_asks_a_daemon_that_hangs_is_told_the_way_out",
    ),
    Mutant(
        "nobody is told which process hangs",
        file="../orchctl/client.py",
        old="return None if home is None else holder(home / LOCK_FILE)",
        new="return None",
        test="test_whoever_asks_a_daemon_that_hangs_is_told_the_way_out",
    ),
)


class HeardWorld(FaultWorld):
    """
    The test is the service manager, as far as it listens: *heard* are the daemon's words with the time they came.
    """

    def __init__(self, *, within: float = WITHIN, **more: Any) -> None:
        self._within = within
        self.heard: list[tuple[float, str]] = []
        self._news = threading.Condition()
        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # An abstract address: it needs no folder, and is the other half of what addresses there are.
        self._address = f"orchestrd-test-{os.getpid()}-{id(self):x}"
        self._ear.bind(f"\0{self._address}")
        threading.Thread(target=self._listen, daemon=True).start()
        super().__init__(start=False, **more)

    def _listen(self) -> None:
        while words := self._ear.recv(4096):
            with self._news:
                self.heard += [(time.monotonic(), word) for word in words.decode().splitlines()]
                self._news.notify_all()

    def close(self) -> None:
        super().close()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
            mouth.sendto(b"", f"\0{self._address}")
        self._ear.close()

    @property
    def environ(self) -> dict[str, str]:
        return {
            **super().environ,
            "NOTIFY_SOCKET": f"@{self._address}",
            "WATCHDOG_USEC": str(int(self._within * 1e6)),
        }

    def hear(self, word: str, *, since: float = 0.0, timeout: float = 30.0) -> float | None:
        """
        When *word* came first after *since*; None when it does not come.
        """
        end = time.monotonic() + timeout
        with self._news:
            while True:
                for at, heard in self.heard:
                    if at > since and heard == word:
                        return at
                if not self._news.wait(max(0.0, end - time.monotonic())):
                    return None

    def late(self, loop: str) -> int:
        """
        How often the daemon named *loop* as late.
        """
        return self.log.read_bytes().count(f'"loop": "{loop}", "event": "loop.late"'.encode())

    def wait_late(self, loop: str) -> None:
        """
        Wait until it does.
        """
        wait_file(self.log, lambda _: self.late(loop))


@pytest.mark.parametrize("loop", ["store", "scheduler", "questions", "reports", "runs", "session"])
def test_nobody_vouches_for_a_daemon_with_a_loop_that_hangs(loop: str, tally) -> None:
    with HeardWorld() as world:
        world.script("a", [stream(100_000, every=0.05), say()])
        world.start(f"loop.{loop}=stuck@{40 if loop == 'session' else 6}")
        assert world.hear("WATCHDOG=1")
        if loop == "session":
            world.submit_tasks(task("a"), day=DAY)
        loop = "runs" if loop == "session" else loop
        world.wait_late(loop)
        late = time.monotonic()
        # What was under way when the loop was named may still come; then there is silence.
        assert world.hear("WATCHDOG=1", since=late + 0.2, timeout=WITHIN) is None
        assert world.late(loop) == 1
        tally("F35", note="each loop hung alone")


def test_an_idle_daemon_is_vouched_for() -> None:
    # Long enough for a busy machine to keep, and past the time at which a loop that sleeps would be late.
    within = 2 * WITHIN
    with HeardWorld(within=within) as world:
        world.start()
        ready = world.hear("READY=1")
        assert ready is not None
        # Ready is the last word of a start, not one of the first.
        words = [word for at, word in world.heard if at <= ready]
        assert words[-1] == "READY=1"
        assert "STATUS=Starting: taking up live runs" in words
        extended = [word for word in words if word.startswith("EXTEND_TIMEOUT_USEC=")]
        assert len(extended) == len([word for word in words if word.startswith("STATUS=Starting: ")]) == 5
        assert world.hear("STATUS=0 agents at work, 0 tasks queued")
        at = ready
        while at - ready < 1.5 * within:
            following = world.hear("WATCHDOG=1", since=at, timeout=within)
            assert following is not None, f"nothing was heard for {within} s"
            at = following
        assert b"loop.late" not in world.log.read_bytes()
        world.stop()
        assert world.hear("STOPPING=1", timeout=1.0)


def test_a_socket_that_was_taken_away_is_missed() -> None:
    with HeardWorld() as world:
        world.start()
        assert world.hear("WATCHDOG=1")
        # Nor can it be made again: at each place there is something that is not ours.
        world.socket.unlink()
        for place in socket_places(world.home, world.environ):
            place.parent.mkdir(mode=0o700, exist_ok=True)
            place.write_text("precious", encoding="utf-8")
        world.wait_late("rpc")
        assert world.hear("WATCHDOG=1", since=time.monotonic() + 0.2, timeout=WITHIN) is None
        for place in socket_places(world.home, world.environ):
            assert place.read_text(encoding="utf-8") == "precious"
            place.unlink()


@pytest.mark.parametrize("armed", ["loop.scheduler=hang@30", "loop.scheduler=stuck@30"])
def test_a_blocked_daemon_is_restarted_and_its_agents_notice_nothing(service_world, tally, armed: str) -> None:
    world = service_world()
    world.install()
    assert world.show("WatchdogUSec") == "30s"
    world.drop_in("WatchdogSec=4")
    world.systemctl("daemon-reload")
    agents = world.begin("a", "b", "c")
    passes = world.root / "passes"
    world.set_service_env(
        world.home, ORCHESTRD_TESTING="1", ORCHESTRD_FAILPOINTS=armed, ORCHESTRD_FAILPOINT_LOG=str(passes)
    )
    world.systemctl("restart", world.unit.service)
    before = world.main_pid
    wait_file(passes, lambda data: data.count(b"loop.scheduler ") >= 30)
    hung = time.monotonic()
    # The next one is sound.
    world.set_service_env(world.home)
    world.wait_shown("NRestarts", "1")
    assert world.rpc("daemon.status")["pid"] != before
    back = time.monotonic() - hung
    # The watchdog's signal has the process itself tell where it hung.
    assert b"Fatal Python error: Aborted" in world.log.read_bytes()
    assert world.log.read_bytes().count(b'"loop": "scheduler", "event": "loop.late"') == armed.count("stuck")
    world.assert_alive(agents)
    world.wait_truth("told", since=world.streamed())
    world.finish()
    assert world.wait() == dict.fromkeys(agents, "succeeded")
    found = check(world)
    tally("F35", kills=1, note=f"served again {back:.0f} s after the hang (WatchdogSec=4)", **found.counts)


def test_a_stopped_daemon_is_restarted(service_world) -> None:
    """
    Not even its own code runs any more, and the signal of the watchdog is not taken before it is killed: its control group
    is frozen.  (One that got SIGSTOP is woken: the manager sends SIGCONT behind each signal but SIGKILL.)
    """
    world = service_world()
    world.drop_in("WatchdogSec=4", "TimeoutAbortSec=2")
    world.install()
    agents = world.begin("a")
    before = world.main_pid
    _control_group(before, "cgroup.freeze").write_text("1")
    world.wait_shown("NRestarts", "1")
    assert not alive(before)
    assert world.rpc("daemon.status")["pid"] != before
    assert b"Fatal Python error" not in world.log.read_bytes()
    world.assert_alive(agents)


def test_whoever_asks_a_daemon_that_hangs_is_told_the_way_out(tally) -> None:
    """
    Who only looks is told within seconds, with the process that is to be ended; and that is all there is to do.
    """
    with FaultWorld() as world:
        world.script("a", [gate("stays"), say()])
        world.submit_tasks(task("a"), day=DAY)
        stays = world.gate.arrive("stays")
        agents = world.living()
        pid = world.daemon.pid
        os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        told = world.orchctl("daemon", "status", timeout=60.0)
        assert time.monotonic() - began < 30.0
        assert told.code == 3
        assert f"the daemon (process {pid}) did not answer within 5 s" in told.err
        assert f"kill -9 {pid}" in told.err
        assert f"kill -9 {pid}" in world.orchctl("daemon", "stop", timeout=60.0).err
        world.kill()
        world.start()
        assert world.living() == agents
        stays.release()
        assert world.wait() == {"a": "succeeded"}
        tally("F35", kills=1, note="stopped, told within 5 s", **check(world).counts)


def _control_group(pid: int, file: str) -> Path:
    """
    A file of the control group that the process is in, of the unified hierarchy.
    """
    root, lines = cgroup_root(), Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()
    assert root is not None
    (path,) = [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
    return root / path / file
