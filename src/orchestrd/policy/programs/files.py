"""
What changes files: nothing of the project is deleted or taken away, nothing outside of it is written.
"""

from __future__ import annotations

import re
from itertools import pairwise, takewhile

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.wrappers import runs_text
from orchestrd.policy.scope import Place
from orchestrd.policy.secrecy import is_secret
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known, shown
from orchestrd.policy.shell.paths import absolute

_DELETERS = o.words("""
    rm rmdir unlink shred srm trash trash-put trash-cli rimraf del-cli del del-file wipe grm rip gomi safe-rm
    rmtrash recycle tmpwatch tmpreaper czkawka_cli fdupes-delete bleachbit empty-trash premove
""")
_DELETER_VALUED = {
    "shred": o.words("-n -s --iterations --size --random-source"),
    "rimraf": o.words("--tmp --max-retries --retry-delay --backoff"),
}
_GENERATED = re.compile(
    r"""
    (?:^|/)(?:dist|build|out|target|coverage|htmlcov|node_modules|\.next|\.nuxt|\.cache|\.parcel-cache
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
        case "gio" | "gvfs-trash" | "kioclient" | "kioclient5":
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
        case _:
            pass
    return None


def _renames(inquiry: Inquiry, call: Invocation) -> str:
    words = o.plain(call.argv[1:], {"-e"})
    for script in [*words[:1], *o.options(call.argv[1:], "-e")]:
        if match := re.match(r"[sy](?:(.)(.*?)\1(.*?)\1|\{.*?\}\s*\{(.*?)\})", script):
            target = match.group(3) or match.group(4) or ""
            if target.startswith(("/", "..", "~")):
                return inquiry.argv(call, ("mv", *words[1:], target), stdin=None)
    for path in words[1:]:
        inquiry.use(path, call, writes=True)
    return ""


def delete(inquiry: Inquiry, call: Invocation, target: str) -> None:
    """
    Object where *target* may not be deleted.
    """
    if call.elsewhere:
        return
    if not is_known(target) and not target.startswith(("/", "~")):
        if inquiry.trusted and "/" not in target:
            return
    for cwd in call.cwd:
        place = inquiry.place(target, cwd)
        if place in {Place.SCRATCH, Place.DEVICE}:
            continue
        if place is Place.REPOSITORY:
            inquiry.object("git", call, f"`{shown(target)}` belongs to git")
        elif place is Place.SETTINGS:
            inquiry.object("exec-unknown", call, f"`{shown(target)}` sets up the agent's own program")
        elif place in {Place.OUTSIDE, Place.PROGRAMS}:
            inquiry.object("outside", call, f"`{shown(target)}` is outside of the project")
        elif inquiry.trusted and _GENERATED.search(target):
            continue
        else:
            inquiry.object("delete", call, f"`{shown(target)}` would be deleted")
        return


def moves(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``mv``: within the project, or into it.
    """
    folder = o.option(call.argv[1:], "-t", "--target-directory")
    words = o.plain(call.argv[1:], o.words("-t --target-directory -S --suffix"))
    if folder is not None:
        sources, target = words, folder
    elif len(words) >= 2:
        *sources, target = words
    else:
        return ""
    for source in sources:
        if is_secret(source):
            inquiry.object("secret", call, f"`{shown(source)}` holds secrets")
        for cwd in call.cwd:
            came, goes = inquiry.place(source, cwd), inquiry.place(target, cwd)
            if came is Place.REPOSITORY:
                inquiry.object("git", call, f"`{shown(source)}` belongs to git")
            elif came is Place.SETTINGS:
                inquiry.object("exec-unknown", call, f"`{shown(source)}` sets up the agent's own program")
            elif came in {Place.OUTSIDE, Place.PROGRAMS}:
                inquiry.object("outside", call, f"`{shown(source)}` is outside of the project")
            elif came in {Place.TREE, Place.UNKNOWN} and goes in {Place.SCRATCH, Place.DEVICE}:
                inquiry.object("delete", call, f"`{shown(source)}` would be taken out of the project")
    inquiry.use(target, call, writes=True)
    for source in sources[:1]:
        _carry(inquiry, source, target)
    return ""


def copies(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``cp``, ``ln``, ``install``, ``rsync``: from places that may be read to places that may be written.
    """
    name = call.program.removeprefix("g")
    folder = o.option(call.argv[1:], "-t", "--target-directory")
    valued = o.words("""
        -t --target-directory -S --suffix -m --mode -o --owner -g --group --exclude --include -e --rsh -f
        --filter --backup-dir --exclude-from --include-from --files-from --log-file
    """)
    words = o.plain(call.argv[1:], valued if name != "cp" else o.words("-t --target-directory -S --suffix"))
    if name == "rsync":
        if shell := o.option(call.argv[1:], "-e", "--rsh", "--rsync-path"):
            runs_text(inquiry, call, shell, "rsync would run another program")
        if any(word.startswith(("--delete", "--remove-source", "--del")) for word in call.argv):
            for target in words[-1:] if not any("--remove-source" in word for word in call.argv) else words[:-1]:
                delete(inquiry, call, target)
        for path in o.options(call.argv[1:], "--backup-dir", "--log-file"):
            inquiry.use(path, call, writes=True)
        for path in o.options(call.argv[1:], "--exclude-from", "--include-from", "--files-from", "--password-file"):
            inquiry.use(path, call)
        if any(re.match(r"(?:rsync://|[\w.@-]+::?)(?!/?/?$)", word) and not word.startswith("/") for word in words):
            for word in words:
                if ":" not in word:
                    inquiry.use(word, call)
            inquiry.object("outside", call, "files would go to or come from another machine")
            return ""
    if name == "install" and o.has_flag(call.argv[1:], "d", "--directory"):
        for word in words:
            inquiry.use(word, call, writes=True)
        return ""
    if folder is not None:
        sources, target = words, folder
    elif len(words) >= 2:
        *sources, target = words
    elif name == "rsync" and words:
        inquiry.use(words[0], call)
        return ""
    elif name == "ln" and words:
        sources, target = words, "."
    else:
        return ""
    for source in sources:
        if name == "ln" and o.has_flag(call.argv[1:], "s", "--symbolic") and not source.startswith(("/", "~")):
            full = _linked(source, target, call.cwd[0])
            inquiry.use(full, call)
        elif not _is_program(inquiry, source, call):
            inquiry.use(source, call)
    inquiry.use(target, call, writes=True)
    for source in sources[:1]:
        _carry(inquiry, source, target, link=name == "ln", stdin=call.stdin)
    return ""


def _linked(source: str, target: str, cwd: str) -> str:
    import posixpath

    return (
        source
        if not is_known(source + target + cwd)
        else posixpath.join(posixpath.dirname(absolute(target, cwd)), source)
    )


def _is_program(inquiry: Inquiry, source: str, call: Invocation) -> bool:
    return any(inquiry.place(source, cwd) is Place.PROGRAMS for cwd in call.cwd)


def _carry(inquiry: Inquiry, source: str, target: str, *, link: bool = False, stdin: str | None = None) -> None:
    """
    Remember that what is known of *source* holds for *target*.
    """
    cwd = inquiry.state.cwd[-1]
    if not is_known(source) or not is_known(target) or not is_known(cwd):
        return
    start, end = absolute(source, cwd), absolute(target, cwd)
    ends = [end, absolute(source.rsplit("/", 1)[-1], end)]
    for one in ends:
        if inquiry.scope.place(start, cwd) is Place.PROGRAMS or start in inquiry.state.links:
            inquiry.state.links[one] = inquiry.state.links.get(start, start)
        elif source in {"/dev/stdin", "/dev/fd/0"}:
            inquiry.state.files[one] = stdin if stdin is not None else HOLE
        elif start in inquiry.state.files:
            inquiry.state.files[one] = inquiry.state.files[start]
        elif link or is_secret(source):
            inquiry.state.links[one] = start


def writes_all(inquiry: Inquiry, call: Invocation) -> str:
    """
    Programs that write every path they are given.
    """
    valued = o.words("-r --reference -t -d -m --mode -s --size -Z -e --date")
    words = o.plain(call.argv[1:], valued if call.program not in {"tee"} else ())
    for path in o.options(call.argv[1:], "-r", "--reference") if call.program in {"touch", "truncate"} else []:
        inquiry.use(path, call, only_looks=True)
    for path in words:
        inquiry.use(path, call, writes=True)
    if call.program in {"tee", "sponge"}:
        for path in words:
            if is_known(path):
                inquiry.write(path, call.stdin if call.stdin is not None else HOLE)
        return call.stdin if call.stdin is not None else HOLE
    return ""


def modes(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``chmod`` and its like: the first word is no path.
    """
    words = [
        word
        for word in call.argv[1:]
        if not re.fullmatch(r"--?[a-zA-Z-]{1,}", word) or re.fullmatch(r"-[rwxXst]+", word)
    ]
    reference = o.option(call.argv[1:], "--reference")
    for path in words[0 if reference is not None else 1 :]:
        inquiry.use(path, call, writes=True)
    return ""


def streams(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``dd``: ``if=`` is read, ``of=`` is written.
    """
    for word in call.argv[1:]:
        key, _, path = word.partition("=")
        if key == "if":
            inquiry.use(path, call)
        elif key == "of":
            inquiry.use(path, call, writes=True)
            if is_known(path) and not any(word.startswith("if=") for word in call.argv):
                inquiry.write(path, call.stdin if call.stdin is not None else HOLE)
    return HOLE


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
            for path in content.split("\0")[:20] if is_known(content) else []:
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
        command = tuple(word.replace("{}", found) for word in rest[begin + 1 : end])
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


def archives(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``tar`` and other archivers: where they write, what they read, what they run.
    """
    name = call.program
    argv = call.argv[1:]
    if name in {"tar", "bsdtar", "gtar"}:
        return _tar(inquiry, call)
    if name == "zip":
        for text in o.options(argv, "-TT", "--unzip-command"):
            inquiry.text(text)
        words = o.plain(argv, o.words("-TT --unzip-command -x -i -b -t -tt -P -n"))
        if o.has_flag(argv, "m", "--move"):
            for path in words[1:]:
                delete(inquiry, call, path)
        if words:
            inquiry.use(words[0], call, writes=True)
        for path in words[1:]:
            inquiry.use(path, call)
        if call.stdin is not None and "-@" in argv:
            inquiry.use(call.stdin.split("\n")[0], call)
        return ""
    if name in {"rar", "arj", "zoo", "lha"} and argv[:1] in (("m",), ("mf",)):
        for path in o.plain(argv[1:])[1:]:
            delete(inquiry, call, path)
    if name in {"7z", "7za", "7zz", "7zr"} and "-sdel" in argv:
        for path in o.plain(argv)[2:]:
            delete(inquiry, call, path)
    if name in o.words("unzip unrar 7z 7za ar cpio pax jar"):
        for path in o.options(argv, "-d", "-o", "-C", "-D", "--directory"):
            inquiry.use(path, call, writes=True)
        for path in o.plain(argv, o.words("-d -x")):
            inquiry.use(path, call)
        return HOLE
    # gzip and its like replace the file that they are given.
    words = o.plain(argv, o.words("-S --suffix -T --threads"))
    keeps = o.has_flag(argv, "kclt", "--keep", "--stdout", "--to-stdout", "--list", "--test")
    for path in words:
        inquiry.use(path, call, writes=not keeps)
        if is_secret(path):
            inquiry.object("secret", call, f"`{shown(path)}` holds secrets")
    return HOLE


def _tar(inquiry: Inquiry, call: Invocation) -> str:
    argv = call.argv[1:]
    first = argv[0] if argv else ""
    groups = (
        [first]
        if first and not first.startswith("-")
        else [word for word in argv if re.fullmatch(r"-[a-zA-Z]+-?", word)]
    )
    letters = "".join(group.strip("-") for group in groups)
    for at, word in enumerate(argv[:-1]):
        if re.fullmatch(r"-[a-zA-Z]*I", word) and len(word) > 2:
            inquiry.text(argv[at + 1])
    for text in [
        *o.options(
            argv,
            "-I",
            "--use-compress-program",
            "--to-command",
            "-F",
            "--info-script",
            "--new-volume-script",
            "--rsh-command",
            "--rmt-command",
        )
    ]:
        inquiry.text(text)
    for word in argv:
        if match := re.match(r"--checkpoint-action=exec=(.*)", word, re.DOTALL):
            runs_text(inquiry, call, match.group(1), "tar would run another program")
    action = next(
        (
            word.split("exec=", 1)[1]
            for before, word in pairwise(argv)
            if before == "--checkpoint-action" and "exec=" in word
        ),
        None,
    )
    if action is not None:
        inquiry.text(action)
    creating = bool(set(letters) & set("cru")) or o.has_flag(argv, "", "--create", "--append", "--update")
    extracting = "x" in letters or o.has_flag(argv, "", "--extract", "--get")
    for path in o.options(argv, "-C", "--directory"):
        inquiry.use(path, call, writes=extracting, only_looks=not extracting)
    archive = o.option(argv, "-f", "--file")
    if extracting and (
        (archive in {None, "-"} and call.stdin is not None) or (archive is not None and inquiry.is_new(archive))
    ):
        folder = o.option(argv, "-C", "--directory", "--one-top-level") or "."
        if is_known(folder) and is_known(call.cwd[0]) and inquiry.scope.place(folder, call.cwd[0]) is Place.SCRATCH:
            inquiry.unpacked.append(absolute(folder, call.cwd[0]) + "/")
    for path in o.options(argv, "--one-top-level"):
        inquiry.use(path, call, writes=True)
    for path in o.options(argv, "-T", "--files-from"):
        content = inquiry.content(path)
        for line in content.splitlines()[:20] if is_known(content) else []:
            inquiry.use(line.strip(), call)
    words = o.plain(
        argv if first.startswith("-") else argv[1:],
        o.words("""
            -f --file -C --directory -I -X --exclude --exclude-from -T --files-from --transform --owner --group
            -g -b -H --format --use-compress-program --checkpoint-action --to-command
        """),
    )
    if any(group.endswith("-") and len(group) > 1 for group in groups):
        archive = "-"
    elif ("f" in letters and archive is None) or (letters and letters[-1] == "f"):
        archive = argv[1] if len(argv) > 1 else None
        words = words[1:] if words[:1] == [archive] else words
    if archive and archive != "-":
        inquiry.use(archive, call, writes=creating)
    if creating:
        for path in words:
            inquiry.use(path, call)
        if "--remove-files" in argv:
            for path in words:
                delete(inquiry, call, path)
    for path in o.options(argv, "-T", "--files-from", "-X", "--exclude-from"):
        inquiry.use(path, call)
    if o.has_flag(argv, "P", "--absolute-names") and extracting:
        inquiry.object("outside", call, "an archive's absolute paths would be written")
    return HOLE


def edits(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``sed``: in place it writes, and its scripts may write and run.
    """
    argv = call.argv[1:]
    scripts = o.options(argv, "-e", "--expression")
    files = o.options(argv, "-f", "--file")
    words = o.plain(argv, o.words("-e --expression -f --file -l --line-length"))
    if not scripts and not files:
        scripts, words = words[:1], words[1:]
    for path in files:
        inquiry.use(path, call)
        content = inquiry.content(path)
        scripts = [*scripts, content] if is_known(content) else scripts
    in_place = any(re.match(r"-[a-zA-Z]*i|--in-place", word) for word in argv if word.startswith("-"))
    if in_place and words and words[0] == "" and len(words) > 1:
        words = words[1:]  # BSD's suffix
    for path in words:
        inquiry.use(path, call, writes=in_place)
    for script in scripts:
        for match in re.finditer(
            r"(?:^|[;{}\n]|\d|\$|/)\s*(?:s(.)(?:(?!\1).|\\.)*\1(?:(?!\1).|\\.)*\1[gpIiM\d]*)?([wWrR])\s+([^\n;}]+)",
            script,
        ):
            inquiry.use(match.group(3).strip(), call, writes=match.group(2) in "wW")
        for match in re.finditer(r"(?:^|[;{}\n]|\d|\$|/)\s*e(?:\s+([^\n]+)|\s*$)", script):
            if match.group(1):
                inquiry.text(match.group(1))
            else:
                inquiry.object("exec-unknown", call, "sed would run the lines that it reads")
        if match := re.match(
            r"\s*(?:\d+|\$|/[^/]*/)?\s*s(.)((?:(?!\1).|\\.)*)\1((?:(?!\1).|\\.)*)\1[gpIiM\d]*e[gpIiM\d]*\s*$", script
        ):
            inquiry.text(match.group(3).replace("\\n", "\n"))
    return None if not in_place else ""


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


def splits(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``split`` and ``csplit``: the last word begins the names that are written; ``--filter`` runs a command.
    """
    for text in o.options(call.argv[1:], "--filter"):
        inquiry.text(text)
    words = o.plain(
        call.argv[1:],
        o.words("-a -b -C -l -n -t -f --prefix --lines --bytes --number --suffix-length --filter"),
    )
    for path in words[:1]:
        inquiry.use(path, call)
    for path in [*words[1:], *o.options(call.argv[1:], "-f", "--prefix")]:
        if call.program == "split" or path in o.options(call.argv[1:], "-f", "--prefix"):
            inquiry.use(path, call, writes=True)
    return ""


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_DELETERS, deletes),
    **o.each("mv gmv mmv", moves),
    **o.each(
        """
        gio gvfs-trash kioclient kioclient5 cmake rdfind fdupes jdupes rmlint fclones npkill perl-rename prename
        rename file-rename
        """,
        deletes_by_verb,
    ),
    **o.each("cp gcp ln gln install ginstall rsync ditto link", copies),
    **o.each("tee sponge touch mkdir truncate mkfifo mknod fallocate", writes_all),
    **o.each("chmod chown chgrp setfacl chattr chcon", modes),
    "dd": streams,
    "find": searches,
    "gfind": searches,
    "bfs": searches,
    **o.each("fd fdfind", searches_fast),
    **o.each(
        """
        tar bsdtar gtar zip unzip unrar rar 7z 7za 7zz 7zr cpio pax jar gzip gunzip bzip2 bunzip2 xz unxz zstd
        lz4 lzma compress
        """,
        archives,
    ),
    **o.each("sed gsed ssed", edits),
    "patch": patches,
    **o.each("split csplit gsplit", splits),
}
