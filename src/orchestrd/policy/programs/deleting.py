"""
Programs that delete: nothing of the project is taken away.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.origin import Origin
from orchestrd.policy.programs import options as o
from orchestrd.policy.scope import Place
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known, shown

_DELETERS = o.words("""
    rm rmdir unlink shred srm trash trash-put trash-cli rimraf del-cli del del-file wipe grm rip gomi safe-rm
    rmtrash recycle tmpwatch tmpreaper czkawka_cli fdupes-delete bleachbit empty-trash premove zf_rm zf_rmdir gvfs-rm
    gvfs-trash trash-rm recursive-delete rimraf-standalone
""")
_DELETER_VALUED = {
    "shred": o.words("-n -s --iterations --size --random-source"),
    "rimraf": o.words("--tmp --max-retries --retry-delay --backoff"),
}
_FS_EXTRA = {"remove": "rm", "emptyDir": "rm", "emptyDirSync": "rm", "removeSync": "rm", "move": "mv", "copy": "cp"}
_VIFM = re.compile(r"\s*:?%?(?:d(?:elete)?\b!?\s*(.*)|!\s*(.*))")
_GENERATED = re.compile(
    r"""
    (?:^|/)(?:dist|build|out|target|coverage|htmlcov|node_modules|\.?venv|\.next|\.nuxt|\.cache|\.parcel-cache
    |\.turbo|\.svelte-kit|__pycache__|\.pytest_cache|\.mypy_cache|\.ruff_cache|\.tox|\.nox|\.eggs
    |[\w.-]*\.egg-info|tmp|temp|\.tmp|log|logs|site|_site|\.output|storybook-static|public/build|bin|obj
    |lib|es|esm|cjs|generated|gen|[\w.*-]*\.(?:pyc|pyo|o|a|so|tmp|log|out|tsbuildinfo|tgz|vsix|coverage
    |class|map|d\.ts|bak)|\.coverage[\w.*]*|\.DS_Store)(?:/|$)
    """,
    re.VERBOSE,
)


def deletes(inquiry: Inquiry, call: Invocation) -> str:
    """
    Programs that delete what they are given.
    """
    targets = o.plain(call.argv[1:], _DELETER_VALUED.get(call.program, ()))
    if set(call.argv[1:]) & {"--help", "--version"}:
        return ""
    for target in targets:
        delete(inquiry, call, target)
    return ""


def deletes_by_verb(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``gio trash``, ``cmake -E remove``, ``rdfind -deleteduplicates`` and their like.
    """
    argv = call.argv[1:]
    match call.program:
        case "gio" | "kioclient" | "kioclient5":
            if argv[0:1] == ("move",) and argv[-1:] in (("trash:/",), ("trash:///",)):
                return inquiry.argv(call, ("rm", *argv[1:-1]), stdin=None)
            if argv[:1] and argv[0] in {"trash", "remove", "move", "rm", "del"}:
                return inquiry.argv(call, ("mv" if argv[0] == "move" else "rm", *argv[1:]), stdin=None)
        case "cmake" if "-E" in argv:
            rest = argv[argv.index("-E") + 1 :]
            verbs = {
                "remove": "rm",
                "remove_directory": "rm",
                "rm": "rm",
                "copy": "cp",
                "copy_directory": "cp",
                "rename": "mv",
                "touch": "touch",
                "make_directory": "mkdir",
                "cat": "cat",
                "create_symlink": "ln",
                "env": "env",
                "time": "time",
                "chdir": "env",
                "tar": "tar",
            }
            if rest and rest[0] in verbs:
                rest = rest[1:] if rest[0] != "chdir" else ("-C", *rest[1:])
                return inquiry.argv(call, (verbs[argv[argv.index("-E") + 1]], *rest), stdin=None)
        case "rdfind" if "-deleteduplicates" in argv and "true" in argv:
            inquiry.object("delete", call, "duplicates would be deleted")
        case "fdupes" | "jdupes" | "rmlint" | "dupeguru" | "fclones" if (
            o.has_flag(argv, "d", "--delete", "-N") or "remove" in argv
        ):
            inquiry.object("delete", call, "duplicates would be deleted")
        case "npkill" | "nuke-modules" | "npm-nuke":
            inquiry.object("delete", call, "folders would be deleted")
        case "perl-rename" | "prename" | "rename" | "file-rename":
            return _renames(inquiry, call)
        case "zf_mv" | "zf_ln":
            return inquiry.argv(call, (call.program[3:], *argv), stdin=None)
        case "zmv" | "zcp" | "zln":
            return _renames_by_pattern(inquiry, call)
        case "ccrypt" | "ccencrypt" | "ccdecrypt" if not o.has_flag(argv, "cl", "--cat", "--stdin"):
            # The file is replaced by one of another name.
            return inquiry.argv(
                call, ("rm", *o.plain(argv, o.words("-K -k -E -P -S --key --keyfile --envvar"))), stdin=None
            )
        case "fs-extra-cli" | "fs-extra" if argv[:1] and argv[0] in _FS_EXTRA:
            return inquiry.argv(call, (_FS_EXTRA[argv[0]], *argv[1:]), stdin=None)
        case "coreutils" if (name := o.option(argv, "--coreutils-prog", "--coreutils-prog-shebang")) is not None:
            return inquiry.argv(call, (name, *(word for word in argv if not word.startswith("--coreutils-prog"))))
        case "coreutils":
            return inquiry.argv(call, argv)
        case "vifm":
            for text in [*o.options(argv, "-c"), *(word[1:] for word in argv if word.startswith("+"))]:
                if match := _VIFM.match(text):
                    deleted, shell = match.groups()
                    inquiry.text(shell) if shell else inquiry.text(f"rm {deleted or '*'}")
        case _:
            pass
    return None


def _renames_by_pattern(inquiry: Inquiry, call: Invocation) -> str:
    """
    Zsh's ``zmv 'src/(*).a' 'src/$1.b'``.
    """
    flags = [word for word in call.argv[1:] if word.startswith("-")]
    if any("n" in word for word in flags):
        return HOLE
    program = "mv"
    if call.program == "zcp" or any("C" in word for word in flags):
        program = "cp"
    elif call.program == "zln" or any("L" in word for word in flags):
        program = "ln"
    given = o.plain(call.argv[1:], o.words("-p -P -o"))
    return inquiry.argv(call, (program, *(re.sub(r"[()]", "", word) for word in given)), stdin=None)


def _renames(inquiry: Inquiry, call: Invocation) -> str:
    words = o.plain(call.argv[1:], {"-e"})
    for script in [*words[:1], *o.options(call.argv[1:], "-e")]:
        if match := re.match(
            r"[sy](?:([^\s\w])((?:\\.|(?!\1)[^\\])*)\1((?:\\.|(?!\1)[^\\])*)\1|\{.*?\}\s*\{(.*?)\})", script
        ):
            target = re.sub(r"\\(.)", r"\1", match.group(3) or match.group(4) or "")
            if target.startswith(("/", "..", "~")):
                return inquiry.argv(call, ("mv", *words[1:], target), stdin=None)
    for path in words[1:]:
        inquiry.use(path, call, writes=True)
    return ""


def clear(inquiry: Inquiry, call: Invocation, target: str) -> None:
    """
    Object where *target* may not be emptied by a program that puts there what it makes.
    """
    if not _GENERATED.search(target) or any(inquiry.place(target, cwd) is not Place.TREE for cwd in call.cwd):
        delete(inquiry, call, target)


def delete(inquiry: Inquiry, call: Invocation, target: str) -> None:
    """
    Object where *target* may not be deleted.
    """
    if call.elsewhere:
        return
    vague = not is_known(target) and "/" not in target and not target.startswith("~")
    if vague and inquiry.author is Origin.PROJECT:
        return
    if vague and inquiry.author is Origin.AGENT:
        inquiry.object("exec-unknown", call, f"what `{shown(target)}` is can only be known when it is deleted")
        return
    for cwd in call.cwd:
        place = inquiry.place(target, cwd)
        if place in {Place.SCRATCH, Place.DEVICE}:
            continue
        if place is Place.REPOSITORY:
            inquiry.object("git", call, f"`{shown(target)}` belongs to git", fixed=True)
        elif place is Place.SETTINGS:
            inquiry.object("exec-unknown", call, f"`{shown(target)}` sets up the agent's own program", fixed=True)
        elif place is Place.OWN:
            inquiry.object("outside", call, f"`{shown(target)}` is what runs the agents", fixed=True)
        elif place in {Place.OUTSIDE, Place.PROGRAMS}:
            inquiry.object("outside", call, f"`{shown(target)}` is outside of the project")
        elif (inquiry.author is not Origin.LINE and _GENERATED.search(target)) or (
            place is Place.TREE and inquiry.is_own(target)
        ):
            continue
        else:
            inquiry.object("delete", call, f"`{shown(target)}` would be deleted")
        return


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_DELETERS, deletes),
    **o.each(
        """
        gio kioclient kioclient5 cmake rdfind fdupes jdupes rmlint fclones npkill perl-rename prename
        rename file-rename zf_mv zf_ln zmv zcp zln ccrypt ccencrypt ccdecrypt fs-extra-cli fs-extra coreutils vifm
        """,
        deletes_by_verb,
    ),
}
