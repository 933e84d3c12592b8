"""
What of this machine an agent in a sandbox must be able to read: the programs that its PATH leads to, and the CLI.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from orchestrd.runner.sandbox import SYSTEM

PARTS = ("bin", "sbin", "lib", "lib64", "libexec", "include", "pyvenv.cfg")
"""What of an installation is shown: never its ``share``, where keyrings lie in a person's ``.local``."""
JAVA = ("security", "*.cfg", "*.properties", "*.properties.*")
"""What is shown of a Java's settings in ``/etc``, which it does not start without (Debian): not ``management``, where passwords lie."""
ROOT = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")


def system() -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """
    The folders of a root that everybody may read, and its links as ``(path, target)``.
    """
    folders = [path for path in SYSTEM if Path(path).is_dir()]
    links: list[tuple[str, str]] = []
    for path in ROOT:
        if Path(path).is_symlink():
            links.append((path, str(Path(path).readlink())))
        elif Path(path).is_dir():
            folders.append(path)
    return tuple(folders), tuple(links)


def installed(path: str) -> list[str]:
    """
    What the programs on *path* (as in PATH) need that do not lie below ``/usr``.

    An entry that belongs to an installation of Python or Node.js, or to pyenv, is shown with its libraries; of any other only
    the folder itself: beside ``~/.cargo/bin`` lies a token.
    """
    found: list[str] = []
    for entry in path.split(os.pathsep):
        folder = Path(os.path.abspath(entry)) if entry.startswith("/") else None  # noqa: PTH100 - as it is named
        if folder is None or not folder.is_dir() or _shown(folder):
            continue
        found.append(str(folder))
        found += _installation(folder)
        found += _versions(folder)
        for program in (*folder.glob("python*"), folder / "node"):
            real = program.resolve()
            if real.is_file() and not _shown(real) and real.parent != folder:
                found += [str(real), str(real.parent), *_installation(real.parent)]
    return list(dict.fromkeys(found))


def java(etc: Path = Path("/etc")) -> list[str]:
    """
    What the Javas of this machine have in *etc*.
    """
    return sorted(str(path) for folder in etc.glob("java-*") for name in JAVA for path in folder.glob(name))


def interpreter() -> tuple[str, list[str]]:
    """
    A Python for our own program inside, and what it needs to be readable.
    """
    real = Path(sys.executable).resolve()
    return str(real), [] if _shown(real) else [str(real), str(real.parent), *_installation(real.parent)]


def program(path: str) -> list[str]:
    """
    What the CLI at *path* needs: itself, and where it is a script the packages around it or, as the CLI's own installer puts them,
    beside it.  Never its folder: of a script that a person wrote, that is a home.
    """
    real = Path(path).resolve()
    found = [] if _shown(Path(path)) else [path]
    if _shown(real):
        return found
    found.append(str(real))
    try:
        with real.open("rb") as file:
            binary = file.read(4) == b"\x7fELF"
    except OSError:
        return found
    if not binary:
        around = [folder for folder in real.parents if folder.name == "node_modules"]
        beside = real.with_name("node_modules")
        found += [str(folder) for folder in (around[-1:] or [beside]) if folder.is_dir()]
    return found


def _shown(path: Path) -> bool:
    """
    True for what is in every sandbox.
    """
    return any(path.is_relative_to(folder) for folder in (*SYSTEM, *ROOT))


def _installation(folder: Path) -> list[str]:
    prefix = folder.parent
    if folder.name not in ("bin", "sbin") or not any(_signs(prefix)):
        return []
    return [str(prefix / part) for part in PARTS if (prefix / part).exists()]


def _signs(prefix: Path) -> Iterator[bool]:
    yield (prefix / "pyvenv.cfg").is_file()
    yield any((prefix / "lib").glob("python3*"))
    yield (prefix / "lib" / "node_modules").is_dir()


def _versions(folder: Path) -> list[str]:
    """
    The shims of pyenv find what they stand for in its folders.
    """
    top = folder.parent
    if folder.name != "shims" or not (top / "versions").is_dir():
        return []
    return [str(top / part) for part in ("bin", "libexec", "versions", "version", "pyenv.d") if (top / part).exists()]
