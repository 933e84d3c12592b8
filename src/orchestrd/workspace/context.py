"""
The files that ``context_files`` names: found in a tree, folders and globs expanded, small texts read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from orchestrd.domain.instructions import ContextFile

MAX_FILES = 200
"""Files listed for one task; a folder with more is cut there."""


def missing(project: Path, patterns: tuple[str, ...]) -> list[str]:
    """
    Those of *patterns* that name nothing in *project*.
    """
    return [pattern for pattern in patterns if next(_matches(project, pattern), None) is None]


def gather(tree: Path, patterns: tuple[str, ...], *, inline_bytes: int) -> tuple[ContextFile, ...]:
    """
    The files, in the order they are named, each once; text of at most *inline_bytes* bytes is read.
    """
    found: dict[str, ContextFile] = {}
    for pattern in patterns:
        for path in _matches(tree, pattern):
            name = path.relative_to(tree).as_posix()
            if name not in found:
                found[name] = _read(path, name, inline_bytes)
            if len(found) >= MAX_FILES:
                return tuple(found.values())
    return tuple(found.values())


def _matches(root: Path, pattern: str) -> Iterator[Path]:
    """
    Regular files under *root* that *pattern* names; a literal name wins over a glob, for names like ``[id].tsx``.
    """
    literal = root / pattern
    try:
        if literal.is_file():
            candidates: Iterator[Path] = iter((literal,))
        elif literal.is_dir():
            candidates = _walk(literal)
        elif any(character in pattern for character in "*?["):
            # `docs/**.md` means `docs/*.md` to whoever writes it; Path.glob takes `**` only as a whole part.
            parts = (part if part == "**" else re.sub(r"\*{2,}", "*", part) for part in pattern.split("/"))
            found = sorted(root.glob("/".join(parts)))
            candidates = (inner for path in found for inner in (_walk(path) if path.is_dir() else (path,)))
        else:
            return
    except (OSError, ValueError, NotImplementedError):
        return  # too long, absolute, or no pattern at all: it names nothing here
    base = root.resolve()
    for path in candidates:
        if path.is_file() and path.resolve().is_relative_to(base) and ".git" not in path.relative_to(root).parts:
            yield path


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in {".git", "node_modules", "__pycache__"})
        for name in sorted(files):
            yield Path(parent) / name


def _read(path: Path, name: str, inline_bytes: int) -> ContextFile:
    size = path.stat().st_size
    text: str | None = None
    if size <= inline_bytes:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            text = None
        if text is not None and "\0" in text:
            text = None
    return ContextFile(path=name, size=size, text=text)
