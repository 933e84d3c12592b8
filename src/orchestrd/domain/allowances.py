"""
What a person allows one task beyond the rules, act by act, and takes back again.
"""

from __future__ import annotations

from orchestrd.domain import events as ev
from orchestrd.domain.rows import TaskRow, ViolationRow
from orchestrd.domain.state import State
from orchestrd.errors import NotFound, Refused


def allow(state: State, task: TaskRow, names: list[str], by: str) -> list[ev.TaskAllowed]:
    """
    The facts that allow *task* the acts that were denied as the violations *names*, such as ``task-001/1.2`` or ``1.2``.

    Raises `NotFound` for a violation that is not known or another task's, `Refused` for one that is allowed already or that
    nobody can allow.
    """
    found = [_violation(state, task, name) for name in dict.fromkeys(names)]
    facts: list[ev.TaskAllowed] = []
    for row in found:
        if row.fixed:
            raise Refused(
                f"{row.name} cannot be allowed: it touches what keeps this program in charge of its agents",
                hint="No rule of config/policy.yaml opens that either.  Do it yourself, if it has to be done.",
            )
        if not row.act:
            raise Refused(
                f"{row.name} cannot be allowed: it was recorded by an earlier version, which did not tell the act itself",
                hint=f"Without --allow the task begins anew: orchctl retry {task.key}",
            )
        known = {act for allowance in task.allowed.values() for act in [allowance.act]} | {fact.act for fact in facts}
        if row.act in known:
            raise Refused(
                f"{row.name} is allowed already: {row.tool} {row.target}",
                hint=f"Try the task again with: orchctl retry {task.key}",
            )
        facts.append(
            ev.TaskAllowed(task=task.key, allowance=row.name, act=row.act, tool=row.tool, target=row.target, by=by)
        )
    return facts


def hindered(state: State, task: TaskRow, facts: list[ev.TaskAllowed]) -> list[str]:
    """
    What stands in the way of what *facts* allow all the same, a line each, where an agent is held as that of the newest run was.
    """
    run = state.run(task.run) if task.run else None
    if run is None or run.containment is None or not run.containment.sandbox:
        return []
    rules = {row.name: row.rule for row in state.violations(task=task.key)}
    return [
        f"{fact.allowance}: where it changes the repository it fails all the same, for git is only read in a sandbox"
        for fact in facts
        if rules.get(fact.allowance) == "git"
    ]


def disallow(task: TaskRow, name: str, by: str) -> ev.TaskDisallowed:
    """
    The fact that takes back what *task* is allowed under *name*, which may lack the task.

    Raises `NotFound` when it is allowed nothing of that name.
    """
    short = task.spec.id
    for known in (
        name,
        name.partition("/")[2] if name.startswith(f"{task.spec.day}/") else "",
        f"{short}/{name}",
        f"{short}{name}",
    ):
        if known in task.allowed:
            return ev.TaskDisallowed(task=task.key, allowance=known, by=by)
    hint = f"Allowed are: {', '.join(task.allowed)}" if task.allowed else "It is allowed nothing beyond the rules."
    raise NotFound(f"{task.key} is allowed nothing called {name}", hint=hint)


def session(state: State, task: TaskRow) -> str | None:
    """
    The conversation in which *task* can go on: that of its newest run, where one was begun and can be gone on with.
    """
    run = state.run(task.run) if task.run else None
    if run is None or run.quarantined or not (run.resumes or run.model is not None):
        return None
    return run.session


def _violation(state: State, task: TaskRow, name: str) -> ViolationRow:
    wanted = name.removeprefix(f"{task.spec.day}/")
    named = wanted if "/" in wanted else f"{task.spec.id}/{wanted}"
    own = state.violations(task=task.key)
    for row in own:
        if named == row.name:
            return row
    other = next(
        (row for row in state.violations() if name in (row.name, f"{row.task.partition('/')[0]}/{row.name}")), None
    )
    if other is not None:
        raise NotFound(f"{name} is a violation of {other.task}, not of {task.key}", hint=_known(own))
    raise NotFound(f"{task.key} has no violation {name}", hint=_known(own))


def _known(own: list[ViolationRow]) -> str:
    return f"It has {', '.join(row.name for row in own)}." if own else "It tried nothing that is forbidden."
