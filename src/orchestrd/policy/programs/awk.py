"""
Awk: what its programs run, read and write.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.given import given_programs
from orchestrd.policy.secrecy import is_secret_variable
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, only_holes

_STRING = r"(?<!\\)\"((?:[^\"\\\n]|\\.)*)\""
_LITERAL = re.compile(_STRING)
_SYSTEM = re.compile(rf"system\s*\(\s*{_STRING}\s*(\))?")
_SYSTEM_UNKNOWN = re.compile(r"system\s*\(\s*[^\"\s)]")
_PIPED = re.compile(rf"(?:print|printf)\b([^|;}}\n]{{0,1000}})\|&?\s*{_STRING}")
_READ_FROM = re.compile(rf"{_STRING}\s*\|&?\s*getline")
_PIPED_UNKNOWN = re.compile(r"(?<![|\w\"])\w+\s*\|&?\s*getline|\|\s*&?\s*[A-Za-z_]\w*\s*(?:[;}\n]|$)")
_WRITTEN = re.compile(rf"(?:print|printf)\b[^>;}}\n]{{0,1000}}>>?\s*{_STRING}")
_READ = re.compile(rf"getline[^<;}}]{{0,1000}}<\s*{_STRING}")


def run_awk(inquiry: Inquiry, call: Invocation, texts: list[str]) -> str:
    """
    Judge awk's program, which is among *texts*, in a file, or its first argument; and the files that it reads.
    """
    argv = call.argv[1:]
    files = o.options(argv, "-f", "--file", "-E")
    words = o.plain(argv, o.words("-F -v -f -i -l -e --file --assign --field-separator --source -W -E"))
    texts, words = given_programs(inquiry, call, texts, files, words)
    for path in words:
        if not re.match(r"[A-Za-z_]\w*=", path):
            inquiry.use(path, call)
    for text in texts:
        if only_holes(text):
            inquiry.object("exec-unknown", call, "what it would run is only known when it runs")
        _awk_program(inquiry, call, text)
    for name in re.findall(r"ENVIRON\[\"(\w+)\"\]", " ".join(texts)):
        if is_secret_variable(name):
            inquiry.object("secret", call, "the environment's secrets would be shown")
    if any(re.search(r"\bin\s+ENVIRON\b", text) for text in texts):
        inquiry.object("secret", call, "the environment's secrets would be shown")
    return HOLE


def _awk_program(inquiry: Inquiry, call: Invocation, text: str) -> None:
    for command, closed in _SYSTEM.findall(text):
        inquiry.text(_plain(command) + ("" if closed else " " + HOLE))
    for printed, command in _PIPED.findall(text):
        inquiry.text(_plain(command), stdin=" ".join(_LITERAL.findall(printed)) or HOLE)
    for command in _READ_FROM.findall(text):
        inquiry.text(_plain(command))
    unknown = _PIPED_UNKNOWN.search(_LITERAL.sub('""', text)) and "||" not in text
    if unknown or _SYSTEM_UNKNOWN.search(text):
        inquiry.object("exec-unknown", call, "the command that it runs is only known when it runs")
    for path in _WRITTEN.findall(text):
        inquiry.use(path, call, writes=True)
    for path in _READ.findall(text):
        inquiry.use(path, call)


def _plain(literal: str) -> str:
    return literal.replace('\\"', '"')
