"""
What a captured stream holds.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from orchctl.render import figures
from orchctl.render.screen import pairs
from orchestrd.protocol.inspection import Inspection


def captured(found: Inspection) -> RenderableType:
    """
    The figures of one file; what is not in it is not shown.
    """
    ended = Text("no result: the run was cut off or goes on", style="yellow")
    if found.is_error is not None:
        reason = (found.terminal_reason or "").replace("_", " ")
        ended = Text(f"error: {reason}", style="red") if found.is_error else Text(reason or "done", style="green")
    lines = [f"{found.events:,} read"]
    lines += [f"{found.malformed:,} malformed"] if found.malformed else []
    lines += [f"{found.unknown:,} of unknown type"] if found.unknown else []
    tokens = found.tokens
    about = " (estimated: not everything was billed yet)" if found.cost_is_estimate else ""
    rows: list[tuple[str, Any]] = [
        ("Session", figures.one_line(found.session or "none")),
        ("Model", figures.one_line(", ".join(found.models) or "none")),
        ("CLI", figures.one_line(found.cli_version or "unknown")),
        ("Events", ", ".join(lines)),
        ("Ended", ended),
        ("Results", str(found.results)),
        ("Cost", f"{figures.money(found.cost_usd)}{about}"),
        (
            "Tokens",
            f"{tokens.input:,} input · {tokens.output:,} output · "
            f"{tokens.cache_read:,} cache read · {tokens.cache_write:,} cache write",
        ),
        ("Tools", _tools(found)),
    ]
    if found.permission_denials:
        denied = Counter(denial.tool_name or "unknown tool" for denial in found.permission_denials)
        rows.append(("Denied", Text(_counted(denied), style="red")))
    if found.api_retries:
        rows.append(("Retries", str(found.api_retries)))
    rows += [("Asked", Text(figures.one_line(text), style="magenta")) for text in found.questions]
    rows += [("Error", Text(figures.one_line(text), style="red")) for text in found.errors]
    if found.unknown_types:
        rows.append(("Unknown", _counted(Counter(found.unknown_types))))
    if found.torn_tail:
        rows.append(("Torn", f"the last {figures.many(found.torn_tail, 'byte')} are an unfinished line"))
    return Group(Text(found.file, style="bold"), pairs(rows))


def _tools(found: Inspection) -> str:
    if not found.tool_calls:
        return "none"
    failed = sum(call.is_error is True for call in found.tool_calls)
    nested = sum(call.subagent is not None for call in found.tool_calls)
    extra = [f"{failed} failed"] if failed else []
    extra += [f"{nested} by subagents"] if nested else []
    words = figures.many(len(found.tool_calls), "call")
    if extra:
        words += f" ({', '.join(extra)})"
    return f"{words}: {_counted(Counter(call.name for call in found.tool_calls))}"


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{figures.one_line(name)} {number}" for name, number in counter.most_common())
