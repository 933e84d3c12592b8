"""
The snapshots of a task's tree.
"""

from __future__ import annotations

import msgspec

from orchestrd.domain.events import Occasion


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """
    One snapshot: *commit* holds the tree *tree_id* as it lay on disk *at* that moment (Unix seconds).
    """

    commit: str
    tree_id: str
    at: float
    occasion: Occasion
    left_out: int = 0


class SnapshotsRow(msgspec.Struct, frozen=True, kw_only=True, tag="snapshots"):
    """
    The snapshots of one task that are kept, oldest first.
    """

    task: str
    taken: tuple[Taken, ...] = ()
    removed: tuple[str, ...] = ()
    """The commits that stand for trees which were removed."""
    restored_at: float | None = None
    """When the person last had one put back."""

    @property
    def key(self) -> str:
        return self.task

    @property
    def newest(self) -> Taken | None:
        """
        The last one; None when none is kept.
        """
        return self.taken[-1] if self.taken else None
