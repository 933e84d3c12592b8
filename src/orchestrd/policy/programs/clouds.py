"""
Clients of clouds and object stores: they may be asked, not changed.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.asking import is_asked
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE

_CREDENTIALS = re.compile(
    r"""
    keys[ ]create|secrets?manager|\bssm[ ]get|get-parameter|kms[ ]decrypt|\bsecrets?\b|get-access-token
    |print-access-token|print-identity-token|configure[ ]get|get-session-token|assume-role
    |account[ ]keys|cosmosdb[ ]keys|credentials?[ ]show|connection-string
    |get-login-password|export-credentials|keyvault|get-credentials|list-access-keys|create-access-key
    """,
    re.VERBOSE,
)

_CLOUDS = {"aws": 2, "gcloud": 2, "az": 2}
"""Clients of whole clouds → how many words there must be for anything to be done."""
_ASKING_NOUNS = o.words("help version info topic feedback cheat-sheet find configure components emulators bicep")
"""First words behind which nothing is changed in the cloud."""
_ASKS = re.compile(
    r"""
    (?:describe|list|get|batch-get|show|view|head|check|validate|lookup|search|query|scan|filter|tail|read|test
    |preview|estimate|simulate|detect|diff|wait|what-if|status|info|ls|lint|decode|select|count|browse|explain
    |start-query|stop-query|emulators|help|presign|exists|usage)(?:-[\w-]+)?
    """,
    re.VERBOSE,
)
_CHANGES = re.compile(
    r"""
    (?:create|delete|update|deploy|put|remove|add|set|start|stop|restart|reboot|terminate|run|apply|attach|detach
    |modify|invoke|call|send|publish|submit|import|export|purge|reset|scale|resize|move|copy|enable|disable|patch
    |replace|rollback|promote|swap|tag|untag|grant|revoke|execute|cancel|up|register|deregister|associate
    |disassociate|login|logout|ssh|write|restore|clone|undelete|activate|deactivate|batch-write|batch-delete)
    (?:-[\w-]+)?
    """,
    re.VERBOSE,
)
_ASKED_LAST = o.words("log logs")
_LOCAL = re.compile(r"https?://(?:localhost|127\.0\.0\.1|localstack|host\.docker\.internal)(?=[:/]|$)(?!.*@)")
_LOOKED_AT = 6
_DEPLOYS = o.rows("""
    heroku: releases:rollback, rollback, apps:destroy, apps:create, create, destroy, config:set, config:unset, ps:scale,
        ps:restart, ps:stop, container:push, container:release, pipelines:promote, maintenance:on, maintenance:off,
        domains:add, domains:remove, addons:create, builds:create, restart, scale
    doctl: apps create, apps update, apps delete, apps create-deployment, compute droplet create, compute droplet delete, kubernetes cluster create,
        kubernetes cluster delete, serverless deploy, registry create, registry delete
    chalice: deploy, delete
    zappa: deploy, update, undeploy, rollback
    koyeb: deploy, apps create, apps delete, apps init, services create, services update, services redeploy,
        services delete
    render: deploys create, deploys cancel, services create, services update, services delete, services restart,
        restart, deploy
    mrsk: deploy, redeploy, rollback, setup, remove, app boot, app stop, traefik reboot
    dokku: ps:rebuild, ps:restart, ps:stop, ps:scale, apps:create, apps:destroy, apps:rename, config:set, config:unset,
        git:sync, git:from-image, git:from-archive, domains:add, domains:remove, deploy
    appwrite: deploy, push
    scalingo: deploy, restart, scale, rollback, destroy
    clever: deploy, restart, stop, delete, scale
    cf: push, delete, restage, restart, scale, set-env
    platform upsun: environment:push, push, environment:redeploy, redeploy, environment:delete
""")
"""Programs → the words with which they change what is deployed."""


def store(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Clients of clouds and object stores: they may be asked, not changed.
    """
    words = o.plain(call.argv[1:], o.words("--profile --region --output --query --project --format -m -q"))
    text = " ".join(words)
    if words[:2] == ["config", "set"] or (
        words[:1] == ["configure"] and words[1:2] not in (["list"], ["get"], ["list-profiles"])
    ):
        inquiry.object("outside", call, "the person's settings would change")
        return HOLE
    if (
        call.program == "az"
        and words[:1] in (["repos"], ["boards"], ["pipelines"], ["devops"])
        and not set(words) & o.words("list show")
    ):
        inquiry.object("git", call, "the forge may only be read")
        return HOLE
    if _CREDENTIALS.search(text):
        inquiry.object("secret", call, "secrets and credentials may not be asked for")
        return HOLE
    if (
        call.program in _CLOUDS
        and words[:1] == ["storage"]
        and not o.words("list show describe").isdisjoint(words[1:4])
    ):
        return HOLE
    copying = re.search(r"\b(?:s3|storage|gsutil|blob|cp|sync|mv|rsync|upload|download|put-object|copy)\b", text)
    if copying or call.program in {"gsutil", "rclone", "s3cmd", "mc", "azcopy", "b2"}:
        if set(words[:2]) & o.words("ls list lsd lsf size cat stat du version tree about"):
            return HOLE
        if "--dryrun" in call.argv or (call.program in {"rclone", "azcopy"} and is_asked(call.argv[1:], {"--dry-run"})):
            return HOLE
        for word in words:
            if not re.match(r"\w+://|\w+:", word) and "/" in word:
                inquiry.use(word, call)
        inquiry.object("outside", call, "files would go to or come from another machine")
        return HOLE
    if call.program in _CLOUDS and _changes(call, words):
        inquiry.object("outside", call, f"`{call.program} {' '.join(words[:3])}` is not known to only ask")
        return HOLE
    return None


def _changes(call: Invocation, words: list[str]) -> bool:
    """
    True when a cloud's client is not seen to ask: the first word that says either decides.
    """
    words = words[1:] if words[:1] in (["alpha"], ["beta"]) else words
    if len(words) < _CLOUDS[call.program] or words[0] in _ASKING_NOUNS or "--dry-run" in call.argv:
        return False
    if _LOCAL.match(o.option(call.argv[1:], "--endpoint-url") or ""):
        return False  # a cloud that is only played, as tests do
    decided = _says_it_changes(words)
    return _ASKED_LAST.isdisjoint(words[1:]) if decided is None else decided


def _says_it_changes(words: list[str]) -> bool | None:
    """
    What the first word says that says anything.
    """
    for word in words[1:_LOOKED_AT]:
        if _ASKS.fullmatch(word):
            return False
        if _CHANGES.fullmatch(word):
            return True
    return None


def client(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    A smaller cloud's client, of which less is known: it may do what does not say that it changes something.
    """
    words = o.plain(call.argv[1:])
    if o.words("--help -h --dry-run").isdisjoint(call.argv) and _says_it_changes(words):
        inquiry.object("outside", call, f"`{call.program} {' '.join(words[:3])}` changes something in a cloud")
        return HOLE
    return None


def deployer(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    The client of a place where applications run.
    """
    argv = call.argv[1:]
    words = o.plain(argv, o.words("-a --app -r --remote -s --service --stage --profile --region"))
    if o.words("--help -h --dry-run").isdisjoint(argv):
        for wanted in _DEPLOYS[call.program]:
            if words[: wanted.count(" ") + 1] == wanted.split():
                inquiry.object("outside", call, f"`{call.program} {wanted}` changes what is deployed")
                return HOLE
    return None


HANDLERS: dict[str, Handler] = {
    **o.each("linode-cli hcloud scw vultr-cli exo openstack yc civo upctl ovhcloud", client),
    **dict.fromkeys(_DEPLOYS, deployer),
    **o.each("aws gcloud az gsutil rclone s3cmd mc azcopy b2 oci ibmcloud aliyun", store),
}
