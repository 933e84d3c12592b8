"""
Which responses an account of the CLI can hold, by the tokens it tells: pure arithmetic, of one model at a time.

Facts (Claude Code 2.1.330): an account holds every response that has come to its end, and requests that the CLI makes for
itself, which no stream tells of; the stream tells the end of the main conversation's responses only.  One conversation has
one response under way at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from orchestrd.domain.budget import undated
from orchestrd.domain.model import Usage

_COUNTS = ("input", "output", "cache_read", "cache_write")
"""How long what was written is kept is not told by every account."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is known of one API response that no result covers yet; *cost* is nano-USD by our prices.
    """

    model: str
    usage: Usage
    cost: int
    final: bool
    subagent: str | None = None


def sum_of(usages: Iterable[Usage]) -> Usage:
    """
    All of them together.
    """
    whole = Usage()
    for usage in usages:
        whole += usage
    return whole


def covers(whole: Usage, part: Usage) -> bool:
    """
    True when *whole* has as many tokens as *part*, sent and received.
    """
    return whole.prompt >= part.prompt and whole.output >= part.output


def widest(a: Usage, b: Usage) -> Usage:
    """
    Of each kind of tokens as many as the one of them has that has more.
    """
    longer = max(a.cache_write_1h, b.cache_write_1h)
    return Usage(
        input=max(a.input, b.input),
        output=max(a.output, b.output),
        cache_read=max(a.cache_read, b.cache_read),
        cache_write_5m=max(a.cache_write, b.cache_write) - longer,
        cache_write_1h=longer,
    )


def risen(whole: Usage, part: Usage) -> Usage:
    """
    *whole* without *part*, never below zero.
    """
    written = max(0, whole.cache_write - part.cache_write)
    longer = min(written, max(0, whole.cache_write_1h - part.cache_write_1h))
    return Usage(
        input=max(0, whole.input - part.input),
        output=max(0, whole.output - part.output),
        cache_read=max(0, whole.cache_read - part.cache_read),
        cache_write_5m=written - longer,
        cache_write_1h=longer,
    )


def minus(a: Usage, b: Usage) -> Usage:
    """
    *a* without *b*, field by field.
    """
    return Usage(**{name: getattr(a, name) - getattr(b, name) for name in a.__struct_fields__})


def kept_longer(usage: Usage, tokens: int) -> Usage:
    """
    *usage* with so many cache writes more that are kept for an hour, and as many fewer that are kept for five minutes.
    """
    return msgspec.structs.replace(
        usage, cache_write_5m=usage.cache_write_5m - tokens, cache_write_1h=usage.cache_write_1h + tokens
    )


def names(told: Mapping[str, Usage], ended: Mapping[str, Usage]) -> dict[str, str]:
    """
    Model as responses name it → model as an account that *told* of others names it, where that is another name.  *ended*:
    what is read to its end by model, or nothing of one of which there is only more than that.

    The CLI counts by the name that it asks for, the service answers with a snapshot's (Claude Code 2.1.330).  Of other names it
    is told by the tokens.
    """
    room = {model: risen(usage, ended.get(model, Usage())) for model, usage in told.items()}
    found: dict[str, str] = {}
    for model in [model for model in ended if model not in told]:
        alike = [name for name in told if undated(name) == undated(model)]
        large = [name for name in told if ended[model].prompt and covers(room[name], ended[model])]
        for name in (alike or large)[:1]:
            found[model] = name
            room[name] = risen(room[name], ended[model])
    return found


def held(whole: Usage, surely: Usage, doubtful: Mapping[str, Usage]) -> set[str]:
    """
    Names of those of the *doubtful* responses, the likeliest first, for which an account of *whole* has room beside what it
    *surely* holds.
    """
    room = [getattr(whole, name) - getattr(surely, name) for name in _COUNTS]
    found = set()
    for name, usage in doubtful.items():
        wanted = [getattr(usage, count) for count in _COUNTS]
        if all(want <= left for want, left in zip(wanted, room, strict=True)):
            room = [left - want for want, left in zip(wanted, room, strict=True)]
            found.add(name)
    return found


def doubtful(readings: Mapping[str, Reading]) -> dict[str, Usage]:
    """
    Of *readings*, all that are open, oldest first, those that an account of now may hold or not: the likeliest first.

    A response after which its conversation went on has come to its end, or was broken off; the newest of a subagent may have;
    the newest of the main conversation has not, or the stream would have told.
    """
    newest = {reading.subagent: name for name, reading in readings.items()}
    unsure = {name: reading for name, reading in readings.items() if not reading.final and name != newest.get(None)}
    order = sorted(unsure, key=lambda name: name == newest[unsure[name].subagent])
    return {name: unsure[name].usage for name in order}
