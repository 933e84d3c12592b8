"""
A day's report as a Markdown page.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestrd.domain.containment import in_words
from orchestrd.domain.model import TaskState, usd
from orchestrd.domain.report import DayReport, TaskReport

_OPEN = tuple(state for state in TaskState if not state.ended)
_MARK = {
    "found": "found",
    "missing": "**missing**",
    "unchanged": "unchanged",
    "unverified": "unverified",
    "pending": "pending",
}


def page(report: DayReport) -> str:
    """
    The whole page, ending with a line feed.
    """
    parts = [_head(report), _table(report)]
    parts += [_task(task) for task in report.tasks]
    parts += [_questions(report), _violations(report), _money(report), _next(report), _method()]
    return "\n\n".join(part for part in parts if part) + "\n"


def money(nano: int) -> str:
    """
    Nano-USD as dollars with four digits.
    """
    return f"{'-' if nano < 0 else ''}${usd(abs(nano)):.4f}"


def duration(seconds: float) -> str:
    """
    ``45 s``, ``3 min 20 s``, ``2 h 05 min``.
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _head(report: DayReport) -> str:
    spent = usd(report.spent)
    limit = usd(report.limit)
    share = f" ({report.spent / report.limit:.0%})" if report.limit else ""
    lines = [
        f"# Report for {report.day}",
        "",
        f"- Tasks: {report.count(TaskState.SUCCEEDED)} succeeded, {report.count(TaskState.FAILED)} failed, "
        f"{report.count(TaskState.CANCELLED)} cancelled, {report.count(*_OPEN)} open",
        f"- Cost: ${spent:.4f} of ${limit:.2f}{share}",
        f"- Tokens: {report.usage.input:,} input, {report.usage.output:,} output, "
        f"{report.usage.cache_read:,} cache read, {report.usage.cache_write:,} cache write",
        f"- Agents worked {duration(report.worked)}, waiting for answers not counted",
        f"- Questions: {len(report.questions)}, violations: {len(report.violations)}",
    ]
    lines += _held(report)
    if report.stopped:
        # Short of it, the rest is kept for summaries, or is not enough for another task.
        full = report.spent >= report.limit
        where = "The day's limit was reached" if full else "The day was stopped short of its limit"
        lines.append(f"- **{where}; {'agents were halted' if report.halted else 'nothing more was started'}.**")
    elif report.warned:
        lines.append("- The warning threshold of the day's limit was passed.")
    return "\n".join(lines)


def _held(report: DayReport) -> list[str]:
    """
    How the agents were held, the ways of holding that there were, each with the tasks.
    """
    by_words: dict[str, list[str]] = {}
    for task in report.tasks:
        if task.containment is not None:
            by_words.setdefault(in_words(task.containment), []).append(task.id)
    if len(by_words) == 1:
        return [
            f"- Agents ran {words}" if words.startswith("in ") else f"- Agents ran with {words}" for words in by_words
        ]
    return [f"- Agents of {', '.join(tasks)}: {words}" for words, tasks in by_words.items()]


def _table(report: DayReport) -> str:
    rows = [
        [t.id, t.name, str(t.state), str(t.attempts), duration(t.worked), money(t.cost), _counts(t)]
        for t in report.tasks
    ]
    return "## Tasks\n\n" + _grid(["Task", "Name", "State", "Runs", "Worked", "Cost", "Deliverables"], rows)


def _counts(task: TaskReport) -> str:
    counts: dict[str, int] = {}
    for found in task.deliverables:
        counts[found.status] = counts.get(found.status, 0) + 1
    return ", ".join(f"{count} {status}" for status, count in counts.items()) or "—"


def _task(task: TaskReport) -> str:
    lines = [f"### {task.id}: {task.name}", "", f"State: **{task.state}**"]
    if task.outcome is not None and task.outcome.value != task.state.value:
        lines[-1] += f" ({task.outcome})"
    if task.reason:
        lines[-1] += f" — {_inline(task.reason)}"
    if task.deliverables:
        lines += ["", "Deliverables:", ""]
        lines += [f"- {_inline(found.text)}: {_MARK.get(found.status, found.status)}" for found in task.deliverables]
    if task.checks:
        lines += ["", "Checks run by the daemon:", ""]
        lines += [f"- `{_inline(check.name)}`: {check.status} ({duration(check.seconds)})" for check in task.checks]
    elif task.state is TaskState.SUCCEEDED:
        lines += ["", "No checks were configured: that the work is right rests on the agent's word."]
    if task.files:
        lines += ["", "Files:", ""]
        lines += [
            f"- {change.kind}: `{change.path}`{_lines(change.additions, change.deletions)}"
            for change in task.files[:100]
        ]
        shown = min(100, len(task.files))
        if task.file_count > shown:
            lines.append(f"- … and {task.file_count - shown} more: `orchctl diff {task.id} --stat`")
        lines += ["", f"Applied: {'yes' if task.applied else 'worked in place' if task.in_place else 'no'}"]
    text = task.summary.strip() or task.said.strip()
    if text:
        source = "Summary by the agent" if task.summary.strip() else "Last words of the agent"
        lines += ["", f"{source}:", "", *(f"> {line}".rstrip() for line in text[:4000].splitlines())]
    notes = []
    if task.warned:
        notes.append("the warning threshold of its own limit was passed")
    if task.left_out:
        notes.append(
            f"left out (too large, too deep or closed): {', '.join(f'`{_inline(path)}`' for path in task.left_out)}"
        )
    if task.drift:
        notes.append(f"the CLI's account differs from tokens × prices by {money(task.drift)}")
    if task.damaged:
        notes.append(f"{task.damaged} unreadable lines in the stream")
    if task.leftovers:
        notes.append(f"{task.leftovers} processes left behind were ended")
    if task.quarantined:
        notes.append("a conversation could not be taken up again and was set aside: the task started afresh")
    if notes:
        lines += ["", f"Notes: {'; '.join(notes)}."]
    return "\n".join(lines)


def _lines(additions: int | None, deletions: int | None) -> str:
    return f" (+{additions} −{deletions})" if additions is not None and deletions is not None else ""


def _questions(report: DayReport) -> str:
    if not report.questions:
        return ""
    rows = []
    for q in report.questions:
        waited = duration(q.waited) if q.waited is not None else "still open"
        rows.append([q.id, _inline(q.text), str(q.state), waited, _inline(q.answer or "—"), q.by or "—"])
    return "## Questions\n\n" + _grid(["Id", "Question", "State", "Waited", "Answer", "By"], rows)


def _violations(report: DayReport) -> str:
    if not report.violations:
        return "## Violations\n\nNone was tried."
    rows = [[v.id, v.tool, v.rule, _inline(v.target), v.became] for v in report.violations]
    grid = "## Violations (denied before they ran)\n\n" + _grid(["Id", "Tool", "Rule", "What", "Became"], rows)
    happened = [f"- {v.id}: {_inline(v.reason)} {_inline(v.evidence)}" for v in report.violations if v.evidence]
    return "\n\n".join([grid, "But seen to have happened:", "\n".join(happened)]) if happened else grid


def _money(report: DayReport) -> str:
    by_module = [[_inline(name), money(cost)] for name, cost in sorted(report.by_module.items(), key=lambda i: -i[1])]
    by_model = [
        [
            name,
            money(s.cost),
            f"{s.usage.input:,}",
            f"{s.usage.output:,}",
            f"{s.usage.cache_read:,}",
            f"{s.usage.cache_write:,}",
        ]
        for name, s in sorted(report.by_model.items(), key=lambda i: -i[1].cost)
    ]
    return (
        "## Cost\n\n"
        + _grid(["Module", "Cost"], by_module)
        + "\n\n"
        + _grid(["Model", "Cost", "Input", "Output", "Cache read", "Cache write"], by_model)
    )


def _next(report: DayReport) -> str:
    steps = [f"{number}. {step}" for number, step in enumerate(report.next_steps, 1)]
    if not steps:
        opened = report.count(*_OPEN)
        steps = [f"{opened} tasks are still open: `orchctl status`" if opened else "Nothing is left to do."]
    return "## Next steps\n\n" + "\n".join(steps)


def _method() -> str:
    return (
        "---\n\n*found*: the path exists and the run changed it. *unchanged*: it exists as before. *unverified*: prose, or "
        "optional and absent; nobody looked. Costs are the CLI's own accounts; where a process died before giving one, "
        "tokens × prices."
    )


def _grid(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(_cell(text) for text in row)} |" for row in rows]
    return "\n".join(lines)


def _cell(text: str) -> str:
    # A bar inside a cell would end it (GitHub Flavored Markdown, tables extension).
    return _inline(text).replace("|", "\\|")


def _inline(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 300 else f"{flat[:299]}…"
