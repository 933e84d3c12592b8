"""
What an audit found.
"""

from __future__ import annotations

import msgspec

MANY = 20
"""Findings of one invariant that are named one by one."""

INVARIANTS = {
    "I1": "facts",
    "I2": "streams",
    "I3": "money",
    "I4": "requests",
    "I5": "rows",
    "I6": "processes",
    "I7": "questions",
    "I8": "modes",
    "I9": "secrecy",
    "I10": "work",
}
"""Invariant to the word for what it is about."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """
    One thing that was looked at.

    *invariant* is a key of `INVARIANTS`; *status* is ok, warning or problem; *subject* is the run, question, path or fact
    it is about, empty for all; *hint* says what to do; *mendable* that ``--repair`` does it; *looked* counts what was
    looked at, by kind.
    """

    invariant: str
    status: str
    detail: str
    subject: str = ""
    hint: str = ""
    mendable: bool = False
    looked: dict[str, int] = {}


def problems(findings: list[Finding]) -> list[Finding]:
    """
    Those of *findings* that are problems.
    """
    return [found for found in findings if found.status == "problem"]


class Notes:
    """
    Collects what one invariant comes to.
    """

    def __init__(self, invariant: str) -> None:
        self.invariant = invariant
        self.looked: dict[str, int] = {}
        self.found: list[Finding] = []
        """What is not in order, in the order in which it was seen."""

    def count(self, kind: str, number: int = 1) -> None:
        """
        *number* more of *kind* were looked at.
        """
        self.looked[kind] = self.looked.get(kind, 0) + number

    def problem(self, subject: str, detail: str, *, hint: str = "", mendable: bool = False) -> None:
        """
        The invariant does not hold of *subject*.
        """
        self._add("problem", subject, detail, hint, mendable)

    def warning(self, subject: str, detail: str, *, hint: str = "", mendable: bool = False) -> None:
        """
        Something about *subject* that a person should know; the invariant may hold all the same.
        """
        self._add("warning", subject, detail, hint, mendable)

    def _add(self, status: str, subject: str, detail: str, hint: str, mendable: bool) -> None:  # noqa: FBT001
        self.found.append(
            Finding(
                invariant=self.invariant, status=status, subject=subject, detail=detail, hint=hint, mendable=mendable
            )
        )

    def findings(self) -> list[Finding]:
        """
        What was found, worst first, with the counts on the first; one that says ok when there was nothing.
        """
        if not self.found:
            seen = ", ".join(f"{number} {kind}" for kind, number in self.looked.items())
            return [
                Finding(
                    invariant=self.invariant, status="ok", detail=seen or "nothing to look at yet", looked=self.looked
                )
            ]
        found = sorted(self.found, key=lambda f: f.status != "problem")
        shown, rest = found[:MANY], found[MANY:]
        first = shown[0]
        shown[0] = Finding(**{name: getattr(first, name) for name in first.__struct_fields__} | {"looked": self.looked})
        if rest:
            status = "problem" if any(f.status == "problem" for f in rest) else "warning"
            shown.append(
                Finding(
                    invariant=self.invariant,
                    status=status,
                    detail=f"and {len(rest)} more of this kind",
                    mendable=all(f.mendable for f in rest),
                )
            )
        return shown
