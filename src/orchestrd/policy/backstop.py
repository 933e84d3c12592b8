"""
The agent CLI's own rules: a second net under the hook, for what can be said in them.

They are weak (a wrapper before the program, another order of options, and a rule on a command matches no more), so the hook
decides and these only stand behind it; and they must never forbid what the policy allows, or an agent is stopped for honest work
without a word of ours.  So a command is named with what makes it write (``git commit --help`` is allowed), and reading is ruled
out only where the policy lets nobody even look: with a rule on reading ``.env`` the CLI refuses to write one, and ``ls -la .env``.
Facts (Claude Code 2.1.330 and 2.1.197): of a command the hook is asked first, and a
rule holds whatever it answered; of a file tool the rule is looked at first, and nobody is asked
(`orchestrd.protocol.refusals.RULED_OUT`); an Edit rule holds for every tool that writes; a name without a slash is one in any
folder; ``//`` begins an absolute path; one malformed rule makes the CLI drop all settings without a word.
"""

from __future__ import annotations

import msgspec

from orchestrd.policy.programs import gitverbs

GUARDED = (".git/**", "**/.git/**", ".claude/**", "**/.claude/**", ".mcp.json", "CLAUDE.local.md")
"""What no tool may write in the tree: see `orchestrd.policy.scope.Place`."""
SYSTEM = ("//etc/**", "//boot/**", "//root/.ssh/**", "~/.ssh/**", "~/.aws/**", "~/.gnupg/**", "~/.claude/settings.json")
"""What no tool may write anywhere, nor a file tool read."""


def rules(*, commands: bool = True, system: bool = True) -> list[str]:
    """
    The ``permissions.deny`` list: what it says of git's *commands* and of the *system*'s files, each where it is wanted, and of
    what nobody can open.
    """
    edits = [f"Edit({path})" for path in (*GUARDED, *(SYSTEM if system else ()))]
    reads = [f"Read({path})" for path in SYSTEM if system]
    if not commands:
        return [*edits, *reads]
    bare = [f"Bash(git {verb})" for verb in gitverbs.WRITES_WITH if verb not in gitverbs.SHOWS]
    writing = [f"Bash(git {verb} {word}:*)" for verb, words in gitverbs.WRITES_WITH.items() for word in words]
    return [*bare, *writing, *edits, *reads]


def settings(*, commands: bool = True, system: bool = True) -> str:
    """
    What the CLI is given by ``--settings``, as JSON: in its own arguments there is no file that an agent could change.  Without
    *commands* or *system* where a person opens any of those: these rules know of nobody's leave.
    """
    return msgspec.json.encode({"permissions": {"deny": rules(commands=commands, system=system)}}).decode()
