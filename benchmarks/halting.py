"""
How long does an agent live that tries what is forbidden?

For each run an agent leaves a sleeper of a session of its own behind, both of which ignore SIGTERM, and then calls a forbidden
tool.  Measured is the time from that call's line in its output until every process of its tree is dead, with so many *busy* agents
at work beside it.  At the end the distribution is printed.
Run: ``python benchmarks/halting.py [--runs 200] [--busy 2]``.  Exit status 1 when one in a hundred takes longer than 250 ms.
"""

from __future__ import annotations

import argparse
import os
import select
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "acceptance"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "faults"))

from harness.script import gate, grandchild, say, stream, stubborn, tool
from harness.world import FaultWorld
from kit.processes import of_runs, until
from kit.script import DAY, task

AHEAD = 5
"""How many agents are made ready at a time: that takes longer than what is measured."""
MOST = 0.25
"""Seconds within which 99 of 100 are to be dead."""
FORBIDDEN = "git commit -am forbidden"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--busy", type=int, default=2)
    wanted = parser.parse_args()
    found: list[float] = []
    with FaultWorld(agents=wanted.busy + AHEAD) as world:
        world.quiet = True
        for number in range(wanted.busy):
            world.script(f"busy-{number}", [stream(1_000_000, every=0.2), say()])
        names = [f"bad-{number}" for number in range(wanted.runs)]
        for name in names:
            call = tool("Bash", input={"command": FORBIDDEN})
            world.script(name, [stream(2), grandchild(stubborn=True), stubborn(), gate(name), call, say()])
        world.submit(*(task(f"busy-{number}", priority="urgent") for number in range(wanted.busy)), *map(task, names))
        for name in names:
            found.append(_seconds(world, name))
            if len(found) % 20 == 0:
                print(_told(found), flush=True)
        # The deed comes before its record.
        until(lambda: _halted(world) == {f"{DAY}/{name}/1" for name in names})
        world.orchctl("cancel", "--all")
    print(f"{wanted.busy} agents beside; from the call to the death of the tree: {_told(found)}")
    return 1 if _cuts(found)[98] > MOST else 0


def _halted(world: FaultWorld) -> set[str]:
    return {e["event"]["run"] for e in world.events("run.stopping") if e["event"]["cause"] == "violation"}


def _told(found: list[float]) -> str:
    cuts = _cuts(found)
    shares = {"median": cuts[49], "p90": cuts[89], "p99": cuts[98], "most": max(found)}
    return f"{len(found)} runs, " + ", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in shares.items())


def _cuts(found: list[float]) -> list[float]:
    return statistics.quantiles(found, n=100, method="inclusive")


def _seconds(world: FaultWorld, name: str) -> float:
    """
    From the forbidden call of this task on the stream to the end of its tree.
    """
    held = world.gate.arrive(name)
    output = world.run_dir(f"{name}/1") / "stdout.jsonl"
    own = f"{world.run_dir(name)}/".encode()
    tree = [pid for pid in of_runs(world.root) if own in _environ(pid) and b"shim.py" not in _words(pid)]
    assert len(tree) > 1, f"{name} has no tree"
    watched = {os.pidfd_open(pid) for pid in tree}
    poll = select.poll()
    for fd in watched:
        poll.register(fd, select.POLLIN)
    with output.open("rb") as file:
        file.seek(0, os.SEEK_END)
        held.release()
        said = b""
        while FORBIDDEN.encode() not in said:
            said += file.read()
            time.sleep(0.0005)
    began = time.monotonic()
    while watched:
        for fd, _ in poll.poll(30_000):
            poll.unregister(fd)
            os.close(fd)
            watched.discard(fd)
    return time.monotonic() - began


def _environ(pid: int) -> bytes:
    return _read(pid, "environ")


def _words(pid: int) -> bytes:
    return _read(pid, "cmdline")


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    sys.exit(main())
