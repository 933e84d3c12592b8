"""
The C library's heap, which a daemon that runs for weeks must not leave full of holes.

glibc gives each thread a heap of its own, where what worker threads leave free is of no use to the others: a day's runs made a
daemon grow by 35 KiB each.  And it gives nothing back that lies below what is in use: with one heap it was 8 to 25 KiB a run,
of which the rows that are kept are 5 (measured).  With another C library both functions do nothing.
"""

from __future__ import annotations

import ctypes

M_ARENA_MAX = -8
"""The name of a setting: mallopt(3)."""


def share() -> None:
    """
    One heap for all threads: to be called before there is a second one.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)


def trim() -> None:
    """
    Give the system back every page of it that holds nothing: malloc_trim(3), milliseconds.
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
