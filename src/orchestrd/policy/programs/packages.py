"""
Packages that are run as programs: which program that is.
"""

from __future__ import annotations

import re


def program_of(name: str) -> str:
    """
    The program that a package is named after: ``@scope/cli@1.2`` → ``cli``.
    """
    known = {
        "@railway/cli": "railway",
        "@anthropic-ai/claude-code": "claude",
        "@openai/codex": "codex",
        "@google/gemini-cli": "gemini",
        "@changesets/cli": "changeset",
        "@redwoodjs/cli": "rw",
        "@mikro-orm/cli": "mikro-orm",
        "@sanity/cli": "sanity",
        "czg": "cz",
        "git-cz": "cz",
        "prisma": "prisma",
        "@supabase/cli": "supabase",
        "del-cli": "del-cli",
        "trash-cli": "trash",
        "@stripe/cli": "stripe",
        "auto": "auto",
        "gh-pages": "gh-pages",
    }
    bare = re.sub(r"(?<=.)@[^/]*$", "", name)
    return known.get(bare, bare.rsplit("/", 1)[-1])
