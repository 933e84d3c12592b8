"""
What a turn came to: the ``result`` line → `Result`.

Facts (Claude Code 2.1.330): ``subtype`` is ``success`` for every API failure; ``total_cost_usd`` and ``modelUsage`` carry
over resumes and forks, ``model_usage_since_last_result`` does not; a start-up failure writes a zeroed result, alone.
"""

from __future__ import annotations

from typing import Any

import msgspec

from orchestrd.domain.model import Usage
from orchestrd.protocol.fields import (
    api_usage,
    cli_legible,
    cli_usage,
    count,
    items,
    mapping,
    money,
    number,
    plain_model,
    text,
    text_or_none,
    whole,
)


class ModelCost(msgspec.Struct, frozen=True, kw_only=True):
    """
    Tokens and price of one model, by the CLI's account.  *listed*: it says that the price is the model's list price; of a
    model that it does not know it says ``unknown`` (Claude Code 2.1.330), or nothing (2.1.197), and the price is a guess.
    """

    usage: Usage
    cost_usd: float | None
    """None when it was not told: missing, no sum of money, or reckoned with a token count that cannot be read."""
    searches: int = 0
    """Web searches, which cost money of their own."""
    listed: bool = False

    def plus(self, other: ModelCost) -> ModelCost:
        """
        Both together.
        """
        told = self.cost_usd is not None and other.cost_usd is not None
        return ModelCost(
            usage=self.usage + other.usage,
            cost_usd=(self.cost_usd or 0.0) + (other.cost_usd or 0.0) if told else None,
            searches=self.searches + other.searches,
            listed=self.listed and other.listed,
        )


class Denial(msgspec.Struct, frozen=True, kw_only=True):
    """
    A tool call that was refused, as a result lists it.
    """

    tool_name: str
    tool_use_id: str
    tool_input: dict[str, Any]


class DeferredTool(msgspec.Struct, frozen=True, kw_only=True):
    """
    The tool call a hook put off; resuming the session asks the hook again.
    """

    id: str
    name: str
    input: dict[str, Any]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """
    A turn ended; one process may send several.

    Judge by *is_error* and *terminal_reason*, never by *subtype*: an API failure is subtype ``success``.
    *models_since* is what this process spent since its last result, and the only figure that may be summed;
    None from a CLI that does not tell (2.1.197).  *models_total* and *total_cost_usd* carry over resumes.
    *usage* is the main conversation's, of this turn only.
    """

    is_error: bool
    terminal_reason: str | None
    subtype: str
    num_turns: int
    text: str
    errors: tuple[str, ...]
    stop_reason: str | None
    total_cost_usd: float
    models_since: dict[str, ModelCost] | None
    models_total: dict[str, ModelCost]
    usage: Usage
    permission_denials: tuple[Denial, ...]
    index: int | None
    api_error_status: int | None
    api_error: str | None
    deferred_tool: DeferredTool | None
    origin: str | None
    """Why the turn began when no user message did it: ``task-notification``."""
    startup_failure_reason: str | None
    duration_ms: int
    session: str
    structured_output: Any = None
    """None when absent: a schema that was never obeyed is no error to the CLI."""


def read_result(value: dict[str, Any]) -> Result:
    """
    The result; an ``is_error`` that is missing counts as an error unless the turn says that it completed.
    """
    terminal = text_or_none(value, "terminal_reason")
    is_error = value.get("is_error")
    since = value.get("model_usage_since_last_result")
    deferred = value.get("deferred_tool_use")
    return Result(
        is_error=is_error if isinstance(is_error, bool) else terminal != "completed",
        terminal_reason=terminal,
        subtype=text(value, "subtype"),
        num_turns=count(value, "num_turns"),
        text=text(value, "result"),
        errors=tuple(error for error in items(value.get("errors")) if isinstance(error, str)),
        stop_reason=text_or_none(value, "stop_reason"),
        total_cost_usd=money(value.get("total_cost_usd")) or 0.0,
        models_since=_models(since) if isinstance(since, dict) else None,
        models_total=_models(mapping(value.get("modelUsage"))),
        usage=api_usage(mapping(value.get("usage"))),
        permission_denials=tuple(_denial(mapping(entry)) for entry in items(value.get("permission_denials"))),
        index=whole(value.get("result_index")),
        api_error_status=whole(value.get("api_error_status")),
        api_error=text_or_none(value, "api_error"),
        deferred_tool=_deferred(deferred) if isinstance(deferred, dict) else None,
        origin=text_or_none(mapping(value.get("origin")), "kind"),
        startup_failure_reason=text_or_none(value, "startup_failure_reason"),
        duration_ms=round(number(value.get("duration_ms")) or 0),
        session=text(value, "session_id"),
        structured_output=value.get("structured_output"),
    )


def read_account(response: dict[str, Any]) -> dict[str, ModelCost] | None:
    """
    What a session has spent by model so far, from the reply to ``get_usage``; None from a reply that does not tell.

    Facts (Claude Code 2.1.330): it is answered at any time, also before the first user message, and covers subagents; a
    response is in it once it has come to its end.  Like a result's totals it carries over resumes.
    """
    models = mapping(response.get("session")).get("model_usage")
    return _models(models) if isinstance(models, dict) else None


def _models(by_name: dict[str, Any]) -> dict[str, ModelCost]:
    found: dict[str, ModelCost] = {}
    for key, value in by_name.items():
        name, entry = plain_model(key), mapping(value)
        cost = ModelCost(
            usage=cli_usage(entry),
            cost_usd=money(entry.get("costUSD")) if cli_legible(entry) else None,
            searches=count(entry, "webSearchRequests"),
            listed=entry.get("costBasis") == "list",
        )
        found[name] = found[name].plus(cost) if name in found else cost
    return found


def _denial(entry: dict[str, Any]) -> Denial:
    return Denial(
        tool_name=text(entry, "tool_name"),
        tool_use_id=text(entry, "tool_use_id"),
        tool_input=mapping(entry.get("tool_input")),
    )


def _deferred(entry: dict[str, Any]) -> DeferredTool:
    return DeferredTool(id=text(entry, "id"), name=text(entry, "name"), input=mapping(entry.get("input")))
