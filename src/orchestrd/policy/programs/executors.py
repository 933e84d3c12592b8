"""
``npx``, ``poetry run``, ``bundle exec`` and their like: the command behind them.
"""

from __future__ import annotations

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.fresh import task_sources
from orchestrd.policy.programs.packages import program_of
from orchestrd.policy.programs.targets import is_migrating_target
from orchestrd.policy.shell.invocation import Invocation

_EXECUTORS: dict[str, tuple[str, frozenset[str]]] = {
    # program -> its words before a command, its options that take a value
    "npx": ("", o.words("-p --package -w --workspace --node-options")),
    "pnpx": ("", frozenset()),
    "bunx": ("", frozenset()),
    "uvx": ("", o.words("--from --with --python -p --index-url")),
    "pipx": ("run", o.words("--spec --python --index-url --pip-args")),
    "bundle": ("exec", frozenset()),
    "bundler": ("exec", frozenset()),
    "poetry": ("run", o.words("-C --directory -P --project")),
    "pipenv": ("run", frozenset()),
    "pdm": ("run", o.words("-p --project")),
    "hatch": ("run", o.words("-e --env")),
    "rye": ("run", frozenset()),
    "uv": (
        "run",
        o.words("""
            --with --python -p --extra --group --env-file --directory --project --package --index-url
            --only-group
        """),
    ),
    "guix": ("shell environment", frozenset()),
    "pixi": ("run", o.words("-e --environment --manifest-path")),
    "conda": ("run", o.words("-n --name -p --prefix --cwd")),
    "mamba": ("run", o.words("-n --name -p --prefix")),
    "micromamba": ("run", o.words("-n --name -p --prefix")),
    "nix": ("run develop shell", o.words("-c --command -f")),
    "nix-shell": ("", frozenset()),
    "devbox": ("run", o.words("-c --config -e --env")),
    "devenv": ("shell", frozenset()),
    "direnv": ("exec", frozenset()),
    "asdf": ("exec", frozenset()),
    "rbenv": ("exec", frozenset()),
    "pyenv": ("exec", frozenset()),
    "nvm": ("exec run", frozenset()),
    "fnm": ("exec", o.words("--using")),
    "volta": ("run", o.words("--node --npm --yarn")),
    "opam": ("exec", frozenset()),
    "dune": ("exec", o.words("--root --profile")),
    "stack": ("exec", o.words("--package")),
    "cabal": ("exec run", frozenset()),
    "esy": ("", frozenset()),
    "dotnet": ("exec tool", frozenset()),
    "vagrant": ("ssh", o.words("-c --command")),
    "lando": ("", frozenset()),
    "ddev": ("exec", o.words("-s --service -d --dir")),
    "sail": ("", frozenset()),
    "spring": ("", frozenset()),
    "foreman": ("run", o.words("-e --env -f")),
    "honcho": ("run", o.words("-e --env -f")),
    "dip": ("", frozenset()),
    "wp-env": ("run", frozenset()),
    "with-env": ("", frozenset()),
    "corepack": ("", frozenset()),
    "nodenv": ("exec", frozenset()),
    "pkgx": ("", frozenset()),
    "shx": ("", frozenset()),
    "doppler-run": ("run", frozenset()),
}


def execute(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``npx``, ``poetry run``, ``bundle exec`` and their like: the command behind them.
    """
    before, valued = _EXECUTORS[call.program]
    argv = call.argv
    task_sources(inquiry, call)
    for text in (
        o.options(argv[1:], "-c", "--call", "--run", "--command")
        if call.program in {"npx", "nix-shell", "nix", "vagrant"}
        else []
    ):
        inquiry.text(text if call.program != "nix" else " ".join(argv[argv.index(text) :]))
    if call.program == "nix" and "--" in argv and (named := next((word for word in argv if "#" in word), None)):
        return inquiry.argv(call, (named.partition("#")[2].rsplit(".", 1)[-1], *argv[argv.index("--") + 1 :]))
    if call.program in {"guix", "nix"} and "--" in argv:
        return inquiry.argv(call, argv[argv.index("--") + 1 :])
    at = o.after_options(argv, valued)
    if before:
        if at >= len(argv) or argv[at] not in before.split():
            return None
        verb = argv[at]
        at = o.after_options(argv, valued, start=at + 1)
        if call.program == "dotnet" and verb == "tool":
            return None
        if call.program in {"uv", "uvx"} and verb == "run" and ("-m" in argv[:at] or "--module" in argv[:at]):
            return inquiry.argv(call, ("python", "-m", *argv[at:]))
        if call.program in {"direnv", "asdf"} and call.program == "direnv":
            at += 1
    rest = argv[at:]
    if not rest:
        return None
    if call.program == "nix" and "#" in rest[0]:
        rest = (rest[0].partition("#")[2].rsplit(".", 1)[-1], *(rest[2:] if rest[1:2] == ("--",) else rest[1:]))
    if call.program in {"npx", "pnpx", "bunx", "uvx", "pipx", "pkgx"}:
        rest = (program_of(rest[0]), *rest[1:])
    if call.program == "hatch" and ":" in rest[0]:
        rest = (rest[0].partition(":")[2], *rest[1:])
    if rest[0].endswith((".py",)) and call.program in {"uv", "rye", "pdm", "poetry", "pipenv", "hatch"}:
        rest = ("python", *rest)
    if call.program in o.words("pdm poetry pixi rye hatch pipenv devbox") and is_migrating_target(rest[0]):
        inquiry.object("db", call, f"`{rest[0]}` runs migrations or changes a database, by its name")
    return inquiry.argv(call, rest)


HANDLERS: dict[str, Handler] = dict.fromkeys(_EXECUTORS, execute)
