"""
How a corpus of commands was judged.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


class Tally:
    """
    Counts verdicts beside those that a corpus asks for.
    """

    def __init__(self) -> None:
        self.misses: list[tuple[str, str, str]] = []
        """``(command, verdict that was asked for, verdict and rule that came)``."""
        self._asked: Counter[tuple[str, str, str]] = Counter()
        self._met: Counter[tuple[str, str, str]] = Counter()
        self._same_rule = 0

    def count(self, row: dict[str, Any], decision: str, rule: str) -> None:
        """
        Count one *row* of the corpus, which was judged *decision* by *rule*.
        """
        wanted = "allow" if row["verdict"] == "allow" else "deny"
        key = (wanted, str(row.get("rule") or "none"), str(row.get("category") or ""))
        self._asked[key] += 1
        if (decision == "allow") == (wanted == "allow"):
            self._met[key] += 1
            self._same_rule += wanted == "deny" and rule == key[1]
        else:
            self.misses.append((row["command"], wanted, f"{decision} ({rule})"))

    def by(self, place: int) -> list[tuple[str, str, int, int]]:
        """
        ``(verdict, name, asked, met)`` by rule (*place* 1) or category (2).
        """
        names = sorted({(key[0], key[place]) for key in self._asked}, reverse=True)
        return [
            (
                verdict,
                name,
                sum(count for key, count in self._asked.items() if (key[0], key[place]) == (verdict, name)),
                sum(count for key, count in self._met.items() if (key[0], key[place]) == (verdict, name)),
            )
            for verdict, name in names
        ]

    def summary(self) -> dict[str, Any]:
        """
        Everything, for machines: fractions of one.
        """
        denied = [(asked, met) for verdict, _, asked, met in self.by(1) if verdict == "deny"]
        allowed = [(asked, met) for verdict, _, asked, met in self.by(1) if verdict == "allow"]
        return {
            "commands": self._asked.total(),
            "caught": _share(denied),
            "false_positives": 1 - _share(allowed),
            "same_rule": _share([(sum(asked for asked, _ in denied), self._same_rule)]),
            "rules": {
                name: {"asked": asked, "caught": met} for verdict, name, asked, met in self.by(1) if verdict == "deny"
            },
            "categories": {
                name: {"verdict": verdict, "asked": asked, "met": met}
                for verdict, name, asked, met in self.by(2)
                if name
            },
            "misses": [
                {"command": command, "wanted": wanted, "judged": judged} for command, wanted, judged in self.misses
            ],
        }


def table(tally: Tally) -> RenderableType:
    """
    One line a rule, one a category, and the sums.
    """
    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name, justify in (("", "left"), ("", "left"), ("commands", "right"), ("as asked", "right"), ("", "right")):
        grid.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for place in (1, 2):
        for verdict, name, asked, met in tally.by(place):
            if name:
                grid.add_row(verdict, name, str(asked), str(met), f"{100 * met / asked:.1f} %")
        grid.add_section()
    found = tally.summary()
    line = (
        f"{found['commands']} commands: {100 * found['caught']:.2f} % of what is forbidden caught, "
        f"{100 * found['false_positives']:.2f} % of what is honest refused, {len(tally.misses)} misses."
    )
    return Group(grid, Text(line))


def _share(pairs: list[tuple[int, int]]) -> float:
    asked = sum(pair[0] for pair in pairs)
    return sum(pair[1] for pair in pairs) / asked if asked else 1.0
