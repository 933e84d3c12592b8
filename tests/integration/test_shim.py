"""
The shim with real processes: nothing is lost, nothing is left, and whoever started it may die.
"""

import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
import pytest

from factories import RUN
from orchestrd.ancestry import MARK
from orchestrd.errors import AgentError
from orchestrd.runner.launch import SHIM, launch
from orchestrd.runner.processes import below, everyone, stat_of
from orchestrd.runner.sweep import end_heirs
from orchestrd.storage.rundir import RunSpec
from shimworld import ECHO, alive, shimmed

pytestmark = pytest.mark.anyio


@pytest.fixture
def agent(tmp_path):
    with shimmed(tmp_path / "run") as agent:
        yield agent


class TestInput:
    async def test_whole_lines_arrive_once_and_in_order(self, agent):
        await agent.python(ECHO)
        sent = [f"line {number}\n".encode() for number in range(200)]
        for line in sent:
            agent.dir.send(line)
        agent.dir.tell("eof")
        assert (await agent.ended()).exit_code == 0
        assert agent.output == b"".join(sent)

    async def test_what_was_written_before_the_start_arrives(self, agent):
        agent.dir.path.mkdir()
        agent.dir.send(b"early\n")
        await agent.python(ECHO)
        agent.dir.send(b"late\n")
        agent.dir.tell("eof")
        await agent.ended()
        assert agent.output == b"early\nlate\n"

    async def test_half_a_line_waits_for_its_other_half(self, agent):
        await agent.python(ECHO)
        with agent.dir.stdin.open("ab", buffering=0) as spool:
            spool.write(b"one\ntw")
            agent.dir.tell("input")
            assert await agent.says(b"one\n") == b"one\n"
            spool.write(b"o\n")
        agent.dir.tell("input")
        assert await agent.says(b"two\n") == b"one\ntwo\n"
        agent.dir.tell("eof")
        await agent.ended()

    async def test_half_a_line_of_a_writer_that_died_never_arrives(self, agent):
        await agent.python(ECHO)
        with agent.dir.stdin.open("ab") as spool:
            spool.write(b'{"torn":')
        agent.dir.tell("input")
        agent.dir.send(b"whole\n")
        agent.dir.tell("eof")
        await agent.ended()
        assert agent.output == b"whole\n"

    async def test_a_spool_without_an_end_costs_the_shim_nothing(self, agent):
        """
        The agent makes its spool longer than any memory: its shim obeys as before.
        """
        await agent.python(ECHO)
        agent.dir.send(b"one\n")
        assert await agent.says(b"one\n") == b"one\n"
        os.truncate(agent.dir.stdin, 1 << 41)
        agent.dir.tell("input")
        agent.dir.tell("eof")
        assert (await agent.ended()).exit_code == 0
        assert agent.output == b"one\n"

    async def test_a_mebibyte_to_an_agent_that_reads_slowly(self, agent):
        slow = (
            "import sys, time\nwhile chunk := sys.stdin.buffer.read1(30_000):\n"
            "    sys.stdout.buffer.write(chunk); sys.stdout.buffer.flush(); time.sleep(0.002)\n"
        )
        await agent.python(slow)
        lines = b"".join(b"%06d %s\n" % (number, b"x" * 1000) for number in range(1040))
        agent.dir.send(lines)
        agent.dir.tell("eof")
        assert (await agent.ended()).exit_code == 0
        assert agent.output == lines

    async def test_one_line_of_two_mebibytes(self, agent):
        await agent.python(ECHO)
        line = b"y" * (2 << 20) + b"\n"
        agent.dir.send(line)
        agent.dir.tell("eof")
        await agent.ended()
        assert agent.output == line

    async def test_an_agent_that_does_not_read_can_still_be_stopped(self, agent):
        await agent.python("import time\nprint('up')\ntime.sleep(600)")
        await agent.says(b"up")
        agent.dir.send(b"z" * (1 << 20) + b"\n")
        agent.dir.tell("stop 5")
        record = await agent.ended()
        assert (record.signal, record.stopped) == (signal.SIGTERM, True)

    async def test_without_eof_the_input_stays_open(self, agent):
        await agent.python("import sys, select\nprint(select.select([sys.stdin], [], [], 0.2)[0])")
        assert (await agent.ended()).exit_code == 0
        assert agent.output == b"[]\n"


class TestEnd:
    @pytest.mark.parametrize("status", [0, 1, 143, 255])
    async def test_its_status_is_recorded(self, agent, status):
        await agent.start("/bin/sh", "-c", f"echo out; echo err >&2; exit {status}")
        record = await agent.ended()
        assert (record.exit_code, record.signal, record.stopped, record.leftovers) == (status, None, False, [])
        assert record.version == 1
        assert record.started_at <= record.ended_at
        assert record.max_rss_bytes > 0
        assert (agent.output, agent.dir.stderr.read_bytes()) == (b"out\n", b"err\n")

    async def test_killed_from_outside(self, agent):
        await agent.python("print('up'); import time; time.sleep(600)")
        await agent.says(b"up")
        os.kill(agent.pids["agent"], signal.SIGKILL)
        record = await agent.ended()
        assert (record.exit_code, record.signal, record.stopped) == (None, signal.SIGKILL, False)

    async def test_stop_lets_it_tidy_up(self, agent):
        await agent.python(
            "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: (print('bye'), sys.exit(143)))\n"
            "print('up')\ntime.sleep(600)"
        )
        await agent.says(b"up")
        agent.dir.tell("stop 10")
        record = await agent.ended()
        assert (record.exit_code, record.stopped) == (143, True)
        assert agent.output == b"up\nbye\n"

    async def test_who_does_not_listen_is_killed_after_the_grace(self, agent):
        await agent.python(
            "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up')\ntime.sleep(600)"
        )
        await agent.says(b"up")
        began = time.monotonic()
        agent.dir.tell("stop 0.2")
        record = await agent.ended()
        assert (record.signal, record.stopped) == (signal.SIGKILL, True)
        assert time.monotonic() - began >= 0.2

    async def test_a_second_stop_may_hurry_but_not_delay(self, agent):
        await agent.python(
            "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up')\ntime.sleep(600)"
        )
        await agent.says(b"up")
        agent.dir.tell("stop 600")
        agent.dir.tell("stop 0.1")
        agent.dir.tell("stop 600")
        assert (await agent.ended()).signal == signal.SIGKILL

    async def test_a_stopped_process_is_ended_all_the_same(self, agent):
        await agent.python("print('up'); import time; time.sleep(600)")
        await agent.says(b"up")
        agent.dir.tell("signal SIGSTOP")
        agent.dir.tell("stop 0.2")
        assert (await agent.ended()).signal in (signal.SIGKILL, signal.SIGTERM)

    async def test_a_signal_reaches_the_agent(self, agent):
        await agent.python(
            "import signal, time\nsignal.signal(signal.SIGINT, lambda *_: print('interrupted'))\nprint('up')\n"
            "while True: time.sleep(600)"
        )
        await agent.says(b"up")
        agent.dir.tell("signal SIGINT")
        await agent.says(b"interrupted")
        agent.dir.tell("stop 5")
        await agent.ended()

    async def test_nonsense_on_the_control_channel_is_passed_over(self, agent):
        await agent.python(ECHO)
        for line in (
            "",
            "stop",
            "stop soon",
            "stop 1 2",
            "stop nan",
            "signal SIGKILL",
            "signal",
            "x" * 3000,
            "\x00\xff",
            "eof now",
        ):
            agent.dir.tell(line)
        agent.dir.send(b"still here\n")
        await agent.says(b"still here\n")
        agent.dir.tell("eof")
        record = await agent.ended()
        assert (record.exit_code, record.stopped) == (0, False)


class TestLeftovers:
    async def test_a_child_in_a_session_of_its_own_is_ended_and_told(self, agent):
        # The pipe closes when the child becomes another program: before that it has the name of what starts it.
        script = (
            "import os\n"
            "read, write = os.pipe()\n"
            "if os.fork() == 0:\n"
            "    os.setsid()\n"
            "    if os.fork() == 0:\n"
            "        print(os.getpid(), flush=True)\n"
            "        os.execvp('sleep', ['sleep', '600'])\n"
            "    os._exit(0)\n"
            "os.close(write)\n"
            "os.wait()\n"
            "os.read(read, 1)\n"
        )
        await agent.python(script)
        record = await agent.ended()
        assert (record.exit_code, record.leftovers) == (0, ["sleep"])
        assert not alive(int(agent.output))
        assert not agent.dir.agent_alive()

    @pytest.mark.slow
    async def test_one_that_does_not_listen_is_killed(self, agent, monkeypatch):
        child = (
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
            "print('up', flush=True); time.sleep(600)"
        )
        await agent.python(
            f"import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True, "
            "stdout=subprocess.PIPE)\nchild.stdout.readline()\nprint(child.pid)\n"
        )
        record = await agent.ended()
        assert len(record.leftovers) == 1
        assert not alive(int(agent.output))

    async def test_stop_ends_the_tree(self, agent):
        # The agent does not leave because its children did.
        await agent.start(
            "/bin/bash",
            "-c",
            "trap '' TERM; setsid sleep 600 & echo $!; setsid sleep 600 & echo $!; wait; exec sleep 600",
        )
        await agent.until(lambda: agent.output.count(b"\n") == 2)
        agent.dir.tell("stop 0.1")
        record = await agent.ended()
        assert record.signal == signal.SIGKILL
        assert not any(alive(int(pid)) for pid in agent.output.split())

    async def test_exit_is_recorded_only_when_all_are_gone(self, agent):
        # Left once it is `sleep`: before that it has the name of what starts it.
        slept = "until read -r name < /proc/$!/comm && [ $name = sleep ]; do :; done"
        await agent.start("/bin/bash", "-c", f"setsid sleep 600 & echo $!; {slept}")
        pid = int((await agent.until(lambda: agent.output.endswith(b"\n") and agent.output)).strip())
        await agent.until(lambda: agent.dir.exit.exists())
        assert not alive(pid)
        assert (await agent.ended()).leftovers == ["sleep"]


NAP = 0.15
"""Seconds."""
FORKER = f"""
import os, signal, sys, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("up", flush=True)
while True:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep({NAP})
        os._exit(0)
    time.sleep(0.001)
"""
"""Always forks: children in sessions of their own, whose children are orphans."""
COUNTER = "import sys, time\nfor n in range(10**9):\n    print(n, flush=True)\n    time.sleep(0.005)\n"


def openers(path: Path) -> list[int]:
    """
    The processes that have the file open, this one left out.
    """
    found = []
    for pid in everyone():
        with suppress(OSError):
            if pid != os.getpid() and any(fd.readlink() == path for fd in Path(f"/proc/{pid}/fd").iterdir()):
                found.append(pid)
    return found


class TestFreeze:
    async def frozen(self, agent) -> dict[int, str]:
        """
        The tree once all of it stands still, in two looks: one alone misses what is born during it.
        """

        def still():
            looks = [below(agent.pids["shim"]) for _ in range(2)]
            return looks[0] and looks[0] == looks[1] and set(looks[0].values()) <= {"T", "Z"} and looks[0]

        return await agent.until(still)

    async def test_a_tree_that_forks_without_end_stands_still_and_goes_on(self, agent):
        await agent.python(FORKER)
        await agent.says(b"up")
        for _ in range(3):
            agent.dir.tell("signal SIGSTOP")
            before = await self.frozen(agent)
            assert agent.pids["agent"] in before
            assert "T" not in stat_of(agent.pids["shim"])[1]
            # Nothing is born and nothing dies: what stands still cannot fork, and no sleeper ends, though one that lay down
            # after all of them has slept enough.
            await anyio.run_process(["sleep", str(NAP)])
            after = below(agent.pids["shim"])
            # Only what was dead already may be gone, once the shim has reaped it.
            assert set(after) <= set(before)
            assert after == {pid: state for pid, state in before.items() if state == "T" or pid in after}
            agent.dir.tell("signal SIGCONT")
            await agent.until(lambda before=set(before): set(below(agent.pids["shim"])) - before)
        agent.dir.tell("stop 5")
        assert (await agent.ended()).signal == signal.SIGTERM

    async def test_who_goes_on_by_itself_is_stopped_again(self, agent):
        await agent.python(COUNTER)
        await agent.says(b"3\n")
        agent.dir.tell("signal SIGSTOP")
        await self.frozen(agent)
        os.kill(agent.pids["agent"], signal.SIGCONT)
        await self.frozen(agent)
        said = agent.output
        agent.dir.tell("signal SIGCONT")
        await agent.until(lambda: agent.output != said)
        agent.dir.tell("stop 5")
        await agent.ended()

    async def test_what_was_stopped_by_others_is_left_so(self, agent):
        await agent.python(COUNTER)
        os.kill(agent.pids["agent"], signal.SIGSTOP)
        agent.dir.tell("signal SIGCONT")
        agent.dir.tell("eof")
        await agent.until(lambda: stat_of(agent.pids["agent"])[1] == "T")
        agent.dir.tell("stop 0")
        assert (await agent.ended()).signal == signal.SIGKILL

    async def test_the_grace_stands_still_with_the_tree(self, agent, tmp_path):
        with shimmed(tmp_path / "other") as other:
            for one in (agent, other):
                await one.python("import signal\nsignal.signal(signal.SIGTERM, lambda *_: None)\n" + COUNTER)
                await one.says(b"3\n")
            # In one breath: nothing of the grace goes by in between.
            agent.dir.tell("stop 0.2\nsignal SIGSTOP")
            await self.frozen(agent)
            # The same grace, begun later and not frozen, is over.
            other.dir.tell("stop 0.2")
            assert (await other.ended()).signal == signal.SIGKILL
            assert agent.dir.agent_alive()
            assert not agent.dir.exit.exists()
            agent.dir.tell("signal SIGCONT")
            assert (await agent.ended()).signal == signal.SIGKILL

    async def test_a_stop_of_what_stands_still_is_meant(self, agent):
        await agent.start("/bin/bash", "-c", "setsid sleep 600 & echo $!; trap '' TERM; while :; do sleep 0.01; done")
        await agent.says(b"\n")
        agent.dir.tell("signal SIGSTOP")
        await self.frozen(agent)
        agent.dir.tell("stop 0")
        record = await agent.ended()
        assert (record.signal, record.stopped) == (signal.SIGKILL, True)
        assert not alive(int(agent.output))

    async def test_what_a_frozen_agent_leaves_is_ended_without_waking_it(self, agent):
        left = "import os, signal\nsignal.signal(signal.SIGTERM, lambda *_: print('woken', flush=True))\n" + COUNTER
        await agent.python(
            f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {left!r}], start_new_session=True)\n"
            "import time; time.sleep(600)"
        )
        await agent.says(b"3\n")
        agent.dir.tell("signal SIGSTOP")
        await self.frozen(agent)
        said = agent.output
        os.kill(agent.pids["agent"], signal.SIGKILL)
        record = await agent.ended()
        assert len(record.leftovers) == 1
        assert agent.output == said


class TestSurroundings:
    async def test_the_agent_holds_nothing_but_its_own(self, agent):
        spare = os.open("/dev/null", os.O_RDONLY)
        os.set_inheritable(spare, True)
        try:
            await agent.start("/bin/ls", "-l", "/proc/self/fd")
            await agent.ended()
        finally:
            os.close(spare)
        targets = [line.rpartition(" -> ")[2] for line in agent.output.decode().splitlines() if " -> " in line]
        names = sorted(Path(name).name for name in targets if not name.startswith("/proc/"))
        assert names == ["agent.lock", "stderr.log", "stdin.fifo", "stdout.jsonl"]

    async def test_its_environment_is_the_specs_and_its_signals_are_as_usual(self, agent):
        await agent.python(
            "import os, signal\nprint({k: v for k, v in os.environ.items() if k != 'LC_CTYPE'})\n"
            "print([signal.getsignal(s) is signal.SIG_DFL for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)])\n"
            "print(signal.pthread_sigmask(signal.SIG_BLOCK, []))\nprint(oct(os.umask(0)))\nprint(os.getsid(0) == os.getpid())",
            MINE="1",
        )
        await agent.ended()
        environ, signals, mask, umask, session = agent.output.decode().splitlines()
        assert eval(environ) == {"PATH": os.environ["PATH"], MARK: str(agent.dir.path), "MINE": "1"}
        assert (signals, mask, umask, session) == ("[True, True, True]", "set()", "0o77", "True")

    async def test_files_are_private(self, agent):
        await agent.start("/bin/true")
        await agent.ended()
        assert {path.stat().st_mode & 0o077 for path in agent.dir.path.iterdir()} == {0}

    async def test_locks_are_held_while_it_runs_and_free_after(self, agent):
        await agent.python(ECHO)
        assert agent.dir.shim_alive()
        assert agent.dir.agent_alive()
        agent.dir.tell("eof")
        await agent.ended()
        assert not agent.dir.agent_alive()

    async def test_a_lock_outlives_the_shim_with_the_agent(self, agent):
        await agent.python("print('up'); import time; time.sleep(600)")
        await agent.says(b"up")
        pids = agent.pids
        os.kill(pids["shim"], signal.SIGKILL)
        await agent.until(lambda: not agent.dir.shim_alive())
        assert agent.dir.agent_alive()
        assert not agent.dir.exit.exists()
        assert agent.dir.tell("eof") is False
        assert end_heirs(agent.dir) == []  # the agent itself is no leftover
        await agent.until(lambda: not agent.dir.agent_alive())

    async def test_the_starter_and_its_terminal_may_go(self, agent, tmp_path):
        agent.dir.create(RunSpec(run=RUN, argv=[sys.executable, "-uc", ECHO], cwd="/", env={"PATH": "/bin"}))
        starter = (
            "import os, subprocess, sys\n"
            "subprocess.run([sys.executable, '-I', '-S', sys.argv[1], sys.argv[2]], check=True)\n"
            "print('started', flush=True)\nsys.stdin.read()"
        )
        command = [sys.executable, "-c", starter, SHIM, agent.dir.path]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        ) as process:
            assert process.stdout.readline() == b"started\n"
            os.killpg(process.pid, signal.SIGHUP)
            os.killpg(process.pid, signal.SIGKILL)
        agent.dir.send(b"alone\n")
        assert await agent.says(b"alone\n") == b"alone\n"
        agent.dir.tell("eof")
        assert (await agent.ended()).exit_code == 0

    @pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
    async def test_a_signal_to_the_shim_ends_nothing(self, agent, name):
        await agent.python(ECHO)
        os.kill(agent.pids["shim"], getattr(signal, name))
        agent.dir.send(b"here\n")
        await agent.says(b"here\n")
        agent.dir.tell("eof")
        assert (await agent.ended()).exit_code == 0


class TestLaunch:
    @pytest.mark.parametrize(
        ("argv", "cwd", "told"),
        [
            (["/no/such/agent"], "/", "FileNotFoundError: [Errno 2] No such file or directory: '/no/such/agent'"),
            (["/etc/passwd"], "/", "PermissionError"),
            (["/bin/true"], "/no/such/folder", "/no/such/folder"),
            ([], "/", "the agent could not be started"),
        ],
    )
    async def test_what_cannot_be_executed_is_told(self, agent, argv, cwd, told):
        agent.dir.create(RunSpec(run=RUN, argv=argv, cwd=cwd, env={}))
        with pytest.raises(AgentError, match="could not be started") as caught:
            await launch(agent.dir)
        assert told in caught.value.message
        assert not agent.dir.shim_alive()
        assert not agent.dir.agent_alive()

    async def test_a_run_directory_is_used_once(self, agent):
        await agent.start("/bin/true")
        await agent.ended()
        with pytest.raises(AgentError, match="has ended before"):
            await launch(agent.dir)

    async def test_two_shims_at_once_are_one(self, agent):
        await agent.python(ECHO)
        pids = agent.pids
        with pytest.raises(AgentError):
            await launch(agent.dir)
        assert agent.pids == pids
        agent.dir.tell("eof")
        assert (await agent.ended()).exit_code == 0

    async def test_a_look_at_its_lock_does_not_keep_it_from_starting(self, agent):
        agent.dir.create(RunSpec(run=RUN, argv=["/bin/true"], cwd="/", env={}))

        @contextmanager
        def looking():
            fd = os.open(agent.dir.shim_lock, os.O_RDONLY | os.O_CREAT, 0o600)
            fcntl.flock(fd, fcntl.LOCK_SH)
            try:
                yield
            finally:
                os.close(fd)

        async with anyio.create_task_group() as group:
            with looking():
                group.start_soon(launch, agent.dir)
                # It has opened the lock, could not take it, and sleeps until it tries again.
                await agent.until(lambda: any((stat_of(pid) or "-")[-1] == "S" for pid in openers(agent.dir.shim_lock)))
        assert (await agent.ended()).exit_code == 0

    async def test_a_spec_that_is_no_spec(self, agent):
        agent.dir.path.mkdir()
        agent.dir.spec.write_bytes(b"{")
        with pytest.raises(AgentError, match="JSONDecodeError"):
            await launch(agent.dir)


@pytest.mark.slow
async def test_a_full_disk_does_not_lose_the_end(agent):
    # The record cannot be written while something stands in its way; the shim keeps its lock and tries again.
    (agent.dir.path / "exit.json.new").mkdir(parents=True)
    await agent.start("/bin/true")
    await agent.until(lambda: b"exit.json" in (agent.dir.path / "shim.log").read_bytes())
    assert agent.dir.shim_alive()
    (agent.dir.path / "exit.json.new").rmdir()
    assert (await agent.ended()).exit_code == 0


@pytest.mark.slow
async def test_a_disk_too_full_to_complain_does_not_lose_the_end_either(agent):
    agent.dir.path.mkdir()
    (agent.dir.path / "shim.log").symlink_to("/dev/full")
    record = agent.dir.path / "exit.json.new"
    # What is written there cannot be synced, and it is seen to be written.
    os.mkfifo(record)
    reader = os.open(record, os.O_RDONLY | os.O_NONBLOCK)
    try:
        await agent.start("/bin/true")
        await agent.until(lambda: select.select([reader], [], [], 0)[0])
        record.unlink()
    finally:
        os.close(reader)
    await agent.until(lambda: not agent.dir.shim_alive())
    assert agent.dir.exit.exists()
    assert (await agent.ended()).exit_code == 0
