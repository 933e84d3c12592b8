"""
What the facts that a salvage made up change.
"""

from __future__ import annotations

import msgspec

from orchestrd.domain import events as ev
from orchestrd.domain.fold.base import Folds
from orchestrd.domain.rows import Row
from orchestrd.domain.state import State
from orchestrd.domain.transitions import IllegalTransition

_ROW = msgspec.json.Decoder(Row)


def _row_restored(_: State, e: ev.RowRestored, __: float) -> list[Row]:
    try:
        row: Row = _ROW.decode(e.body)
    except msgspec.DecodeError as error:
        raise IllegalTransition(f"the {e.kind} {e.key} cannot be restored: {error}") from None
    return [row]


FOLDS: Folds = {
    ev.RowRestored: _row_restored,
}
