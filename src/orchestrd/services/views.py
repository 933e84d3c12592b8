"""
The state in the shapes people see: what ``status``, ``questions`` and the status files show.

Pure functions of the state, the schedule's decision and the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Protocol

import msgspec

from orchestrd.clock import iso
from orchestrd.domain import account as accounts
from orchestrd.domain import ceiling, schedule, why
from orchestrd.domain.budget import Limits, PriceTable
from orchestrd.domain.containment import in_words
from orchestrd.domain.costs import Cost, total
from orchestrd.domain.costs import costs as spending
from orchestrd.domain.model import Containment, Grouping, TaskState, Usage, usd
from orchestrd.domain.money import dollars
from orchestrd.domain.rows import ABOUT_ACCOUNT, ABOUT_DAY, QuestionRow, QuestionState, TaskRow
from orchestrd.domain.state import State
from orchestrd.protocol import api
from orchestrd.protocol.fields import wall_time

_OWN = {ABOUT_DAY: "The day's limit", ABOUT_ACCOUNT: "The account"}
SUMS = 1000
"""Sums of money in one reply."""


class Live(Protocol):
    """
    Who follows a run: what its agent did last, and for how many seconds it was seen to work.
    """

    @property
    def activity(self) -> str: ...

    @property
    def worked(self) -> float: ...


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """
    A `Live` of nobody: what is known of a run that no session follows.
    """

    worked: float
    activity: str = ""


def sandbox(held: Containment) -> api.SandboxStatus:
    """
    How an agent that is started now is held.
    """
    return api.SandboxStatus(
        on=held.sandbox,
        network=str(held.network),
        credentials=str(held.credentials),
        why=held.why,
        wanted=held.wanted,
        text=in_words(held),
    )


def day_cost(state: State, limits: Limits, day: str) -> api.CostStatus:
    """
    The day's money.  *reserved* is what is kept for tasks at work and not spent.
    """
    limit = ceiling.limit_of(state, limits, day)
    spent = state.spent(day)
    return api.CostStatus(
        spent_usd=usd(spent),
        reserved_usd=usd(ceiling.kept(state, day, limit)),
        limit_usd=usd(limit),
        fraction=spent / limit if limit else 0.0,
    )


def costs(state: State, prices: PriceTable, limits: Limits, query: api.CostQuery) -> api.Costs:
    """
    A page of what *query* asks for.
    """
    days = [row.day for row in state.days()]
    first, last = (query.since or "", "9999-12-31") if query.day is None else (query.day, query.day)
    if query.by is not Grouping.DAY and query.day is None and query.since is None and days:
        first = days[-1]
    days = [day for day in days if first <= day <= last]
    sums = spending(state, prices, query.by, first=first, last=last)
    page = sums[query.offset : query.offset + SUMS]
    more = query.offset + len(page) < len(sums)
    return api.Costs(
        by=query.by.value,
        first=days[0] if days else None,
        last=days[-1] if days else None,
        lines=[_cost_line(cost, query.by, state, limits) for cost in page],
        total=_cost_line(total(sums), None, state, limits),
        prices_of=prices.date,
        next_offset=query.offset + len(page) if more else None,
    )


def _cost_line(cost: Cost, by: Grouping | None, state: State, limits: Limits) -> api.CostLine:
    row = state.day(cost.key) if by is Grouping.DAY else None
    return api.CostLine(
        key=cost.key,
        usd=usd(cost.cost),
        estimated_usd=usd(cost.estimated),
        drift_usd=None if by is Grouping.MODEL else usd(cost.drift),
        tokens=tokens(cost.usage),
        runs=len(cost.runs),
        unpriced=sorted(cost.unpriced),
        limit_usd=usd(limits.of_day(row)) if row is not None else None,
    )


def summary(state: State) -> str:
    """
    The daemon in a line: ``3 agents at work, 2 tasks queued, 1 question open``.
    """
    days = state.active_days()
    queued = sum(task.state is TaskState.QUEUED for day in days for task in state.tasks(day))
    asked = sum(question.state is QuestionState.OPEN for day in days for question in state.questions(day=day))
    counts = [(sum(run.open for run in state.runs()), "agent", "at work"), (queued, "task", "queued")]
    counts += [(asked, "question", "open")] if asked else []
    return ", ".join(f"{number} {noun}{'' if number == 1 else 's'} {doing}" for number, noun, doing in counts)


def task_status(
    state: State,
    row: TaskRow,
    decision: schedule.Decision,
    now: float,
    live: Callable[[str], Live],
    hitch: Callable[[QuestionRow], str] = lambda _: "",
    limits: Limits | None = None,
) -> api.TaskStatus:
    """
    One task at a glance; deliverables and checks are those of its newest run.  *live* gives who follows a run, *hitch* what
    keeps an answer to a question from being taken, or nothing, *limits* are those that it is held to.
    """
    runs = state.runs(task=row.key)
    last = runs[-1] if runs else None
    seen = live(last.key) if last is not None and last.open else None
    usage = Usage()
    for run in runs:
        usage += run.usage
    waiting = [q for q in state.questions(task=row.key) if q.state is QuestionState.OPEN]
    curbed = why.curbed(state, last, limits)
    shown, reason = why.brief(row, decision, waiting, last, hitch=first(waiting, hitch), curbed=curbed)
    # Of a task that waits for another run, why the last one ended.
    outcome = row.outcome or (last.outcome if last is not None and not row.state.alive else None)
    judged = {d.text: d for d in last.deliverables} if last else {}
    checked = {c.name: c for c in last.checks} if last else {}
    kept = state.snapshots(row.key)
    return api.TaskStatus(
        id=row.spec.id,
        day=row.spec.day,
        name=row.spec.name,
        state=str(shown),
        outcome=str(outcome) if outcome else None,
        run=row.run,
        attempts=row.attempts,
        cost_usd=usd(sum(run.cost for run in runs)),
        tokens=tokens(usage),
        tool_calls=sum(run.tool_calls for run in runs),
        started_at=iso(row.started_at),
        ended_at=iso(row.ended_at),
        question=waiting[0].id if waiting else None,
        why=reason,
        deliverables=[
            api.DeliverableStatus(
                text=d.text, path=d.path, status=judged[d.text].status if d.text in judged else "pending"
            )
            for d in row.spec.deliverables
        ],
        checks=[
            api.CheckStatus(name=c.name, status=checked[c.name].status if c.name in checked else "pending")
            for c in row.spec.checks
        ],
        violations=sum(run.violations for run in runs),
        violation_list=violations(state, row),
        allowed=[
            api.Allowed(id=name, tool=one.tool, target=one.target, by=one.by, at=iso(one.at) or "")
            for name, one in row.allowed.items()
        ],
        module=row.spec.module,
        model=(last.model if last else None) or row.spec.model,
        files_changed=max(last.file_count, len(last.files)) if last else 0,
        worked_seconds=round(
            sum(run.worked(now) if run is not last or seen is None else seen.worked for run in runs), 3
        ),
        applied_at=iso(row.applied_at),
        activity=seen.activity if seen is not None and last is not None and last.frozen_since is None else "",
        snapshots=len(kept.taken) if kept is not None else 0,
        snapshot_at=iso(kept.newest.at) if kept is not None and kept.newest is not None else None,
        restored_at=iso(kept.restored_at) if kept is not None else None,
    )


def first(questions: Sequence[QuestionRow], hitch: Callable[[QuestionRow], str]) -> str:
    """
    The first *hitch* that any of *questions* has; empty when none has one.
    """
    return next((words for words in map(hitch, questions) if words), "")


def violations(state: State, row: TaskRow) -> list[api.Violation]:
    """
    Every forbidden act that the agents on a task tried, the oldest first.
    """
    halting = {run.confirmed for run in state.runs(task=row.key)}
    return [
        api.Violation(
            id=found.name,
            run=found.run,
            at=iso(found.at) or "",
            tool=found.tool,
            rule=found.rule,
            target=found.target,
            reason=found.reason,
            halted=found.key in halting,
            allowed=bool(found.act) and row.allows(found.act),
        )
        for found in state.violations(task=row.key)
    ]


def history(state: State, task: str) -> list[api.Attempt]:
    """
    Every run of *task*, the oldest first.
    """
    return [
        api.Attempt(
            run=run.key,
            started_at=iso(run.started_at) or "",
            resumed=run.resumes,
            ended_at=iso(run.ended_at),
            outcome=str(run.outcome) if run.outcome else None,
            cause=str(run.cause) if run.cause else None,
            reason=run.reason,
            cost_usd=usd(run.cost),
        )
        for run in state.runs(task=task)
    ]


def asks(
    state: State, day: str | None, now: float, hitch: Callable[[QuestionRow], str] = lambda _: ""
) -> list[api.Question]:
    """
    What the daemon itself asks, about *day* or the account; *hitch* as for `task_status`.
    """
    row = state.day(day) if day is not None else None
    names = [name for name in (state.home().asked, row.asked if row else None) if name is not None]
    return [question(state, found, now, hitch(found)) for name in names if (found := state.question(name)) is not None]


def account(state: State, rules: schedule.Rules, now: float, zone: tzinfo) -> str:
    """
    What is the matter with the account at *now*, and what comes of it, times in *zone*; empty when nothing is.
    """
    return accounts.turn(state, now, zone, rules.quiet).reason if state.home().block is not None else ""


def warnings(state: State, limits: Limits, day: str) -> list[str]:
    """
    What the person is to know of limits on money: those of the day's and of its unfinished tasks' own of which the warning
    threshold is passed.
    """
    row, spent, limit = state.day(day), state.spent(day), ceiling.limit_of(state, limits, day)
    told: list[str] = []
    if row is not None and (row.stopped(limit) or row.closed(limit)):
        told.append(ceiling.shut(row, limits, spent, begun=True))
    elif row is not None and row.warned(limit):
        told.append(f"{_share(spent, limit)} of the day's limit of {dollars(limit)} is spent")
    for task in state.tasks(day):
        own = task.limit
        if own is not None and not task.state.ended and task.warned(own):
            share = _share(state.task_cost(task.key), own)
            told.append(f"{task.spec.id} has spent {share} of its own limit of {dollars(own)}")
    return told


def unfollowed(runs: Sequence[str]) -> list[str]:
    """
    What the person is to know of *runs* that live and that the journal does not know.
    """
    return [
        f"the agent of {run} is at work, and the journal does not know it: nobody follows it or counts what it spends "
        "(orchctl doctor --deep)"
        for run in runs
    ]


def _share(spent: int, limit: int) -> str:
    """
    Rounded down, so that nothing counts as all before it is: ``79%``.
    """
    return f"{spent * 100 // limit}%" if limit else "all"


def windows(state: State, now: float) -> list[api.UsageWindow]:
    """
    The usage windows that the service told of, the newest word last: none that has been reset before *now*, for of the one
    that follows it nothing is known yet.
    """
    return [
        api.UsageWindow(
            kind=kind,
            status=window.status,
            at=iso(window.at) or "",
            utilization=window.utilization,
            # An earlier version took what it was told for seconds, whatever it was.
            resets_at=iso(wall_time(window.resets_at)),
            overage=window.overage,
        )
        for kind, window in sorted(state.home().windows.items(), key=lambda found: found[1].at)
        if now < (wall_time(window.resets_at) or window.at + accounts.lasts(kind))
    ]


def tokens(usage: Usage) -> api.Tokens:
    """
    Token counts as they are shown.
    """
    return api.Tokens(
        input=usage.input, output=usage.output, cache_read=usage.cache_read, cache_write=usage.cache_write
    )


def question(state: State, row: QuestionRow, now: float, note: str = "") -> api.Question:
    """
    A question with its options lettered; *note* is what there is to say of its answer files.
    """
    task = state.task(row.task)
    return api.Question(
        id=row.id,
        task=row.task,
        asked_at=iso(row.asked_at) or "",
        text=row.text,
        options=[
            api.Option(key=letter(number), label=option.label, description=option.description)
            for number, option in enumerate(row.options)
        ],
        state=str(row.state),
        answered_by=row.answered_by,
        answer=row.answer,
        waited_seconds=round(row.waited(now), 3),
        multi=row.multi,
        task_name=task.spec.name if task else _OWN.get(row.task.partition("/")[2], ""),
        note=note,
    )


def letter(number: int) -> str:
    """
    A, B … Z, AA, AB … for 0, 1 …
    """
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("A") + rest) + text
    return text
