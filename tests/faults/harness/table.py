"""
The table of what was survived: rows travel with the tests' reports, so that it does not matter which process ran them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

KEY = "tally"
HEAD = ("row", "kills", "events checked", "lost", "doubled", "cents off", "note")


ELSEWHERE = {
    "F29": "not tested: there is no Telegram channel yet",
    "F39": "`make soak`",
}
"""Rows that no test here is about."""


class Row(NamedTuple):
    """
    What one test did to one row of the fault table, and what it found.
    """

    row: str
    kills: int = 0
    checked: int = 0
    lost: int = 0
    doubled: int = 0
    cents: float = 0
    note: str = ""


def lines(stats: dict[str, list[Any]]) -> list[str]:
    """
    The aligned table of all reports, one line a row: figures summed, notes joined.
    """
    rows: dict[str, Row] = {}
    for report in (report for reports in stats.values() for report in reports):
        if getattr(report, "when", "") != "call":
            continue
        for key, value in report.user_properties:
            if key == KEY:
                more = Row(**value)
                rows[more.row] = _merged(rows[more.row], more) if more.row in rows else more
    if not rows:
        return []
    ordered = sorted(rows.values(), key=lambda row: (int("".join(filter(str.isdigit, row.row)) or 0), row.row))
    cells = [HEAD, *((row.row, *(f"{n:,}" for n in row[1:5]), f"{row.cents:g}", row.note) for row in ordered)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD) - 1)]
    table = [
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:-1], widths[1:]), line[-1]]).rstrip()
        for line in cells
    ]
    return [*table, *(f"{row}  {why}" for row, why in ELSEWHERE.items()), *_skipped(stats)]


def _skipped(stats: dict[str, list[Any]]) -> list[str]:
    """
    One line for each test that could not be made here, with the reason.
    """
    found = []
    for report in stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        found.append(f"skipped  {report.nodeid.rpartition('/')[2]}: {reason.removeprefix('Skipped: ')}")
    return sorted(found)


def _merged(a: Row, b: Row) -> Row:
    notes = a.note if not b.note or b.note in a.note else "; ".join(filter(None, (a.note, b.note)))
    return Row(a.row, *(x + y for x, y in zip(a[1:6], b[1:6], strict=True)), notes)
