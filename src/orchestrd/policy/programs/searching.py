"""
Searches through files by what is in them.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.naming import VALUED
from orchestrd.policy.shell.invocation import Invocation

_DEEP = o.words("rg ag rgrep ug")
"""Programs that search folders without being told to; of them these pass over hidden files."""
_PASSES_HIDDEN = o.words("rg ag")
_SEARCHING = _DEEP | o.words("grep egrep fgrep ggrep zgrep ugrep")
_MATCHES_ALL = frozenset({"", ".", ".*", "^", "$", "^.*$", ".+", "^.*", "(.*)", "[^x]*"})
_HIDDEN_TOO = re.compile(r"-[a-zA-Z]*u{2,}[a-zA-Z]*|--hidden|-\.")
_NARROWS = ("--include", "-g", "--glob", "-t", "--type", "--files-with", "--count")


def judge_search(inquiry: Inquiry, call: Invocation) -> None:
    """
    Object to a search through the whole tree, hidden files too, by a pattern that is in every line: it shows every file.
    """
    program, argv = call.program, call.argv[1:]
    if program not in _SEARCHING:
        return
    words, given = o.plain(argv, VALUED.get(program, ())), o.options(argv, "-e", "--regexp")
    patterns, places = (given, words) if given else (words[:1], words[1:])
    deep = program in _DEEP or o.has_flag(argv, "rR", "--recursive", "--dereference-recursive")
    hidden = program not in _PASSES_HIDDEN or any(map(_HIDDEN_TOO.fullmatch, argv))
    narrowed = o.has_flag(argv, "clLq") or any(word.startswith(_NARROWS) for word in argv)
    matches = not _MATCHES_ALL.isdisjoint(patterns)
    if deep and hidden and matches and not narrowed and inquiry.is_whole(places or ["."]):
        inquiry.object("secret", call, "every file would be shown, the secret ones too")
