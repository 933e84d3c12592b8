"""
Other version control, forges, and tools that commit, tag or publish on their own: reading is allowed.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE
from orchestrd.policy.verdict import Rule

_VCS_READING = o.words("""
    status st log diff info annotate blame cat show ls list help --version -h --help root summary manifest heads
    parents paths branches tags files grep identify id verify praise praise propget proplist version op evolog
    file interdiff smartlog sl bookmarks timeline finfo changes
""")
_SYSTEMS = o.words("""
    hg svn jj fossil bzr brz sl darcs pijul cvs p4 got tf cm yadm stg scalar quilt-push chezmoi vcs dulwich
    isogit dolt lakectl oxen datalad topgit tg but arc git-branchless bfg git-filter-repo git-imerge git-absorb git-revise git-sim sley
""")
_ALSO_READING = {
    "p4": o.words("""
        opened describe filelog fstat have print where diff2 dirs users clients labels depots jobs counters groups
        integrated resolved sizes reviews
    """),
    "dolt": o.words("sql sql-server schema table constraints"),
    "datalad": o.words("wtf"),
}
"""What reads in one system alone."""
_LISTING = o.words("list ls cat stat show log")
"""Second words with which lakeFS's subcommands only tell."""
_SUBREADING = {
    "op": o.words("log show"),
    "file": o.words("show list annotate"),
    "bookmarks": frozenset(),
    "tag": o.words("list"),
}

_READS = o.words("view list ls status diff checks show get watch search browse download log logs trace lint")
_READING_NOUNS = o.words("search status browse --version --help help version completion")

_RELEASING = o.rows("""
    auto: release, shipit, latest, next, canary, label
    lerna: version, publish
    changeset: version, publish, tag
    bump-my-version: bump
    bumpver: update
    mkdocs jupyter-book: gh-deploy
    mike: deploy, delete, alias, set-default, retitle
    goreleaser knope: release
    husky: init, install, add, set
    pre-commit: install, uninstall, autoupdate, init-templatedir
    prek captainhook: install, uninstall
    lefthook: install, add, uninstall
    overcommit: --install, --uninstall, --sign
    vsce hatch flit quarto gitbook: publish
    clasp: push
    vercel: --prod, deploy, promote
    netlify docusaurus ng wrangler-pages: deploy
    twine: upload
    skopeo: delete, sync
    crane: push, copy, cp, delete, tag, append, mutate, rebase
    release-please: release-pr, github-release, manifest-pr
    gitlint: install-hook, uninstall-hook
    repo: sync, start, upload, prune, abandon, checkout, rebase
    west: update, init
    bit: tag, export, snap
    sapling: commit, push, amend
    changelogen: --release, --push, --commit
    towncrier: build
    release-plz: release, release-pr
    hexo: deploy, d, --deploy
    grumphp: git:init, git:deinit
    projen: release, publish
    nbstripout: --install, --uninstall
    nbdime: config-git
    dvc: add, push, commit, init, remove, move, gc
    ggshield: install
    talisman: --githook
    cocogitto: bump, commit
    cog: bump, commit, init, install-hook
    uplift: release, bump, tag
    jreleaser: full-release, release, publish, deploy
    beachball: publish, bump
""")
"""Tools and the words with which they commit, tag, push or publish."""
_NEVER_RELEASING = o.words("commitlint brunch reveal-md gitleaks svu")
_ONLY_RELEASING = o.words("""
    semantic-release release-it standard-version commit-and-tag-version np gh-pages cz git-cz commitizen
    bumpversion bump2version tbump gt graphite spr ghstack git-town lazygit gitui tig cargo-release
    simple-git-hooks ghp-import etckeeper vcsh git-machete av aicommits opencommit oco copybara bumpp punch
    angular-cli-ghpages gh-pages-deploy push-dir surge now monopub multi-semantic-release
    conventional-github-releaser github-release ghr dpl capistrano yadm homeshick cml czg bumpversion.cli
    standard-changelog-release nbdev poetry-bumpversion git-chglog-release rush-publish nx-release monodeploy
    publish-please
""")
"""Tools that do nothing else."""
_PUBLISHING = o.words("poetry pdm uv maturin jsr deno bun")
"""Managers of packages that publish one by that verb, and run what else may be called so."""
_RUNNING = o.words("run add remove install task x exec")
_COMMITIZEN_READING = o.words("check example info schema ls version")
_READING_FLAGS = o.words("--help -h --version -V --dry-run")


def other_system(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Version control other than git.
    """
    for setting in o.options(call.argv[1:], "--config"):
        if "=!" in setting or "=shell:" in setting:
            inquiry.text(re.split(r"=(?:!|shell:)", setting, maxsplit=1)[1])
    words = o.plain(call.argv[1:], o.words("-R --repository --cwd -u --username --config -C"))
    if not words or words[0] in _ALSO_READING.get(call.program, ()):
        return None
    if call.program == "lakectl" and not _LISTING.isdisjoint(words[1:2]):
        return None
    if words[0] in _VCS_READING and not (
        words[0] in _SUBREADING and words[1:2] and words[1] not in _SUBREADING[words[0]]
    ):
        return None
    if call.program == "tf" or (call.program == "cm" and words[0] not in o.words("checkin ci undo merge switch")):
        return None
    inquiry.object("git", call, f"`{call.program} {words[0]}` changes a repository")
    return HOLE


def forge(inquiry: Inquiry, call: Invocation) -> str:
    """
    A forge's own client: it may look.
    """
    words = o.plain(call.argv[1:], o.words("-R --repo --hostname"))
    if not words or words[0] in _READING_NOUNS:
        return HOLE
    if words[0] == "auth":
        if words[1:2] == ["token"] or "--show-token" in call.argv or "-t" in call.argv:
            inquiry.object("secret", call, "a token would be shown")
        elif words[1:2] not in (["status"], []):
            inquiry.object("git", call, f"`{call.program} auth` may only be asked for its status")
        return HOLE
    if words[0] == "api":
        if not _asks(call, words):
            inquiry.object("git", call, "the forge may only be read")
        return HOLE
    if words[0] == "secret" and words[1:2] in (["list"], ["ls"]):
        return HOLE  # names and dates
    if words[0] == "secret" or (words[0] == "variable" and words[1:2] not in (["list"], ["get"])):
        rule: Rule = "secret" if words[:2] == ["secret", "get"] else "git"
        inquiry.object(rule, call, "secrets and variables of the forge may not be touched")
        return HOLE
    if words[0] in {"alias", "config", "extension", "codespace"} and words[1:2] not in (["list"], ["get"]):
        inquiry.object("git", call, f"`{call.program} {words[0]}` may not be changed")
        return HOLE
    if len(words) < 2 or words[1] not in _READS:
        inquiry.object("git", call, f"`{call.program} {' '.join(words[:2])}` changes something at the forge")
    return HOLE


def _asks(call: Invocation, words: list[str]) -> bool:
    """
    True when a call of the forge's API only reads.
    """
    method = (o.option(call.argv, "-X", "--method") or "").upper()
    if method:
        return method in {"GET", "HEAD"}
    rest = call.argv[2:]
    sends = o.has_flag(rest, "", "-f", "-F", "--field", "--raw-field", "--input") or o.options(rest, "-f", "-F")
    return not sends or ("graphql" in words and not re.search(r"\bmutation\b", " ".join(call.argv)))


def releases(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Tools that commit, tag, push or publish.
    """
    words = call.argv[1:]
    if set(words) & _READING_FLAGS and call.program != "vercel":
        return None
    given = next((word for word in words if not word.startswith("-")), "")
    if call.program in _ONLY_RELEASING:
        releasing = call.program != "cz" or given not in _COMMITIZEN_READING
    elif call.program in _PUBLISHING:
        before = words[: words.index("publish")] if "publish" in words else words
        releasing = len(before) < len(words) and not _RUNNING & set(before)
    elif call.program == "skopeo" and "copy" in words:
        releasing = words[-1].startswith("docker://")
    else:
        releasing = bool(set(words) & set(_RELEASING.get(call.program, ())))
    if releasing:
        inquiry.object("git", call, f"`{call.program} {given}`".rstrip() + " commits, tags, pushes or publishes")
        return HOLE
    return None


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_SYSTEMS, other_system),
    **o.each("gh glab tea hub-cli bb az-repos berg gcli lab", forge),
    **dict.fromkeys((*_RELEASING, *_PUBLISHING, *_ONLY_RELEASING, *_NEVER_RELEASING), releases),
}
