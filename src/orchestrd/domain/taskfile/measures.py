"""
Days, moments, durations, amounts and counts of a task file, read from literal text.

The rules of `taskfields` hold: None after saying what is wrong.
"""

from __future__ import annotations

import math
import re
from datetime import date, datetime, tzinfo
from decimal import Decimal

from orchestrd.domain.model import NANO
from orchestrd.domain.taskfile.fields import Reader, literal
from orchestrd.domain.taskfile.problems import Spot
from orchestrd.domain.taskfile.yamltext import shown
from orchestrd.domain.taskfile.yamltree import Node

MAX_COST_USD = 100_000
MAX_TIMEOUT = 7 * 86400.0
MAX_RETRIES = 10
FIRST_YEAR, LAST_YEAR = 2000, 2999
DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
NUMBER = re.compile(r"\+?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(?:[eE][+-]?[0-9]{1,2})?")
DURATION = re.compile(
    r"(?:([0-9.]+)\s*d)?\s*(?:([0-9.]+)\s*h)?\s*(?:([0-9.]+)\s*m)?\s*(?:([0-9.]+)\s*s)?", re.IGNORECASE
)
_LOOSE_DAY = re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]\s*([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.[0-9]+)?\s*([Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_DURATION_HINT = "expected seconds, or a duration such as 90m, 2.5h or 1h30m"


def day(node: Node, spot: Spot) -> str | None:
    """
    A date, ``2026-11-22``, quoted or not.
    """
    text = literal(node, spot)
    if text is None:
        return None
    if DAY.fullmatch(text):
        try:
            year = date.fromisoformat(text).year
        except ValueError:
            spot.say(node, f"{text} is not a day of the calendar")
            return None
        if FIRST_YEAR <= year <= LAST_YEAR:
            return text
        spot.say(node, f"expected a year from {FIRST_YEAR} to {LAST_YEAR}, found {text}")
        return None
    if DAY.match(text):
        spot.say(node, f"expected a day without a time, found {shown(text)}; write {text[:10]}")
        return None
    loose = _LOOSE_DAY.fullmatch(text)
    hint = f"; did you mean {loose[1]}-{int(loose[2]):02}-{int(loose[3]):02}?" if loose else ""
    spot.say(node, f"expected a date as YYYY-MM-DD, found {shown(text)}{hint}")
    return None


def money(node: Node, spot: Spot) -> int | None:
    """
    An amount of USD above 0, exactly, as nano-USD.
    """
    text = literal(node, spot)
    if text is None:
        return None
    if not NUMBER.fullmatch(text.removeprefix("-")):
        bare = re.sub(r"[$\s,_]|usd", "", text, flags=re.IGNORECASE)
        hint = f"; write {bare}" if NUMBER.fullmatch(bare) else ""
        spot.say(node, f"expected a number of USD such as 50.00, found {shown(text)}{hint}")
        return None
    amount = Decimal(text)
    if amount > MAX_COST_USD:
        spot.say(node, f"expected at most {MAX_COST_USD} USD, found {shown(text)}")
        return None
    nano = round(amount * NANO)
    if nano > 0:
        return nano
    spot.say(node, f"expected more than 0, found {shown(text)}: nothing could run; leave it out for the default")
    return None


def duration(node: Node, spot: Spot) -> float | None:
    """
    Seconds above 0, at most seven days, from a number of seconds or ``90m``, ``2.5h``, ``1h30m``, ``1d``.
    """
    text = literal(node, spot)
    if text is None:
        return None
    seconds = seconds_of(text)
    if seconds is None:
        hint = "; ':' is not a duration" if ":" in text else ""
        spot.say(node, f"{_DURATION_HINT}, found {shown(text)}{hint}")
        return None
    if 0 < seconds <= MAX_TIMEOUT:
        return seconds
    spot.say(node, f"expected more than 0 and at most 7 days, found {shown(text)}")
    return None


def seconds_of(text: str) -> float | None:
    """
    The seconds *text* stands for, or None when it is no duration.
    """
    if NUMBER.fullmatch(text):
        return float(text)
    parts = DURATION.fullmatch(text)
    if parts is None or not any(parts.groups()):
        return None
    total = 0.0
    for amount, unit in zip(parts.groups(), (86400, 3600, 60, 1), strict=True):
        if amount is None:
            continue
        if not NUMBER.fullmatch(amount):
            return None
        total += float(amount) * unit
    return total if math.isfinite(total) else None


def retries(node: Node, spot: Spot) -> int | None:
    """
    A whole number from 0 to 10.
    """
    text = literal(node, spot)
    if text is None:
        return None
    if re.fullmatch(r"[0-9]{1,3}", text) and int(text) <= MAX_RETRIES:
        return int(text)
    spot.say(node, f"expected a whole number from 0 to {MAX_RETRIES}, found {shown(text)}")
    return None


def moment(day: str | None, zone: tzinfo) -> Reader[float]:
    """
    A reader of ``HH:MM`` on *day* in *zone*, or an ISO date and time with or without an offset, as wall seconds.

    A time a clock change skips is refused; of one it repeats, the first counts.
    """

    def read(node: Node, spot: Spot) -> float | None:
        text = literal(node, spot)
        if text is None:
            return None
        hour, full = _TIME.fullmatch(text), _MOMENT.fullmatch(text)
        if hour is None and full is None:
            spot.say(node, f"expected HH:MM or an ISO date and time, found {shown(text)}")
            return None
        if hour is not None:
            iso = f"{day or '2000-01-01'}T{int(hour[1]):02}:{hour[2]}:{hour[3] or '00'}"
        else:
            assert full is not None
            iso = f"{full[1]}T{full[2]}{(full[3] or '').upper()}"
        try:
            at = datetime.fromisoformat(iso)
            at = at if at.tzinfo else at.replace(tzinfo=zone)
            seconds = at.timestamp()
            back = datetime.fromtimestamp(seconds, at.tzinfo).replace(tzinfo=None)
        except (ValueError, OverflowError, OSError):
            spot.say(node, f"{shown(text)} is not a time of the calendar")
            return None
        if not FIRST_YEAR <= at.year <= LAST_YEAR:
            spot.say(node, f"expected a year from {FIRST_YEAR} to {LAST_YEAR}, found {shown(text)}")
            return None
        if back != at.replace(tzinfo=None):
            spot.say(node, f"{shown(text)} does not exist on that day: the clock is put forward then")
            return None
        return seconds if day or full else None

    return read
