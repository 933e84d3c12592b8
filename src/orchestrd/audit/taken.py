"""
What was taken out of a recorded fact that a reading of the output still has: the daemon knew secrets of its own environment, and of that
nothing is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from orchestrd.domain import events as ev
from orchestrd.redaction import MARK


def as_recorded(recorded: Sequence[ev.AnyEvent], heard: Sequence[ev.AnyEvent]) -> list[ev.AnyEvent]:
    """
    The facts *heard*, and for each that is *recorded* in its place as the same but for secrets, the recorded one.
    """
    pairs = zip(recorded, heard, strict=False)
    same = [ours if _same(msgspec.to_builtins(ours), msgspec.to_builtins(theirs)) else theirs for ours, theirs in pairs]
    return [*same, *heard[len(same) :]]


def _same(recorded: Any, heard: Any) -> bool:
    if isinstance(recorded, str) and isinstance(heard, str):
        return recorded == heard or (MARK in recorded and _fits(recorded, heard))
    if isinstance(recorded, dict) and isinstance(heard, dict):
        return recorded.keys() == heard.keys() and all(_same(value, heard[name]) for name, value in recorded.items())
    if isinstance(recorded, list) and isinstance(heard, list):
        return len(recorded) == len(heard) and all(map(_same, recorded, heard))
    return bool(recorded == heard)


def _fits(recorded: str, heard: str) -> bool:
    """
    True when *heard* has all of the *recorded* text, and anything where something was taken out.
    """
    first, *others, last = recorded.split(MARK)
    if not heard.startswith(first):
        return False
    at = len(first)
    for part in others:
        found = heard.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    # Both may have been cut to the same length, which leaves more of the one that was made shorter.
    return heard.endswith(last) or len(heard) == len(recorded)
