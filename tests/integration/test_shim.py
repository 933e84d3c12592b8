"""
The shim with real processes: nothing is lost, nothing is left, and whoever started it may die.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from factories import RUN
from orchestrd.errors import AgentError
from orchestrd.runner.launch import MARK, SHIM, end_marked, launch
from orchestrd.storage.rundir import RunDir, RunSpec

pytestmark = pytest.mark.anyio
PATIENCE = 20.0
ECHO = "import sys\nfor line in sys.stdin.buffer:\n    sys.stdout.buffer.write(line); sys.stdout.buffer.flush()\n"


class Agent:
    """
    A run directory with an agent in it.
    """

    def __init__(self, path: Path) -> None:
        self.dir = RunDir(path)

    async def start(self, *argv: str, grace: float = 5.0, **env: str) -> None:
        environment = {"PATH": os.environ["PATH"], MARK: str(self.dir.path), **env}
        self.dir.create(RunSpec(run=RUN, argv=list(argv), cwd=str(self.dir.path), env=environment, grace=grace))
        await launch(self.dir)

    async def python(self, script: str, **more) -> None:
        await self.start(sys.executable, "-u", "-c", script, **more)

    @property
    def pids(self) -> dict:
        return json.loads((self.dir.path / "process.json").read_bytes())

    async def until(self, ready):
        with anyio.fail_after(PATIENCE):
            while not (found := ready()):
                await anyio.sleep(0.005)
        return found

    async def ended(self):
        """
        How it ended, once the shim is gone as well.
        """
        await self.until(lambda: self.dir.exit.exists() and not self.dir.shim_alive())
        return self.dir.exit_record()

    async def says(self, text: bytes) -> bytes:
        return await self.until(lambda: text in self.output and self.output)

    @property
    def output(self) -> bytes:
        return self.dir.stdout.read_bytes() if self.dir.stdout.exists() else b""


@pytest.fixture
def agent(tmp_path):
    agent = Agent(tmp_path / "run")
    yield agent
    for name in ("shim", "agent"):
        try:
            os.kill(agent.pids[name], signal.SIGKILL)
        except (ProcessLookupError, FileNotFoundError):
            continue
    end_marked(agent.dir)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != b"Z"


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
        script = (
            "import os, time\n"
            "if os.fork() == 0:\n"
            "    os.setsid()\n"
            "    if os.fork() == 0:\n"
            "        print(os.getpid(), flush=True)\n"
            "        os.execvp('sleep', ['sleep', '600'])\n"
            "    os._exit(0)\n"
            "os.wait()\n"
            "time.sleep(0.1)\n"
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
        await agent.start(
            "/bin/bash", "-c", "trap '' TERM; setsid sleep 600 & echo $!; setsid sleep 600 & echo $!; wait; wait"
        )
        await agent.until(lambda: agent.output.count(b"\n") == 2)
        agent.dir.tell("stop 0.1")
        record = await agent.ended()
        assert record.signal == signal.SIGKILL
        assert not any(alive(int(pid)) for pid in agent.output.split())

    async def test_exit_is_recorded_only_when_all_are_gone(self, agent):
        await agent.start("/bin/bash", "-c", "setsid sleep 600 & echo $!")
        pid = int((await agent.until(lambda: agent.output.endswith(b"\n") and agent.output)).strip())
        await agent.until(lambda: agent.dir.exit.exists())
        assert not alive(pid)
        assert (await agent.ended()).leftovers == ["sleep"]


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
        assert end_marked(agent.dir) == 1
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
                await anyio.sleep(0.2)
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
