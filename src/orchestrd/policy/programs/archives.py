"""
Archivers: where they write, what they read, what they run.
"""

from __future__ import annotations

import re
from itertools import pairwise

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.deleting import delete
from orchestrd.policy.programs.environment import runs_text
from orchestrd.policy.scope import Place
from orchestrd.policy.secrecy import is_secret
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known, shown
from orchestrd.policy.shell.paths import absolute


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


HANDLERS: dict[str, Handler] = o.each(
    """
    tar bsdtar gtar zip unzip unrar rar 7z 7za 7zz 7zr cpio pax jar gzip gunzip bzip2 bunzip2 xz unxz zstd lz4
    lzma compress
    """,
    archives,
)
