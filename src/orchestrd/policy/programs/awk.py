"""
Awk: what its programs run, read and write.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.secrecy import is_secret_variable
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known, is_printed, only_holes


def run_awk(inquiry: Inquiry, call: Invocation, texts: list[str]) -> str:
    argv = call.argv[1:]
    files = o.options(argv, "-f", "--file", "-E")
    words = o.plain(argv, o.words("-F -v -f -i -l -e --file --assign --field-separator --source -W -E"))
    if not texts and not files:
        texts, words = words[:1], words[1:]
    for path in files:
        inquiry.use(path, call)
        content = inquiry.content(path)
        texts = [*texts, content] if is_known(content) else texts
    for path in words:
        if not re.match(r"[A-Za-z_]\w*=", path):
            inquiry.use(path, call)
    for text in texts:
        if is_printed(text) and only_holes(text):
            inquiry.object("exec-unknown", call, "what it would run is only known when it runs")
        _awk_program(inquiry, call, text)
    for name in re.findall(r"ENVIRON\[\"(\w+)\"\]", " ".join(texts)):
        if is_secret_variable(name):
            inquiry.object("secret", call, "the environment's secrets would be shown")
    if any(re.search(r"\bin\s+ENVIRON\b", text) for text in texts):
        inquiry.object("secret", call, "the environment's secrets would be shown")
    return HOLE


def _awk_program(inquiry: Inquiry, call: Invocation, text: str) -> None:
    literal = r"\"((?:[^\"\\\n]|\\.)*)\""
    for match in re.finditer(rf"system\s*\(\s*{literal}\s*(\))?", text):
        inquiry.text(match.group(1).replace('\\"', '"') + ("" if match.group(2) else " " + HOLE))
    if re.search(r"system\s*\(\s*[^\"\s)]", text):
        inquiry.object("exec-unknown", call, "the command that it runs is only known when it runs")
    for match in re.finditer(rf"(?:print|printf)\b([^|;}}\n]*)\|&?\s*{literal}", text):
        printed = " ".join(re.findall(literal, match.group(1)))
        inquiry.text(match.group(2).replace('\\"', '"'), stdin=printed or HOLE)
    for match in re.finditer(rf"{literal}\s*\|&?\s*getline", text):
        inquiry.text(match.group(1).replace('\\"', '"'))
    if re.search(
        r"(?<![|\w\"])\w+\s*\|&?\s*getline|\|\s*&?\s*[A-Za-z_]\w*\s*(?:[;}\n]|$)", re.sub(literal, '""', text)
    ) and not re.search(r"\|\|", text):
        inquiry.object("exec-unknown", call, "the command that it runs is only known when it runs")
    for match in re.finditer(rf"(?:print|printf)\b[^>;}}\n]*>>?\s*{literal}", text):
        inquiry.use(match.group(1), call, writes=True)
    for match in re.finditer(rf"getline[^<;}}]*<\s*{literal}", text):
        inquiry.use(match.group(1), call)
