"""
How each state, outcome and finding looks: one mark and one colour everywhere.  Pure.
"""

from __future__ import annotations

from types import MappingProxyType

from rich.text import Text

_STATES = MappingProxyType(
    {
        "queued": ("·", "-", "dim"),
        "blocked": ("◌", "o", "yellow"),
        "running": ("▶", ">", "cyan"),
        "waiting": ("?", "?", "bold magenta"),
        "paused": ("‖", "=", "yellow"),
        "checking": ("◔", "c", "cyan"),
        "succeeded": ("✓", "+", "green"),
        "failed": ("✗", "x", "red"),
        "cancelled": ("–", "/", "dim"),
    }
)
_FINDINGS = MappingProxyType(
    {
        **dict.fromkeys(("found", "passed", "ok"), ("✓", "+", "green")),
        **dict.fromkeys(("missing", "failed", "problem", "error", "timed_out"), ("✗", "x", "red")),
        **dict.fromkeys(("unchanged", "warning"), ("!", "!", "yellow")),
        "unverified": ("?", "?", "yellow"),
        "pending": ("·", "-", "dim"),
    }
)
_PLAIN = ("·", "-", "default")

ORDER = tuple(_STATES)
"""The states in the order of a task's life."""


def state(name: str, *, ascii_only: bool = False) -> Text:
    """
    A task's state with its mark, ``✓ succeeded``.
    """
    return _marked(name, _STATES.get(name, _PLAIN), ascii_only=ascii_only)


def finding(name: str, *, ascii_only: bool = False) -> Text:
    """
    A deliverable's, check's or doctor's status with its mark.
    """
    return _marked(name, _FINDINGS.get(name, _PLAIN), ascii_only=ascii_only)


def colour(name: str) -> str:
    """
    The style of a state.
    """
    return _STATES.get(name, _PLAIN)[2]


def _marked(name: str, look: tuple[str, str, str], *, ascii_only: bool) -> Text:
    mark, plain, style = look
    return Text(f"{plain if ascii_only else mark} {name.replace('_', ' ')}", style=style)
