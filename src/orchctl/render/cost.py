"""
Sums of money: for people, and for spreadsheets.
"""

from __future__ import annotations

import csv
import io
from typing import TextIO

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchctl.render import figures
from orchestrd.protocol import api

NAMELESS = "(none)"
"""What tasks of no module are under."""
DRIFT_USD = 0.005
"""What differs by less between the CLI's accounts and our readings is not worth a word."""
COLUMNS = (
    "runs", "usd", "estimated_usd", "drift_usd", "input", "output", "cache_read", "cache_write", "limit_usd", "unpriced",
)  # fmt: skip


def table(costs: api.Costs) -> RenderableType:
    """
    One line a sum, the total, and what is to be known of it.
    """
    if not costs.lines:
        return Text("Nothing was spent." if costs.first is None else f"Nothing was spent {_days(costs)}.")
    limited = any(line.limit_usd is not None for line in costs.lines)
    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    grid.add_column(costs.by, no_wrap=True)
    for name in ("cost", *(["of"] if limited else []), "runs", "input", "output", "cache read", "cache write"):
        grid.add_column(name, justify="right", no_wrap=True)
    for line in costs.lines:
        grid.add_row(*_cells(line, limited=limited))
    if len(costs.lines) > 1:
        grid.add_row(*_cells(costs.total, limited=limited, name="total"), style="bold")
    return Group(grid, *_remarks(costs))


def comma_separated(costs: api.Costs, out: TextIO) -> None:
    """
    The sums as CSV (RFC 4180, but lines end with LF): money in USD with every digit there is, lists joined by semicolons, and in
    quotes what holds one.  What a spreadsheet would take for a formula has an apostrophe before it.
    """
    # What may end a line somewhere is quoted: a lone CR as well as a LF.
    writer = csv.writer(_Lines(out), lineterminator="\r\n")
    writer.writerow([costs.by, *COLUMNS])
    for line in costs.lines:
        money = [_exact(line.usd), _exact(line.estimated_usd), _exact(line.drift_usd)]
        tokens = [line.tokens.input, line.tokens.output, line.tokens.cache_read, line.tokens.cache_write]
        names = _plain(_joined(line.unpriced))
        writer.writerow([_plain(line.key), line.runs, *money, *tokens, _exact(line.limit_usd), names])


class _Lines:
    """
    Where rows that end with CR LF are written as lines.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, row: str) -> int:
        return self._out.write(row.removesuffix("\r\n") + "\n")


def _joined(names: list[str]) -> str:
    """
    *names* in one cell, from which each can be read again, whatever it holds.
    """
    cell = io.StringIO(newline="")
    if names:
        csv.writer(cell, delimiter=";", lineterminator="\r\n").writerow(names)
    return cell.getvalue().removesuffix("\r\n")


def _plain(text: str) -> str:
    """
    *text* as no spreadsheet takes it for a formula (OWASP, *CSV injection*).
    """
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _cells(line: api.CostLine, *, limited: bool, name: str = "") -> list[str]:
    tokens = line.tokens
    of = [figures.money(line.limit_usd) if line.limit_usd is not None else ""] if limited else []
    counts = map(figures.count, (tokens.input, tokens.output, tokens.cache_read, tokens.cache_write))
    mark = "*" if line.unpriced else ""
    key = name or figures.one_line(line.key) or NAMELESS
    return [key, f"{figures.money(line.usd)}{mark}", *of, str(line.runs), *counts]


def _remarks(costs: api.Costs) -> list[RenderableType]:
    whole = costs.total
    told: list[str] = []
    if whole.unpriced:
        names = ", ".join(map(figures.one_line, whole.unpriced))
        told.append(f"* no price is known for {names}: counted at the dearest known one (config/prices.yaml)")
    if whole.estimated_usd > 0:
        told.append(f"{figures.money(whole.estimated_usd)} of it are our own readings of what is still at work.")
    drift = whole.drift_usd or 0.0
    if abs(drift) >= DRIFT_USD:
        more = "more" if drift > 0 else "less"
        told.append(
            f"The agent CLI accounts for {figures.money(abs(drift))} {more} than we had read "
            f"(prices of {costs.prices_of}); its figure counts."
        )
    return [Text(""), *(Text(line, style="dim") for line in told)] if told else []


def _days(costs: api.Costs) -> str:
    return f"on {costs.first}" if costs.first == costs.last else f"from {costs.first} to {costs.last}"


def _exact(amount: float | None) -> str:
    """
    USD to the nano-dollar, without needless zeros; empty for None.
    """
    return "" if amount is None else f"{amount:.9f}".rstrip("0").rstrip(".")
