"""
F22: twenty daemons on one home at once, again and again.  One serves, all others end with status 75 and name it; the socket
of the one that lives is never taken away; the journal is whole.  A daemon beside a command that holds the home for a moment
waits for it, and what the command does to agents it does beside the daemon.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import deaf, gate, say, stream, stubborn
from harness.world import HARNESS
from kit.files import wait_file
from kit.processes import belonging, until
from kit.rpc import Link
from kit.script import DAY, task

from orchestrd.address import LOCK_FILE
from orchestrd.errors import AlreadyRunning
from orchestrd.storage.home import Home
from orchestrd.storage.rundir import RunDir
from orchestrd.storage.shortage import Busy

pytestmark = pytest.mark.slow
CROWD = 20
SECONDS = 10.0

MUTANTS = (
    Mutant(
        "nobody asks for the lock",
        file="storage/home.py",
        old="        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        new="        pass\n",
        test="test_a_daemon_that_lives_keeps_its_socket",
    ),
    Mutant(
        "the lock is shared",
        file="storage/home.py",
        old="        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        new="        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)\n",
        test="test_a_daemon_that_lives_keeps_its_socket",
    ),
    Mutant(
        "the holder is not named",
        file="storage/home.py",
        old="another daemon serves this home (process {pid})",
        new="another daemon serves this home (process {os.getpid()})",
        test="test_twenty_at_once_again_and_again",
    ),
    Mutant(
        "a dead daemon is named as the holder",
        file="storage/home.py",
        old="named = pid is not None and held(pid, self.lock_file)",
        new="named = True",
        test="test_who_has_just_taken_the_home_is_named",
    ),
    Mutant(
        "a second daemon looks like a failure of the disk",
        file="errors.py",
        old="    rpc_code = -32041\n    exit_status = 75\n",
        new="    rpc_code = -32041\n    exit_status = 74\n",
        test="test_twenty_at_once_again_and_again",
    ),
    Mutant(
        "the lock file is made anew",
        file="storage/home.py",
        old="        try:\n            fd = os.open(self.lock_file, os.O_RDWR | os.O_CREAT",
        new="        self.lock_file.unlink(missing_ok=True)\n        try:\n            fd = os.open(self.lock_file, os.O_RDWR | os.O_CREAT",
        test="test_a_daemon_that_lives_keeps_its_socket",
    ),
    Mutant(
        "who holds the home for a moment is not waited for",
        file="storage/home.py",
        old="if passing and time",
        new="if False and time",
        test="test_a_start_waits_for_who_holds_the_home_for_a_moment",
    ),
    Mutant(
        "the home is held while agents are taken down",
        file="services/offline.py",
        old="        changed = await Commands(store).cancel(names)\n",
        new="        changed = await Commands(store).cancel(names)\n        await anyio.sleep(60)\n",
        test="test_a_daemon_starts_beside_a_cancel",
    ),
    Mutant(
        "two speak to one agent at once",
        file="storage/spool.py",
        old="            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)\n            end = ",
        new="            end = ",
        test="test_two_that_speak_to_one_agent_spoil_no_line",
    ),
)


def test_twenty_at_once_again_and_again(fault_world, tally):
    """
    Every round ends by SIGKILL or by SIGTERM, by turns, while agents work on: the next crowd finds a dead daemon's socket,
    or none.
    """
    world = fault_world(start=False)
    world.script("works", [stream(10), gate("held"), say()])
    argv = [sys.executable, str(HARNESS / "crowd.py"), str(world.home), str(CROWD)]
    rounds, waited = 0, []
    with subprocess.Popen(argv, env=world.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as crowd:
        assert crowd.stdin is not None
        assert crowd.stdout is not None
        end = time.monotonic() + SECONDS
        while True:
            found = json.loads(crowd.stdout.readline())
            rounds += 1
            serves = found["serves"]
            assert len(found["ended"]) == CROWD - 1
            for entry in found["ended"]:
                assert entry["code"] == 75, entry
                assert "Traceback" not in entry["said"]
                assert f"another daemon serves this home (process {serves})" in entry["said"], entry
            wait_file(world.home / LOCK_FILE, lambda data: data.count(b"\n") == 2)
            assert int((world.home / LOCK_FILE).read_text().split()[0]) == serves
            with Link(world.socket) as link:
                assert link.call("daemon.status")["pid"] == serves
                if rounds == 1:
                    path = world.day(task("works"), day=DAY)
                    link.call("task.submit", path=str(path), text=path.read_text(), request_id="one")
                    held = world.gate.arrive("held")
            waited.append(max(entry["seconds"] for entry in found["ended"]))
            if time.monotonic() > end:
                break
            crowd.stdin.write("kill\n" if rounds % 2 else "stop\n")
            crowd.stdin.flush()
        crowd.stdin.close()
        crowd.wait(30)
    world.start()
    assert world.agents() == [held.pid]
    held.release()
    assert world.wait() == {"works": "succeeded"}
    assert len(world.events("daemon.started")) == rounds + 1
    found = check(world, acknowledged=["one"])
    tally(
        row="F22",
        kills=rounds // 2,
        note=f"{rounds} rounds of {CROWD} daemons, {rounds * (CROWD - 1)} refusals; the last of a round after {max(waited):.1f} s",
        **found.counts,
    )


def test_a_daemon_that_lives_keeps_its_socket(fault_world, tally):
    world = fault_world()
    before = world.socket.stat()
    with Link(world.socket) as link:
        for _ in range(3):
            second = world.spawn()
            try:
                assert second.wait(30) == 75
            finally:
                second.kill()
                second.wait(10)
            now = world.socket.stat()
            assert (now.st_ino, now.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
            assert link.call("daemon.status")["pid"] == world.daemon.pid
            assert world.rpc("daemon.status")["pid"] == world.daemon.pid
    said = world.log.read_text(encoding="utf-8")
    assert said.count(f"another daemon serves this home (process {world.daemon.pid})") == 3
    assert len(world.events("daemon.started")) == 1
    tally(row="F22", **check(world).counts)


def test_who_has_just_taken_the_home_is_named(tmp_path, monkeypatch):
    """
    It has the lock, and its name is not there yet: what is there is the name of a daemon that died.
    """
    home = Home(tmp_path)
    home.create()
    dead = subprocess.Popen(["true"])
    dead.wait()
    with home.lock_file.open("w+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        home.lock_file.write_text(f"{dead.pid}\n/a/socket\n")

        class Poll:
            def poll(self, _: float) -> None:
                home.lock_file.write_text(f"{os.getpid()}\n/a/socket\n")

        monkeypatch.setattr("orchestrd.storage.home.select.poll", Poll)
        with pytest.raises(AlreadyRunning, match=rf"\(process {os.getpid()}\)"):
            home.lock()


def test_a_start_waits_for_who_holds_the_home_for_a_moment(fault_world, tally):
    """
    The command holds the home until the daemon has found it taken: one that would leave does so at once.
    """
    world = fault_world(start=False)
    home = Home(world.home)
    home.create()
    done = []
    held = home.lock("orchctl cancel")
    try:
        starter = threading.Thread(target=lambda: done.append(world.orchctl("daemon", "start")))
        starter.start()
        second = until(lambda: waiting(world, home.lock_file))
    finally:
        os.close(held)
    starter.join(60)
    assert done[0].code == 0, done
    assert world.rpc("daemon.status")["pid"] == second
    tally(row="F22", **check(world).counts)
    assert world.orchctl("daemon", "stop").code == 0


def waiting(world, lock: Path) -> int | None:
    """
    The daemon process that has the *lock*'s file open and sleeps.
    """
    for pid, words in belonging(world.root):
        if "orchestrd" in words and "--home" in words:
            with suppress(OSError):
                opened = [entry for entry in Path(f"/proc/{pid}/fd").iterdir() if os.path.realpath(entry) == str(lock)]
                state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
                if opened and state == b"S":
                    return pid
    return None


def test_a_daemon_starts_beside_a_cancel(fault_world, tally):
    """
    Without a daemon an agent that hears nothing is taken down for as long as its grace lasts.  The daemon that is started
    then serves at once, and does the same; nothing is settled twice.
    """
    world = fault_world(config={"agent": {"stop_grace": "3s"}})
    world.script("stays", [stream(3), stubborn(), deaf(), gate("held"), say()])
    world.script("works", [stream(3), gate("works"), say()])
    world.submit_tasks(task("stays", retries=0), task("works"), day=DAY)
    world.gate.arrive("held")
    works = world.gate.arrive("works")
    world.kill()
    argv = [sys.executable, "-m", "orchestrd", "--home", str(world.home), "--offline", "cancel", "stays"]
    with subprocess.Popen(argv, env=world.environ, stdout=subprocess.PIPE, text=True) as cancelling:
        until(lambda: world.events("run.stopping"))
        world.start()
        assert cancelling.poll() is None, "it had not taken the agent down yet"
        answer = json.loads(cancelling.communicate(timeout=60)[0])
    assert answer["result"]["changed"] == [f"{DAY}/stays"]
    works.release()
    assert world.wait() == {"stays": "cancelled", "works": "succeeded"}
    (ended,) = world.events("run.exited", run=f"{DAY}/stays/1")
    assert ended["event"]["outcome"] == "killed"
    tally(row="F22", kills=1, note="a daemon started beside `orchctl cancel`", **check(world).counts)


def test_two_that_speak_to_one_agent_spoil_no_line(tmp_path, tally):
    """
    Long lines are written in pieces.
    """
    begun, lines = threading.Barrier(2), 300

    def speak(letter: bytes) -> None:
        rundir = RunDir(tmp_path)
        begun.wait()
        for _ in range(lines):
            while True:
                try:
                    rundir.send(letter * 20_000 + b"\n")
                    break
                except Busy:
                    continue

    speakers = [threading.Thread(target=speak, args=(letter,)) for letter in (b"a", b"b")]
    for speaker in speakers:
        speaker.start()
    for speaker in speakers:
        speaker.join(60)
    found = sorted(RunDir(tmp_path).sent().splitlines())
    assert [(line[:1], len(line), len(set(line))) for line in found] == [
        (letter, 20_000, 1) for letter in (b"a", b"b") for _ in range(lines)
    ]
    tally(row="F22", note=f"{2 * lines} lines of two speakers")
