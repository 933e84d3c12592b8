"""
Standard output for people: colours only on a terminal, and nothing but plain lines elsewhere.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

WIDE = 200
"""Columns for output that is no terminal: wide enough that names are not cut."""


class Screen:
    """
    A console that knows whether a person is looking.  *terminal* also means that live views are welcome.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.terminal = console.is_terminal
        self.ascii = not (console.encoding or "utf-8").lower().startswith("utf")

    @classmethod
    def standard(cls) -> Screen:
        """
        Standard output.  ``NO_COLOR`` and ``TERM=dumb`` take the colours away, ``COLUMNS`` sets the width.
        """
        width = None if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit() else WIDE
        return cls(Console(width=width, highlight=False, markup=False, emoji=False, soft_wrap=False))

    @property
    def width(self) -> int:
        """
        Columns.
        """
        return self.console.width

    def show(self, *things: RenderableType) -> None:
        """
        Write each thing on lines of its own; lines of a file or pipe end without blanks.
        """
        if self.terminal:
            for thing in things:
                self.console.print(thing)
            return
        with self.console.capture() as capture:
            for thing in things:
                self.console.print(thing)
        self.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))

    def line(self, text: str | Text) -> None:
        """
        Write one line as it is, however long.
        """
        if self.terminal:
            self.console.print(text, soft_wrap=True)
        else:
            self.write(f"{text}\n")

    def write(self, text: str) -> None:
        """
        Write *text* as it is.
        """
        file = self.console.file
        file.write(text)
        file.flush()


def pairs(rows: list[tuple[str, Any]]) -> Any:
    """
    A two-column grid of labels and values.
    """
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in rows:
        grid.add_row(label, value)
    return grid
