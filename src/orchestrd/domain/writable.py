"""
Facts whose texts can be written down.
"""

from __future__ import annotations

from typing import Any

import msgspec

from orchestrd.domain import events as ev


def writable(fact: ev.AnyEvent) -> ev.AnyEvent:
    """
    *fact*, with U+FFFD for every lone surrogate in its texts: an agent's output may hold them, UTF-8 may not.
    """
    try:
        msgspec.json.encode(fact)
    except UnicodeEncodeError:
        return msgspec.convert(_clean(msgspec.to_builtins(fact)), type(fact))
    return fact


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_clean(key): _clean(entry) for key, entry in value.items()}
    return [_clean(entry) for entry in value] if isinstance(value, list | tuple) else value
