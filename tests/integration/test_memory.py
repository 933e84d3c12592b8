"""
How much memory there is and who holds it: the machine's own ``/proc`` with processes that hold some, and control groups
as files.
"""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrd.ancestry import MARK
from orchestrd.runner.memory import Memory, held, memory

MB = 1 << 20
HOLD = "import sys; kept = b'x' * ({mb} << 20); print('held', flush=True); sys.stdin.read()"
MAPPED = (
    "import mmap, sys; f = open(sys.argv[1], 'rb'); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ); "
    "sum(m[::4096]); print('held', flush=True); sys.stdin.read()"
)
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """
    Starts a process that says when it holds what it was asked to, and ends with the test.
    """
    started: list[subprocess.Popen[bytes]] = []

    def act(code: str, *args: str, folder: Path | None = None, **env: str) -> subprocess.Popen[bytes]:
        surroundings = {"PATH": os.environ["PATH"], **({MARK: str(folder)} if folder else {}), **env}
        process = subprocess.Popen(
            [sys.executable, "-c", code, *args], env=surroundings, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        return process

    yield act
    for process in started:
        process.kill()
        process.communicate()


class TestHeld:
    @pytest.mark.slow
    def test_each_run_has_its_own(self, start, tmp_path):
        one, two = tmp_path / "logs" / "t" / "1", tmp_path / "logs" / "t" / "2"
        start(HOLD.format(mb=120), folder=one)
        start(HOLD.format(mb=40), folder=one)
        start(HOLD.format(mb=60), folder=two, BEFORE="x", AFTER="y")
        start(HOLD.format(mb=30), folder=tmp_path / "logs of another home" / "t" / "1")
        start(HOLD.format(mb=30))
        found = held(tmp_path / "logs")
        assert 160 * MB <= found[one] < 220 * MB
        assert 60 * MB <= found[two] < 100 * MB
        assert found.keys() == {one, two}

    @pytest.mark.slow
    def test_what_a_child_holds_counts(self, start, tmp_path):
        child = HOLD.format(mb=100)
        start(
            f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True); p.wait()",
            folder=tmp_path,
        )
        assert 100 * MB <= held(tmp_path)[tmp_path] < 150 * MB

    @pytest.mark.slow
    def test_a_mapped_file_is_nobodys(self, start, tmp_path):
        """
        All agents map the same program of hundreds of megabytes, and the kernel takes its pages back when it needs them.
        """
        file = tmp_path / "program"
        file.write_bytes(b"x" * (100 * MB))
        start(MAPPED, str(file), folder=tmp_path)
        assert 0 < held(tmp_path)[tmp_path] < 50 * MB

    def test_nothing_once_it_is_gone(self, start, tmp_path):
        process = start(HOLD.format(mb=20), folder=tmp_path)
        process.kill()
        process.wait()
        assert held(tmp_path) == {}


def test_the_machines_own():
    found = memory()
    assert found is not None
    assert 0 < found.available <= found.total
    assert found.total <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.slow
def test_what_this_process_takes_is_no_longer_available():
    taken = 400 * MB

    def seen() -> int:
        before = memory()
        with mmap.mmap(-1, taken) as pages:
            for place in range(0, taken, mmap.PAGESIZE):
                pages[place] = 1
            during = memory()
        assert before is not None
        assert during is not None
        return before.available - during.available

    # Others take and give at the same time, and the kernel takes its time to gather what was given back.
    assert any(taken * 0.4 < seen() < taken * 1.6 for _ in range(20))


class Kernel:
    """
    A ``/proc`` and its control groups, as files.
    """

    def __init__(self, root: Path, groups: str, mounts: str, *, total: int = 1000, available: int = 600) -> None:
        self.proc = root / "proc"
        self.tree = root / "sys fs"  # mountinfo writes the space as \040
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "meminfo").write_text(
            f"MemTotal: {total} kB\nMemFree: 1 kB\nMemAvailable: {available} kB\nHugePages: 0\n"
        )
        (self.proc / "self" / "cgroup").write_text(groups)
        place = str(self.tree).replace(" ", "\\040")
        (self.proc / "self" / "mountinfo").write_text(
            f"22 28 0:20 / /proc rw,relatime shared:12 - proc proc rw\n{mounts.format(place)}"
        )

    def group(self, path: str, **files: int | str) -> None:
        """
        Files of a control group, ``memory_max`` for ``memory.max``; sizes in KiB.
        """
        folder = self.tree / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in files.items():
            text = value if isinstance(value, str) else str(value * 1024)
            (folder / name.replace("_", ".", 1)).write_text(f"{text}\n")

    def memory(self) -> tuple[int, int] | None:
        """
        Total and available in KiB.
        """
        found = memory(self.proc)
        return None if found is None else (found.total // 1024, found.available // 1024)


V2 = "30 23 0:26 / {} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "35 31 0:32 / {} rw,relatime - cgroup cgroup rw,memory\n36 31 0:33 / /sys/fs/x rw - cgroup cgroup rw,cpu\n"


class TestControlGroups:
    def test_none(self, tmp_path):
        assert Kernel(tmp_path, "0::/\n", V2).memory() == (1000, 600)

    def test_a_limit_above_the_machine_changes_nothing(self, tmp_path):
        kernel = Kernel(tmp_path, "0::/a\n", V2)
        kernel.group("a", memory_max=5000, memory_current=10, memory_stat="")
        assert kernel.memory() == (1000, 600)

    def test_the_lowest_on_the_way_up(self, tmp_path):
        kernel = Kernel(tmp_path, "0::/user.slice/app.slice/o.service\n", V2)
        kernel.group("user.slice/app.slice/o.service", memory_max="max", memory_current=100)
        kernel.group(
            "user.slice/app.slice", memory_max=500, memory_high="max", memory_current=300, memory_stat="anon 5"
        )
        kernel.group("user.slice", memory_max=900, memory_current=850, memory_stat="")
        kernel.group("other.slice", memory_max=1, memory_current=1)
        # The least total and the least that is left need not be the same group's.
        assert kernel.memory() == (500, 50)

    def test_file_cache_can_be_had(self, tmp_path):
        kernel = Kernel(tmp_path, "0::/a\n", V2)
        stat = f"anon 7\nfile 99\ninactive_file {100 * 1024}\nactive_file {20 * 1024}\nslab 1"
        kernel.group("a", memory_max=500, memory_current=400, memory_stat=stat)
        assert kernel.memory() == (500, 220)

    def test_where_it_is_slowed_down_counts_as_the_limit(self, tmp_path):
        kernel = Kernel(tmp_path, "0::/a\n", V2)
        kernel.group("a", memory_max=500, memory_high=200, memory_current=150, memory_stat="")
        assert kernel.memory() == (200, 50)

    def test_more_in_use_than_allowed_leaves_nothing(self, tmp_path):
        kernel = Kernel(tmp_path, "0::/a\n", V2)
        kernel.group("a", memory_max=100, memory_current=150, memory_stat="")
        assert kernel.memory() == (100, 0)

    def test_version_one(self, tmp_path):
        kernel = Kernel(tmp_path, "8:pids:/p\n4:cpu,memory:/a/b\n0::/\n", V1)
        stat = f"inactive_file 1\ntotal_inactive_file {30 * 1024}\ntotal_active_file {5 * 1024}"
        kernel.group("a/b", memory_limit_in_bytes=9223372036854771712 // 1024, memory_usage_in_bytes=1)
        kernel.group("a", memory_limit_in_bytes=400, memory_usage_in_bytes=100, memory_stat=stat)
        assert kernel.memory() == (400, 335)

    def test_in_a_container_that_sees_a_part(self, tmp_path):
        kernel = Kernel(tmp_path, "0::/docker/abc/x\n", V2.replace(" / {}", " /docker/abc {}"))
        kernel.group("x", memory_max=400, memory_current=100, memory_stat="")
        assert kernel.memory() == (400, 300)

    def test_in_a_group_that_cannot_be_seen(self, tmp_path):
        kernel = Kernel(tmp_path, "0::/../other\n", V2)
        kernel.group("other", memory_max=1, memory_current=1)
        assert kernel.memory() == (1000, 600)


def test_a_kernel_that_does_not_say(tmp_path):
    assert memory(tmp_path) is None
    (tmp_path / "meminfo").write_text("MemTotal: 5 kB\n")
    assert memory(tmp_path) is None
    (tmp_path / "meminfo").write_text("MemTotal: 5 kB\nMemAvailable: 3 kB\n")
    assert memory(tmp_path) == Memory(5 * 1024, 3 * 1024)
