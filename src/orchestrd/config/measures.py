"""
Durations, times of day and words, as a person writes them into a file of settings.
"""

from __future__ import annotations

import math
import re

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+|\d+(?:\.\d+)?")


def seconds(text: str | float) -> float:
    """
    A duration as seconds: ``90``, ``"45s"``, ``"90m"``, ``"2.5h"``, ``"1h30m"``.

    Raises `ValueError` for anything else.
    """
    if isinstance(text, (int, float)) and not isinstance(text, bool) and 0 <= text < math.inf:
        return float(text)
    compact = str(text).replace(" ", "").lower()
    if isinstance(text, (int, float)) or not _DURATION.fullmatch(compact):
        raise ValueError(f"{text!r} is not a duration; write seconds, or 45s, 90m, 2.5h, 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)([smhd]?)", compact))


def minute_of_day(text: str | float) -> int:
    """
    A time of day such as ``"22:00"`` as minutes after midnight; YAML 1.1 makes 1320 of an unquoted 22:00, which is the same.

    Raises `ValueError` for anything else: a bare 22 is no hour.
    """
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", str(text).strip())
    if found is not None:
        return int(found[1]) * 60 + int(found[2])
    if isinstance(text, int) and not isinstance(text, bool) and (text == 0 or 60 <= text < 1440):
        return text
    raise ValueError(f"{text!r} is not a time of day; write such as '22:00'")


def word(value: str | bool) -> str:  # noqa: FBT001 - as YAML reads it
    """
    A setting of a few words as it was meant: YAML 1.1 reads ``off`` as false.
    """
    return value if isinstance(value, str) else "on" if value else "off"


def whole_cents(amount: float) -> bool:
    """
    True for an *amount* of USD that can be offered as it is written on an answer.
    """
    return 0.01 <= amount <= 100_000 and abs(amount * 100 - round(amount * 100)) < 1e-6
