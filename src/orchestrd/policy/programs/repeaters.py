"""
Programs that run a command again and again: for each argument, for each line, after a time.
"""

from __future__ import annotations

import re
from itertools import pairwise

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, hole, is_known, is_printed

_XARGS_VALUED = o.words("""
    -I -J -R -n -P -d -L -s -a -E --max-args --max-procs --delimiter --max-lines --arg-file --replace --eof
    --max-chars
""")
_PARALLEL_VALUED = o.words("""
    -j -P -S -N -n -a -I -d --jobs --max-procs --colsep --delay --joblog --results --tmpdir --timeout --retries
    --arg-file --sshlogin --wd
""")
_SCRIPT_VALUED = o.words("-c --command -E -I -O -B -T -m -o --log-out --log-in --log-io --log-timing")
_SHELLS = o.words("sh bash dash zsh ksh ash")
_PLACEHOLDER = re.compile(r"\{(?:[./#%]*)\}")
_NUMBERED = re.compile(r"\{(\d+)[./]*\}")
_MAX_ITEMS = 12
"""
So often a command is followed with another argument; of more arguments, the rest is taken for one that is not known.
"""


def for_each(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``xargs``: a command with what it reads for further arguments.
    """
    at = o.after_options(call.argv, _XARGS_VALUED)
    own, template = call.argv[1:at], call.argv[at:] or ("echo",)
    source = o.option(own, "-a", "--arg-file")
    if source:
        inquiry.use(source, call)
    text = inquiry.content(source) if source else call.stdin
    known = text is not None and is_known(text)
    mark = o.option(own, "-I", "-J", "--replace") or ("{}" if o.has_flag(own, "i") else None)
    if mark is not None:
        lines = [line.strip() for line in (text or "").splitlines()]
        items = _first(lines or [""]) if known or any(lines) else [HOLE]
        printed = ""
        if any(map(is_printed, items)) and _in_text(template, mark):
            what = f"in the text of a shell a name may be a command: hand it over (sh -c '… \"$1\" …' _ {mark})"
            inquiry.object("exec-unknown", call, what)
            items = [hole("1") if is_printed(item) else item for item in items]  # what else stands there is judged
        for item in items:
            printed += inquiry.argv(call, tuple(word.replace(mark, item) for word in template), stdin=None)
        return printed if known else HOLE
    if text is None or not (known or text.strip()):
        arguments = [HOLE]
    elif not known:
        arguments = _first(text.split())
    elif len(template) > 1 and template[-1] == "-c":
        arguments = [text]
    else:
        delimiter = "\0" if o.has_flag(own, "0", "--null") else o.option(own, "-d", "--delimiter")
        arguments = text.split(delimiter) if delimiter else text.replace("'", "").replace('"', "").split()
    return inquiry.argv(call, (*template, *arguments), stdin=None)


def _in_text(template: tuple[str, ...], mark: str) -> bool:
    """
    True when the *mark* stands in a text that a shell is given to run.
    """
    if template[0].rsplit("/", 1)[-1] not in _SHELLS:
        return False
    return any(mark in text for option, text in pairwise(template) if re.fullmatch(r"-\w*c", option))


def _first(items: list[str]) -> list[str]:
    return items if len(items) <= _MAX_ITEMS else [*items[: _MAX_ITEMS - 1], HOLE]


def in_parallel(inquiry: Inquiry, call: Invocation) -> str:
    """
    GNU ``parallel``: a command for each argument behind ``:::``, or for each line read; without a command, each is one.
    """
    argv = call.argv
    marks = [at for at, word in enumerate(argv) if word in {":::", ":::+", "::::"}]
    end = marks[0] if marks else len(argv)
    template = argv[min(o.after_options(argv[:end], _PARALLEL_VALUED), end) : end]
    others: list[str] = []
    if marks and argv[end] != "::::":
        items, *rest = [argv[a + 1 : b] for a, b in zip(marks, [*marks[1:], len(argv)], strict=True)]
        firsts = _first(list(items))
        others = [group[0] for group in rest if group]
    elif call.stdin is not None and is_known(call.stdin) and not marks:
        firsts = _first(call.stdin.splitlines())
    else:
        firsts = [HOLE]
    for first in firsts:
        line = _filled(template, [first, *others])
        if "--pipe" in argv or "--pipepart" in argv:
            inquiry.argv(call, template, stdin=call.stdin if call.stdin is not None else HOLE)
        elif not template and not is_known(line):
            inquiry.object("exec-unknown", call, "the commands it would run are only known when it runs")
        else:
            inquiry.text(line)
    return HOLE


def _filled(template: tuple[str, ...], items: list[str]) -> str:
    """
    The command line that *template* is for *items*, each in the place of its mark, or all at the end.
    """
    line = " ".join(template)
    if "{" not in line:
        return " ".join([*template, *items])
    line = _PLACEHOLDER.sub(lambda _: " ".join(items), line)
    numbered = {str(at): item for at, item in enumerate(items, 1)}
    return _NUMBERED.sub(lambda match: numbered.get(match.group(1), match.group()), line)


def watched(inquiry: Inquiry, call: Invocation) -> str:
    """
    Programs that give their arguments, joined, to a shell: ``watch``, ``su -c``, ``script -c``, ``flock … -c``.
    """
    name, argv = call.program, call.argv
    if name in {"watch", "viddy"}:
        rest = argv[o.after_options(argv, o.words("-n --interval -q --equexit")) :]
        if len(rest) > 1:
            inquiry.argv(call, rest, stdin=None)
        return inquiry.text(" ".join(rest))
    if name == "entr":
        return _for_changes(inquiry, call)
    if name == "script":
        for path in o.plain(argv[1:], _SCRIPT_VALUED):
            inquiry.use(path, call, writes=True)
    text = o.option(argv[1:], "-c", "--command", "--session-command")
    if text is not None:
        return inquiry.text(text)
    match name:
        case "flock":
            rest = argv[o.after_options(argv, o.words("-w -E --timeout --conflict-exit-code")) + 1 :]
            return inquiry.argv(call, rest)
        case "runuser" | "su":
            if "-u" in argv or "--" in argv:
                valued = o.words("-u -g -G -s -l -w --user --group --shell")
                return inquiry.argv(call, argv[o.after_options(argv, valued) :])
            inquiry.object("outside", call, "another user's shell would be opened")
        case "script" if "--" in argv:
            return inquiry.argv(call, argv[argv.index("--") + 1 :])
        case "script" if call.stdin is not None:
            return inquiry.argv(call, ("sh",))
    return HOLE


def _for_changes(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``entr``: a program, or with ``-s`` a text, for each change of a file.
    """
    if not o.has_flag(call.argv[1:], "s"):
        return inquiry.argv(call, call.argv[o.after_options(call.argv) :], stdin=None)
    text = o.option(call.argv[1:], "-c", "--command", "-s")
    return HOLE if text is None else inquiry.text(text)


HANDLERS: dict[str, Handler] = {
    **o.each("xargs gxargs", for_each),
    **o.each("parallel parset", in_parallel),
    **o.each("watch viddy su runuser script flock entr sg newgrp", watched),
}
