"""
The person's repository, of which everything is read and nothing written.
"""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import anyio.to_thread

from orchestrd.errors import ConfigError
from orchestrd.workspace.entries import real
from orchestrd.workspace.git import Git


class Project:
    """
    The git work tree at *path*, a path without symbolic links; made by ``open``.
    """

    def __init__(self, path: Path, *, common: Path, private: Path, object_format: str) -> None:
        self.path = path
        self.common = common
        """The git directory that holds its objects and refs."""
        self.private = private
        """The git directory that is its working tree's alone: `common` but in a linked worktree."""
        self.object_format = object_format
        """``sha1`` or ``sha256``."""
        self.git = Git.project(path)

    @classmethod
    async def open(cls, path: Path) -> Project:
        """
        The project at *path*.  Raises ConfigError when that is not the top of a git work tree, or git is missing or too old.
        """
        path = await anyio.to_thread.run_sync(real, path)
        if not await anyio.Path(path).is_dir():
            raise ConfigError(f"the project {path} is not a folder")
        git = Git.project(path)
        await git.version()
        top = await git.run("rev-parse", "--show-toplevel", expect=(0, 128))
        if top.code:
            raise ConfigError(
                f"the project {path} is not a git work tree: {top.complaint}", hint="Run `git init` there first."
            )
        if await anyio.to_thread.run_sync(real, Path(top.line)) != path:
            raise ConfigError(
                f"the project {path} lies inside the git work tree {top.line}", hint=f"Name {top.line} as the project."
            )
        common = await git.run("rev-parse", "--path-format=absolute", "--git-common-dir")
        private = await git.run("rev-parse", "--absolute-git-dir")
        object_format = await git.run("rev-parse", "--show-object-format")
        return cls(path, common=Path(common.line), private=Path(private.line), object_format=object_format.line)

    async def head(self) -> str | None:
        """
        The commit that HEAD stands for; None while nothing was committed.
        """
        asked = await self.git.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}", expect=(0, 1, 128))
        return None if asked.code else asked.line

    async def names_in(self, head: str) -> list[tuple[str, str]]:
        """
        Commit and full name of every branch, tag and remote's branch that lies in the history of the commit *head*, by name.  There
        are none once *head* itself is gone: it was amended, and garbage was collected.
        """
        form = "--format=%(objectname) %(*objectname) %(refname)"
        asked = ("for-each-ref", f"--merged={head}", form, "refs/heads", "refs/remotes", "refs/tags")
        found = await self.git.run(*asked, expect=(0, 128, 129))
        if found.code:
            return []
        rows = (row.split(" ") for row in found.out.decode("utf-8", "surrogateescape").splitlines())
        # Of a tag with words of its own the commit is meant that it names.
        return sorted(((peeled or named, ref) for named, peeled, ref in rows), key=lambda pair: pair[1])

    async def is_partial(self) -> bool:
        """
        True of a clone that fetches contents from elsewhere when they are asked for (``git clone --filter``).
        """
        asked = ("config", "--type=bool", "--get-regexp", r"^remote\..*\.promisor$")
        return b"true" in (await self.git.run(*asked, expect=(0, 1))).out

    async def excludes(self) -> str:
        """
        The person's ignore rules from outside the tree, weakest first.
        """
        asked = await self.git.run("config", "--type=path", "--get", "core.excludesFile", expect=(0, 1))
        home = Path(os.environ.get("XDG_CONFIG_HOME") or Path(os.environ.get("HOME", "/")) / ".config")
        wide = Path(asked.line) if asked.code == 0 else home / "git" / "ignore"
        rules = (self.path / wide, self.common / "info" / "exclude")
        return await anyio.to_thread.run_sync(lambda: "".join(map(_text, rules)))


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape").rstrip("\n") + "\n"
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
        return ""
