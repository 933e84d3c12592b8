"""
F23: what a killed daemon leaves lies in nobody's way; what is not a dead daemon's is left alone, and the next daemon says
what stands there and ends.

`tests/integration/test_rpc.py` (what is no socket is left alone) and `tests/integration/test_home.py` (the lock) belong to
this row too.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import time

import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import gate, say, stream
from kit.files import wait_file
from kit.rpc import Link
from kit.script import DAY, task

from orchestrd.address import LOCK_FILE

pytestmark = pytest.mark.slow
NOBODY = 65534
root_only = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")

MUTANTS = (
    Mutant(
        "a stale socket is in the way",
        file="edges/endpoint.py",
        old="        path.unlink()\n    listener",
        new="    listener",
        test="test_after_a_kill_the_next_one_starts",
    ),
    Mutant(
        "whatever lies at the path is removed",
        file="edges/endpoint.py",
        old="        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.getuid():\n",
        new="        if False:\n",
        test="test_what_is_no_socket_of_ours_is_refused_and_left_alone",
    ),
    Mutant(
        "links are followed to the socket",
        file="edges/endpoint.py",
        old="        found = path.lstat()\n    except FileNotFoundError",
        new="        found = path.stat()\n    except FileNotFoundError",
        test="test_what_is_no_socket_of_ours_is_refused_and_left_alone",
    ),
    Mutant(
        "another user's socket is taken for ours",
        file="edges/endpoint.py",
        old="or found.st_uid != os.getuid():\n            raise",
        new="or False:\n            raise",
        test="test_what_is_no_socket_of_ours_is_refused_and_left_alone",
    ),
    Mutant(
        "another user's folder is taken for ours",
        file="storage/home.py",
        old="    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():\n",
        new="    if False:\n",
        test="test_a_folder_of_somebody_else_is_refused",
    ),
    Mutant(
        "a link is taken for the folder that it leads to",
        file="storage/home.py",
        old="    found = path.lstat()\n    if not stat.S_ISDIR",
        new="    found = path.stat()\n    if not stat.S_ISDIR",
        test="test_a_link_in_place_of_the_folder_is_refused",
    ),
    Mutant(
        "a folder that others may use stays so",
        file="storage/home.py",
        old="    if stat.S_IMODE(found.st_mode) & 0o077:\n        path.chmod(0o700)\n\n\ndef write_atomic",
        new="\n\ndef write_atomic",
        test="test_what_others_may_use_is_closed_before_anyone_is_served",
    ),
    Mutant(
        "the lock is taken through a link",
        file="storage/home.py",
        old="os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW",
        new="os.O_RDWR | os.O_CREAT | os.O_CLOEXEC",
        test="test_a_lock_file_that_is_none_is_refused",
    ),
    Mutant(
        "a daemon whose socket is gone does not notice",
        file="edges/rpc.py",
        old="if await anyio.to_thread.run_sync(self._endpoint.lost):",
        new="if False:",
        test="test_a_socket_that_is_removed_is_made_again",
    ),
    Mutant(
        "whatever lies at the path is taken for the socket",
        file="edges/endpoint.py",
        old="self._found is None or _identity(self.path) != self._found",
        new="not self.path.exists()",
        test="test_a_socket_that_is_removed_is_made_again",
    ),
    Mutant(
        "the socket comes back only where it was",
        file="edges/endpoint.py",
        old="        for path in self._places():\n",
        new="        for path in (self.path,):\n",
        test="test_a_runtime_folder_that_is_gone_makes_nobody_deaf",
    ),
    Mutant(
        "nobody is told where the socket is now",
        file="edges/rpc.py",
        old="        self._moved(self._endpoint.path)\n",
        new="",
        test="test_a_runtime_folder_that_is_gone_makes_nobody_deaf",
    ),
)


def test_after_a_kill_the_next_one_starts(fault_world, tally):
    world = fault_world()
    world.script("works", [stream(5), gate("held"), say()])
    world.submit_tasks(task("works"), day=DAY)
    held = world.gate.arrive("held")
    for _ in range(3):
        dead = world.daemon.pid
        world.kill()
        assert stat.S_ISSOCK(world.socket.lstat().st_mode)
        assert (world.home / LOCK_FILE).read_text().split()[0] == str(dead)
        world.start()
        assert world.rpc("daemon.status")["pid"] == world.daemon.pid != dead
        assert (world.home / LOCK_FILE).read_text().split() == [str(world.daemon.pid), str(world.socket)]
    held.release()
    assert world.wait() == {"works": "succeeded"}
    ready = max(life.ready for life in world.lives[1:])
    tally(row="F23", kills=3, note=f"served again at the latest {ready:.2f} s after the start", **check(world).counts)


@pytest.mark.parametrize("how", ["unlinked", "replaced by another", "in the way of a file"])
def test_a_socket_that_is_removed_is_made_again(fault_world, tally, how):
    """
    Who is connected stays so, and who comes finds the daemon; what is no socket of ours is not touched, but told.
    """
    world = fault_world()
    world.script("works", [stream(5), gate("held"), say()])
    world.submit_tasks(task("works"), day=DAY)
    held = world.gate.arrive("held")
    pid = world.daemon.pid
    with Link(world.socket) as early:
        world.socket.unlink()
        if how == "replaced by another":
            with socket.socket(socket.AF_UNIX) as stranger:
                stranger.bind(str(world.socket))
        elif how == "in the way of a file":
            world.socket.write_text("precious", encoding="utf-8")
        wait_file(world.log, lambda data: b"rpc.listening_again" in data, timeout=30)
        shown = until(lambda: world.orchctl("daemon", "status", "--json"), lambda found: found.code == 0)
        assert shown.json["pid"] == pid
        assert early.call("daemon.status")["pid"] == pid
        if how == "in the way of a file":
            assert world.socket.read_text(encoding="utf-8") == "precious"
            world.socket.unlink()
    held.release()
    found = world.orchctl("wait", "works", "--timeout", "60")
    assert found.code == 0, found
    assert world.orchctl("daemon", "stop").code == 0
    assert world.died() == 0
    tally(row="F23", note=f"the socket was {how}", **check(world).counts)


def test_a_runtime_folder_that_is_gone_makes_nobody_deaf(fault_world, tally):
    """
    As when a session ends whose user does not linger.
    """
    world = fault_world()
    world.script("works", [stream(5), gate("held"), say()])
    world.submit_tasks(task("works"), day=DAY)
    held = world.gate.arrive("held")
    pid = world.daemon.pid
    shutil.rmtree(world.runtime)
    wait_file(world.log, lambda data: b"rpc.listening_again" in data, timeout=30)
    shown = until(lambda: world.orchctl("daemon", "status", "--json"), lambda found: found.code == 0)
    assert shown.json["pid"] == pid
    place = world.home / "var" / "run" / world.socket.name
    assert (world.home / LOCK_FILE).read_text().split() == [str(pid), str(place)]
    # The next session's folder changes nothing for those who ask.
    world.runtime.mkdir(mode=0o700)
    assert world.orchctl("daemon", "status", "--json").json["pid"] == pid
    world.kill()
    world.start()
    held.release()
    assert world.wait() == {"works": "succeeded"}
    tally(row="F23", kills=1, note="the folder of the socket was removed", **check(world).counts)


def until(act, test, timeout: float = 30.0):
    """
    What *act* gives once *test* holds for it.
    """
    end = time.monotonic() + timeout
    while not test(found := act()):
        assert time.monotonic() < end, found
    return found


def make(kind: str, world) -> None:
    world.socket.parent.mkdir(mode=0o700, exist_ok=True)
    precious = world.root / "precious"
    if kind == "file":
        world.socket.write_text("precious", encoding="utf-8")
    elif kind == "folder":
        world.socket.mkdir()
    elif kind == "FIFO":
        os.mkfifo(world.socket)
    elif kind == "link to a file":
        precious.write_text("precious", encoding="utf-8")
        world.socket.symlink_to(precious)
    elif kind == "dangling link":
        world.socket.symlink_to(precious)
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(precious if kind == "link to a socket" else world.socket))
        listener.close()
        if kind == "link to a socket":
            world.socket.symlink_to(precious)
        else:
            os.chown(world.socket, NOBODY, NOBODY)


KINDS = ["file", "folder", "FIFO", "link to a file", "dangling link", "link to a socket"]


@pytest.mark.parametrize("kind", [*KINDS, pytest.param("another user's socket", marks=root_only)])
def test_what_is_no_socket_of_ours_is_refused_and_left_alone(fault_world, tally, kind):
    world = fault_world(start=False)
    make(kind, world)
    before = world.socket.lstat()
    assert ended(world) == 74
    assert world.socket.lstat() == before
    said = world.log.read_text(encoding="utf-8")
    assert f"{world.socket}: something that is no socket of this user lies there" in said
    assert "Traceback" not in said
    (world.socket.rmdir if kind == "folder" else world.socket.unlink)()
    world.start()
    assert world.rpc("daemon.status")["pid"] == world.daemon.pid
    tally(row="F23", note=f"refused: a {kind}")


@root_only
def test_a_folder_of_somebody_else_is_refused(fault_world, tally):
    world = fault_world(start=False)
    folder = world.socket.parent
    folder.mkdir(mode=0o700)
    os.chown(folder, NOBODY, NOBODY)
    assert ended(world) == 74
    assert f"{folder}: not a folder of this user" in world.log.read_text(encoding="utf-8")
    assert not any(folder.iterdir())
    tally(row="F23", note="refused: another user's folder")


def test_a_link_in_place_of_the_folder_is_refused(fault_world, tally):
    world = fault_world(start=False)
    folder = world.socket.parent
    elsewhere = world.root / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    folder.symlink_to(elsewhere)
    assert ended(world) == 74
    assert not any(elsewhere.iterdir())
    tally(row="F23", note="refused: a link for the folder")


def test_what_others_may_use_is_closed_before_anyone_is_served(fault_world, tally):
    world = fault_world(start=False)
    loose = [world.socket.parent, world.home / "var", world.home / "var" / "agent_logs"]
    for folder in loose:
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
    world.start()
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in loose} == {0o700}
    assert stat.S_IMODE(world.socket.stat().st_mode) == 0o600
    tally(row="F23")


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_a_lock_file_that_is_none_is_refused(fault_world, tally, kind):
    world = fault_world(start=False)
    lock = world.home / LOCK_FILE
    lock.parent.mkdir(mode=0o700, exist_ok=True)
    precious = world.root / "precious"
    precious.write_text("precious", encoding="utf-8")
    if kind == "link":
        lock.symlink_to(precious)
    else:
        lock.mkdir()
    assert ended(world) == 74
    said = world.log.read_text(encoding="utf-8")
    assert str(lock) in said
    assert "Traceback" not in said
    assert precious.read_text(encoding="utf-8") == "precious"
    tally(row="F23", note=f"refused: a {kind} for the lock")


def ended(world) -> int:
    """
    The exit status of a daemon that does not come up.
    """
    daemon = world.spawn()
    try:
        return daemon.wait(30)
    finally:
        daemon.kill()
        daemon.wait(10)
