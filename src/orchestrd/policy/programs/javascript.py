"""
Npm and its like: scripts of the package, programs of its packages, and what they do by themselves.
"""

from __future__ import annotations

import json
import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.migrations import running
from orchestrd.policy.programs.own import follow, is_publishing_target, judge_target
from orchestrd.policy.programs.packages import program_of
from orchestrd.policy.programs.targets import is_migrating_target
from orchestrd.policy.shell.escapes import as_word
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known

_MANAGERS = o.words("npm yarn pnpm bun cnpm ni nr")
_VALUED = o.words("""
    --prefix -C --filter -F -w --workspace --cwd --dir --scope --userconfig --registry --loglevel --tag -p
    --package
""")
_OWN = o.words("""
    add rm remove uninstall un install i ci up update upgrade link unlink create version publish why list ls
    info config cache pack audit outdated prune sync login logout view show search help root prefix bin whoami
    ping doctor dedupe fund explain rebuild set get init workspaces plugin dist-tag deprecate owner team token
    import fetch store patch global licenses completion docs repo bugs home explore adduser unpublish
""")
"""Subcommands: what is none of these names a script or a program."""
_GLOBAL = frozenset({"-g", "--global", "--location=global"})
_WHEN_INSTALLED = o.words("preinstall install postinstall preprepare prepare postprepare dependencies")
_INSTALLING = o.words("install i add remove rm uninstall update up link un upgrade ci")
_PUBLISHING = o.words("publish unpublish deprecate owner team dist-tag adduser login access")
_LISTED = frozenset({"dist-tag", "owner", "access", "team"})
"""Of those, the ones that have a list to look at."""
_OUTSIDE = re.compile(r"(?:file:|link:)?((?:\.\./|/|~).*)", re.DOTALL)
_SCRIPT_FILE = re.compile(r"\.[cm]?[jt]sx?$")


def javascript(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Npm and its like.
    """
    argv = call.argv
    if (shell := o.option(argv[1:], "--script-shell", "--node-options")) is not None:
        inquiry.object("exec-unknown", call, f"`{shell}` would run the package's scripts")
        return HOLE
    folder = o.option(argv[1:], "--prefix", "-C", "--cwd", "--dir")
    if folder is not None and (call.program != "yarn" or "--cwd" in argv):
        inquiry.use(folder, call, only_looks=True)
    at = _past_workspaces(call, o.after_options(argv, _VALUED))
    if at is None:
        if call.program == "yarn":
            _hooks(inquiry, call)
        return HOLE
    verb, rest = (argv[at] if at < len(argv) else ""), argv[at + 1 :]
    if not _GLOBAL.isdisjoint(argv[1:]) or (call.program == "yarn" and verb == "global"):
        if set(argv[1:]) & _INSTALLING:
            inquiry.object("outside", call, "what is installed on the machine would change")
        elif verb in {"set", "config", "c"}:
            _changes(inquiry, call, verb, tuple(o.plain(rest)))
        return HOLE
    if call.program == "bun" and verb == "exec":
        return inquiry.text(" ".join(rest))
    after = o.after_options(argv, _VALUED, start=at + 1)
    match verb:
        case "exec" | "dlx" | "x" | "create" | "init":
            for text in o.options(rest, "-c", "--call"):
                inquiry.text(text)
            if verb in {"create", "init"} or after >= len(argv):
                return HOLE
            return inquiry.argv(call, (program_of(argv[after]), *argv[after + 1 :]))
        case "run" | "run-script" | "rum" | "urn":
            if after >= len(argv):
                return HOLE
            if call.program == "bun" and argv[after].endswith((".ts", ".js", ".tsx", ".mjs")):
                return inquiry.argv(call, ("node", *argv[after:]))
            return run_package_script(inquiry, call, argv[after], argv[after + 1 :], folder)
        case "test" | "t" | "tst" | "start" | "stop" | "restart":
            return run_package_script(inquiry, call, "test" if verb in {"t", "tst"} else verb, rest, folder)
    if _changes(inquiry, call, verb, rest) or verb in _OWN:
        return HOLE
    return _script_or_program(inquiry, call, verb, rest, folder)


def _past_workspaces(call: Invocation, at: int) -> int | None:
    """
    Where the subcommand stands, for which yarn may name a workspace first; None where there is none at all.
    """
    argv = call.argv
    if at >= len(argv):
        return None
    if call.program == "yarn" and argv[at] == "workspace":
        at = o.after_options(argv, _VALUED, start=at + 2)
    if call.program == "yarn" and argv[at : at + 2] in (("workspaces", "foreach"), ("workspaces", "run")):
        at = o.after_options(argv, _VALUED, start=at + 2)
    return at


def _changes(inquiry: Inquiry, call: Invocation, verb: str, rest: tuple[str, ...]) -> bool:
    """
    Judge what a manager does to packages, registries and settings; False when *verb* is nothing of that kind.
    """
    second = rest[0] if rest else ""
    if verb in _PUBLISHING:
        looks = verb in _LISTED and second in {"ls", "list"}
        if not looks and "--dry-run" not in call.argv:
            inquiry.object("git", call, "a package would be published or changed at its registry")
    elif verb == "version" and call.program in {"npm", "pnpm", "yarn", "bun"}:
        given = o.plain(rest, o.words("-m --message --preid")) or (call.program == "yarn" and rest)
        if given and second != "check" and "--no-git-tag-version" not in call.argv:
            inquiry.object("git", call, f"`{call.program} version` commits and tags")
    elif verb == "set" or (verb in {"config", "c"} and second in {"set", "delete", "edit"}):
        if not o.has_flag(call.argv, "", "--location=project"):
            inquiry.object("outside", call, "the person's settings would change")
    elif verb == "pkg" and second == "set":
        for word in rest[1:]:
            if word.startswith("scripts."):
                inquiry.text(word.partition("=")[2])
    elif verb in {"link", "unlink"}:
        words = o.plain(rest)
        if call.program == "npm" and not words:
            inquiry.object("outside", call, "what is installed for the person would change")
        for word in words:
            if word.startswith((".", "/", "~")):
                inquiry.use(word, call)
    else:
        for path in o.options(call.argv, "--pack-destination"):
            inquiry.use(path, call, writes=True)
        if verb not in {"install", "i", "add", "ci"}:
            return False
        _hooks(inquiry, call)
        for word in o.plain(rest, _VALUED):
            if match := _OUTSIDE.match(word):
                inquiry.use(match.group(1), call)
    return True


def _script_or_program(
    inquiry: Inquiry, call: Invocation, verb: str, rest: tuple[str, ...], folder: str | None
) -> str | None:
    """
    A word that is no subcommand: managers other than npm look for a script of that name, then for a program.
    """
    if call.program == "bun" and _SCRIPT_FILE.search(verb):
        return None
    if call.program not in {"yarn", "pnpm", "bun", "nr"} or verb.startswith("-"):
        return HOLE
    if call.program == "bun" and verb in {"test", "build", "repl"}:
        return HOLE
    if verb in _scripts(inquiry, folder) or is_migrating_target(verb) or is_publishing_target(verb):
        return run_package_script(inquiry, call, verb, rest, folder)
    return inquiry.argv(call, (program_of(verb), *rest))


def _hooks(inquiry: Inquiry, call: Invocation) -> None:
    """
    The scripts that run when packages are installed, of a package that was only just described.
    """
    folder = o.option(call.argv[1:], "--prefix", "-C", "--cwd", "--dir")
    if inquiry.is_fresh(_package(folder)) and "--ignore-scripts" not in call.argv:
        for name in _WHEN_INSTALLED & _scripts(inquiry, folder).keys():
            run_package_script(inquiry, call, name, (), folder)


def _package(folder: str | None) -> str:
    return f"{folder}/package.json" if folder else "package.json"


def _scripts(inquiry: Inquiry, folder: str | None) -> dict[str, str]:
    text = inquiry.content(_package(folder))
    if not is_known(text):
        return {}
    try:
        package = json.loads(text)
    except ValueError:
        return {}
    scripts = package.get("scripts") if isinstance(package, dict) else None
    return {name: line for name, line in scripts.items() if isinstance(line, str)} if isinstance(scripts, dict) else {}


def run_package_script(inquiry: Inquiry, call: Invocation, name: str, rest: tuple[str, ...], folder: str | None) -> str:
    """
    Follow the script *name* of the package in *folder*, which is given *rest*; where it is not known, judge its name.
    """
    judge_target(inquiry, call, name)
    scripts = _scripts(inquiry, folder)
    given = tuple(word for word in rest if word != "--")
    if name not in scripts:
        return inquiry.argv(call, (name, *given)) if given and running(name, given) is not None else HOLE
    author = inquiry.origin(_package(folder))
    for one in (f"pre{name}", name, f"post{name}"):
        if one in scripts:
            arguments = map(as_word, given) if one == name else ()
            follow(inquiry, " ".join([scripts[one], *arguments]), author)
    return HOLE


HANDLERS: dict[str, Handler] = dict.fromkeys(_MANAGERS, javascript)
