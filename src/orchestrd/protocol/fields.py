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
_RESPONSE = 10**9
"""Beyond this no count of tokens of one response is meant: no model takes or gives a thousandth of it."""
_SESSION = 10**12
"""Nor, beyond this, of one session."""
_MONEY = 1e6
"""USD beyond which no cost of one session is meant."""
_EARLIEST, _LATEST = 1_577_836_800.0, 4_102_444_800.0
"""Wall seconds between which a moment is meant that a service tells of: the years 2020 to 2099."""
_NOTHING = Usage()
_API_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_CLI_COUNTS = (
    "inputTokens",
    "outputTokens",
    "cacheReadInputTokens",
    "cacheCreationInputTokens",
    "cacheCreationEphemeral5mInputTokens",
    "cacheCreationEphemeral1hInputTokens",
)


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


def money(value: object) -> float | None:
    """
    *value* as USD of one session, or None when it is no such sum.
    """
    told = number(value)
    return told if told is not None and told <= _MONEY else None


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

    Of what was sent a response knows no less at its end than at its start: a 0 there is a gateway's way to leave it out, and
    the CLI reads it so too (Claude Code 2.1.330).
    """
    given, spent, read, written = (_tokens(source.get(key), _RESPONSE) for key in _API_COUNTS)
    prior = before or _NOTHING
    split = source.get("cache_creation")
    total = written or 0
    if isinstance(split, dict):
        short = _tokens(split.get("ephemeral_5m_input_tokens"), _RESPONSE) or 0
        long = _tokens(split.get("ephemeral_1h_input_tokens"), _RESPONSE) or 0
        write_5m, write_1h = _split(total, short, long)
    else:
        # How long it is kept was told before, if at all.
        write_5m, write_1h = _split(total, 0, min(total, prior.cache_write_1h))
    if not write_5m + write_1h:
        write_5m, write_1h = prior.cache_write_5m, prior.cache_write_1h
    return Usage(
        input=given or prior.input,
        output=prior.output if spent is None else spent,
        cache_read=read or prior.cache_read,
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
    )


def api_legible(source: dict[str, Any]) -> bool:
    """
    True when every token count that *source* has, as the API spells them, can be read.
    """
    return _legible(source, _API_COUNTS, _RESPONSE)


def api_ended(source: dict[str, Any]) -> bool:
    """
    True when *source*, the last of a response, says how many tokens the model gave, and nothing that cannot be read.
    """
    return source.get("output_tokens") is not None and api_legible(source)


def cli_usage(source: dict[str, Any]) -> Usage:
    """
    Token counts as ``modelUsage`` of a result spells them; what cannot be read is 0.
    """
    given, spent, read, written, short, long = (_tokens(source.get(key), _SESSION) or 0 for key in _CLI_COUNTS)
    write_5m, write_1h = _split(written, short, long)
    return Usage(input=given, output=spent, cache_read=read, cache_write_5m=write_5m, cache_write_1h=write_1h)


def cli_legible(source: dict[str, Any]) -> bool:
    """
    True when every token count that *source* has, as ``modelUsage`` spells them, can be read: else what it says of the
    cost was reckoned with one that is none (Claude Code 2.1.330 adds up whatever the API sends).
    """
    return _legible(source, _CLI_COUNTS, _SESSION)


def _tokens(value: object, most: int) -> int | None:
    told = whole(value)
    return told if told is not None and told <= most else None


def _legible(source: dict[str, Any], keys: tuple[str, ...], most: int) -> bool:
    return all(source.get(key) is None or _tokens(source[key], most) is not None for key in keys)


def _split(total: int, short: int, long: int) -> tuple[int, int]:
    """
    Cache writes of five minutes and of one hour.

    The split can be all zero while the total is not (Claude Code 2.1.330); five minutes is the API's default.
    """
    return max(total, short + long) - long, long
