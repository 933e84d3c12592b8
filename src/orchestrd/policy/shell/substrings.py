"""
Parts of strings, as a shell takes them: braces, ranges, patterns that are cut off, lengths.
"""

from __future__ import annotations

import fnmatch
import re

from orchestrd.policy.shell.marks import HOLE, filled, is_known

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(-?\d+|[A-Za-z])\.\.(-?\d+|[A-Za-z])(?:\.\.(-?\d+))?")
_MAX_FIELDS = 256


def braces(text: str, budget: int = _MAX_FIELDS) -> list[str]:
    """
    *text* once for each way through its braces.
    """
    start = 0
    while True:
        match = _BRACES.search(text, start)
        if match is None:
            return [text]
        inside = match.group(1)
        items = inside.split(",") if "," in inside else _range(inside)
        if items:
            break
        start = match.end()
    found: list[str] = []
    for item in items:
        found += braces(text[: match.start()] + item + text[match.end() :], budget // max(len(items), 1))
        if len(found) >= budget:
            break
    return found


def _range(inside: str) -> list[str]:
    match = _RANGE.fullmatch(inside)
    if match is None:
        return []
    first, last, step = match.group(1), match.group(2), abs(int(match.group(3) or 1)) or 1
    numbers = first.lstrip("-").isdecimal() and last.lstrip("-").isdecimal()
    if not numbers and (first.lstrip("-").isdecimal() or last.lstrip("-").isdecimal()):
        return []
    low, high = (int(first), int(last)) if numbers else (ord(first), ord(last))
    span = range(low, high + 1, step) if low <= high else range(low, high - 1, -step)
    return [str(at) if numbers else chr(at) for at in span[:_MAX_FIELDS]]


def as_regex(pattern: str) -> str:
    """
    A shell's *pattern* as a regular expression.
    """
    translated = fnmatch.translate(pattern)
    return translated[len("(?s:") : translated.rindex(")")]


def changed(operator: str, value: str, pattern: str) -> str:
    """
    What ``${…^}``, ``${…,}``, ``${…#PATTERN}`` or ``${…%PATTERN}`` (and the doubled ones) make of *value*.
    """
    match operator:
        case "^" | "^^":
            return value.upper() if operator == "^^" else value[:1].upper() + value[1:]
        case "," | ",,":
            return value.lower() if operator == ",," else value[:1].lower() + value[1:]
    expression = as_regex(pattern)
    ends = range(len(value) + 1)
    if operator in {"#", "##"}:
        order = ends if operator == "#" else reversed(ends)
        cut = next((at for at in order if re.fullmatch(expression, value[:at], re.DOTALL)), 0)
        return value[cut:]
    order = reversed(ends) if operator == "%" else ends
    cut = next((at for at in order if re.fullmatch(expression, value[at:], re.DOTALL)), len(value))
    return value[:cut]


def substring(value: str, argument: str) -> str:
    """
    What ``${…:ARGUMENT}`` makes of *value*.
    """
    bounds = argument.split(":")
    try:
        start = int(bounds[0].strip() or 0)
        length = int(bounds[1]) if len(bounds) > 1 else None
    except ValueError:
        return HOLE if is_known(argument) else filled(argument, HOLE)
    rest = value[start:] if start >= 0 or -start <= len(value) else ""
    return rest if length is None else rest[:length]
