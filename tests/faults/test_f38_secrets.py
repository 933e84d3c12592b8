"""
F38: a day with secrets planted everywhere.  What is for agents only is nowhere else than in their environment and in the file
that starts them; what is for the daemon only reaches no agent; prompts are in no log and in no command line; everything
below ``var/`` is for this user alone, and another user is not served.

`tests/acceptance/test_log_secrecy.py` (an exception tells places, not values) belongs to this row too.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import stat
from pathlib import Path

import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import ask, complain, say, stream, tool, write
from kit.processes import belonging
from kit.script import DAY, question, task

pytestmark = pytest.mark.slow
OURS = "daemon-only-5e1f"
THEIRS = "sk-agents-only-77c0"
PROMPT = "Confidential-plan-a41b"
ANSWER = "Confidential-answer-90d2"
NOBODY = 65534
root_only = pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")

MUTANTS = (
    Mutant(
        "files are made as the shell's habit is",
        file="__main__.py",
        old="    os.umask(0o077)\n",
        new="    os.umask(0o022)\n",
        test="test_a_day_with_secrets",
    ),
    Mutant(
        "the shim's files are made as the shell's habit is",
        file="runner/shim.py",
        old="        os.umask(0o077)\n",
        new="        os.umask(0o022)\n",
        test="test_a_day_with_secrets",
    ),
    Mutant(
        "agents get the daemon's whole environment",
        file="config/loading.py",
        old="    result: dict[str, str] = {}\n    for name, value in entries:\n",
        new="    result: dict[str, str] = dict(environ)\n    for name, value in entries:\n",
        test="test_a_day_with_secrets",
    ),
    Mutant(
        "the log tells what the agent is told",
        file="services/runs.py",
        old='            log.info("run.driven", run=session.run)\n',
        new='            log.info("run.driven", run=session.run, task=repr(self._store.state.task(session.run[:-2])))\n',
        test="test_a_day_with_secrets",
    ),
    Mutant(
        "the log tells what the agent said last",
        file="services/endings.py",
        old='log.info("run.exited", run=run, cause=str(exited.cause))',
        new='log.info("run.exited", run=run, cause=str(exited.cause), reason=exited.reason)',
        test="test_a_day_with_secrets",
    ),
    Mutant(
        "answers are logged",
        file="services/questions.py",
        old="            return Change(row.id, ev.QuestionAnswered(",
        new='            log.info("question.answered", answer=given)\n            return Change(row.id, ev.QuestionAnswered(',
        test="test_a_day_with_secrets",
    ),
    Mutant(
        "the prompt is in the command line",
        file="runner/claude_cli.py",
        old='        "-p",\n',
        new='        "-p",\n        "--append-system-prompt",\n        os.environ.get("PROMPT", "Confidential-plan-a41b"),\n',
        test="test_a_day_with_secrets",
    ),
    Mutant(
        "nobody is asked who they are",
        file="edges/rpc.py",
        old="        if uid != os.getuid():\n",
        new="        if False:\n",
        test="test_another_user_is_not_served",
    ),
    Mutant(
        "the socket is for everybody",
        file="edges/endpoint.py",
        old="    before = os.umask(0o177)\n",
        new="    before = os.umask(0o000)\n",
        test="test_another_user_is_not_served",
    ),
)


@pytest.fixture
def loose(monkeypatch):
    """
    The habit of a careless shell: everything is made for everybody.
    """
    before = os.umask(0)
    yield
    os.umask(before)


def files_of(world) -> list[Path]:
    """
    Everything below ``var/``, without the trees that agents work in.
    """
    found = []
    for folder, names, files in os.walk(world.home / "var"):
        if Path(folder).parent.parent == world.home / "var" / "agent_workspaces":
            names[:] = [name for name in names if name != "tree"]
        found += [Path(folder), *(Path(folder, name) for name in files)]
    return found


def holding(world, word: str) -> set[str]:
    """
    The files below ``var/`` that hold *word*, by name.
    """
    regular = [path for path in files_of(world) if path.is_file() and not path.is_symlink()]
    return {path.name for path in regular if word.encode() in path.read_bytes()}


def test_a_day_with_secrets(fault_world, tally, loose, monkeypatch):
    # What the daemon's own environment holds; the agents' is made of it by the allow-list.
    world = fault_world(start=False, env={"AGENT_TOKEN": THEIRS}, config={"log_level": "debug", "retries": 1})
    environ = type(world).environ.fget
    monkeypatch.setattr(type(world), "environ", property(lambda self: {**environ(self), "BOT_TOKEN": OURS}))
    world.start()
    questions = [question(f"{PROMPT}: which?", "One", "Two")]
    world.script(
        "plans",
        [
            stream(2),
            ask(*questions),
            write("plan.txt", PROMPT),
            tool("Bash", gate="held", input={"command": PROMPT}),
            say(PROMPT),
        ],
    )
    world.script("fails", [complain(PROMPT), stream(2), {"do": "exit", "code": 3}], [say()])
    world.script("broken", [stream(1), {"do": "raw", "data": "", "size": 5}, say(PROMPT)])
    checks = [{"name": "prompt", "run": f"echo {PROMPT}; false"}]
    plans = task("plans", description=f"{PROMPT}: do it", checks=checks, retries=0)
    world.submit_tasks(plans, task("fails", description=PROMPT), task("broken", description=PROMPT), day=DAY)
    world.wait_event("question.asked")
    world.write("question.answer", task="plans", text=ANSWER)
    held = world.gate.arrive("held")
    # While an agent lives: what ps(1) shows of every process of this world.
    lines = [" ".join(words) for _, words in belonging(world.root)]
    assert any("fake-agent" in line for line in lines)
    assert not [line for line in lines if any(word in line for word in (OURS, THEIRS, PROMPT, ANSWER))]
    surroundings = Path(f"/proc/{held.pid}/environ").read_bytes()
    assert THEIRS.encode() in surroundings
    assert OURS.encode() not in surroundings
    world.restart()
    held.release()
    world.wait()
    world.rpc("report.get", day=DAY)
    log = b"".join(path.read_bytes() for path in world.root.glob("*.log")).decode()
    assert "run.exited" in log
    for word in (OURS, THEIRS, PROMPT, ANSWER):
        assert word not in log, f"{word} is in the daemon's log"
    assert holding(world, OURS) == set()
    assert holding(world, THEIRS) <= {"spec.json"}, "the agents' secret lies about"
    assert "orchestrd.db" in holding(world, PROMPT) | {"orchestrd.db"}
    shown = [world.orchctl("status", "--json"), world.orchctl("daemon", "status", "--json")]
    assert not [word for word in (OURS, THEIRS) for done in shown if word in done.out + done.err]
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in files_of(world) if not path.is_symlink()}
    assert {path: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}
    assert len(modes) > 60
    tally(row="F38", kills=1, note=f"{len(modes)} files and folders below var/", **check(world).counts)


def call_as(user: int, path: Path) -> dict:
    """
    What a process of *user* gets on the socket.
    """
    read, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            os.write(end, json.dumps({"uid": os.getuid(), **_call(path)}).encode())
        finally:
            os._exit(0)
    os.close(end)
    os.waitpid(pid, 0)
    with os.fdopen(read, "rb") as pipe:
        return json.loads(pipe.read())


def _call(path: Path) -> dict:
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(30)
        try:
            link.connect(str(path))
        except OSError as error:
            return {"errno": error.errno}
        # Nothing is asked before it is known what is said: a call that nobody reads would break the connection.
        said = link.recv(65536)
        if not said:
            return {"said": ""}
        with contextlib.suppress(OSError):
            link.sendall(b'{"jsonrpc":"2.0","id":1,"method":"daemon.status"}\n')
            said += link.recv(65536)
        return {"said": said.decode()}


@root_only
def test_another_user_is_not_served(fault_world, tally, loose):
    """
    By the modes alone; and, were all of them lost, by who is asking.
    """
    world = fault_world()
    assert call_as(NOBODY, world.socket) == {"uid": NOBODY, "errno": errno.EACCES}
    assert stat.S_IMODE(world.socket.stat().st_mode) == 0o600
    for path in (world.root, world.runtime, world.socket.parent, world.socket):
        path.chmod(0o777)
    # A daemon that would serve says nothing until it is asked.
    found = call_as(NOBODY, world.socket)
    assert "not served: wrong user" in found["said"]
    assert "result" not in found["said"]
    refusals = [
        entry for line in world.log.read_bytes().splitlines() if (entry := json.loads(line))["event"] == "rpc.refused"
    ]
    assert [entry["uid"] for entry in refusals] == [NOBODY]
    assert world.rpc("daemon.status")["pid"] == world.daemon.pid
    tally(row="F38", note="another user: refused by mode, and by name")
