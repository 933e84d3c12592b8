"""
F7: the disk is full.

What people ask for is refused, what they look at is shown, what happens by itself waits, nothing new starts, no agent and no
daemon dies; and all of it goes on when there is room.
"""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import anyio
import pytest
from harness.check import check
from harness.disk import Disk
from harness.lone import hook, part, tool_call
from harness.mutant import Mutant
from harness.script import ask, gate, say, stream, tool, write
from harness.world import FaultWorld
from kit import processes
from kit.files import wait_file
from kit.processes import alive
from kit.rpc import RpcError
from kit.script import DAY, question, task

from orchestrd.policy.verdict import deny

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
BACK_SECONDS = 5.0
"""By then everything goes on again."""
FULL = -32044


class FullWorld(FaultWorld):
    """
    A world whose daemon's disk obeys.  Git and the agents write for themselves and notice nothing.
    """

    def furnish(self) -> dict[str, str]:
        self.disk = Disk(self.home / "var", self.root)
        return super().furnish()

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, **self.disk.environ}


@pytest.fixture
def world() -> Iterator[FullWorld]:
    with FullWorld(agents=1, watched=True) as made:
        yield made


def until(test, timeout: float = 30.0) -> float:
    """
    Seconds until *test* is true.
    """
    began = time.monotonic()
    processes.until(test, timeout=timeout)
    return time.monotonic() - began


def told(world, event: str) -> None:
    """
    Wait until the daemon's log names the *event*.
    """
    wait_file(world.log, lambda data: event.encode() in data, timeout=30.0)


def hold(world) -> str:
    return world.rpc("daemon.status")["hold"] or ""


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT], ids=["full", "quota"])
def test_a_daemon_on_a_full_disk(world, error, tally):
    world.script("a", [stream(2), gate("on"), stream(3), ask(question("Which?", "One", "Two")), stream(2), say()])
    world.script("b", [stream(1), say()])
    world.submit_tasks(task("a"), task("b"), day=DAY)
    held = world.gate.arrive("on")
    agent = world.agent_pid("a/1")
    before = world.events()
    world.disk.fill(error)
    held.release()
    # The agent's next call cannot be recorded, and leave for it cannot be written.
    until(lambda: "the disk is full" in hold(world))
    for method, params in (
        ("task.submit", {"path": "x.yaml", "text": f"date: {DAY}\ntasks:\n- {{id: c, name: C, description: Do c.}}\n"}),
        ("task.cancel", {"tasks": ["b"]}),
    ):
        began = time.monotonic()
        with pytest.raises(RpcError, match="the disk is full: nothing was changed") as refused:
            world.rpc(method, **params, request_id=f"{method}-1")
        assert time.monotonic() - began < 2.0
        assert refused.value.code == FULL
    shown = world.status()
    assert [t["id"] for t in shown["tasks"]] == ["a", "b"]
    assert "the disk is full" in next(t["why"] for t in shown["tasks"] if t["id"] == "b")
    assert world.events()[: len(before)] == before
    assert world.rpc("event.list", since=0)["events"]
    # More looks at a disk that is still full.
    world.rounds("store")
    assert world.daemon.poll() is None
    assert alive(agent)
    # Told once, not at every look.
    assert world.log.read_text().count('"event": "disk.full"') == 1
    world.disk.mend()
    back = until(lambda: not hold(world), BACK_SECONDS)
    world.wait_event("question.asked", timeout=BACK_SECONDS)
    world.write("question.answer", task=f"{DAY}/a", options=["B"], by="cli")
    # The refused request may be asked again under its id.
    world.write("task.cancel", tasks=["b"], request_id="task.cancel-1")
    world.submit_tasks(task("a"), task("b"), task("c"), day=DAY)
    world.script("c", [stream(1), say()])
    states = world.wait(f"{DAY}/a", f"{DAY}/c")
    assert states == {"a": "succeeded", "c": "succeeded"}
    assert [e["event"]["attempt"] for e in world.events("run.started")] == [1, 1]
    wait_file(world.home / "var" / "agent_status" / DAY / "a.json", bytes)
    found = check(world)
    tally("F7", **found.counts, note=f"{errno.errorcode[error]}: back after {back:.1f} s")


def test_an_answer_that_was_recorded_is_handed_over_when_there_is_room(world, tally):
    """
    The journal has room, the agent's file has not.
    """
    world.script("a", [stream(1), ask(question("Which?", "One", "Two")), stream(1), say()])
    world.submit_tasks(task("a"), day=DAY)
    world.wait_event("question.asked")
    world.disk.fail("write", "stdin.jsonl", 1, errno.ENOSPC)
    world.write("question.answer", task=f"{DAY}/a", options=["B"], by="cli")
    # Each look of the session tries again.
    world.rounds("session", 5)
    assert not world.events("question.delivered")
    assert world.daemon.poll() is None
    # A daemon that dies now has promised nothing that it has not done.
    world.kill()
    world.disk.mend()
    world.start()
    assert world.wait(f"{DAY}/a") == {"a": "succeeded"}
    assert len(world.events("question.delivered")) == 1
    tally("F7", kills=1, **check(world).counts)


def test_who_tried_what_is_forbidden_is_ended_before_that_can_be_recorded(world, tally):
    forbidden = "git commit -am forbidden"
    world.script("a", [stream(1), gate("on"), tool("Bash", input={"command": forbidden}), say()])
    world.submit_tasks(task("a", retries=0), day=DAY)
    held = world.gate.arrive("on")
    agent = world.agent_pid("a/1")
    # The call and the request for leave are read in one piece with what was said before.
    os.kill(world.daemon.pid, signal.SIGSTOP)
    held.release()
    wait_file(world.run_dir("a/1") / "stdout.jsonl", lambda data: data.count(forbidden.encode()) >= 2)
    world.disk.fill(errno.ENOSPC)
    os.kill(world.daemon.pid, signal.SIGCONT)
    until(lambda: not alive(agent))
    assert not world.events("run.violation_seen")
    until(lambda: "the disk is full" in hold(world))
    world.disk.mend()
    assert world.wait("a") == {"a": "failed"}
    assert len(world.events("run.violation_seen")) == 1
    assert world.status("a")["outcome"] == "violation"
    tally("F7", note="halted before there was room for the record", **check(world).counts)


@pytest.mark.anyio
async def test_who_is_yet_to_be_accounted_for_is_ended_before_there_is_room(lone, monkeypatch):
    """
    The response that tried the forbidden has not ended: what it used may still be told, and is waited for, but not longer.
    """
    lone.judge = lambda *_: deny("git", "No.", "git commit")
    told, room, heard = anyio.Event(), anyio.Event(), lone.desk.heard

    async def wait(run, what, cursor):
        if lone.desk.strikes(run, what.facts):
            await room.wait()
        return await heard(run, what, cursor)

    tell = type(lone.dir).tell
    monkeypatch.setattr(lone.desk, "heard", wait)
    monkeypatch.setattr(
        type(lone.dir), "tell", lambda self, order: (order == "signal SIGSTOP" and told.set(), tell(self, order))[1]
    )
    async with lone.driven():
        lone.say({**part("message_start", message={"id": "m1", "model": "claude-opus-5-5", "usage": {}})})
        lone.say(tool_call(command="git commit"), hook("r1", command="git commit"))
        with anyio.fail_after(10):
            await told.wait()
        assert not lone.desk.named("run.violation_seen")
        room.set()
        await lone.until(lambda: lone.desk.named("run.violation_seen"))


def test_status_and_question_files_come_later(world, tally):
    world.script("a", [stream(1), ask(question("Which?", "One", "Two")), say()])
    world.disk.fail("write", ".new", 1, errno.ENOSPC)
    # An agent's instructions are such a file too: its run waits for them, and does not fail.
    world.submit_tasks(task("a"), day=DAY)
    told(world, "disk.full")
    assert world.status("a")["state"] == "running"
    world.disk.mend()
    world.wait_event("question.asked")
    world.disk.fail("write", ".new", 1, errno.ENOSPC)
    file = world.home / "var" / "agent_questions" / DAY / "a.md"
    shown = world.home / "var" / "agent_status" / DAY / "a.json"
    file.unlink(missing_ok=True)
    told(world, "question.unwritten")
    assert world.daemon.poll() is None
    world.disk.mend()
    until(lambda: file.exists() and '"waiting"' in shown.read_text(), BACK_SECONDS)
    world.write("question.answer", task=f"{DAY}/a", options=["A"], by="cli")
    assert world.wait(f"{DAY}/a") == {"a": "succeeded"}
    tally("F7", **check(world).counts)


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """
    A tmpfs of so many bytes at *folder*; skips where nobody may mount one.
    """
    folder.mkdir(mode=0o700)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_working_tree_waits_for_room_on_a_real_disk(tally):
    with (
        # Nothing is promised to agents: else none would start so close to the end of the disk.
        FaultWorld(agents=1, start=False, files={"big.bin": "x" * (1 << 20)}, config={"agent": {"disk": 0}}) as world,
        small_disk(world.home / "var", 8 << 20),
    ):
        world.script("a", [write("a.txt", "a"), stream(1), say()])
        world.start()
        ballast = world.home / "var" / "ballast"
        with ballast.open("wb") as file:
            # The journal has room, a tree of the project has not.
            file.write(b"x" * (free(world.home / "var") - (1 << 20)))
        world.submit_tasks(task("a"), day=DAY)
        told(world, "disk.full")
        assert world.status("a")["state"] == "running"
        # Now the journal has none either.
        with ballast.open("ab") as file:
            left = free(world.home / "var")
            file.write(b"x" * left)
        with pytest.raises(RpcError) as refused:
            world.rpc("task.cancel", tasks=["a"], request_id="r1")
        assert refused.value.code == FULL
        assert "the disk is full" in hold(world)
        assert world.daemon.poll() is None
        ballast.unlink()
        until(lambda: not hold(world), BACK_SECONDS)
        assert world.wait(f"{DAY}/a") == {"a": "succeeded"}
        assert [e["event"]["attempt"] for e in world.events("run.started")] == [1]
        assert [f["path"] for f in world.events("run.exited")[0]["event"]["files"]] == ["a.txt"]
        found = check(world)
        world.kill()
    tally("F7", **found.counts, note="a real tmpfs too")


def test_the_kill_switch_needs_no_room(tally):
    """
    With a daemon and without one: everything can be stopped, and goes on again; what is refused says why.
    """
    with (
        FaultWorld(agents=1, start=False, config={"agent": {"disk": 0}}) as world,
        small_disk(world.home / "var", 8 << 20),
    ):
        world.script("a", [stream(1), gate("held"), stream(1), say()])
        world.start()
        world.submit_tasks(task("a"), day=DAY)
        held = world.gate.arrive("held")
        ballast = world.home / "var" / "ballast"
        fill(ballast)
        refused = world.orchctl("freeze")
        assert "everything was stopped, but that could not be recorded" in refused.err
        assert stands_still(held.pid)
        assert world.orchctl("cancel", "a").code == 4
        thawed = world.orchctl("thaw")
        assert thawed.code == 0, thawed
        assert "Everything goes on; that you asked for it could not be recorded: " in thawed.out
        assert not stands_still(held.pid)
        world.kill()
        cancelled = world.orchctl("cancel", "a")
        assert cancelled.code != 0
        assert "the disk is full" in cancelled.err
        stopped = world.orchctl("freeze")
        assert stopped.code == 0, stopped
        assert "Stopped, but not recorded" in stopped.out
        assert "The daemon records it when it answers again or starts." in stopped.out
        assert stands_still(held.pid)
        started = world.orchctl("daemon", "start")
        assert started.code != 0
        assert "(exit status 74) and could say nothing: no room for" in started.err
        ballast.unlink()
        world.start()
        assert world.rpc("daemon.status")["frozen_since"] is not None
        assert stands_still(held.pid)
        assert world.orchctl("thaw").code == 0
        held.release()
        assert world.wait(f"{DAY}/a") == {"a": "succeeded"}
        found = check(world)
        world.kill()
    tally("F7", kills=1, **found.counts, note="frozen and thawed without room")


def test_a_repair_without_room_changes_nothing(tally):
    with (
        FaultWorld(agents=1, start=False, config={"agent": {"disk": 0}}) as world,
        small_disk(world.home / "var", 8 << 20),
    ):
        world.script("a", [stream(1), say()])
        world.start()
        world.submit_tasks(task("a"), day=DAY)
        assert world.wait() == {"a": "succeeded"}
        world.stop()
        var = world.home / "var"
        (var / "results").chmod(0o755)
        with closing(sqlite3.connect(var / "orchestrd.db")) as db:
            db.execute("UPDATE events SET at = at + 1 WHERE seq = 3")
            db.commit()
        ballast = var / "ballast"
        fill(ballast)
        files = sorted(var.rglob("*"))
        refused = world.orchctl("doctor", "--deep", "--repair")
        assert refused.code != 0
        assert "the disk is full" in refused.err
        assert "Make room; nothing was changed." in refused.err
        assert sorted(var.rglob("*")) == files
        assert (var / "results").stat().st_mode & 0o777 == 0o755
        ballast.unlink()
        mended = world.orchctl("doctor", "--deep", "--repair")
        assert mended.code == 0, mended
        assert "var/results: mode 0755 became 0700" in mended.out
        assert "lost: 1 facts" in mended.out
    tally("F7", note="a repair without room")


def fill(path: Path) -> None:
    """
    Leave no room beside this file.
    """
    with path.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))


def stands_still(pid: int) -> bool:
    """
    True when the process is stopped.
    """
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    return stat.rpartition(")")[2].split()[0] == "T"


def free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


COMMITS = """
import sys
from pathlib import Path
from harness.journals import Writer
from orchestrd.errors import DiskFull
writer = Writer(Path(sys.argv[1]))
writer.begin()
before = writer.journal.last_seq()
print("begun", flush=True)
sys.stdin.readline()
for _ in range(3):
    try:
        writer.work(1)
    except DiskFull as error:
        print(f"full {writer.journal.last_seq() == before}", flush=True)
try:
    writer.journal.probe()
except DiskFull:
    print("full True", flush=True)
print("told", flush=True)
sys.stdin.readline()
writer.work(3)
print("done", flush=True)
"""


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT], ids=["full", "quota"])
def test_a_commit_without_room_can_be_made_again(tmp_path, error):
    (tmp_path / "var").mkdir()
    disk = Disk(tmp_path / "var", tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", COMMITS, tmp_path / "var" / "orchestrd.db"],
        env={**os.environ, **disk.environ, "PYTHONPATH": ":".join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdout.readline() == "begun\n"
        disk.fill(error)
        process.stdin.write("\n")
        told = []
        for line in process.stdout:
            if line == "told\n":
                break
            told.append(line)
        disk.mend()
        process.stdin.write("\n")
        assert process.stdout.read() == "done\n"
    assert told == ["full True\n"] * 4
    assert process.returncode == 0


LOOKING = """
import errno, os, signal, sys
from pathlib import Path
from orchestrd.storage import shortage

makes = os.open


def without_names(path, flags, *more):
    assert not flags & os.O_CREAT, "it had a name for a moment"
    return makes(path, flags, *more)


def with_names(path, flags, *more):
    if flags & os.O_TMPFILE == os.O_TMPFILE:
        raise OSError(errno.EOPNOTSUPP, "no files without a name here")
    return makes(path, flags, *more)


os.open = with_names if sys.argv[2] == "named" else without_names
os.write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
shortage.no_room(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("files", ["unnamed", "named"])
def test_killed_while_it_looks_for_room(tmp_path, files, tally):
    """
    Nothing is left behind, also on a file system that has no files without a name.
    """
    died = subprocess.run([sys.executable, "-c", LOOKING, str(tmp_path), files], check=False)
    assert died.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []
    tally(row="F7", kills=1, note=f"killed while it looked for room, {files} file")


MUTANTS = (
    Mutant(
        "a repair begins whether there is room to tell of it or not",
        file="audit/worklog.py",
        old="        if no_room(home.var):\n            raise _full(home.var)\n",
        new="",
        test="test_a_repair_without_room_changes_nothing",
    ),
    Mutant(
        "who is yet to be accounted for works on until there is room for the record",
        file="runner/session.py",
        old="await (self._strike.beside(record) if condemned else record())",
        new="await record()",
        test="test_who_is_yet_to_be_accounted_for_is_ended_before_there_is_room",
    ),
    Mutant(
        "who tried what is forbidden works on until that is recorded",
        file="runner/session.py",
        old="condemned = self._attached and self._desk.strikes(self.run, heard.facts)",
        new="condemned = False",
        test="test_who_tried_what_is_forbidden_is_ended_before_that_can_be_recorded",
    ),
    Mutant(
        "what is written to see whether there is room outlives who wrote it",
        file="storage/shortage.py",
        old="    probe.unlink(missing_ok=True)\n",
        new="",
        test="test_killed_while_it_looks_for_room[named]",
    ),
    Mutant(
        "a file without a name is not even tried",
        file="storage/shortage.py",
        old="os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o600)",
        new="os.O_WRONLY | os.O_CLOEXEC, 0o600)",
        test="test_killed_while_it_looks_for_room[unnamed]",
    ),
    Mutant(
        "a freeze without a daemon that cannot be noted ends in the middle",
        file="services/offline.py",
        old="            home.freeze_note.touch(mode=0o600)",
        new="            raise",
        test="test_the_kill_switch_needs_no_room",
    ),
    Mutant(
        "a thaw that could not be recorded is told as if nothing had happened",
        file="services/standstill.py",
        old="            if not loose:\n                raise\n",
        new="            raise\n",
        test="test_the_kill_switch_needs_no_room",
    ),
    Mutant(
        "Python ends a daemon that cannot say why",
        file="__main__.py",
        old="        _let_go_of_stderr()\n\n\ndef _run",
        new="        pass\n\n\ndef _run",
        test="test_the_kill_switch_needs_no_room",
    ),
    Mutant(
        "the log goes where the answer is expected",
        file="__main__.py",
        old='    configure_logging("warning", sys.stderr)\n    answer',
        new="    answer",
        test="test_the_kill_switch_needs_no_room",
    ),
    Mutant(
        "a full disk ends the daemon",
        file="services/store.py",
        old="            except NotNow as error:\n                self._tell_room(error)",
        new="            except ConnectionError as error:\n                self._tell_room(error)",
        test="test_a_daemon_on_a_full_disk[full]",
    ),
    Mutant(
        "what happens by itself is refused as well",
        file="services/store.py",
        old="            elif job.patient:",
        new="            elif False:",
        test="test_a_daemon_on_a_full_disk[full]",
    ),
    Mutant(
        "what is held is forgotten",
        file="services/store.py",
        old="jobs, self._held = [*(job for job in self._held if not job.given_up), *jobs], []",
        new="jobs, self._held = [*jobs], []",
        test="test_a_daemon_on_a_full_disk[full]",
    ),
    Mutant(
        "a full quota is an I/O error like any other",
        file="storage/failure.py",
        old="return code & 0xFF in _PERHAPS and code not in _SYNCING and no_room(path.parent)",
        new="return False",
        test="test_a_commit_without_room_can_be_made_again[quota]",
    ),
    Mutant(
        "an answer counts as handed over before it is written",
        file="runner/delivery.py",
        old="        if not voice.flush():\n            return  # on a full disk",
        new="        if False:\n            return  # on a full disk",
        test="test_an_answer_that_was_recorded_is_handed_over_when_there_is_room",
    ),
    Mutant(
        "what could not be said is forgotten",
        file="runner/voice.py",
        old="                raise\n            return False",
        new="                raise\n            self._unsaid = b''\n            return False",
        test="test_an_answer_that_was_recorded_is_handed_over_when_there_is_room",
    ),
    Mutant(
        "a question's file that cannot be written ends the daemon",
        file="services/questions.py",
        old="        except OSError as error:\n            if path not in self._unwritten:",
        new="        except ZeroDivisionError as error:\n            if path not in self._unwritten:",
        test="test_status_and_question_files_come_later",
    ),
    Mutant(
        "a run fails when its tree finds no room",
        file="services/patience.py",
        old="            if not (is_full(error) or isinstance(error, Unsettled)) or give_up():",
        new="            if True:",
        test="test_a_working_tree_waits_for_room_on_a_real_disk",
    ),
)
