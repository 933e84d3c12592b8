"""
Words that name git's own files, or what sets up the agent's program: whatever a program does that is none of those that only read,
such a word says where it writes.
"""

from __future__ import annotations

import re
from itertools import pairwise

from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.scope import Place
from orchestrd.policy.shell.invocation import Invocation

_JUDGED = o.words("""
    gh hub rsync cp gcp install ginstall mv gmv ln gln rm tar bsdtar gtar zip unzip 7z find gfind fd fdfind sed gsed awk gawk sqlite3
    env xargs parallel sudo time timeout nice nohup watch bash sh zsh dash ksh fish eval exec command jq yq cd pushd export declare
    local readonly set unset alias basename dirname realpath readlink chmod sort claude orchctl
""")
"""Programs whose words are judged by what they mean to them."""
_READING = o.words("""
    : [ [[ . ag ast-grep bat batcat cat cmp colordiff comm cut delta df diff diffstat dir du echo egrep exa eza expand false fgrep file
    fmt fold grep zgrep head hd hexdump id join less let logger ls lsattr lsd lsof man mapfile md5sum more most namei nl od paste
    printf pgrep pkill ps read readarray rev rg sha1sum sha224sum sha256sum sha384sum sha512sum shasum sum cksum b2sum source stat
    strings tac tail test tr tree true type wc whereis which zcat zless scc cloc loc sloccount tokei gitleaks trufflehog semgrep
    codespell cspell markdownlint vale actionlint shellcheck hadolint column trap sleep say notify-send kill return exit
""")
"""Programs that only read the paths they are given, or take them for text."""
_NAMES = re.compile(r"\.git(?![\w-])|\.claude|\.mcp\.json|CLAUDE\.local\.md")
_SHORT = frozenset({"-e", "-i", "-x", "-E", "-I", "-X", "-m", "-c"})
"""Options of which the value is mostly what is left out, a message or a program."""
_PARTS = re.compile(r"[=:,]")


def guard(inquiry: Inquiry, call: Invocation) -> None:
    """
    Object to a word, or a part of one, that names what nobody may write.
    """
    if _NAMES.search(" ".join((*call.argv, *call.cwd))) is None:
        return
    program = call.program
    if call.elsewhere or program in _READING or program in _JUDGED or program.startswith("git"):
        return
    inside = any(_NAMES.search(cwd) for cwd in call.cwd)
    left_out = o.left_out(call.argv)
    for before, word in pairwise(call.argv):
        if before in _SHORT or word in left_out or word.startswith("!") or not (inside or _NAMES.search(word)):
            continue
        for part in {word, *_PARTS.split(word), *([word[2:]] if re.match(r"-[A-Za-z]", word) else [])}:
            if part and not part.startswith("-") and not re.search(r"\s", part) and _protected(inquiry, call, part):
                inquiry.use(part, call, writes=True)
                return


def _protected(inquiry: Inquiry, call: Invocation, part: str) -> bool:
    return any(inquiry.place(part, cwd) in {Place.REPOSITORY, Place.SETTINGS} for cwd in call.cwd)
