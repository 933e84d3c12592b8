"""
Our repository made, and set right: its settings, its ``HEAD`` and its attributes, which nobody but this program writes.
"""

from __future__ import annotations

from pathlib import Path

import anyio.to_thread

from orchestrd.errors import ConfigError
from orchestrd.logs import get_logger
from orchestrd.workspace.entries import settle
from orchestrd.workspace.git import OURS, Git

log = get_logger(__name__)
ATTRIBUTES = "* -text -ident !filter !working-tree-encoding\n"
"""
``info/attributes`` outranks every ``.gitattributes``.  ``working-tree-encoding`` must be unspecified, not unset: git
refuses "false" as an encoding.
"""
HEAD = "ref: refs/heads/none\n"
"""Our repository has no branch."""


def found(path: Path, object_format: str) -> None:
    """
    Make a repository of *object_format*, without anything in it, at *path*; blocks.
    """
    for folder in (path, path / "info", path / "objects", path / "objects" / "info", path / "objects" / "pack"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    put(path / "orchestrd.config", OURS)
    put(path / "info" / "attributes", ATTRIBUTES)
    refound(path, object_format)


def refound(path: Path, object_format: str) -> None:
    """
    Write what makes the folder at *path*, in which there are objects, a repository for git; blocks.
    """
    (path / "refs").mkdir(mode=0o700, exist_ok=True)
    sha256 = object_format != "sha1"
    lines = ["[core]", f"\trepositoryformatversion = {int(sha256)}", "\tfilemode = true", "\tbare = true"]
    lines += ["[extensions]", f"\tobjectformat = {object_format}"] if sha256 else []
    lines += ["[include]", "\tpath = orchestrd.config"]
    put(path / "config", "\n".join([*lines, ""]))
    put(path / "HEAD", HEAD)


async def prepare(git: Git, path: Path, object_format: str, *, project: Path) -> None:
    """
    Have a repository of *object_format*, whose git is *git*, in good order at *path*; made if it is missing.

    Raises ConfigError when the one that is there is of another format than *project* is.
    """
    if not await anyio.to_thread.run_sync((path / "objects").is_dir):
        await anyio.to_thread.run_sync(found, path, object_format)
    await anyio.to_thread.run_sync(_settle, path)
    own = await git.run("rev-parse", "--show-object-format", expect=(0, 128))
    if own.code:
        # Its settings are damaged, which nobody but this program writes: they are made anew.
        await anyio.to_thread.run_sync(refound, path, object_format)
        log.warning("git.refounded", path=str(path))
        own = await git.run("rev-parse", "--show-object-format")
    # For git processes that an agent starts in its worktree, which read only this repository's own file.
    await git.run("config", "--file", str(path / "config"), "include.path", "orchestrd.config")
    if own.line != object_format:
        raise ConfigError(
            f"{path} keeps {own.line} objects, but {project} uses {object_format}",
            hint="The project was made anew in another format: move the old repository away.",
        )


def _settle(path: Path) -> None:
    """
    Write our settings and sweep away what a killed git left behind.
    """
    path.chmod(0o700)
    for folder in ("info", "orchestrd-index"):
        (path / folder).mkdir(mode=0o700, exist_ok=True)
    put(path / "HEAD", HEAD)
    put(path / "orchestrd.config", OURS)
    put(path / "info" / "attributes", ATTRIBUTES)
    for stray in (path / "orchestrd-index").glob("new-*"):
        stray.unlink()
    for stray in (path / "refs" / "orchestrd").rglob("*.lock"):
        stray.unlink()
    for pattern in ("pack/tmp_*", "??/tmp_obj_*"):
        # Of a large file that a git was ended over, all that it had read.
        for stray in (path / "objects").glob(pattern):
            stray.unlink(missing_ok=True)
    settle(path)


def put(path: Path, text: str) -> None:
    """
    Have *text* in the file *path*, whatever lies there.
    """
    data = text.encode("utf-8", "surrogateescape")
    if path.is_symlink() or not path.exists() or path.read_bytes() != data:
        temporary = path.with_name(f"{path.name}.new")
        temporary.write_bytes(data)
        temporary.replace(path)
