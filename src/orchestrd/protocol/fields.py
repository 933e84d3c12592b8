"""
Tolerant readers of untyped JSON: a field that is missing or of another type becomes its default, never an error.

Also the two spellings of token counts, the API's (``input_tokens``) and the CLI's own (``inputTokens``).
"""

from __future__ import annotations

import math
from typing import Any

from orchestrd.domain.model import Usage

_LARGEST = 2**53
"""Beyond this no count of tokens or milliseconds is meant, and a 64-bit column is near."""
_EARLIEST, _LATEST = 1_577_836_800.0, 4_102_444_800.0
"""Wall seconds between which a moment is meant that a service tells of: the years 2020 to 2099."""
_NOTHING = Usage()


def text(source: dict[str, Any], key: str) -> str:
    """
    The string at *key*, or empty.
    """
    value = source.get(key)
    return value if isinstance(value, str) else ""


def text_or_none(source: dict[str, Any], key: str) -> str | None:
    """
    The string at *key*, or None when there is none or it is empty.
    """
    return text(source, key) or None


def mapping(value: object) -> dict[str, Any]:
    """
    *value* if it is an object, else an empty one.
    """
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """
    *value* if it is an array, else an empty one.
    """
    return value if isinstance(value, list) else []


def whole(value: object) -> int | None:
    """
    *value* as a count from 0 to 2**53, or None.
    """
    if isinstance(value, int):
        return value if 0 <= value <= _LARGEST and not isinstance(value, bool) else None
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return whole(int(value))
    return None


def count(source: dict[str, Any], key: str) -> int:
    """
    The count at *key*, or 0.
    """
    return whole(source.get(key)) or 0


def number(value: object) -> float | None:
    """
    *value* as a finite number that is not negative, or None.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LARGEST:
        return float(value)
    return None


def wall_time(value: object) -> float | None:
    """
    *value* as wall seconds of the years 2020 to 2099, or None; milliseconds, which no other moment of these years can be, are
    read as such.
    """
    told = number(value)
    if told is None:
        return None
    found = told / 1000 if told > _LATEST else told
    return found if _EARLIEST <= found < _LATEST else None


def plain_model(name: str) -> str:
    """
    A model's *name* without what the CLI hangs on for a context window: ``claude-opus-4-8[1m]`` in one of its accounts is the
    ``claude-opus-4-8`` of the responses (Claude Code 2.1.197).
    """
    return name.removesuffix("[1m]")


def api_usage(source: dict[str, Any], before: Usage | None = None) -> Usage:
    """
    Token counts as the API spells them; what *source* leaves out is taken from *before*.
    """
    get = source.get
    given, spent, read = whole(get("input_tokens")), whole(get("output_tokens")), whole(get("cache_read_input_tokens"))
    written, split = whole(get("cache_creation_input_tokens")), get("cache_creation")
    prior = before or _NOTHING
    if written is None and not isinstance(split, dict):
        write_5m, write_1h = prior.cache_write_5m, prior.cache_write_1h
    elif isinstance(split, dict):
        short, long = count(split, "ephemeral_5m_input_tokens"), count(split, "ephemeral_1h_input_tokens")
        write_5m, write_1h = _split(written or 0, short, long)
    else:
        write_5m, write_1h = written or 0, 0
    return Usage(
        input=prior.input if given is None else given,
        output=prior.output if spent is None else spent,
        cache_read=prior.cache_read if read is None else read,
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
    )


def cli_usage(source: dict[str, Any]) -> Usage:
    """
    Token counts as ``modelUsage`` of a result spells them.
    """
    write_5m, write_1h = _split(
        count(source, "cacheCreationInputTokens"),
        count(source, "cacheCreationEphemeral5mInputTokens"),
        count(source, "cacheCreationEphemeral1hInputTokens"),
    )
    return Usage(
        input=count(source, "inputTokens"),
        output=count(source, "outputTokens"),
        cache_read=count(source, "cacheReadInputTokens"),
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
    )


def _split(total: int, short: int, long: int) -> tuple[int, int]:
    """
    Cache writes of five minutes and of one hour.

    The split can be all zero while the total is not (Claude Code 2.1.330); five minutes is the API's default.
    """
    return max(total, short + long) - long, long
