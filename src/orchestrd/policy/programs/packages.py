"""
Packages that are run as programs: which program that is.
"""

from __future__ import annotations

import re

_PROGRAMS = {
    "@railway/cli": "railway",
    "@anthropic-ai/claude-code": "claude",
    "@openai/codex": "codex",
    "@google/gemini-cli": "gemini",
    "@changesets/cli": "changeset",
    "@redwoodjs/cli": "rw",
    "@sanity/cli": "sanity",
    "@supabase/cli": "supabase",
    "@stripe/cli": "stripe",
    "@mikro-orm/cli": "mikro-orm",
    "czg": "cz",
    "git-cz": "cz",
    "trash-cli": "trash",
}
"""Packages whose program has another name."""
_VERSION = re.compile(r"(?<=.)@[^/]*$")


def program_of(name: str) -> str:
    """
    The program that a package is named after: ``@scope/cli@1.2`` → ``cli``.
    """
    bare = _VERSION.sub("", name)
    return _PROGRAMS.get(bare, bare.rsplit("/", 1)[-1])
