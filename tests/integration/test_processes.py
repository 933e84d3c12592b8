"""
Stop and let go real processes, whatever they are in the middle of.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from kit.processes import until

from orchestrd.runner.processes import below, let_go, stat_of, stop, threads

STARTS_A_CHILD = """
    import ctypes, os, sys, threading

    def go_on():
        with open("ticks", "ab", buffering=0) as ticks:
            while True:
                ticks.write(b".")

    threading.Thread(target=go_on, daemon=True).start()
    # posix_spawn(3) waits for its child as vfork(2) does, and the child waits for somebody to write.
    libc, actions, pid = ctypes.CDLL(None), ctypes.create_string_buffer(1024), ctypes.c_int()
    libc.posix_spawn_file_actions_init(actions)
    libc.posix_spawn_file_actions_addopen(actions, 0, b"gate", os.O_RDONLY, 0)
    argv = (ctypes.c_char_p * 2)(b"/bin/true", None)
    print("up", flush=True)
    libc.posix_spawn(ctypes.byref(pid), b"/bin/true", actions, None, argv, None)
    os.waitpid(pid.value, 0)
"""


@pytest.fixture
def parent(tmp_path):
    """
    A process of two threads: one writes to ``ticks``, the first one sleeps until its child has opened ``gate``,
    and that child is stopped.
    """
    os.mkfifo(tmp_path / "gate")
    code = textwrap.dedent(STARTS_A_CHILD)
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"up\n"
            until(lambda: stat_of(process.pid)[1] == "D" and below(process.pid))
            # The kernel's word of a child that stops later would wake the second thread.
            (child,) = below(process.pid)
            os.kill(child, signal.SIGSTOP)
            until(lambda: stat_of(child)[1] == "T")
            yield process
        finally:
            for pid in [*below(process.pid), process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def test_a_parent_that_waits_in_the_kernel_stands_still_with_all_its_threads(parent, tmp_path: Path):
    def look():
        return {parent.pid: stat_of(parent.pid)[1], **below(parent.pid)}

    assert stop(look)
    assert set(threads(parent.pid).values()) <= {"D", "T"}
    size = (tmp_path / "ticks").stat().st_size
    assert stop(look)
    assert (tmp_path / "ticks").stat().st_size == size
    let_go(look())
    # The child goes on as well, and so does the parent after it.
    until(lambda: (tmp_path / "ticks").stat().st_size > size)
    with (tmp_path / "gate").open("wb"):
        assert parent.wait(30) == 0
