"""
Numbers, times and foreign words as people read them.  Pure.

Texts that an agent wrote may hold anything, also terminal control sequences: `one_line` and `safe` make them harmless.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from orchestrd.moments import dated
from orchestrd.protocol import api

_CONTROL = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""OSC and CSI sequences whole, then every other control character but TAB and LF."""
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")


def safe(text: str) -> str:
    """
    *text* without terminal controls and without marks that reorder what is read; lines stay.
    """
    return _BIDI.sub("", _CONTROL.sub("", text.replace("\r\n", "\n"))).expandtabs(4)


def one_line(text: str, limit: int | None = None) -> str:
    """
    *text* on one line, cut to *limit* characters.
    """
    line = " ".join(safe(text).split())
    return line if limit is None or len(line) <= limit else f"{line[: limit - 1]}…"


def money(amount: float) -> str:
    """
    USD: ``$1.24``; small amounts keep two figures, ``$0.0042``.
    """
    if 0 < amount < 0.01:
        return f"${amount:.4f}"
    return f"${amount:,.2f}"


def count(number: int) -> str:
    """
    ``950``, ``12.3k``, ``312k``, ``1.2M``.
    """
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            value = number / size
            return f"{value:.1f}{unit}" if value < 100 else f"{value:.0f}{unit}"
    return str(number)


def many(number: int, noun: str, plural: str = "") -> str:
    """
    ``1 file``, ``2 files``.
    """
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def span(seconds: float) -> str:
    """
    ``42s``, ``3m10s``, ``1h02m``, ``2d03h``.
    """
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"


def moment(iso: str | None) -> float | None:
    """
    ISO-8601 as wall seconds; None for what is none.
    """
    try:
        return datetime.fromisoformat(iso).timestamp() if iso else None
    except (ValueError, OverflowError):
        return None


def clock_time(iso: str | None) -> str:
    """
    The local time of day, ``09:31:12``; empty for None.
    """
    at = moment(iso)
    return "" if at is None else dated(at, UTC).astimezone().strftime("%H:%M:%S")


def local_time(iso: str | None) -> str:
    """
    Local date and time, ``2026-11-22 09:31:12``; empty for None.
    """
    at = moment(iso)
    return "" if at is None else dated(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def all_tokens(tokens: api.Tokens) -> int:
    """
    Every token, whatever it cost.
    """
    return tokens.input + tokens.output + tokens.cache_read + tokens.cache_write


def short(task: str) -> str:
    """
    ``2026-11-22/task-001`` as ``task-001``.
    """
    return task.rpartition("/")[2]


def bar(fraction: float, width: int = 20, *, ascii_only: bool = False) -> str:
    """
    A bar of *width* characters; anything spent shows, and only the whole limit fills it.
    """
    full, rest = ("#", ".") if ascii_only else ("█", "░")
    filled = min(width, int(fraction * width))
    if filled == 0 and fraction > 0:
        filled = 1
    return full * filled + rest * (width - filled)
