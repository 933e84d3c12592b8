"""
Archivers: where they write, what they read, what they run.
"""

from __future__ import annotations

import re
from itertools import pairwise

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.deleting import clear, delete
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
    words = o.plain(argv, o.words("-S --suffix -T --threads -o --output -q -p"))
    keeps = o.has_flag(argv, "kclt", "--keep", "--stdout", "--to-stdout", "--list", "--test")
    if name in _KEEPING:
        keeps = not o.has_flag(argv, "j" if name == "brotli" else "", "--rm")
    for path in o.options(argv, "-o", "--output"):
        inquiry.use(path, call, writes=True)
    for path in words:
        inquiry.use(path, call, writes=not keeps)
        if not keeps:
            clear(inquiry, call, path)
        if is_secret(path):
            inquiry.object("secret", call, f"`{shown(path)}` holds secrets")
    return HOLE


_KEEPING = o.words("zstd unzstd lz4 unlz4 brotli unbrotli zopfli")
"""Compressors that keep what they read unless they are told not to."""
_GROUP = re.compile(r"-[a-zA-Z]+-?")
_COMPRESSES = re.compile(r"-[a-zA-Z]+I")
_CHECKPOINT = re.compile(r"--checkpoint-action=exec=(.*)", re.DOTALL)
_TRANSFORMED = re.compile(r"(?:flags=\w+;)?s(\W)\^?(?:\\.|(?!\1)[^\\])*\1((?:\\.|(?!\1)[^\\])+)\1")
_TAR_RUNS = o.words("""
    -I --use-compress-program --to-command -F --info-script --new-volume-script --rsh-command --rmt-command
""")
_TAR_VALUED = o.words("""
    -f --file -C --directory -I -X --exclude --exclude-from -T --files-from --transform --owner --group -g -b -H
    --format --use-compress-program --checkpoint-action --to-command
""")


def _tar(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``tar``, whose first word is a group of letters with or without a dash.
    """
    argv = call.argv[1:]
    bare = bool(argv) and not argv[0].startswith("-")
    groups = [argv[0]] if bare else [word for word in argv if _GROUP.fullmatch(word)]
    letters = "".join(group.strip("-") for group in groups)
    _judge_programs(inquiry, call)
    creating = not set(letters).isdisjoint("cru") or o.has_flag(argv, "", "--create", "--append", "--update")
    extracting = "x" in letters or o.has_flag(argv, "", "--extract", "--get")
    for path in o.options(argv, "-C", "--directory"):
        inquiry.use(path, call, writes=extracting, only_looks=not extracting)
    for path in o.options(argv, "--one-top-level"):
        inquiry.use(path, call, writes=True)
    for path in o.options(argv, "-T", "--files-from"):
        content = inquiry.content(path)
        for line in content.splitlines() if is_known(content) else []:
            inquiry.use(line.strip(), call)
    if "--recursive-unlink" in argv:
        inquiry.object("delete", call, "folders that an archive names would be emptied")
    for text in o.options(argv, "--transform", "--xform"):
        if match := _TRANSFORMED.match(text):
            inquiry.use(match.group(2), call, writes=True)
    archive = o.option(argv, "-f", "--file")
    if extracting:
        _unpack(inquiry, call, archive)
    words = o.plain(argv[1:] if bare else argv, _TAR_VALUED)
    if any(group.endswith("-") and len(group) > 1 for group in groups):
        archive = "-"
    elif ("f" in letters and archive is None) or letters.endswith("f"):
        archive = argv[1] if len(argv) > 1 else None
        words = words[1:] if words[:1] == [archive] else words
    if archive and archive != "-":
        inquiry.use(archive, call, writes=creating)
    if creating:
        for path in words:
            inquiry.use(path, call)
            if "--remove-files" in argv:
                delete(inquiry, call, path)
    for path in o.options(argv, "-T", "--files-from", "-X", "--exclude-from"):
        inquiry.use(path, call)
    if extracting and o.has_flag(argv, "P", "--absolute-names"):
        inquiry.object("outside", call, "an archive's absolute paths would be written")
    return HOLE


def _judge_programs(inquiry: Inquiry, call: Invocation) -> None:
    """
    Programs that tar would run.
    """
    argv = call.argv[1:]
    for before, word in pairwise(argv):
        if _COMPRESSES.fullmatch(before):
            inquiry.text(word)
    for text in o.options(argv, *_TAR_RUNS):
        inquiry.text(text)
    for word in argv:
        if match := _CHECKPOINT.match(word):
            runs_text(inquiry, call, match.group(1), "tar would run another program")
    for before, word in pairwise(argv):
        if before == "--checkpoint-action" and "exec=" in word:
            inquiry.text(word.split("exec=", 1)[1])


def _unpack(inquiry: Inquiry, call: Invocation, archive: str | None) -> None:
    """
    Remember folders of scratch that something is unpacked into which only the command line itself knows.
    """
    given = call.stdin is not None if archive in {None, "-"} else inquiry.is_new(archive)
    folder = o.option(call.argv[1:], "-C", "--directory", "--one-top-level") or "."
    cwd = call.cwd[0]
    if given and is_known(folder) and is_known(cwd) and inquiry.scope.place(folder, cwd) is Place.SCRATCH:
        inquiry.unpacked.append(absolute(folder, cwd) + "/")


HANDLERS: dict[str, Handler] = o.each(
    """
    tar bsdtar gtar zip unzip unrar rar 7z 7za 7zz 7zr cpio pax jar gzip gunzip bzip2 bunzip2 xz unxz zstd lz4
    lzma compress pigz unpigz brotli unbrotli lzip lzop pbzip2 lbzip2 pixz plzip unlzma uncompress unzstd unlz4 zopfli
    """,
    archives,
)
