"""
What one command line says apart from its command: which home, text or JSON; and what follows from it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchctl.client import Client
    from orchctl.render.screen import Screen


class Invocation:
    """
    The context of one command; everything dear is made when first asked for.
    """

    def __init__(self) -> None:
        self.named_home: Path | None = None
        self.json = False
        self._screen: Screen | None = None
        self._client: Client | None = None

    def close(self) -> None:
        """
        Hang up.
        """
        if self._client is not None:
            self._client.close()

    @property
    def home(self) -> Path:
        """
        The home this command is about.  Raises `Misuse` when there is none.
        """
        from orchctl.failures import Misuse
        from orchestrd.config import find_home
        from orchestrd.errors import ConfigError

        try:
            return find_home(self.named_home, dict(os.environ), Path.cwd())
        except ConfigError as error:
            raise Misuse(error.message, hint=error.hint) from None

    def client(self) -> Client:
        """
        The client of the home's daemon; not yet connected.  Raises `Misuse` and `ConfigError`.
        """
        from orchctl.client import Client
        from orchestrd.address import served_socket

        if self._client is None:
            self._client = Client(served_socket(self.home, dict(os.environ)), self.home)
        return self._client

    @property
    def screen(self) -> Screen:
        """
        Standard output, for people.
        """
        if self._screen is None:
            from orchctl.render.screen import Screen

            self._screen = Screen.standard()
        return self._screen

    def emit(self, value: Any, *, lines: bool = False) -> None:
        """
        Write *value* as JSON to standard output: indented on a terminal, one line otherwise and with *lines*.
        """
        import msgspec

        data = msgspec.json.encode(value)
        if sys.stdout.isatty() and not lines:
            data = msgspec.json.format(data, indent=2)
        sys.stdout.write(data.decode() + "\n")
        sys.stdout.flush()
