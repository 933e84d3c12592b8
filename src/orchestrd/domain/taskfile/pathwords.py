"""
Does a word of a sentence name a file or folder of a project?  Precision over recall: a path that is not one would be
looked for, not found, and held against good work; a path taken for prose is only shown as unverified.

``src/app/(main)/page.tsx``, ``docs/``, ``Dockerfile`` and ``README.md`` do; ``and/or``, ``CI/CD``, ``Node.js``,
``v1.2.3``, ``application/json``, ``@scope/package``, ``example.com/docs`` and ``.tsx`` do not.
"""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_EXTENSIONS = _words(
    "astro avif bash bat bib bicep c cc cfg cjs cmake conf cpp cs csproj css csv cts cue cxx dart diff dockerfile "
    "ejs env eot erb erl ex exs feature fish flow fs fsx gif go gql gradle graphql groovy h haml handlebars hbs hcl hpp "
    "hrl hs htm html hxx ico ini ipynb java jinja jinja2 jpeg jpg js json json5 jsonc jsonl jsx kt kts less lock lua "
    "m mako markdown md mdx mjs mk ml mli mm mmd mp3 mp4 mts ndjson nim nix nu odt patch pdf php pl plist pm png po pot "
    "prisma properties proto ps1 puml py pyi pyx r rake rb re rmd rs rst sass sbt scala scss service sh sln snap socket "
    "sol sql sqlite styl sv svelte svg swift tex tf tfvars timer toml ts tsv tsx ttf twig txt v vb vhd vue wasm wat "
    "webmanifest webmd webp woff woff2 xhtml xls xlsx xml xsd xsl xslt yaml yml zig zsh"
)
_FILES = _words(
    "Brewfile Caddyfile Containerfile Dockerfile Gemfile Jenkinsfile Justfile Makefile Pipfile Procfile Rakefile "
    "Tiltfile Vagrantfile justfile makefile go.mod go.sum"
)
"""Names without a telling extension that are files and nothing else; README and LICENSE are also just words."""
_INFIXES = frozenset({"config", "d", "e2e", "min", "module", "spec", "stories", "story", "test"})
"""What stands between two dots of ``.spec.ts``, which names a kind of file and not one."""
_PRODUCTS = _words(
    "alpine.js angular.js asp.net backbone.js bun.js chart.js d3.js deno.js discord.js ember.js express.js fastify.js "
    "hono.js knockout.js koa.js lit.js meteor.js moment.js nest.js next.js node.js nuxt.js p5.js phaser.js preact.js "
    "react.js remix.js sails.js socket.io solid.js svelte.js three.js vue.js"
)
_ROOTS = _words(
    "app apps assets backend bin cmd components config configs content crates cypress doc docs e2e examples fixtures "
    "frontend include infra internal lib libs locales migrations modules notebooks packages pages pkg playwright plugins "
    "prisma public resources schemas scripts src static styles supabase templates test tests utils"
)
"""Folders a project begins with; most are also words of English, so alone they prove nothing."""
_PROPER = frozenset({"crates", "pkg", "prisma", "src", "supabase"})
_DOT = re.compile(r"\.(?:env(?:\.[a-z]+)*|[a-z-]*(?:rc|ignore|config|attributes|version|versions)(?:\.[a-z0-9]+)?)")
_SEGMENT = re.compile(r"[\w.()\[\]@$+\-*?{},~=!&%]+")
_ROUTE_GROUP = re.compile(r"[(\[{@]")
_LETTERS = re.compile(r"[^\W\d_]")
_DOMAIN = re.compile(r"(?:[\w-]+\.)+(?:com|org|net|io|dev|app|ai|co|edu|gov|me|sh|de|uk|eu|example)")
_ABSOLUTE = re.compile(r"/[\w.(\[@*]|~/|~[A-Za-z_]\w*/|[A-Za-z]:[\\/]\w")
_SYSTEM = re.compile(r"/(?:etc|opt|private|proc|root|sys|tmp|usr|var|Users|home/[\w.-]+)/|~|[A-Za-z]:")
_BACKSLASHED = re.compile(r"[\w.-]+(?:\\[\w.()\[\]-]+)+")
_EXTENSION = re.compile(r"[A-Za-z][A-Za-z0-9]{0,11}")
MAX_WORD = 512
_SUFFIX = re.compile(r"(?::\d+(?:[:-]\d+)*|::.*|#.*|['’]s)$")


def trimmed(word: str) -> str:
    """
    *word* without the punctuation around it, line numbers, anchors and ``'s``; brackets that match stay.
    """
    if len(word) > MAX_WORD:
        return ""
    if "..." in word or "…" in word:
        return word
    for _ in range(8):
        before = word
        word = word.strip("\"'“”‘’`,;:!|<>").rstrip(".…") if word.strip(".") else ""
        if word.startswith("**") and word.endswith("**") and len(word) > len("****") and "*" not in word[2:-2]:
            word = word[2:-2]
        for opening, closing in ("()", "[]", "{}"):
            if word.startswith(opening) and word.endswith(closing) and balanced(word[1:-1], opening, closing):
                word = word[1:-1]
            elif word.startswith(opening) and word.count(opening) > word.count(closing):
                word = word[1:]
            elif word.endswith(closing) and word.count(closing) > word.count(opening):
                word = word[:-1]
        word = _SUFFIX.sub("", word)
        if word == before:
            break
    return word


def has_extension(name: str) -> bool:
    """
    True when the last part of *name* ends as a file of source, text or data does.
    """
    stem, dot, extension = name.rpartition("/")[2].rpartition(".")
    return bool(dot and stem) and (extension.lower() if extension.isupper() else extension) in _EXTENSIONS


def is_rooted(word: str) -> bool:
    """
    True when *word* begins as projects do: ``docs/My``, which may go on after a space.
    """
    first, slash, rest = word.partition("/")
    return bool(slash and rest) and (first in _ROOTS or first.startswith("."))


def is_path(word: str, *, alone: bool = False) -> bool:
    """
    True when *word*, already `trimmed`, names a file or folder; *alone* when the person wrote nothing else.
    """
    if not word or "://" in word or "\\" in word or word.startswith(("/", "~", "@", "www.")):
        return False
    return _is_long(word, alone=alone) if "/" in word else _is_name(word, alone=alone)


def is_absolute(word: str) -> bool:
    """
    True for ``/etc/x.conf``, ``~/x`` and drives of Windows; a route such as ``/api/users`` looks the same.
    """
    return bool(_ABSOLUTE.match(word))


def is_system(word: str) -> bool:
    """
    True for an absolute path that cannot be a web route: a home, a drive, a folder of the system.
    """
    return bool(_SYSTEM.match(word))


def is_backslashed(word: str) -> bool:
    """
    True for a file written as on Windows.
    """
    return bool(_BACKSLASHED.fullmatch(word)) and has_extension(word)


def balanced(text: str, opening: str, closing: str) -> bool:
    """
    True when every *closing* in *text* has its *opening* before it, and the other way round.
    """
    depth = 0
    for character in text:
        depth += (character == opening) - (character == closing)
        if depth < 0:
            return False
    return depth == 0


def _is_name(word: str, *, alone: bool) -> bool:
    if word in _FILES or _DOT.fullmatch(word):
        return True
    if word.casefold() in _PRODUCTS or not _SEGMENT.fullmatch(word) or not has_extension(word):
        return False
    if "*" in word or "?" in word or "{" in word:
        return alone
    parts = word.split(".")
    if parts[0] == "" and all(part in _INFIXES or part in _EXTENSIONS for part in parts[1:]):
        return False
    # `x.c` and `i.m` are more often an expression or an initial than a file.
    return bool(_LETTERS.search(parts[0] or parts[1])) and (len(parts[-1]) > 1 or len(parts[0]) > 1)


def _is_long(word: str, *, alone: bool) -> bool:
    parts = word.split("/")
    while parts and parts[0] == ".":
        parts = parts[1:]
    folder = len(parts) > 1 and parts[-1] == ""
    parts = [part for part in parts if part]
    if not parts or "..." in word or "…" in word or not all(_SEGMENT.fullmatch(part) for part in parts):
        return False
    if _DOMAIN.fullmatch(parts[0]) or (":" in word) or parts[0].startswith("@"):
        return False
    if all(part.casefold() in _PRODUCTS or part.istitle() for part in parts) and parts[-1].casefold() in _PRODUCTS:
        return False
    if all(re.fullmatch(r"v?[\d.,%x]+", part) for part in parts):
        return False
    last, first = parts[-1], parts[0]
    if has_extension(last) and not (last[0] == "." and last[1:] in _EXTENSIONS):
        return True
    if folder:
        return bool(_LETTERS.search(first))
    if last in _FILES or _DOT.fullmatch(last):
        return True
    rooted = first in _ROOTS or (first.startswith(".") and first.strip(".") != "")
    if first not in _PROPER and all(part in _ROOTS for part in parts):
        return False
    if alone and rooted:
        return True
    if alone and _EXTENSION.fullmatch(last.rpartition(".")[2]) and last.rpartition(".")[0]:
        return True
    if first == "src" or first.startswith("."):
        return rooted
    if any(_ROUTE_GROUP.match(part) for part in parts[1:]) or "**" in parts:
        return rooted
    return rooted and len(parts) > 2
