"""
``sed`` and ``patch``: files that are changed by a script or a difference.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.given import given_programs
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import only_holes

_BEFORE = r"(?:^|[;{}\n]|\d|\$|/)[^\S\n]*"
_REPLACEMENT = r"s(.)((?:\\.|(?!\1)[^\\])*)\1((?:\\.|(?!\1)[^\\])*)\1"
_OPENS = re.compile(_BEFORE + rf"(?:{_REPLACEMENT}[gpIiM\d]*)?([wWrR])\s+([^\n;}}]+)")
_EXECUTES = re.compile(_BEFORE + r"e(?:\s+([^\n]+)|\s*$)")
_REPLACES_AND_RUNS = re.compile(
    rf"\s*(?:\d+|\$|/[^/]*/)?\s*{_REPLACEMENT}[gpIiM\d]*e[gpIiM\d]*\s*$",
)
_IN_PLACE = re.compile(r"-[a-zA-Z]*i|--in-place")


def edits(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``sed``: in place it writes, and its scripts may write and run.
    """
    argv = call.argv[1:]
    scripts = o.options(argv, "-e", "--expression")
    files = o.options(argv, "-f", "--file")
    words = o.plain(argv, o.words("-e --expression -f --file -l --line-length"))
    scripts, words = given_programs(inquiry, call, scripts, files, words)
    in_place = any(map(_IN_PLACE.match, argv))
    if in_place and words and words[0] == "" and len(words) > 1:
        words = words[1:]  # BSD's suffix
    for path in words:
        inquiry.use(path, call, writes=in_place)
    for script in scripts:
        if only_holes(script):
            inquiry.object("exec-unknown", call, "the script that it would follow is only known when it runs")
        _judge_script(inquiry, call, script)
    return None if not in_place else ""


def _judge_script(inquiry: Inquiry, call: Invocation, script: str) -> None:
    """
    What a script of sed opens and runs.
    """
    for match in _OPENS.finditer(script):
        *_, command, path = match.groups()
        inquiry.use(path.strip(), call, writes=command in "wW")
    for command in _EXECUTES.findall(script):
        if command:
            inquiry.text(command)
        else:
            inquiry.object("exec-unknown", call, "sed would run the lines that it reads")
    if replaced := _REPLACES_AND_RUNS.match(script):
        inquiry.text(replaced.group(3).replace("\\n", "\n"))


def patches(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``patch``: the files it is told, not those that a patch names (the tool refuses names outside by itself).
    """
    for path in o.options(call.argv[1:], "-o", "--output", "-r", "--reject-file", "-d", "--directory"):
        inquiry.use(path, call, writes=True)
    for path in o.plain(
        call.argv[1:], o.words("-p -i -o -r -d -F -D -V -z -B -Y --input --output --directory --strip")
    ):
        inquiry.use(path, call, writes=True)
    for path in o.options(call.argv[1:], "-i", "--input"):
        inquiry.use(path, call)
    for match in re.finditer(r"^(?:\+\+\+|rename to|copy to)\s+(?:b/)?(\S+)", call.stdin or "", re.MULTILINE):
        inquiry.use(match.group(1), call, writes=True)
    if re.search(r"^\+\+\+ /dev/null", call.stdin or "", re.MULTILINE):
        inquiry.object("delete", call, "the patch deletes a file")
    return ""


HANDLERS: dict[str, Handler] = {**o.each("sed gsed ssed", edits), "patch": patches}
