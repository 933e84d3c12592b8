"""
What every method shares: the bases of parameters, and token counts.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""A number that a caller may give: SQLite and the encoder take no larger one."""


class Params(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """
    Base of every method's parameters.
    """


class Write(Params, kw_only=True):
    """
    Base of the parameters of methods that change something.
    """

    request_id: str | None = None

    def named(self, method: str) -> str:
        """
        *method* with a mark of these parameters: what a request id stands for once it was used.
        """
        return f"{method} {hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]}"


class Nothing(Params):
    """
    No parameters.
    """


class Tokens(msgspec.Struct, kw_only=True):
    """
    Token counts; *cache_write* sums both lifetimes.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
