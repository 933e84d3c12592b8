"""
Stop everything that the runs of a home do, and let it go on: through the shims, and beside them.

A shim stops its own tree, whatever that forks.  What has no shim (an agent whose shim was killed, a check, a command that
makes a tree ready), or one that does not act, is found by the mark in its environment, and so is what it started.  The
home's daemon is never stopped, whatever it descends from: nobody else could let it go on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from orchestrd.locks import daemon
from orchestrd.runner.processes import AT_REST, everyone, let_go, stat_of, stop
from orchestrd.runner.sweep import end_heirs, heirs, home_lock, strays
from orchestrd.storage.rundir import RunDir


def freeze(logs: Path, runs: Iterable[RunDir]) -> bool:
    """
    Stop the trees of *runs*, and whatever else lives of runs below *logs*; False when something still runs.
    """
    for run in runs:
        run.tell("signal SIGSTOP")
    return stop(lambda: marked(logs))


def fell(run: RunDir) -> None:
    """
    Kill the agent of *run* with its tree, where it stands: by its shim, and beside it, for that may not act.  What runs without an
    agent (a check, a command that makes the tree ready) is left to who started it.

    Raises `OSError` when that cannot be done now.
    """
    if run.shim_alive() or run.agent_alive():
        run.tell("stop 0")
        end_heirs(run)


def thaw(logs: Path, runs: Iterable[RunDir], condemned: Iterable[RunDir] = ()) -> None:
    """
    Let all of it go on, but for *condemned* runs, whose task was cancelled: one that stands still is killed instead.

    Raises `OSError` when that cannot be done now.
    """
    spared = [*runs]
    for run in condemned:
        if _stands_still(run):
            fell(run)
        else:
            # It was being brought to its end step by step: that goes on.
            spared.append(run)
    for run in spared:
        run.tell("signal SIGCONT")
    # What sleeps in the kernel (D) has the stop pending, and would obey it on waking.
    let_go(pid for pid, state in marked(logs).items() if state in "TD")


def at_rest(logs: Path) -> bool:
    """
    True while nothing of the runs below *logs* runs.
    """
    return all(state in AT_REST for state in marked(logs).values())


def _stands_still(run: RunDir) -> bool:
    return all(stat is None or stat[1] in AT_REST for stat in map(stat_of, heirs(run)))


def marked(logs: Path) -> dict[int, str]:
    """
    Every process of runs below *logs*, and what descends from one, with its state; this process and the home's daemon left out.
    """
    apart = {os.getpid(), daemon(home_lock(logs))}
    found = {pid for pids in strays(logs).values() for pid in pids}
    stats = {pid: stat for pid in everyone() if (stat := stat_of(pid)) is not None}
    level = found
    while level := {pid for pid, (parent, _) in stats.items() if parent in level} - found - apart:
        found |= level
    return {pid: stats[pid][1] for pid in sorted((found & stats.keys()) - apart)}


def shims(logs: Path) -> list[RunDir]:
    """
    The run directories below *logs* whose shim lives: for who does not know from the journal what is live.
    """
    folders = (RunDir(path) for path in logs.glob("*/*/*") if path.is_dir())
    return [run for run in folders if not run.exit.exists() and run.shim_alive()]
