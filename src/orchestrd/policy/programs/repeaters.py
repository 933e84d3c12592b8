"""
Programs that run a command again and again: for each argument, for each line, after a time.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known


def for_each(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``xargs``: a command with what it reads for further arguments.
    """
    valued = o.words("""
        -I -J -R -n -P -d -L -l -s -a -E -i --max-args --max-procs --delimiter --max-lines --arg-file --replace
        --eof --max-chars
    """)
    at = o.after_options(call.argv, valued - {"-i", "-l"})
    template = call.argv[at:] or ("echo",)
    source = o.option(call.argv[1:at], "-a", "--arg-file")
    text = inquiry.content(source) if source else call.stdin
    if source:
        inquiry.use(source, call)
    known = text is not None and is_known(text)
    mark = o.option(call.argv[1:at], "-I", "-J", "--replace") or ("{}" if o.has_flag(call.argv[1:at], "i") else None)
    if mark is not None:
        items = [line.strip() for line in (text or "").splitlines()][:8] if known or (text and text.strip()) else [HOLE]
        printed = ""
        for item in items or [""]:
            printed += inquiry.argv(call, tuple(word.replace(mark, item) for word in template), stdin=None)
        return printed if known else HOLE
    delimiter = "\0" if o.has_flag(call.argv[1:at], "0", "--null") else o.option(call.argv[1:at], "-d", "--delimiter")
    if len(template) > 1 and template[-1] == "-c" and known:
        return inquiry.argv(call, (*template, text or ""), stdin=None)
    if not known and text is not None and text.strip():
        return inquiry.argv(call, (*template, *text.split()[:8]), stdin=None)
    arguments = (
        tuple((text or "").split(delimiter) if delimiter else (text or "").replace("'", "").replace('"', "").split())
        if known
        else (HOLE,)
    )
    return inquiry.argv(call, (*template, *arguments), stdin=None)


def in_parallel(inquiry: Inquiry, call: Invocation) -> str:
    """
    GNU ``parallel``: a command for each argument behind ``:::``, or for each line read; without a command, each is one.
    """
    valued = o.words("""
        -j -P -S -N -n -a -I -d --jobs --max-procs --colsep --delay --joblog --results --tmpdir --timeout
        --retries --arg-file --sshlogin --wd
    """)
    argv = call.argv
    marks = [at for at, word in enumerate(argv) if word in {":::", ":::+", "::::"}]
    end = marks[0] if marks else len(argv)
    begin = min(o.after_options(argv[:end], valued), end)
    template = argv[begin:end]
    if marks and argv[marks[0]] != "::::":
        groups = [argv[a + 1 : b] for a, b in zip(marks, [*marks[1:], len(argv)], strict=True)]
        items: list[tuple[str, ...]] = [(item, *(group[0] for group in groups[1:] if group)) for item in groups[0]][:12]
    elif call.stdin is not None and is_known(call.stdin) and not marks:
        items = [(line,) for line in call.stdin.splitlines()][:12]
    else:
        items = [(HOLE,)]
    for item in items:
        line = " ".join(template)
        if "{" in line:
            line = re.sub(r"\{(?:[./#%]*)\}", lambda _, item=item: " ".join(item), line)
            for at, value in enumerate(item, 1):
                line = re.sub(rf"\{{{at}[./]*\}}", lambda _, value=value: value, line)
        else:
            line = " ".join([*template, *item])
        if "--pipe" in argv or "--pipepart" in argv:
            inquiry.argv(call, template, stdin=call.stdin if call.stdin is not None else HOLE)
        elif not template and not is_known(line):
            inquiry.object("exec-unknown", call, "the commands it would run are only known when it runs")
        else:
            inquiry.text(line)
    return HOLE


def watched(inquiry: Inquiry, call: Invocation) -> str:
    """
    Programs that give their arguments, joined, to a shell: ``watch``, ``su -c``, ``script -c``, ``flock … -c``, ``entr -s``.
    """
    name = call.program
    if name in {"watch", "viddy"}:
        rest = call.argv[o.after_options(call.argv, o.words("-n --interval -q --equexit")) :]
        if len(rest) > 1:
            inquiry.argv(call, rest, stdin=None)
        return inquiry.text(" ".join(rest))
    if name == "entr" and not o.has_flag(call.argv[1:], "s"):
        return inquiry.argv(call, call.argv[o.after_options(call.argv) :], stdin=None)
    text = o.option(call.argv[1:], "-c", "--command", "--session-command") or (
        o.option(call.argv[1:], "-s") if name == "entr" else None
    )
    if text is not None:
        if name == "script":
            _recording(inquiry, call)
        return inquiry.text(text)
    if name == "flock":
        rest = call.argv[o.after_options(call.argv, o.words("-w -E --timeout --conflict-exit-code")) + 1 :]
        if rest[:1] in (("-c",), ("--command",)):
            return inquiry.text(" ".join(rest[1:]))
        return inquiry.argv(call, rest)
    if name in {"runuser", "su"}:
        rest = call.argv[o.after_options(call.argv, o.words("-u -g -G -s -l -w --user --group --shell")) :]
        if "-u" in call.argv or "--" in call.argv:
            return inquiry.argv(call, rest)
        inquiry.object("outside", call, "another user's shell would be opened")
        return HOLE
    if name == "script":
        _recording(inquiry, call)
        rest = call.argv[1:]
        if "--" in rest:
            return inquiry.argv(call, tuple(rest[rest.index("--") + 1 :]))
        if call.stdin is not None:
            return inquiry.argv(call, ("sh",))
    return HOLE


def _recording(inquiry: Inquiry, call: Invocation) -> None:
    for path in o.plain(
        call.argv[1:], o.words("-c --command -E -I -O -B -T -m -o --log-out --log-in --log-io --log-timing")
    ):
        inquiry.use(path, call, writes=True)


HANDLERS: dict[str, Handler] = {
    **o.each("xargs gxargs", for_each),
    **o.each("parallel parset", in_parallel),
    **o.each("watch viddy su runuser script flock entr sg newgrp", watched),
}
