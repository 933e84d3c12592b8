"""
``npx``, ``poetry run``, ``bundle exec`` and their like: the command behind them.
"""

from __future__ import annotations

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
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
    "hatch": ("run env", o.words("-e --env")),
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
    **o.each("rbenv pyenv jenv goenv plenv phpenv luaenv swiftenv", ("exec", frozenset())),
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


_GIVEN_TEXT = o.words("npx nix-shell nix vagrant")
"""Those that may be given a text for a shell."""
_PACKAGED = o.words("npx pnpx bunx uvx pipx pkgx")
"""Those that run a package, which may have a scope and a version."""
_PYTHONS = o.words("uv rye pdm poetry pipenv hatch")
"""Those that run a Python file with Python."""
_SCRIPTED = o.words("pdm poetry pixi rye hatch pipenv devbox uv")
"""Those that may run a script of the project by its name."""


def execute(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Follow the command behind ``npx``, ``poetry run``, ``bundle exec`` and their like.
    """
    program, argv = call.program, call.argv
    if program in _GIVEN_TEXT:
        for text in o.options(argv[1:], "-c", "--call", "--run", "--command"):
            inquiry.text(" ".join(argv[argv.index(text) :]) if program == "nix" and text in argv else text)
    if program in {"guix", "nix"} and "--" in argv:
        rest = argv[argv.index("--") + 1 :]
        named = next((word for word in argv if "#" in word), None) if program == "nix" else None
        return inquiry.argv(call, rest if named is None else (_attribute(named), *rest))
    before, valued = _EXECUTORS[program]
    at = o.after_options(argv, valued)
    if before:
        if at >= len(argv) or argv[at] not in before.split():
            return None
        verb, at = argv[at], o.after_options(argv, valued, start=at + 1)
        if program == "dotnet" and verb == "tool":
            return None
        if program == "uv" and not {"-m", "--module"}.isdisjoint(argv[:at]):
            return inquiry.argv(call, ("python", "-m", *argv[at:]))
        if program == "direnv" or (program == "hatch" and verb == "env"):
            at += 1  # a folder; ``run``
    rest = argv[at:]
    if not rest:
        return None
    first, rest = rest[0], rest[1:]
    if program == "nix" and "#" in first:
        first = _attribute(first)
    if program in _PACKAGED:
        first = program_of(first)
    if program == "hatch" and ":" in first:
        first = first.partition(":")[2]
    if first.endswith(".py") and program in _PYTHONS:
        return inquiry.argv(call, ("python", first, *rest))
    if program in _SCRIPTED and is_migrating_target(first):
        inquiry.object("db", call, f"`{first}` runs migrations or changes a database, by its name")
    return inquiry.argv(call, (first, *rest))


def _attribute(named: str) -> str:
    """
    The program that nix names by an attribute: ``nixpkgs#python.git`` → ``git``.
    """
    return named.partition("#")[2].rsplit(".", 1)[-1]


HANDLERS: dict[str, Handler] = dict.fromkeys(_EXECUTORS, execute)
