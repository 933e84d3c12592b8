"""
Parts of strings, as a shell takes them: braces, ranges, patterns that are cut off, lengths.
"""

from __future__ import annotations

import re

from orchestrd.policy.shell.marks import HOLE, QUOTED, SPLIT, escaped, filled, is_known, quoted
from orchestrd.policy.shell.nodes import Unreadable
from orchestrd.policy.shell.patterns import expression

_SIGN = re.compile(r"[{},]|\.\.(?!\})")
_RANGE = re.compile(r"(-?\d{1,9}|[A-Za-z])\.\.(-?\d{1,9}|[A-Za-z])(?:\.\.(-?\d{1,9}))?")
_MAX_FIELDS = 256
_MAX_DEPTH = 30
_MAX_WORK = 100_000
MAX_VALUE = 256
"""Of a longer value (characters) no part is worked out."""


def braces(text: str, depth: int = 0) -> list[str]:
    """
    *text* once for each way through its braces, as bash's `braces.c` finds them; of too many ways none is known.

    >>> braces("{a,{b,c}}{01..02}")
    ['a01', 'a02', 'b01', 'b02', 'c01', 'c02']
    """
    if depth > _MAX_DEPTH:
        raise Unreadable("nested too deeply")
    if text.count("{") * len(text) > _MAX_WORK:
        return [HOLE]
    found = [""]
    done = at = 0
    while (at := text.find("{", at)) >= 0:
        close = _closing(text, at)
        if close < 0:
            at += 1
            continue
        items = _items(text[at + 1 : close], depth)
        if len(found) * len(items) > _MAX_FIELDS:
            return [HOLE]
        before = text[done:at]
        found = [one + before + item for one in found for item in items]
        done = at = close + 1
    return [one + text[done:] for one in found]


def _closing(text: str, at: int) -> int:
    """
    The place of the brace that closes the one *at* a place; -1 where that is only a sign.  One before which there was
    neither a comma nor a range closes nothing.
    """
    level, divides = 0, False
    for match in _SIGN.finditer(text, at + 1):
        match match.group():
            case "{":
                level += 1
            case "}" if level == 0:
                if divides:
                    return match.start()
            case "}":
                level -= 1
            case _:
                divides = divides or level == 0
    return -1


def _items(inside: str, depth: int) -> list[str]:
    """
    The ways through what stands between two braces.
    """
    if "," not in inside:
        return _range(inside) or ["{" + inside + "}"]
    found: list[str] = []
    level = begin = 0
    for match in _SIGN.finditer(inside):
        match match.group():
            case "{":
                level += 1
            case "}":
                level -= level > 0
            case "," if level == 0:
                found += braces(inside[begin : match.start()], depth + 1)
                begin = match.end()
    return [*found, *braces(inside[begin:], depth + 1)]


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
    if len(span) > _MAX_FIELDS:
        return [HOLE]
    # A zero before one of the ends makes all of them as wide as the wider one.
    padded = numbers and any(re.match(r"-?0\d", one) for one in (first, last))
    width = max(len(first), len(last)) if padded else 0
    return [f"{at:0{width}d}" if numbers else chr(at) for at in span]


def divided(text: str, separators: str) -> str:
    """
    *text* with a mark where a shell splits it at *separators*: blanks only part fields, other signs end them.
    """
    blanks = re.escape("".join(sign for sign in separators if sign in " \t\n"))
    others = re.escape("".join(sign for sign in separators if sign not in " \t\n"))
    if not others:
        for sign in separators:
            text = text.replace(sign, SPLIT)
        return text
    around = f"[{blanks}]*" if blanks else ""
    stripped = re.sub(f"^[{blanks}]+", "", text) if blanks else text
    *ended, rest = re.split(f"{around}[{others}]{around}" + (f"|[{blanks}]+" if blanks else ""), stripped)
    return SPLIT.join([*([""] if stripped != text else []), *(piece or QUOTED for piece in ended), rest])


def as_regex(pattern: str) -> str:
    """
    A shell's *pattern*, marked, as a regular expression for the values that are worked out.
    """
    pattern = re.sub(r"\\(.?)", lambda match: quoted(match.group(1) or "\\"), pattern, flags=re.DOTALL)
    return escaped(expression(pattern.replace(QUOTED, ""), MAX_VALUE))


def changed(operator: str, value: str, pattern: str) -> str:
    """
    What ``${…^}``, ``${…,}``, ``${…#PATTERN}`` or ``${…%PATTERN}`` (and the doubled ones) make of *value*.
    """
    expression = as_regex(pattern)
    if operator[0] in "^,":
        changes = str.upper if operator[0] == "^" else str.lower
        fits = re.compile(expression if pattern else ".", re.DOTALL)
        count = len(value) if len(operator) > 1 else 1
        return "".join(changes(sign) if fits.fullmatch(sign) else sign for sign in value[:count]) + value[count:]
    ends = range(len(value) + 1)
    if operator in {"#", "##"}:
        order = ends if operator == "#" else reversed(ends)
        cut = next((at for at in order if re.fullmatch(expression, value[:at], re.DOTALL)), 0)
        return value[cut:]
    order = reversed(ends) if operator == "%" else ends
    cut = next((at for at in order if re.fullmatch(expression, value[at:], re.DOTALL)), len(value))
    return value[:cut]


def replaced(value: str, pattern: str, replacement: str, *, everywhere: bool) -> str:
    """
    What ``${…/PATTERN/REPLACEMENT}`` makes of *value*: where the *pattern*, marked, begins with an anchor, only there.
    """
    anchor = pattern[:1] if pattern[:1] in {"#", "%"} and not everywhere else ""
    if not pattern[len(anchor) :] and not anchor:
        return value
    expression = as_regex(pattern[len(anchor) :])
    if anchor:
        expression = r"\A(?:" + expression + ")" if anchor == "#" else "(?:" + expression + r")\Z"
    return re.sub(expression, lambda _: replacement, value, count=0 if everywhere else 1, flags=re.DOTALL)


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
