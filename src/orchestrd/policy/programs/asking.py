"""
Programs that are only asked: for their help, for what they would do, for who is logged in.

Only those are here that are known to answer and to do nothing else, and only where the word is an option of theirs: not the
value of another, not behind ``--``, not for a program that they would run.
"""

from __future__ import annotations

from collections.abc import Collection

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE

_HELPING: dict[str, frozenset[str]] = {
    # program -> the subcommands behind which the words are another program's
    **o.each("docker podman nerdctl docker-compose podman-compose", o.words("run exec create start compose-run debug")),
    **o.each("kubectl oc k", o.words("run exec debug rsh plugin")),
    "helm": o.words("plugin secrets"),
    **o.each(
        """
        terraform tofu nomad waypoint pulumi skaffold argocd flux helmfile cdk cdktf serverless sls sst glab
        gcloud az aws gsutil rclone fly flyctl heroku vercel netlify wrangler doctl hg svn jj
        """,
        o.words("exec run ssh shell console"),
    ),
    "gh": o.words("exec ssh codespace extension alias"),
    **o.each(
        "npm pnpm yarn", o.words("run run-script exec x dlx create init test start stop restart explore rum urn t tst")
    ),
}
"""Programs that answer a request for help wherever it stands, and do nothing else."""
_ASKS_SHORTLY = o.words("kubectl oc k helm terraform tofu nomad pulumi gh glab npm fly flyctl")
"""Those to which ``-h`` is the same."""
_MANAGERS = o.words("npm pnpm yarn")
_MANAGED = o.words("""
    publish unpublish version link unlink deprecate owner team dist-tag adduser login logout access install i ci add
    remove rm uninstall update upgrade audit pack config set cache prune dedupe rebuild token
""")
"""Subcommands of theirs: any other word may be a script's."""
_SWITCHES = o.words("""
    --debug --verbose --quiet --yes -y --all --recursive -R --install -i --wait --atomic --no-color --force --prune --server-side
    --create-namespace --dependency-update --cleanup-on-fail --reset-values --reuse-values --fill --draft -A
""")
"""Options that take no value, wherever they are known."""
_IDENTITIES = {("aws", "sts", "get-caller-identity"), ("gcloud", "auth", "list"), ("az", "account", "show")}
"""Who is logged in: names and numbers, no secrets."""


def is_asked(argv: Collection[str], names: Collection[str]) -> bool:
    """
    True when one of the options *names* is given in *argv*, and is no other option's value.
    """
    before = ""
    for word in argv:
        if word == "--":
            return False
        if word in names and (not before.startswith("-") or "=" in before or before in _SWITCHES):
            return True
        before = word
    return False


def answers(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    A program that only answers.
    """
    del inquiry
    argv = call.argv[1:]
    if "/" in call.argv[0]:
        return None  # it may be the project's own
    if (call.program, *argv[:2]) in _IDENTITIES and not {"--query", "--debug"} & set(argv):
        return HOLE
    if call.program == "aws" and argv[-1:] == ("help",) and len(argv) <= 3 and not argv[0].startswith("-"):
        return HOLE
    names = {"--help", "-help"} | ({"-h"} if call.program in _ASKS_SHORTLY else set())
    at = next((at for at, word in enumerate(argv) if word in names), None)
    if at is None or not is_asked(argv, names):
        return None
    words = argv[:at]
    if call.program in _MANAGERS and not (set(words[:1]) <= _MANAGED):
        return None
    running = _HELPING[call.program]
    if running.isdisjoint(words) or (words[-1] in running and running.isdisjoint(words[:-1])):
        return HOLE
    return None


HANDLERS: dict[str, Handler] = dict.fromkeys(_HELPING, answers)
