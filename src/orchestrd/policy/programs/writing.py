"""
Programs that write the paths they are given.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known


def writes_all(inquiry: Inquiry, call: Invocation) -> str:
    """
    Programs that write every path they are given.
    """
    valued = o.words("-r --reference -t -d -m --mode -s --size -Z -e --date") if call.program != "tee" else ()
    words = o.plain(call.argv[1:], valued)
    if call.program in {"touch", "truncate"}:
        for path in o.options(call.argv[1:], "-r", "--reference"):
            inquiry.use(path, call, only_looks=True)
    if call.program == "mknod" and {"b", "c", "u"} & set(words[1:]):
        inquiry.object("outside", call, "a device of the machine could be read and written by it")
    for path in words:
        inquiry.use(path, call, writes=True)
    if call.program in {"tee", "sponge"}:
        for path in words:
            if is_known(path):
                inquiry.write(path, call.stdin if call.stdin is not None else HOLE)
        return call.stdin if call.stdin is not None else HOLE
    return ""


def modes(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``chmod`` and its like: the first word is no path.
    """
    words = [
        word
        for word in call.argv[1:]
        if not re.fullmatch(r"--?[a-zA-Z-]{1,}", word) or re.fullmatch(r"-[rwxXst]+", word)
    ]
    reference = o.option(call.argv[1:], "--reference")
    for path in words[0 if reference is not None else 1 :]:
        inquiry.use(path, call, writes=True)
    return ""


def streams(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``dd``: ``if=`` is read, ``of=`` is written.
    """
    for word in call.argv[1:]:
        key, _, path = word.partition("=")
        if key == "if":
            inquiry.use(path, call)
        elif key == "of":
            inquiry.use(path, call, writes=True)
            if is_known(path) and not any(word.startswith("if=") for word in call.argv):
                inquiry.write(path, call.stdin if call.stdin is not None else HOLE)
    return HOLE


def splits(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``split`` and ``csplit``: the last word begins the names that are written; ``--filter`` runs a command.
    """
    for text in o.options(call.argv[1:], "--filter"):
        inquiry.text(text)
    words = o.plain(
        call.argv[1:],
        o.words("-a -b -C -l -n -t -f --prefix --lines --bytes --number --suffix-length --filter"),
    )
    for path in words[:1]:
        inquiry.use(path, call)
    for path in [*words[1:], *o.options(call.argv[1:], "-f", "--prefix")]:
        if call.program == "split" or path in o.options(call.argv[1:], "-f", "--prefix"):
            inquiry.use(path, call, writes=True)
    return ""


def second(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``uniq IN OUT``: what is printed goes into the second file.
    """
    for path in o.plain(call.argv[1:], o.words("-f -s -w"))[1:2]:
        inquiry.use(path, call, writes=True)
    return None


HANDLERS: dict[str, Handler] = {
    **o.each("tee sponge touch mkdir truncate mkfifo mknod fallocate", writes_all),
    **o.each("chmod chown chgrp setfacl chattr chcon", modes),
    "dd": streams,
    **o.each("split csplit gsplit", splits),
    "uniq": second,
}
