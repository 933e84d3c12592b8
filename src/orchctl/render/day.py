"""
A day at a glance: one line a task, then the money, the daemon, and what waits for the person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchctl.render import figures, states
from orchctl.render.question import how_to_answer
from orchestrd.protocol import api

GAP = 2
LEAST = 12
"""Columns below which a name or a note tells nothing."""
_TALLY = ("succeeded", "failed", "cancelled", "running", "checking", "waiting", "paused", "blocked", "queued")
_ENDED = frozenset(("succeeded", "failed", "cancelled"))


def day(
    status: api.Status,
    questions: Mapping[str, api.Question],
    *,
    width: int,
    rows: int | None = None,
    later: float = 0.0,
    now: float | None = None,
    ascii_only: bool = False,
) -> RenderableType:
    """
    The whole view.  *questions* by id; *rows* limits the tasks shown; *later*: seconds since the status was true; *now*:
    wall time, for the daemon's age.
    """
    warned = [Text(figures.one_line(words), style="bold yellow") for words in status.warnings]
    if status.day is None:
        none = Text("No tasks yet.  Submit a file: orchctl submit tasks/YYYY-MM-DD.yaml")
        head: list[RenderableType] = [none, *warned]
    else:
        shown, hidden = _fitting(status.tasks, rows)
        head = [
            _heading(status),
            *warned,
            Text(""),
            _table(shown, questions, width=width, later=later, ascii_only=ascii_only),
        ]
        if hidden:
            head.append(Text(f"… and {_tally(hidden)}", style="dim"))
    return Group(*head, Text(""), *_footer(status, now=now, ascii_only=ascii_only))


def note(task: api.TaskStatus, question: api.Question | None) -> Text:
    """
    What is worth knowing of a task in one line.
    """
    words = Text()
    if task.violations:
        words.append(f"{figures.many(task.violations, 'violation')}  ", style="bold red")
    if task.question:
        words.append(f"{figures.one_line(question.note)}; " if question and question.note else "", style="yellow")
        words.append("asks: ", style="bold magenta")
        words.append(figures.one_line(question.text) if question else task.question)
    elif task.state in ("running", "checking"):
        words.append(figures.one_line("; ".join(part for part in (task.activity, task.why) if part)))
    elif task.state == "succeeded":
        words.append(evidence(task) or figures.one_line(task.why))
    elif task.state == "failed":
        kind = (task.outcome or "").replace("_", " ")
        why = figures.one_line(task.why)
        told = not kind or kind in why or (kind == "violation" and task.violations)
        words.append(why if why and told else f"{kind}: {why}" if why else kind)
    else:
        words.append(figures.one_line(task.why))
    return words


def evidence(task: api.TaskStatus) -> str:
    """
    What is there to show: ``3 files, 2/3 deliverables, 1/1 checks, applied``.
    """
    parts = [figures.many(task.files_changed, "file")] if task.files_changed else []
    if task.deliverables:
        found = sum(d.status == "found" for d in task.deliverables)
        parts.append(f"{found}/{figures.many(len(task.deliverables), 'deliverable')}")
    if task.checks:
        passed = sum(c.status == "passed" for c in task.checks)
        parts.append(f"{passed}/{figures.many(len(task.checks), 'check')}")
    if task.applied_at:
        parts.append("applied")
    return ", ".join(parts)


def cost_line(cost: api.CostStatus, *, ascii_only: bool = False) -> Text:
    """
    ``█████░░░  $12.40 of $50.00 (25 %)``.
    """
    style = "red" if cost.fraction >= 1 else "yellow" if cost.fraction >= 0.75 else "green"
    line = Text.assemble((figures.bar(cost.fraction, ascii_only=ascii_only), style))
    line.append(f"  {figures.money(cost.spent_usd)} of {figures.money(cost.limit_usd)} ({cost.fraction:.0%})")
    if cost.reserved_usd > 0:
        line.append(f"  {figures.money(cost.reserved_usd)} reserved", style="dim")
    return line


def _heading(status: api.Status) -> Text:
    return Text.assemble((status.day or "", "bold"), "  ", _tally(status.tasks), no_wrap=True, overflow="ellipsis")


def _tally(tasks: Sequence[api.TaskStatus]) -> str:
    by_state = Counter(task.state for task in tasks)
    order = [name for name in _TALLY if by_state[name]]
    return f"{figures.many(len(tasks), 'task')}: {', '.join(f'{by_state[name]} {name}' for name in order)}"


def _fitting(
    tasks: Sequence[api.TaskStatus], rows: int | None
) -> tuple[Sequence[api.TaskStatus], Sequence[api.TaskStatus]]:
    """
    The tasks to show and those that do not fit: what goes on comes before what has ended, and that before the queue.
    """
    if rows is None or len(tasks) <= rows:
        return tasks, ()
    rank = {name: 1 if name in _ENDED else 2 if name == "queued" else 0 for name in states.ORDER}
    places = sorted(range(len(tasks)), key=lambda place: (rank.get(tasks[place].state, 0), place))
    kept = set(places[: max(rows - 1, 1)])
    return (
        [task for place, task in enumerate(tasks) if place in kept],
        [task for place, task in enumerate(tasks) if place not in kept],
    )


def _table(
    tasks: Sequence[api.TaskStatus],
    questions: Mapping[str, api.Question],
    *,
    width: int,
    later: float,
    ascii_only: bool,
) -> Table:
    columns: dict[str, list[Text]] = {name: [] for name in ("TASK", "STATE", "NAME", "TIME", "COST", "TOKENS", "")}
    for task in tasks:
        begun = task.started_at is not None
        worked = task.worked_seconds + (later if task.state == "running" else 0.0)
        row = (
            Text(figures.one_line(task.id), style=states.colour(task.state)),
            states.state(task.state, ascii_only=ascii_only),
            Text(figures.one_line(task.name)),
            Text(figures.span(worked) if begun else ""),
            Text(figures.money(task.cost_usd) if begun else ""),
            Text(figures.count(figures.all_tokens(task.tokens)) if begun else ""),
            note(task, questions.get(task.question or "")),
        )
        for cells, cell in zip(columns.values(), row, strict=True):
            cells.append(cell)
    wide = _widths(
        {name: max(cell.cell_len for cell in [*cells, Text(name)]) for name, cells in columns.items()}, width
    )
    table = Table(box=None, padding=(0, GAP, 0, 0), header_style="dim", pad_edge=False)
    for name, columns_width in wide.items():
        figure = name in ("TIME", "COST", "TOKENS")
        table.add_column(name, width=columns_width, no_wrap=True, justify="right" if figure else "left")
    for row_cells in zip(*(columns[name] for name in wide), strict=True):
        table.add_row(*row_cells)
    return table


def _widths(natural: dict[str, int], width: int) -> dict[str, int]:
    """
    How wide each column is in *width* columns of screen.  Figures are whole or not there; names and notes are cut.
    """
    wide = dict(natural)
    wide["TASK"] = min(wide["TASK"], max(LEAST, width // 4))
    for name in ("", "TOKENS", "COST", "TIME", "NAME"):
        rigid = sum(size for column, size in wide.items() if column not in ("NAME", ""))
        left = width - rigid - GAP * (len(wide) - 1)
        if left >= min(natural["NAME"], LEAST) + (min(natural[""], LEAST) if "" in wide else 0):
            break
        if name != "" or natural[""] == 0:
            del wide[name]
    if "NAME" not in wide:
        return wide
    note_width = natural[""] if "" in wide else 0
    # What the notes do not need, the names may have; else the notes get the larger part.
    wide["NAME"] = max(1, min(natural["NAME"], max(left * 2 // 5, left - note_width)))
    if "" in wide:
        wide[""] = max(1, min(note_width, left - wide["NAME"]))
    return wide


def _window(window: api.UsageWindow) -> Text:
    """
    ``Window  five hour: 82% used, resets at 17:42``, and that what is asked beyond it costs money, where it does.
    """
    words = f"{figures.one_line(window.kind).replace('_', ' ')}: "
    words += f"{window.utilization:.0%} used" if window.utilization is not None else figures.one_line(window.status)
    words += ", paid overage in use" if window.overage else ""
    resets = figures.local_time(window.resets_at)
    style = "red" if window.status == "rejected" else "yellow" if window.status != "allowed" else ""
    return Text.assemble(("Window  ", "dim"), (f"{words}, resets at {resets}" if resets else words, style))


def _footer(status: api.Status, *, now: float | None, ascii_only: bool) -> list[Text]:
    lines: list[Text] = []
    if status.day is not None:
        lines.append(Text.assemble(("Cost    ", "dim"), cost_line(status.cost, ascii_only=ascii_only)))
    daemon = status.daemon
    parts = [f"pid {daemon.pid}", figures.many(daemon.agents, "agent")]
    started = figures.moment(daemon.started_at)
    if now is not None and started is not None:
        parts.append(f"up {figures.span(now - started)}")
    lines.append(Text.assemble(("Daemon  ", "dim"), " · ".join([*parts, daemon.version])))
    if daemon.sandbox is not None:
        # Told in any case: nobody should have to guess whether it holds.
        style = "" if daemon.sandbox.on else "yellow" if daemon.sandbox.wanted else "dim"
        lines.append(Text.assemble(("Agents  ", "dim"), (figures.one_line(daemon.sandbox.text), style)))
    if daemon.hold:
        held = f"nothing new starts: {figures.one_line(daemon.hold)}"
        lines.append(Text.assemble(("Held    ", "dim"), (held, "red")))
    lines += [_window(window) for window in status.windows]
    for question in status.asks:
        words = "; ".join(figures.one_line(part) for part in (question.note, question.text) if part)
        words += f"  {how_to_answer(question)}"
        lines.append(Text.assemble(("Asks    ", "dim"), (words, "bold magenta")))
    asking = sum(task.question is not None for task in status.tasks) + len(status.asks)
    if asking:
        verb = "waits" if asking == 1 else "wait"
        lines.append(
            Text(f"{figures.many(asking, 'question')} {verb} for you: orchctl questions", style="bold magenta")
        )
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    # Whole, for it ends with what the person can do.
    account = Text.assemble(("Account ", "dim"), (figures.one_line(status.account), "red"))
    return [*lines, account] if status.account else lines
