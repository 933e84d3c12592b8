"""
Look at the machine's processes, stop them and end them: what the shim does to its tree, and the daemon to what has no shim.

Standard library only, and importable by path: the shim knows nothing else of the package.  A process is what
``/proc/PID/stat`` says (proc(5)).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROUNDS = 200
"""Looks for what was forked while a tree was being stopped; `PAUSE` lies between two."""
PAUSE = 2
"""Milliseconds."""
AT_REST = frozenset("TtZX")
"""States in which a process runs no instruction until somebody lets it: stopped, traced, dead."""


def boot_id() -> str:
    """
    The name of this boot of the machine (random(4)); empty when there is none.
    """
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def stop(look: Callable[[], dict[int, str]]) -> bool:
    """
    Stop what *look* finds (process to state), in its order, until two looks in a row find nothing that runs: what is forked
    during a look is found by the next one.  False when that was not reached within `ROUNDS`.

    SIGSTOP cannot be caught, and a process that sleeps in the kernel (D) has it pending.  But the kernel may choose that very
    sleeper to take it, and wake no other thread: a parent in vfork(2) stays there while its child is stopped, and its other
    threads would go on (Linux 6.18, seen).  So whatever still runs after it was told is told thread by thread.
    """
    told: set[int] = set()
    quiet = False
    for _ in range(ROUNDS):
        running = [
            pid for pid, state in look().items() if not (state in AT_REST or (pid in told and _asleep(pid, state)))
        ]
        if not running and quiet:
            return True
        quiet = not running
        for pid in running:
            for thread in threads(pid) if pid in told else ():
                _tell_thread(pid, thread, signal.SIGSTOP)
            send(pid, signal.SIGSTOP)
        told.update(running)
        select.poll().poll(PAUSE)
    return False


def let_go(pids: Iterable[int]) -> None:
    """
    SIGCONT, last ones first: who looks after children finds none of them standing still.
    """
    for pid in reversed(list(pids)):
        send(pid, signal.SIGCONT)


def kill(pids: Iterable[int]) -> None:
    """
    SIGKILL, last ones first: the end of a parent would wake its stopped children (an orphaned process group gets SIGCONT).
    """
    for pid in reversed(list(pids)):
        send(pid, signal.SIGKILL)


def below(root: int, *, apart: int | None = None) -> dict[int, str]:
    """
    Every process below *root* with its state, parents first; without the process *apart*, and without what is below that.
    """
    found = {pid: stat for pid in everyone() if (stat := stat_of(pid)) is not None}
    result: dict[int, str] = {}
    level = {root}
    while level:
        level = {pid for pid, (parent, _) in found.items() if parent in level and pid != apart}
        result |= {pid: found[pid][1] for pid in level}
    return result


def everyone() -> list[int]:
    """
    The ids of all processes.
    """
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def stat_of(pid: int) -> tuple[int, str] | None:
    """
    ``(parent, state)`` of a process, or None when it is gone.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(fields[1]), fields[0].decode()


def threads(pid: int) -> dict[int, str]:
    """
    The threads of a process, each with its state; empty when it is gone.
    """
    found: dict[int, str] = {}
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{name}/stat", "rb") as file:
                found[int(name)] = file.read().rpartition(b")")[2].split()[0].decode()
    return found


def comm(pid: int) -> str:
    """
    The process's own name, empty when it is gone.
    """
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def send(pid: int, number: int) -> None:
    """
    Signal a process; one that has just gone is no error.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _asleep(pid: int, state: str) -> bool:
    """
    True when the first thread of a process sleeps in the kernel, and every other does or is at rest.
    """
    return state == "D" and all(other == "D" or other in AT_REST for other in threads(pid).values())


def _tell_thread(pid: int, thread: int, number: int) -> None:
    """
    tgkill(2), which glibc has since 2.30; one that has just gone is no error, nor is a libc without it.
    """
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).tgkill(pid, thread, number)


def oom_kills() -> int:
    """
    How many processes of this control group the kernel has ended for lack of memory: ``memory.events`` of version 2,
    ``memory.oom_control`` of version 1 (the kernel's admin-guide); 0 where neither is to be read.
    """
    found = 0
    with contextlib.suppress(OSError, ValueError), open("/proc/self/cgroup", encoding="utf-8") as groups:
        for line in groups:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            name = "/memory.oom_control" if "memory" in controllers.split(",") else "/memory.events"
            folder = "/sys/fs/cgroup/memory" if controllers else "/sys/fs/cgroup"
            with contextlib.suppress(OSError), open(folder + path + name, encoding="ascii") as counts:
                found += sum(int(count.split()[1]) for count in counts if count.startswith("oom_kill "))
    return found
