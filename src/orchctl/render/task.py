"""
One task with everything known about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orchctl.render import figures, states
from orchctl.render.question import question_lines
from orchctl.render.screen import pairs
from orchestrd.protocol import api


def task(
    status: api.TaskStatus,
    question: api.Question | None,
    logs: api.Logs | None,
    history: Sequence[api.Attempt] = (),
    *,
    now: float | None = None,
    ascii_only: bool = False,
) -> RenderableType:
    """
    The detailed view.  *logs* are the newest run's files, None while there was no run; *history* is every run.
    """
    heading = Text.assemble((f"{status.day}/{status.id}", "bold"), "  ", figures.one_line(status.name))
    parts: list[RenderableType] = [heading, pairs(_facts(status, ascii_only=ascii_only))]
    found = [(d.path or figures.one_line(d.text), d.status) for d in status.deliverables]
    parts += _findings("Deliverables", found, ascii_only=ascii_only)
    parts += _findings("Checks", [(c.name, c.status) for c in status.checks], ascii_only=ascii_only)
    if question is not None:
        parts += [Text(""), *question_lines(question, now=now)]
    parts += _violations(status)
    if len(history) > 1:
        parts += _attempts(history)
    if logs is not None:
        parts += [Text(""), pairs([("Stream", logs.stdout), ("Errors", logs.stderr)])]
    return Group(*parts)


def _facts(status: api.TaskStatus, *, ascii_only: bool) -> list[tuple[str, Any]]:
    state = states.state(status.state, ascii_only=ascii_only)
    if status.outcome and status.outcome != status.state:
        state.append(f" ({status.outcome.replace('_', ' ')})")
    tokens = status.tokens
    rows: list[tuple[str, Any]] = [("State", state)]
    rows += _given("Why", figures.one_line(status.why))
    rows += _given("Doing", figures.one_line(status.activity) if status.state in ("running", "checking") else "")
    rows += _given("Module", status.module)
    if status.run:
        rows.append(("Run", f"{status.run}, {figures.many(status.attempts, 'attempt')}"))
    rows += _given("Model", status.model)
    if status.started_at:
        until = figures.local_time(status.ended_at) or "now"
        worked = figures.span(status.worked_seconds)
        rows.append(("Time", f"{worked} of work, {figures.local_time(status.started_at)} to {until}"))
        rows.append(("Cost", figures.money(status.cost_usd)))
        rows.append(
            (
                "Tokens",
                f"{tokens.input:,} input · {tokens.output:,} output · "
                f"{tokens.cache_read:,} cache read · {tokens.cache_write:,} cache write",
            )
        )
        rows.append(("Tools", figures.many(status.tool_calls, "call")))
    if status.files_changed:
        rows.append(("Work", f"{figures.many(status.files_changed, 'file')}: orchctl diff {status.id}"))
    rows += _given("Applied", figures.local_time(status.applied_at))
    if status.snapshots:
        newest = figures.local_time(status.snapshot_at)
        rows.append(
            (
                "Kept",
                f"{figures.many(status.snapshots, 'snapshot')}, newest {newest}: orchctl restore {status.id} --list",
            )
        )
    rows += _given("Restored", figures.local_time(status.restored_at))
    if status.violations:
        rows.append(("Violations", Text(str(status.violations), style="bold red")))
    return rows


def _violations(status: api.TaskStatus) -> list[RenderableType]:
    """
    What was denied, under which id, and what the person allows all the same.
    """
    parts: list[RenderableType] = []
    if status.violation_list:
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
        for found in status.violation_list:
            became = "allowed since" if found.allowed else "halted" if found.halted else "denied"
            what = figures.one_line(f"{found.tool}: {found.target}")
            table.add_row(found.id, found.rule, became, Text(what, overflow="fold"))
        parts += [Text(""), Text("Violations, denied before they ran", style="bold"), Padding(table, (0, 0, 0, 2))]
        open_ = [found for found in status.violation_list if not found.allowed]
        if status.state in ("failed", "cancelled") and open_:
            how = f"If one was right: orchctl retry {status.id} --allow {open_[-1].id}"
            parts.append(Padding(Text(how, style="dim"), (0, 0, 0, 2)))
    if status.allowed:
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
        for one in status.allowed:
            table.add_row(one.id, f"by {one.by}", Text(figures.one_line(f"{one.tool}: {one.target}"), overflow="fold"))
        how = f"Take one back: orchctl policy disallow {status.id} ID"
        parts += [Text(""), Text("Allowed beyond the rules", style="bold"), Padding(table, (0, 0, 0, 2))]
        parts.append(Padding(Text(how, style="dim"), (0, 0, 0, 2)))
    return parts


def _attempts(history: Sequence[api.Attempt]) -> list[RenderableType]:
    """
    Every attempt: when, how it ended and why, what it cost.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    for attempt in history:
        ended = (attempt.cause or attempt.outcome or "at work").replace("_", " ")
        table.add_row(
            attempt.run.rpartition("/")[2],
            figures.local_time(attempt.started_at),
            figures.money(attempt.cost_usd),
            f"{ended}{', resumed' if attempt.resumed else ''}",
            Text(figures.one_line(attempt.reason), style="dim", no_wrap=True, overflow="ellipsis"),
        )
    return [Text(""), Text("Attempts", style="bold"), Padding(table, (0, 0, 0, 2))]


def _given(label: str, value: str | None) -> list[tuple[str, Any]]:
    return [(label, value)] if value else []


def _findings(title: str, found: list[tuple[str, str]], *, ascii_only: bool) -> list[RenderableType]:
    if not found:
        return []
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for text, status in found:
        grid.add_row(states.finding(status, ascii_only=ascii_only), figures.one_line(text))
    return [Text(""), Text(title, style="dim"), Padding(grid, (0, 0, 0, 2))]
