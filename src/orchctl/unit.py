"""
The units of one home: a service and its socket, named after the home, so that several homes live side by side.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from orchctl.failures import Failed, Misuse
from orchctl.systemctl import Manager
from orchestrd.address import home_name, socket_path

SHOWN = ("LoadState", "ActiveState", "SubState", "MainPID", "StatusText", "UnitFileState", "ExecMainStatus")
RUNS = frozenset(("active", "activating", "reloading", "deactivating"))
"""The states of a service that runs, starts or ends."""


class Unit:
    """
    The units of *home* as *environ*'s user has them.
    """

    def __init__(self, home: Path, environ: Mapping[str, str]) -> None:
        self.home = home
        self.name = f"orchestrd-{home_name(home)}"
        self.service = f"{self.name}.service"
        self.socket = f"{self.name}.socket"
        self.manager = Manager(environ)
        self._environ = environ
        settings = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME") or "~").expanduser() / ".config")
        self.folder = Path(settings) / "systemd" / "user"

    @property
    def files(self) -> list[Path]:
        """
        Where the service's and the socket's file are, or would be.
        """
        return [self.folder / self.service, self.folder / self.socket]

    @property
    def installed(self) -> bool:
        """
        True when the home has its service.
        """
        return self.files[0].is_file()

    def keeps(self, pid: int) -> bool:
        """
        True when the process *pid* is the service's: by its control group, which needs no manager to be asked.
        """
        try:
            return f"/{self.service}" in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
        except OSError:
            return False

    def usable(self) -> bool:
        """
        True when the home's daemon is to be started and stopped through its service: it has one, and its manager could run it, or
        does.
        """
        return self.installed and not self.manager.absence() and (self.loaded() or self.running())

    def loaded(self) -> bool:
        """
        True when the manager has read service and socket and found nothing wrong with them.
        """
        return not self._flaws()

    def require_loaded(self) -> None:
        """
        Raise `Failed` unless they are loaded.
        """
        if flaws := self._flaws():
            raise Failed(f"the service manager cannot load the units: {', '.join(flaws)}")

    def _flaws(self) -> list[str]:
        states = {name: self.manager.show(name, "LoadState")["LoadState"] for name in (self.service, self.socket)}
        return [f"{name} is {state or 'unknown'}" for name, state in states.items() if state != "loaded"]

    def running(self) -> bool:
        """
        True while the service runs, starts or ends.
        """
        return self.shown()["ActiveState"] in RUNS

    def shown(self) -> dict[str, str]:
        """
        The service's properties, see `SHOWN`.
        """
        return self.manager.show(self.service, *SHOWN)

    def start(self) -> None:
        """
        Start socket and service; returns when the daemon is ready.  Raises `Failed`.
        """
        self.manager.attempt("reset-failed", self.service, self.socket)
        if self.manager.show(self.socket, "ActiveState")["ActiveState"] != "active":
            # A socket is not opened for a service that runs already.
            self.manager.do("stop", self.service)
            self.manager.do("start", self.socket)
        self.manager.do("start", self.service)

    def restart(self) -> None:
        """
        Start the service anew; callers wait.  Raises `Failed`.
        """
        if self.manager.show(self.socket, "ActiveState")["ActiveState"] != "active":
            self.start()
            return
        self.manager.attempt("reset-failed", self.service, self.socket)
        self.manager.do("restart", self.service)

    def stop(self) -> None:
        """
        End the service, and its socket, which would start it again at the next call.  Raises `Failed`.
        """
        self.manager.do("stop", self.socket, self.service)

    def texts(self) -> list[str]:
        """
        What the files hold.  Raises `Misuse` for a path that no unit file can name.
        """
        home, path = str(self.home), self._environ.get("PATH") or os.defpath
        for text in (home, path, sys.executable):
            # A surrogate stands for a byte that is no UTF-8.
            strange = any(ord(letter) < 32 or 0xD800 <= ord(letter) < 0xE000 for letter in text)
            if strange or text.endswith("\\") or text != text.strip():
                raise Misuse(
                    f"{text!r} cannot be written into a unit file: it holds control characters or is not UTF-8, or ends in a"
                    " space or \\"
                )
        words = {
            "NAME": self.name,
            "TITLE": _plain(home),
            "PYTHON": _quoted(sys.executable),
            "HOME": _quoted(home),
            "FOLDER": _plain(home),
            # A file of variables is named by a pattern (systemd.exec(5)).
            "PATTERN": _plain(re.sub(r"([\\*?\[])", r"\\\1", home)),
            "PATH": _quoted(f"PATH={path}", command=False),
            "SOCKET": _plain(str(socket_path(self.home, dict(self._environ)))),
        }
        return [re.sub(r"@([A-Z]+)@", lambda found: words[found[1]], _template(kind)) for kind in ("service", "socket")]

    def held(self) -> list[str | None]:
        """
        What is in the files now, None for one that is not there.  Raises `Failed`.
        """
        try:
            return [_written(path) for path in self.files]
        except (OSError, UnicodeDecodeError) as error:
            raise Failed(f"{self.folder}: a unit of {self.name} cannot be read: {error}") from None

    def write(self, texts: Sequence[str | None] | None = None) -> list[str]:
        """
        Write the files that are missing or differ, by default as they should be, remove those of which the text is None, and
        give the paths of what changed.  Raises `Failed`.
        """
        changed = []
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for path, text in zip(self.files, self.texts() if texts is None else texts, strict=True):
                if _written(path) == text:
                    continue
                if text is None:
                    path.unlink()
                else:
                    new = path.with_name(f".{path.name}.{os.getpid()}.new")
                    new.write_text(text, encoding="utf-8")
                    new.replace(path)
                changed.append(str(path))
        except OSError as error:
            raise Failed(f"{error.filename}: cannot be written: {error.strerror}") from None
        return changed


def _written(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _template(kind: str) -> str:
    text = resources.files("orchctl").joinpath("units", f"orchestrd.{kind}").read_text(encoding="utf-8")
    # What stands above the first section is for readers of the template.
    return text[text.index("[Unit]") :]


def _plain(text: str) -> str:
    """
    *text* as the whole value of a setting: % begins a specifier (systemd.unit(5)).
    """
    return text.replace("%", "%%")


def _quoted(text: str, *, command: bool = True) -> str:
    """
    *text* as one word (systemd.syntax(7)); in a *command* line $ stands for a variable (systemd.service(5)).
    """
    escaped = _plain(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped.replace("$", "$$") if command else escaped}"'
