"""
A world whose agents are fake, quick and truthful, and whose daemon is killed at named places or at any moment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from kit.files import wait_file
from kit.ground import Ground
from kit.processes import alive
from kit.rpc import RpcError
from kit.script import DAY, task

from harness.script import Step, say, stream

HARNESS = Path(__file__).parent
GONE = (ConnectionError, FileNotFoundError, EOFError)
"""What a client of a daemon that died gets."""
REATTACHED = 2.0
"""Seconds from the start of a daemon, on a machine of its own, until every agent that lives is followed again."""
TIMES = 3.0
"""How many times what a start takes with nothing to follow that may be, on a machine that is slower than this was set for."""
DoneT = TypeVar("DoneT")


class Life(NamedTuple):
    """
    One daemon process: seconds from its start until it served and, when agents lived, until all of them were followed;
    *queued* of them it was ready to run and another process had the processor.
    """

    ready: float
    attached: float | None
    queued: float

    @property
    def own(self) -> float:
        """
        Seconds until all agents were followed, on a machine of its own.
        """
        return max(0.0, (self.attached or 0.0) - self.queued)


class FaultWorld(Ground):
    """
    A `Ground` with fake agents: what each does is written with `script` before its task is submitted.
    """

    def __init__(self, *, agents: int = 10, config: dict[str, Any] | None = None, **more: Any) -> None:
        """
        *agents* at a time; *config* and *more* as for `Ground`.
        """
        self.lives: list[Life] = []
        self.acknowledged: dict[str, tuple[str, Any]] = {}
        """Request id to method and result of every write that was answered."""
        self._failpoints: dict[str, str] = {}
        self.starts = 0
        self._rows: list[dict[str, Any]] = []
        self._read = 0
        settings = {
            "max_concurrent_agents": agents,
            "max_daily_cost_usd": 100_000.0,
            "busy_pause": "1s",
            "retries": 3,
            "question_frees_slot_after": "1h",
        }
        super().__init__(config={**settings, **(config or {})}, **more)

    # -- agents ------------------------------------------------------------------------------------------------------

    def furnish(self) -> dict[str, str]:
        self.fake = self.root / "fake"
        self.fake.mkdir(mode=0o700)
        self.truth_file = self.fake / "truth.jsonl"
        self.cli = self.root / "fake-agent"
        # By this interpreter, whatever is first on PATH; the modules it imports are compiled once.
        start = f"#!{sys.executable} -IS\nimport sys\nsys.path.insert(0, {str(HARNESS)!r})\n"
        self.cli.write_text(f"{start}from fake.agent import main\nmain(sys.argv[1:])\n", encoding="utf-8")
        self.cli.chmod(0o700)
        return {"FAKE_AGENT": str(self.fake)}

    def agent_settings(self) -> dict[str, Any]:
        return {**super().agent_settings(), "stop_grace": "1s", "binary": str(self.cli)}

    def script(self, task: str, *attempts: list[Step]) -> None:
        """
        What the agents on *task* do: one list of steps an attempt, the last for all later ones too; ``default`` is for
        every task without a script.
        """
        (self.fake / f"{task}.json").write_text(json.dumps(attempts), encoding="utf-8")

    def truth_rows(self, *kinds: str) -> list[dict[str, Any]]:
        """
        The agents' own ledger (of these kinds).
        """
        if self.truth_file.exists():
            with self.truth_file.open("rb") as file:
                # Whole lines that were not read before: it only grows.
                file.seek(self._read)
                new = file.read()
            new = new[: new.rfind(b"\n") + 1]
            self._read += len(new)
            self._rows += [json.loads(line) for line in new.splitlines()]
        return [row for row in self._rows if not kinds or row["kind"] in kinds]

    def wait_truth(self, kind: str, *, since: int = 0, timeout: float = 60.0, **match: Any) -> dict[str, Any]:
        """
        The first entry of the ledger like this beyond byte *since*, past or to come.
        """

        def look(data: bytes) -> dict[str, Any] | None:
            # A line that was half there at *since* is one that came after it.
            for line in data[data.rfind(b"\n", 0, since) + 1 :].splitlines(keepends=True):
                if line.endswith(b"\n"):
                    row: dict[str, Any] = json.loads(line)
                    if row["kind"] == kind and all(row.get(name) == value for name, value in match.items()):
                        return row
            return None

        return wait_file(self.truth_file, look, timeout=timeout)  # type: ignore[return-value]

    def living(self) -> dict[str, int]:
        """
        Run to process id of every agent that began and has neither ended by itself nor is gone.
        """
        ended = {row["run"] for row in self.truth_rows("end", "die")}
        started = {row["run"]: row["pid"] for row in self.truth_rows("start")}
        # Process ids come round again.
        return {run: pid for run, pid in started.items() if run not in ended and alive(pid) and self.run_of(pid) == run}

    def run_of(self, pid: int) -> str | None:
        """
        The run that a process belongs to, by the directory its environment or its command line names.
        """
        logs = os.fsencode(self.home / "var" / "agent_logs") + b"/"
        for name in ("environ", "cmdline"):
            try:
                words = Path(f"/proc/{pid}/{name}").read_bytes().split(b"\0")
            except OSError:
                return None
            for word in words:
                folder = word.removeprefix(b"ORCHESTRD_RUN_DIR=")
                if folder.startswith(logs):
                    return os.fsdecode(folder.removeprefix(logs))
        return None

    # -- the daemon --------------------------------------------------------------------------------------------------

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, **self._failpoints}

    def start(self, failpoints: str = "", *, log: Path | None = None) -> None:
        """
        Start the daemon, with these *failpoints* armed and each pass logged to *log*, and wait until it serves.

        Raises `TimeoutError` when it dies before.
        """
        self.arm(failpoints, log=log)
        # A log for each life: it is read again at every change while its daemon starts.
        self.starts += 1
        self.log = self.root / f"daemon-{self.starts}.log"
        before = self.living()
        began = time.time()
        super().start()
        assert self.daemon is not None
        ready, attached = self._logged("daemon.ready", began), self._followed(before, began)
        self.lives.append(Life(ready, attached, queued(self.daemon.pid)))

    @property
    def reattached_within(self) -> float:
        """
        Seconds in which, on this machine alone, every agent is to be followed again; its first daemon found none.
        """
        first = self.lives[0]
        return max(REATTACHED, TIMES * (first.ready - first.queued))

    def arm(self, failpoints: str = "", *, log: Path | None = None) -> None:
        """
        What the next daemon is started with.
        """
        self._failpoints = {"ORCHESTRD_TESTING": "1"} if failpoints or log else {}
        if failpoints:
            self._failpoints["ORCHESTRD_FAILPOINTS"] = failpoints
        if log:
            self._failpoints["ORCHESTRD_FAILPOINT_LOG"] = str(log)

    def died(self, timeout: float = 60.0) -> int:
        """
        Wait for the daemon's own end: its exit status, negative for a signal.
        """
        assert self.daemon is not None
        return self.daemon.wait(timeout)

    def restart(self) -> None:
        """
        SIGKILL, if it lives, and the next one.
        """
        if self.daemon is not None:
            self.kill()
        self.start()

    def two_at_work(self) -> tuple[int, int]:
        """
        A ``hostile`` agent and an ``innocent`` one, which work until they are ended and are soon done at their next try; their
        process ids.
        """
        for name in ("hostile", "innocent"):
            self.script(name, [stream(3000, every=0.05), say()], [stream(2), say()])
        self.submit_tasks(task("hostile", retries=0), task("innocent"), day=DAY)
        for name in ("hostile", "innocent"):
            self.wait_truth("told", run=f"{DAY}/{name}/1")
        return self.agent_pid("hostile/1"), self.agent_pid("innocent/1")

    def outlast(self, act: Callable[[], DoneT]) -> DoneT:
        """
        What *act* gives, tried again by the next daemon when this one dies under it.
        """
        while True:
            try:
                return act()
            except GONE:
                self.died()
                self.start()

    def kept(self, wait: Callable[[float], DoneT], timeout: float = 60.0) -> DoneT:
        """
        What *wait*, told how many seconds it has, gives at last; a daemon that dies meanwhile is followed by the next.
        """
        end = time.monotonic() + timeout
        while True:
            try:
                return wait(0.25)
            except TimeoutError:
                if time.monotonic() > end:
                    raise
                if self.daemon is not None and self.daemon.poll() is not None:
                    self.start()

    def write(self, method: str, **params: Any) -> Any:
        """
        A write that is asked for until a daemon answers it, always under one request id; refusals are answers too.
        """
        request = params.setdefault("request_id", str(uuid.uuid4()))
        try:
            found = self.outlast(lambda: self.rpc(method, **params))
        except RpcError as error:
            if error.data.get("exit_status") is None:
                raise
            found = error
        else:
            self.acknowledged[request] = (method, found)
        return found

    def left(self) -> set[str]:
        """
        The files of every snapshot of what was left in a task's tree.
        """
        git = ("git", "-C", str(self.home / "var" / "git" / "work.git"))
        words = ("for-each-ref", "--format=%(objectname) %(subject)")
        refs = subprocess.run([*git, *words], capture_output=True, text=True, check=True)
        files: set[str] = set()
        for ref in (line.split()[0] for line in refs.stdout.splitlines() if " left in the tree of " in line):
            tree = [*git, "ls-tree", "-r", "--name-only", ref]
            files.update(subprocess.run(tree, capture_output=True, text=True, check=True).stdout.split())
        return files

    def submit_tasks(self, *tasks: dict[str, Any], day: str, **more: Any) -> Any:
        """
        Submit a day by its text; answered or asked for again.
        """
        path = self.day(*tasks, day=day, **more)
        return self.write("task.submit", path=str(path), text=path.read_text(encoding="utf-8"))

    def _logged(self, event: str, began: float, **match: str) -> float:
        """
        Seconds from *began* (wall) until this life logged *event*.
        """

        def look(data: bytes) -> float | None:
            for line in data.splitlines():
                if line.startswith(b"{"):
                    entry = json.loads(line)
                    if entry["event"] == event and all(entry.get(name) == value for name, value in match.items()):
                        return float(_wall(entry["timestamp"]) - began)
            return None

        return wait_file(self.log, look, timeout=30.0, writer=self.daemon)  # type: ignore[return-value]

    def _followed(self, before: dict[str, int], began: float) -> float | None:
        """
        Seconds from *began* until each agent that lived *before* was followed again, or had ended.
        """
        times = []
        for run, pid in before.items():
            try:
                times.append(self._logged("run.attached", began, run=run))
            except TimeoutError:
                raise TimeoutError(f"{run} (process {pid}) is not followed again") from None
        return max(times, default=None)


def _wall(stamp: str) -> float:
    """
    Wall seconds of a log's time stamp.
    """
    return datetime.fromisoformat(stamp).timestamp()


def queued(pid: int) -> float:
    """
    Seconds that the process's main thread has waited for a processor, from ``/proc/PID/schedstat``; 0 when that is not told.
    """
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def rss_kib(pid: int) -> int:
    """
    Resident memory of a process, KiB; 0 when it is gone.
    """
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS:")), 0)


def open_files(pid: int) -> int:
    """
    How many files a process has open; 0 when it is gone.
    """
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0
