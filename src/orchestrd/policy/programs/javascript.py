"""
Npm and its like: scripts of the package, programs of its packages, and what they do by themselves.
"""

from __future__ import annotations

import json
import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.migrations import running
from orchestrd.policy.programs.own import follow, judge_target
from orchestrd.policy.programs.packages import program_of
from orchestrd.policy.programs.targets import is_migrating_target
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known

_JS_MANAGERS = o.words("npm yarn pnpm bun cnpm ni nr")


_JS_VALUED = o.words("""
    --prefix -C --filter -F -w --workspace --cwd --dir --scope --userconfig --registry --loglevel --tag -p
    --package
""")


_JS_OWN = o.words("""
    add rm remove uninstall un install i ci up update upgrade link unlink create version publish why list ls
    info config cache pack audit outdated prune sync login logout view show search help root prefix bin whoami
    ping doctor dedupe fund explain rebuild set get init workspaces plugin dist-tag deprecate owner team token
    import fetch store patch global licenses completion docs repo bugs home explore adduser unpublish
""")


_GLOBAL = re.compile(r"^(?:-g|--global|--location=global)$")


def javascript(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Npm and its like: scripts of the package, programs of its packages, and what they do by themselves.
    """
    argv = call.argv
    if (shell := o.option(argv[1:], "--script-shell", "--node-options")) is not None:
        inquiry.object("exec-unknown", call, f"`{shell}` would run the package's scripts")
        return HOLE
    at = o.after_options(argv, _JS_VALUED)
    folder = o.option(argv[1:], "--prefix", "-C", "--cwd", "--dir")
    cwd = call.cwd
    if (folder is not None and call.program != "yarn") or (folder is not None and "--cwd" in argv):
        inquiry.use(folder or "", call, only_looks=True)
    if at >= len(argv):
        return HOLE
    verb = argv[at]
    if call.program == "yarn" and verb == "workspace":
        at = o.after_options(argv, _JS_VALUED, start=at + 2)
        verb = argv[at] if at < len(argv) else ""
    if call.program == "yarn" and verb == "workspaces" and argv[at + 1 : at + 2] in (("foreach",), ("run",)):
        at = o.after_options(argv, _JS_VALUED, start=at + 2)
        verb = argv[at] if at < len(argv) else ""
    if any(_GLOBAL.match(word) for word in argv[1:]) or (call.program == "yarn" and verb == "global"):
        if set(argv[1:]) & o.words("install i add remove rm uninstall update up link un upgrade ci"):
            inquiry.object("outside", call, "what is installed on the machine would change")
        return HOLE
    if call.program == "bun" and verb == "exec":
        return inquiry.text(" ".join(argv[at + 1 :]))
    if verb in {"exec", "dlx", "x", "create", "init"} or (call.program in {"npm", "pnpm", "bun"} and verb == "x"):
        after = o.after_options(argv, _JS_VALUED, start=at + 1)
        for text in o.options(argv[at:], "-c", "--call"):
            inquiry.text(text)
        rest = argv[after:]
        if verb in {"create", "init"}:
            return HOLE
        return inquiry.argv(call, (program_of(rest[0]), *rest[1:]), cwd=cwd) if rest else HOLE
    if verb in {"run", "run-script", "rum", "urn"}:
        after = o.after_options(argv, _JS_VALUED, start=at + 1)
        names = argv[after : after + 1]
        rest = argv[after + 1 :]
        if call.program == "bun" and names and names[0].endswith((".ts", ".js", ".tsx", ".mjs")):
            return inquiry.argv(call, ("node", *names, *rest))
        return run_script(inquiry, call, names[0], rest, folder) if names else HOLE
    if verb in {"test", "t", "tst", "start", "stop", "restart"}:
        return run_script(inquiry, call, {"t": "test", "tst": "test"}.get(verb, verb), argv[at + 1 :], folder)
    if verb in o.words("publish unpublish deprecate owner team dist-tag adduser login access"):
        if "--dry-run" not in argv and not (
            verb in {"dist-tag", "owner", "access", "team"} and argv[at + 1 : at + 2] in (("ls",), ("list",))
        ):
            inquiry.object("git", call, "a package would be published or changed at its registry")
        return HOLE
    if verb == "version" and call.program in {"npm", "pnpm", "yarn", "bun"}:
        rest = o.plain(argv[at + 1 :], o.words("-m --message --preid"))
        if (
            (rest or (call.program == "yarn" and len(argv) > at + 1))
            and "--no-git-tag-version" not in argv
            and argv[at + 1 : at + 2] != ("check",)
        ):
            inquiry.object("git", call, f"`{call.program} version` commits and tags")
        return HOLE
    if (
        verb in {"config", "set", "c"} and argv[at + 1 : at + 2] in (("set",), ("delete",), ("edit",))
    ) or verb == "set":
        if not o.has_flag(argv, "", "--location=project"):
            inquiry.object("outside", call, "the person's settings would change")
        return HOLE
    if verb == "pkg" and argv[at + 1 : at + 2] == ("set",):
        for word in argv[at + 2 :]:
            if word.startswith("scripts."):
                inquiry.text(word.partition("=")[2])
        return HOLE
    if verb == "link" or verb == "unlink":
        if call.program == "npm" and not o.plain(argv[at + 1 :]):
            inquiry.object("outside", call, "what is installed for the person would change")
        for word in o.plain(argv[at + 1 :]):
            if word.startswith((".", "/", "~")):
                inquiry.use(word, call)
        return HOLE
    for path in o.options(argv, "--pack-destination"):
        inquiry.use(path, call, writes=True)
    if verb in {"install", "i", "add", "ci"}:
        for word in o.plain(argv[at + 1 :], _JS_VALUED):
            if re.match(r"(?:file:|link:)?(?:\.\./|/|~)", word):
                inquiry.use(re.sub(r"^(?:file|link):", "", word), call)
        return HOLE
    if verb in o.words("prune uninstall remove rm un up update upgrade") or verb in _JS_OWN:
        return HOLE
    if call.program == "bun" and re.search(r"\.[cm]?[jt]sx?$", verb):
        return None
    if (call.program == "bun" and verb in {"test", "build", "repl"}) or verb.startswith("-"):
        return HOLE
    if call.program in {"yarn", "pnpm", "bun", "nr"}:
        known = _package_json(inquiry, call, folder)
        if known is not None and verb in known:
            return run_script(inquiry, call, verb, argv[at + 1 :], folder)
        if is_migrating_target(verb):
            return run_script(inquiry, call, verb, argv[at + 1 :], folder)
        return inquiry.argv(call, (program_of(verb), *argv[at + 1 :]), cwd=cwd)
    return HOLE


def _package_json(inquiry: Inquiry, call: Invocation, folder: str | None) -> dict[str, str] | None:
    text = inquiry.content(f"{folder}/package.json" if folder else "package.json")
    if not is_known(text):
        return None
    try:
        scripts = json.loads(text).get("scripts", {})
    except (ValueError, AttributeError):
        return None
    return (
        {name: line for name, line in scripts.items() if isinstance(line, str)} if isinstance(scripts, dict) else None
    )


def run_script(inquiry: Inquiry, call: Invocation, name: str, rest: tuple[str, ...], folder: str | None) -> str:
    scripts = _package_json(inquiry, call, folder)
    judge_target(inquiry, call, name)
    if not scripts or name not in scripts:
        arguments_ = tuple(word for word in rest if word != "--")
        if arguments_ and running(name, arguments_) is not None:
            return inquiry.argv(call, (name, *arguments_))
        return HOLE
    ours = not inquiry.is_new(f"{folder}/package.json" if folder else "package.json")
    arguments = " ".join("'" + word.replace("'", "'\\''") + "'" for word in rest if word != "--")
    for one in (f"pre{name}", name, f"post{name}"):
        if one in scripts:
            follow(inquiry, scripts[one] + (" " + arguments if one == name and arguments else ""), ours=ours)
    return HOLE


HANDLERS: dict[str, Handler] = dict.fromkeys(_JS_MANAGERS, javascript)
