"""
What a command does to files: nothing in the project is deleted, and nothing outside of it is written.
"""

from __future__ import annotations

import posixpath
import re
from itertools import pairwise, takewhile

from orchestrd.policy import programs as p
from orchestrd.policy.database import without_runners
from orchestrd.policy.shell import ELSEWHERE, Command, base, unwrap
from orchestrd.policy.verdict import Scope, Verdict, deny

_DELETE = "Project files may not be deleted. Say in summary.md which files should go, or empty them if that is enough."
OUTSIDE = "Only the working tree and the scratch folder ($TMPDIR) may be written."
_ELSEWHERE = re.compile(r"(?:~|\$\{?(?:HOME|ORCHESTRD_\w*|CLAUDE_\w*|XDG_\w*)\b)")
_SCRATCH = re.compile(r"\$(?:TMPDIR\b|\{TMPDIR\}|\{TMPDIR:-[^}]*\})")
_DELETING_CODE = re.compile(
    r"os\.(?:remove|unlink|rmdir|removedirs)\b|rmtree\(|\.unlink\(|\.rmdir\(|\b(?:rm|rmdir|unlink)Sync\b|\bfs\.(?:promises\.)?(?:rm|rmdir|unlink)\b"
    r"|\bpromises['\"]?\)\.rm\b|File\.(?:delete|unlink)|FileUtils\.rm|Deno\.remove|\brmtree\b|(?m:^unlink\b)"
)


def judge_deletion(command: Command, scope: Scope, cwd: str) -> Verdict | None:
    """
    The denial of a command that deletes project files or moves them away, or None.
    """
    if command.outer == ELSEWHERE:
        return None
    given = unwrap(command.words)
    words = tuple(without_runners(list(given)))
    if words[:1] and base(words[0]) in {"shx", "gio"} and len(words) > 1:
        words = words[1:]
    program = base(words[0]) if words else ""
    shown = " ".join(words)
    here = _place(command, scope, cwd)
    if program in p.DELETERS:
        targets = _plain(words)
        if not targets and command.outer in {"xargs", "parallel"}:
            return deny("delete", f"`{program}` of whatever comes may not be run. {_DELETE}", shown)
        for target in targets:
            path = _path(target, scope)
            if scope.in_tree(path, here) or not scope.writable(path, here):
                return deny("delete", f"`{program} {target}` may not be run. {_DELETE}", shown)
    if program == "find" and _deletes(words):
        starts = list(takewhile(lambda word: not word.startswith(("-", "(", "!")), words[1:])) or ["."]
        if any(scope.in_tree(path := _path(start, scope), here) or not scope.writable(path, here) for start in starts):
            return deny("delete", f"`find … -delete` may not be run. {_DELETE}", shown)
    if program == "mv":
        *sources, target = _plain(words) if len(_plain(words)) > 1 else ["", ""]
        leaves = not scope.in_tree(_path(target, scope), here) and scope.writable(_path(target, scope), here)
        if leaves and any(scope.in_tree(_path(source, scope), here) for source in sources):
            return deny("delete", f"`{shown}` takes files out of the project. {_DELETE}", shown)
    if program == "rsync" and any(word.startswith(("--delete", "--remove-source")) for word in words):
        return deny("delete", f"`rsync --delete` may not be run. {_DELETE}", shown)
    if given and re.sub(r"[\d.]+$", "", base(given[0])) in p.INTERPRETERS:
        return _judge_code(given, command.stdin or "", scope, here)
    return None


def _judge_code(words: tuple[str, ...], stdin: str, scope: Scope, here: str) -> Verdict | None:
    """
    A program that an interpreter is given as text: does it delete anything but scratch files?
    """
    inline = [word for word in words[1:] if " " in word or "(" in word] if len(words) > 2 else []
    code = "\n".join([*inline, stdin])
    if not _DELETING_CODE.search(code):
        return None
    paths = re.findall(r"['\"](/[^'\"]*)['\"]", code)
    if paths and all(scope.writable(path, here) and not scope.in_tree(path, here) for path in paths):
        return None
    return deny("delete", f"A program given to {base(words[0])} deletes files. {_DELETE}", " ".join(words))


def judge_writing(command: Command, scope: Scope, cwd: str) -> Verdict | None:
    """
    The denial of a command that writes outside of the tree and the scratch folder, or None.
    """
    if command.outer == ELSEWHERE:
        return None
    words = unwrap(command.words)
    here = _place(command, scope, cwd)
    for target in [*command.writes, *_targets(words)]:
        path = _path(target, scope)
        # Other variables are left to the operating system's own limits.
        if path.startswith(("$", "&", "`")) or not path:
            continue
        if not scope.writable(path, here):
            return deny("outside", f"{target} is outside the working tree. {OUTSIDE}", " ".join(words) or target)
    return None


def _targets(words: tuple[str, ...]) -> list[str]:
    """
    The paths that a program writes, as far as its arguments say.
    """
    program = base(words[0]) if words else ""
    plain = _plain(words)
    found = [word.partition("=")[2] for word in words if word.startswith(("--target-directory=", "--output="))]
    for option in p.TARGET_OPTIONS.get(program, ()):
        found += [words[at + 1] for at, word in enumerate(words[:-1]) if word == option]
        found += [
            word[2:]
            for word in words[1:]
            if len(option) == 2 and word.startswith(option) and len(word) > 2 and program != "cp"
        ]
    if program in p.WRITERS_LAST and len(plain) >= 2 and not found:
        found.append(plain[-1])
    elif program in p.WRITERS_ALL:
        found += plain if program not in {"chmod", "chown", "chgrp"} else plain[0 if _removes_mode(words) else 1 :]
    elif program == "dd":
        found += [word[3:] for word in words if word.startswith("of=")]
    elif program in {"sed", "perl"} and any(re.match(r"-[a-zA-Z]*i|--in-place", word) for word in words[1:]):
        has_script = any(word in {"-e", "-f", "--expression"} or re.fullmatch(r"-[a-z]*e", word) for word in words[1:])
        found += plain[1:] if plain[1:] or not has_script else plain
    return found


def _removes_mode(words: tuple[str, ...]) -> bool:
    return any(re.fullmatch(r"-[rwxXst]+", word) for word in words[1:])


def _deletes(words: tuple[str, ...]) -> bool:
    """
    True when ``-delete`` stands as an expression of its own.
    """
    for before, word in pairwise(words):
        if word in {"-exec", "-execdir", "-ok", "-okdir"}:
            return False
        if word == "-delete" and before not in {"-name", "-iname", "-path", "-regex", "-newer"}:
            return True
    return False


def _place(command: Command, scope: Scope, cwd: str) -> str:
    """
    Where the command stands after every ``cd`` before it.
    """
    here = cwd
    for move in command.moves:
        path = _path(move, scope)
        if move == "-" or path.startswith(("$", "`")):
            continue  # where it came from, or computed: most likely the tree
        here = posixpath.normpath(posixpath.join(here, path))
    return here


def _plain(words: tuple[str, ...]) -> list[str]:
    """
    The arguments that are no options.
    """
    rest = list(words[1:])
    if "--" in rest:
        at = rest.index("--")
        return [word for word in rest[:at] if not word.startswith("-")] + rest[at + 1 :]
    return [word for word in rest if not word.startswith("-")]


def _path(word: str, scope: Scope) -> str:
    """
    *word* with what is known of its variables: the scratch folder, or a place outside.
    """
    if scope.scratch and (match := _SCRATCH.match(word)):
        return scope.scratch[0] + word[match.end() :]
    return "/outside" if _ELSEWHERE.match(word) else word
