"""
``find`` and ``fd``: where they look, what they run, delete and write.
"""

from __future__ import annotations

from itertools import pairwise, takewhile

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.deleting import delete
from orchestrd.policy.secrecy import is_secret
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known

_SHOWING = o.words("cat tac head tail less more nl strings xxd od hexdump base64 base32 bat tee")
"""Programs that show all of a file."""


def searches(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``find``: where it looks, what it runs, deletes and writes.
    """
    argv = call.argv[1:]
    at = 0
    while at < len(argv) and argv[at] in {"-L", "-P", "-H", "-E", "-X", "-x"}:
        at += 1
    rest = argv[at:]
    starts = list(takewhile(lambda word: not word.startswith(("-", "(", "!")) and word != ",", rest)) or ["."]
    for start in starts:
        inquiry.use(start, call, only_looks=True)
    names = [value for option, value in pairwise(rest) if option in {"-name", "-iname", "-path", "-wholename"}]
    secret = any(is_secret(name) for name in names)
    for option, value in pairwise((*rest, "")):
        if option in {"-fprintf", "-fprint", "-fprint0", "-fls"}:
            inquiry.use(value, call, writes=True)
        elif option in {"-newer", "-samefile", "-files0-from"}:
            inquiry.use(value, call, only_looks=option != "-files0-from")
            content = inquiry.content(value) if option == "-files0-from" else ""
            for path in content.split("\0") if is_known(content) else []:
                inquiry.use(path.strip(), call, only_looks=True)
    found = ".env" if secret else _found(starts[0], names)
    deleting = [
        i
        for i, word in enumerate(rest)
        if word == "-delete" and (i == 0 or rest[i - 1] not in {"-name", "-iname", "-path", "-regex", "-newer"})
    ]
    running = [i for i, word in enumerate(rest) if word in {"-exec", "-execdir", "-ok", "-okdir"}]
    if deleting and not (
        running and deleting[0] > running[0] and not any(word in {";", "+"} for word in rest[running[0] : deleting[0]])
    ):
        for start in starts:
            delete(
                inquiry,
                call,
                start if start.endswith("/") else f"{start}/{found.rsplit('/', 1)[-1]}" if is_known(found) else start,
            )
    for begin in running:
        end = next(
            (i for i in range(begin + 1, len(rest)) if rest[i] == ";" or (rest[i] == "+" and rest[i - 1] == "{}")),
            len(rest),
        )
        shows = rest[begin + 1 : begin + 2] and rest[begin + 1].rsplit("/", 1)[-1] in _SHOWING
        every = shows and set(names) <= {"*", ".*"} and inquiry.is_whole(starts)
        one = f"{starts[0].rstrip('/')}/.env" if every else found
        command = tuple(word.replace("{}", one) for word in rest[begin + 1 : end])
        if command:
            inquiry.argv(call, command, stdin=None)
    return found + "\n" if secret else HOLE


def _found(start: str, names: list[str]) -> str:
    """
    What stands for the files that are found: the name that was looked for, where it was looked for.
    """
    name = names[0] if names and not names[0].endswith("/") else "*"
    return f"{start.rstrip('/') or '/'}/{name.rsplit('/', 1)[-1]}" if is_known(start) else HOLE


def searches_fast(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``fd``: ``-x`` and ``-X`` run a command.
    """
    argv = call.argv[1:]
    running = next((i for i, word in enumerate(argv) if word in {"-x", "-X", "--exec", "--exec-batch"}), len(argv))
    words = o.plain(
        argv[:running],
        o.words("""
            -e --extension -t --type -d --max-depth -E --exclude -S --size --changed-within --changed-before -c
            --color -j --threads --min-depth -o --owner
        """),
    )
    for path in [*words[1:], *o.options(argv[:running], "--search-path", "--base-directory", "-C")]:
        inquiry.use(path, call, only_looks=True)
    command = tuple(word.replace("{}", "./*") for word in takewhile(lambda word: word != ";", argv[running + 1 :]))
    secret = bool(words) and is_secret(words[0].strip("^$\\"))
    if command:
        filled = (
            tuple(word for word in command)
            if any("*" in word for word in command)
            else (*command, ".env" if secret else "./*")
        )
        inquiry.argv(call, filled, stdin=None)
    return ".env\n" if secret else HOLE


HANDLERS: dict[str, Handler] = {**o.each("find gfind bfs", searches), **o.each("fd fdfind", searches_fast)}
