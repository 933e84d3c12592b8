"""
The journal, one fact a line: number, time, what happened, to what, and the rest in a few words.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from rich.text import Text

from orchctl.render import figures
from orchestrd.protocol import api

DETAIL_CHARS = 120
_NANO = 1_000_000_000

_DETAILS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "daemon.started": ("pid", "version"),
        "daemon.stopped": ("pid",),
        "day.submitted": ("source", "limit"),
        "day.limit_warned": ("spent", "limit"),
        "day.limit_reached": ("spent", "limit"),
        "task.submitted": ("name",),
        "task.updated": ("name",),
        "task.failed": ("outcome", "reason"),
        "task.requeued": ("reason",),
        "task.cancelled": ("by",),
        "task.limit_warned": ("spent", "limit"),
        "task.limit_reached": ("spent", "limit"),
        "task.limit_raised": ("amount", "by"),
        "task.applied": ("files",),
        "task.snapshot_taken": ("occasion", "commit", "left_out"),
        "task.snapshots_dropped": ("commits",),
        "task.tree_removed": ("commit",),
        "task.tree_restored": ("commit", "into", "by"),
        "run.started": ("attempt", "session"),
        "run.prepared": (),
        "run.initialised": ("model", "cli_version"),
        "run.stopping": ("outcome", "reason"),
        "run.exited": ("outcome", "reason", "exit_code", "files"),
        "run.spend_seen": ("model", "cost"),
        "run.spend_told": ("cost",),
        "run.spend_settled": ("source", "cost", "estimated"),
        "run.turn_ended": ("terminal_reason", "turns", "text"),
        "run.tool_called": ("tool", "target"),
        "run.tool_returned": ("is_error",),
        "run.retry_seen": ("attempt", "status", "error"),
        "run.rate_limit_seen": ("window", "status", "utilization"),
        "run.stream_damaged": ("offset", "length", "reason"),
        "run.violation_seen": ("rule", "tool", "target", "reason"),
        "home.frozen": ("by",),
        "home.thawed": ("by",),
        "question.asked": ("text",),
        "question.answered": ("by", "answer"),
        "question.withdrawn": ("reason",),
    }
)
_BARE = frozenset(
    ("terminal_reason", "name", "text", "reason", "answer", "tool", "target", "outcome", "model", "rule", "source")
)
_MONEY = frozenset(("cost", "spent", "limit", "estimated"))
_STYLES = (
    ("violation", "bold red"),
    ("failed", "red"),
    ("limit_reached", "red"),
    ("home.", "bold cyan"),
    ("succeeded", "green"),
    ("question", "magenta"),
    ("warned", "yellow"),
    ("damaged", "yellow"),
    ("retry", "yellow"),
    ("run.", "dim"),
)


def fact(record: api.EventRecord) -> Text:
    """
    One line.
    """
    style = next((style for part, style in _STYLES if part in record.type), "default")
    when = f"{record.seq:>6}  {figures.local_time(record.at)}  "
    line = Text.assemble((when, "dim"), (f"{record.type:<20}", style))
    for words in (subject(record.event), details(record)):
        if words:
            line.append(f"  {words}")
    return line


def subject(event: Mapping[str, Any]) -> str:
    """
    What a fact is about: a question, run, task or day by full name; empty for the daemon's own.
    """
    for key in ("question", "run", "task", "day"):
        if isinstance(event.get(key), str):
            return figures.one_line(event[key])
    return ""


def about(event: Mapping[str, Any]) -> str:
    """
    The full name of the task, or the day, that a fact is about; empty for the daemon's own.
    """
    question, run = event.get("question"), event.get("run")
    if isinstance(question, str):
        return question.rpartition("#")[0]
    if isinstance(run, str):
        return run.rpartition("/")[0]
    return str(event.get("task") or event.get("day") or "")


def details(record: api.EventRecord) -> str:
    """
    The rest of a fact in a few words.
    """
    event = record.event
    known = _DETAILS.get(record.type)
    if known is None:
        known = tuple(key for key, value in event.items() if key not in ("type", "question", "run", "task", "day"))
    spec = event.get("spec")
    values = {**spec, **event} if isinstance(spec, dict) else dict(event)
    spends = event.get("spends")
    if isinstance(spends, list):
        values["cost"] = sum(spend.get("cost", 0) for spend in spends if isinstance(spend, dict))
    words = [word for key in known if (word := _word(key, values.get(key)))]
    return figures.one_line(" · ".join(words), DETAIL_CHARS)


def _word(key: str, value: Any) -> str:
    if value is None or value == "" or value is False:
        return ""
    if isinstance(value, list):
        return figures.many(len(value), key.removesuffix("s"), key)
    if key in _MONEY and isinstance(value, int):
        amount = figures.money(value / _NANO)
        return amount if key in ("cost", "spent") else f"{key} {amount}"
    if value is True:
        return key.removeprefix("is_").replace("_", " ")
    if key in ("outcome", "terminal_reason"):
        return str(value).replace("_", " ")
    return str(value) if key in _BARE else f"{key.replace('_', ' ')} {value}"
