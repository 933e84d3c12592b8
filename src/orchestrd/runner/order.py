"""
What a run is started with.
"""

from __future__ import annotations

import msgspec

from orchestrd.domain.model import Containment
from orchestrd.storage.rundir import RunSpec


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """
    What one run is started with.  *timeout* is seconds of work, *silence* seconds without a sign of life, *opening* the
    first user message.  *metered*: it ends when nobody can tell what it spends.  *held* is how its agent is held, None where it
    was started before.
    """

    run: str
    spec: RunSpec
    opening: str
    timeout: float
    grace: float
    silence: float
    metered: bool = True
    held: Containment | None = None
