"""
Publishing a package, a site or an application, ecosystem by ecosystem, and by a word for it that any program may have.
"""

from __future__ import annotations

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE

_PUBLISHES = o.rows("""
    dart flutter: pub publish
    mix: hex.publish, hex.retire, hex.owner, hex.repo
    rebar3: hex publish, hex cut, hex retire
    gleam: publish, docs publish, hex retire
    elm nimble wapm wasm-pack spago opam dub: publish
    cabal stack fez mi6 anaconda luarocks conan: upload
    pod: trunk push, trunk register, trunk delete, trunk deprecate, repo push
    swift: package-registry publish
    ovsx: publish, create-namespace
    expo: publish
    eas: update, submit
    shipjs: trigger, prepare, release
    hugo rsconnect: deploy
    lein: deploy
    bower: register, unregister
    web-ext: sign
    oras: push, copy, cp
    fastlane: deliver, pilot, supply
    Publish-Module publish-module: *
    cpan-upload mojo-upload: *
""")
"""Programs → the words with which they publish; ``*`` stands for anything."""
_VERBS = o.words("publish upload submit")
"""Such words of any program."""
_ASKING = o.words("check list ls show get help test validate status view explain describe lint")
"""Words behind which they are names."""
_TELLS = o.words("--help -h -help --dry-run --dryrun help")
_LOOKED_AT = 3


def publish(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    A manager of packages and its like.
    """
    argv = call.argv[1:]
    if not _TELLS.isdisjoint(argv):
        return None
    words = o.plain(argv)
    for wanted in _PUBLISHES[call.program]:
        if wanted == "*" or words[: wanted.count(" ") + 1] == wanted.split():
            inquiry.object("git", call, f"`{call.program} {wanted}`".replace(" *", "") + " publishes")
            return HOLE
    return None


def judge_publishing(inquiry: Inquiry, call: Invocation) -> None:
    """
    A program that is not known, and no file of the project's: it publishes by what it is told.
    """
    argv = call.argv[1:]
    words = o.plain(argv[:_LOOKED_AT])[:2]
    at = next((at for at, word in enumerate(words) if word in _VERBS), None)
    if "/" not in call.argv[0] and at is not None and _ASKING.isdisjoint(words[:at]) and _TELLS.isdisjoint(argv):
        inquiry.object("git", call, f"`{' '.join((call.program, *words))}` publishes, by its name")


HANDLERS: dict[str, Handler] = dict.fromkeys(_PUBLISHES, publish)
