"""
Money as it is shown and as people write it; inside, it is whole nano-USD.
"""

from __future__ import annotations

import re
from decimal import Decimal

from orchestrd.domain.model import NANO, usd

CENT = NANO // 100
_MORE = re.compile(r"(?:\+\s*\$?|\$)\s*(\d{1,6}(?:\.\d{1,2})?)\s*(?:\$|usd|dollars?)?", re.IGNORECASE)


def dollars(nano: int) -> str:
    """
    *nano* nano-USD as ``$12.50``.
    """
    return f"${usd(nano):.2f}"


def more(text: str) -> int | None:
    """
    The nano-USD that ``+5``, ``$5`` or ``+$7.50`` names; None for anything else.
    """
    found = _MORE.fullmatch(text.strip())
    return int(Decimal(found[1]) * NANO) if found else None
