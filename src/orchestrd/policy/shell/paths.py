"""
Paths as a shell reads them, without looking at any.
"""

from __future__ import annotations

import posixpath

STDIN = frozenset({"/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "/proc/thread-self/fd/0"})
"""Paths of what a program reads anyway."""


def absolute(path: str, cwd: str) -> str:
    """
    *path*, seen from *cwd*, without ``.`` and ``..``.
    """
    if path.startswith("/") and "/." not in path and "//" not in path and not path.endswith("/"):
        return path
    full = posixpath.normpath(posixpath.join(cwd, path))
    return full[1:] if full.startswith("//") else full
