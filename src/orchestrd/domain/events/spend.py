"""
Facts about what runs cost; money in nano-USD.
"""

from __future__ import annotations

import msgspec

from orchestrd.domain.events.base import RunEvent
from orchestrd.domain.model import Usage


class SpendSeen(RunEvent, frozen=True, kw_only=True, tag="run.spend_seen"):
    """
    One more reading of an API response that no result covers yet; *usage* and *cost* are increments (nano-USD).

    *to_come* is what one more response of every conversation of the run will cost, about; None where an earlier version
    recorded it.
    """

    message: str
    model: str
    usage: Usage
    cost: int
    to_come: int | None = None


class ModelSpend(msgspec.Struct, frozen=True, kw_only=True):
    """
    Tokens and cost (nano-USD) of one model.
    """

    model: str
    usage: Usage
    cost: int


class SpendTold(RunEvent, frozen=True, kw_only=True, tag="run.spend_told"):
    """
    The CLI's account, asked for while it works, of everything since its last result: it stands in the place of all readings so
    far.  *to_come* as of `SpendSeen`.
    """

    spends: tuple[ModelSpend, ...]
    to_come: int | None = None


class SpendSettled(RunEvent, frozen=True, kw_only=True, tag="run.spend_settled"):
    """
    The CLI's own account of everything since its last result, which replaces what was read and told of it.

    *estimated* is what was read of it, by our prices: a difference is a visible fact.  *source* is ``result``, or
    ``transcript`` when a process died before its result and its transcript files were read instead.
    """

    source: str
    spends: tuple[ModelSpend, ...]
    estimated: int
