"""
The Claude Code CLI on this machine: where it is, whether it can work, and how it is called.

Facts: Claude Code 2.1.330 and 2.1.197.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import anyio
import msgspec

from orchestrd.ancestry import MARK
from orchestrd.errors import AgentError

OLDEST = (2, 1, 197)
"""The oldest CLI whose stream this program was tested on."""
PROBE_SECONDS = 20.0
_PLATFORM_BINARY = "@anthropic-ai/claude-code-*/claude"


class AgentCli(msgspec.Struct, frozen=True, kw_only=True):
    """
    A CLI that was found and answers.
    """

    path: str
    version: str


def find(setting: str, environ: dict[str, str], home: Path) -> str:
    """
    The CLI's absolute path.  *setting* is a path, ``bundled`` (the Python package claude-agent-sdk), or ``auto``: first
    PATH, then the bundled one, then an npm installation.

    Raises `AgentError` that says where was looked and how to install one.
    """
    if setting not in {"auto", "bundled"}:
        named = Path(os.path.expandvars(setting)).expanduser()
        found = shutil.which(setting, path=environ.get("PATH")) if "/" not in setting else str(home / named)
        if found is None or not os.access(found, os.X_OK):
            raise AgentError(
                f"agent.binary: {setting} is not an executable file", hint="Mend it in config/orchestrd.yaml."
            )
        return found
    candidates = _bundled() if setting == "bundled" else (*_on_path(environ), *_bundled(), *_from_npm(environ, home))
    for path in candidates:
        if os.access(path, os.X_OK):
            return str(path)
    raise AgentError(
        "the Claude Code CLI was not found"
        + ("" if setting == "bundled" else " on PATH, in the Python package claude-agent-sdk, or in node_modules"),
        hint="Install one: pip install 'orchestrd[claude]', or npm install -g @anthropic-ai/claude-code; "
        "or name it as agent.binary in config/orchestrd.yaml.",
    )


def _on_path(environ: dict[str, str]) -> Iterator[Path]:
    found = shutil.which("claude", path=environ.get("PATH"))
    if found is None:
        return
    real = Path(found).resolve()
    if real.stat().st_size > 100_000:
        yield Path(found)
    # npm with --ignore-scripts leaves a stub of 500 bytes; the native binary lies in the platform's package beside it.
    for folder in real.parents:
        if folder.name == "node_modules":
            yield from sorted(folder.glob(_PLATFORM_BINARY))
    if real.stat().st_size <= 100_000:
        yield Path(found)


def _bundled() -> Iterator[Path]:
    spec = importlib.util.find_spec("claude_agent_sdk")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        yield Path(folder) / "_bundled" / "claude"


def _from_npm(environ: dict[str, str], home: Path) -> Iterator[Path]:
    roots = [home / "node_modules"]
    npm = shutil.which("npm", path=environ.get("PATH"))
    if npm is not None:
        roots.append(Path(npm).parent.parent / "lib" / "node_modules")
    for root in roots:
        yield from sorted(root.glob("@anthropic-ai/claude-code/bin/claude.exe"))
        yield from sorted(root.glob(_PLATFORM_BINARY))
        yield from sorted(root.glob(f"@anthropic-ai/claude-code/node_modules/{_PLATFORM_BINARY}"))


async def probe(path: str, env: dict[str, str]) -> AgentCli:
    """
    The CLI's version and login, asked of itself with the agent's environment *env*.

    Raises `AgentError` when it does not run, is too old, or is not logged in.
    """
    code, out, err = await _ask([path, "--version"], env)
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", out)
    if code != 0 or match is None:
        raise AgentError(
            f"{path} --version failed: {(err or out).strip()[:300] or f'exit status {code}'}",
            hint="Reinstall the CLI (npm without --ignore-scripts), or name another as agent.binary.",
        )
    version = match.group(0)
    if tuple(int(part) for part in match.groups()) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise AgentError(f"{path} is Claude Code {version}; at least {wanted} is needed", hint="Update it.")
    if not any(env.get(name) for name in ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX")):
        # Exit status 1 and {"loggedIn": false} without an account; older versions do not know the command.
        code, out, _ = await _ask([path, "auth", "status"], env)
        if code == 1 and re.search(r'"loggedIn":\s*false', out):
            raise AgentError(
                f"{path} is not logged in with the environment that agents get",
                hint="Run `claude` once and log in, or set ANTHROPIC_API_KEY for the daemon (agent.env lets it through).",
            )
    return AgentCli(path=path, version=version)


async def _ask(argv: list[str], env: dict[str, str]) -> tuple[int, str, str]:
    try:
        with anyio.fail_after(PROBE_SECONDS):
            done = await anyio.run_process(argv, env=env, check=False, stdin=subprocess.DEVNULL)
    except TimeoutError:
        raise AgentError(
            f"`{' '.join(argv)}` gave no answer for {PROBE_SECONDS:.0f} seconds", hint="Check agent.binary."
        ) from None
    except OSError as error:
        raise AgentError(f"{argv[0]} cannot be run: {error.strerror}", hint="Check agent.binary.") from None
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def command_line(
    cli: str,
    *,
    session: str,
    resumes: bool,
    model: str | None,
    instructions: str,
    folders: list[str],
    extra: list[str],
    rules: str,
) -> list[str]:
    """
    How one run is started: headless, both channels as stream-json, every permission and tool call asked of us.

    The settings, hooks and MCP servers of the project and of the person stay out: they would run as the agent without being
    asked.  What stands in their place is only *rules*, the backstop behind our hook (`policy.backstop.settings`).
    """
    return [
        cli,
        "-p",
        "--input-format",
        "stream-json",
        "--output-format",
        "stream-json",
        "--verbose",
        "--include-partial-messages",
        "--permission-prompt-tool",
        "stdio",
        "--permission-mode",
        "default",
        "--setting-sources",
        "",
        "--strict-mcp-config",
        "--settings",
        rules,
        # In the system prompt they cost no turn to read and survive compaction.
        "--append-system-prompt-file",
        instructions,
        "--resume" if resumes else "--session-id",
        session,
        *(["--model", model] if model else []),
        *(part for folder in folders for part in ("--add-dir", folder)),
        *extra,
    ]


def environment(env: dict[str, str], *, run: str, folder: str, scratch: str) -> dict[str, str]:
    """
    The allow-listed environment with what every agent gets besides; *folder* is the run's directory.
    """
    return {
        **env,
        "TMPDIR": scratch,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "ORCHESTRD_RUN": run,
        MARK: folder,
        # The only sure sign that a turn is over.
        "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS": "1",
        # Telemetry, update checks and preconnects would leave the machine even with a loopback API.
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
