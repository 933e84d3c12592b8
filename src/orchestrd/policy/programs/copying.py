"""
Programs that move and copy: from places that may be read to places that may be written.
"""

from __future__ import annotations

import posixpath
import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.deleting import delete
from orchestrd.policy.programs.environment import runs_text
from orchestrd.policy.scope import Place
from orchestrd.policy.secrecy import is_secret
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known, shown
from orchestrd.policy.shell.paths import absolute

_VALUED = o.words("-t --target-directory -S --suffix")
_VALUED_BY = {
    "install": o.words("-m --mode -o --owner -g --group"),
    "rsync": o.words("""
        -e --rsh -f --filter --exclude --include --backup-dir --exclude-from --include-from --files-from --log-file
    """),
}
"""Options with a value of its own that one of the programs has: elsewhere `-f` has none."""


def moves(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``mv``: within the project, or into it.
    """
    folder = o.option(call.argv[1:], "-t", "--target-directory")
    words = o.plain(call.argv[1:], o.words("-t --target-directory -S --suffix"))
    if folder is not None:
        sources, target = words, folder
    elif len(words) >= 2:
        *sources, target = words
    else:
        return ""
    for source in sources:
        if is_secret(source):
            inquiry.object("secret", call, f"`{shown(source)}` holds secrets")
        for cwd in call.cwd:
            came, goes = inquiry.place(source, cwd), inquiry.place(target, cwd)
            if came is Place.REPOSITORY:
                inquiry.object("git", call, f"`{shown(source)}` belongs to git", fixed=True)
            elif came is Place.SETTINGS:
                inquiry.object("exec-unknown", call, f"`{shown(source)}` sets up the agent's own program", fixed=True)
            elif came is Place.OWN:
                inquiry.object("outside", call, f"`{shown(source)}` is what runs the agents", fixed=True)
            elif came in {Place.OUTSIDE, Place.PROGRAMS}:
                inquiry.object("outside", call, f"`{shown(source)}` is outside of the project")
            elif came is Place.TREE and inquiry.is_own(source):
                continue
            elif came in {Place.TREE, Place.UNKNOWN} and goes in {Place.SCRATCH, Place.DEVICE}:
                inquiry.object("delete", call, f"`{shown(source)}` would be taken out of the project")
    inquiry.use(target, call, writes=True)
    inquiry.arrived.append(absolute(target, call.cwd[-1]))
    for source in sources[:1]:
        _carry(inquiry, source, target)
    return ""


def copies(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``cp``, ``ln``, ``install``, ``rsync``: from places that may be read to places that may be written.
    """
    name = call.program.removeprefix("g")
    folder = o.option(call.argv[1:], "-t", "--target-directory")
    words = o.plain(call.argv[1:], _VALUED | _VALUED_BY.get(name, frozenset()))
    if name == "rsync":
        if shell := o.option(call.argv[1:], "-e", "--rsh", "--rsync-path"):
            runs_text(inquiry, call, shell, "rsync would run another program")
        if any(word.startswith(("--delete", "--remove-s", "--del")) for word in call.argv):
            for target in words[-1:] if not any("--remove-s" in word for word in call.argv) else words[:-1]:
                delete(inquiry, call, target)
        for path in o.options(call.argv[1:], "--backup-dir", "--log-file"):
            inquiry.use(path, call, writes=True)
        for path in o.options(call.argv[1:], "--exclude-from", "--include-from", "--files-from", "--password-file"):
            inquiry.use(path, call)
        if any(re.match(r"(?:rsync://|[\w.@-]+::?)(?!/?/?$)", word) and not word.startswith("/") for word in words):
            for word in words:
                if ":" not in word:
                    inquiry.use(word, call)
            inquiry.object("outside", call, "files would go to or come from another machine")
            return ""
    if name == "install" and o.has_flag(call.argv[1:], "d", "--directory"):
        for word in words:
            inquiry.use(word, call, writes=True)
        return ""
    if folder is not None:
        sources, target = words, folder
    elif len(words) >= 2:
        *sources, target = words
    elif name == "rsync" and words:
        inquiry.use(words[0], call)
        return ""
    elif name == "ln" and words:
        sources, target = words, "."
    else:
        return ""
    linked = name in {"ln", "link"} or (name == "cp" and o.has_flag(call.argv[1:], "ls", "--link", "--symbolic-link"))
    for source in sources:
        if linked and any(inquiry.place(source, cwd) in {Place.REPOSITORY, Place.SETTINGS} for cwd in call.cwd):
            # What is written to the one is written to the other.
            inquiry.use(source, call, writes=True)
        if name == "ln" and o.has_flag(call.argv[1:], "s", "--symbolic") and not source.startswith(("/", "~")):
            full = _linked(source, target, call.cwd[0])
            inquiry.use(full, call)
        elif not _is_program(inquiry, source, call):
            inquiry.use(source, call)
    inquiry.use(target, call, writes=True)
    for source in sources[:1]:
        _carry(inquiry, source, target, link=name == "ln", stdin=call.stdin)
    return ""


def _linked(source: str, target: str, cwd: str) -> str:
    """
    Where a symbolic link *target* leads that says *source*.
    """
    if not is_known(source + target + cwd):
        return source
    return posixpath.join(posixpath.dirname(absolute(target, cwd)), source)


def _is_program(inquiry: Inquiry, source: str, call: Invocation) -> bool:
    return any(inquiry.place(source, cwd) is Place.PROGRAMS for cwd in call.cwd)


def _carry(inquiry: Inquiry, source: str, target: str, *, link: bool = False, stdin: str | None = None) -> None:
    """
    Remember that what is known of *source* holds for *target*.
    """
    cwd = inquiry.state.cwd[-1]
    if not is_known(source) or not is_known(target) or not is_known(cwd):
        return
    start, end = absolute(source, cwd), absolute(target, cwd)
    ends = [end, absolute(source.rsplit("/", 1)[-1], end)]
    for one in ends:
        if inquiry.scope.place(start, cwd) is Place.PROGRAMS or start in inquiry.state.links:
            inquiry.state.links[one] = inquiry.state.links.get(start, start)
        elif source in {"/dev/stdin", "/dev/fd/0"}:
            inquiry.state.files[one] = stdin if stdin is not None else HOLE
        elif start in inquiry.state.files:
            inquiry.state.files[one] = inquiry.state.files[start]
        elif link or is_secret(source):
            inquiry.state.links[one] = start


HANDLERS: dict[str, Handler] = {
    **o.each("mv gmv mmv", moves),
    **o.each("cp gcp ln gln install ginstall rsync ditto link", copies),
}
