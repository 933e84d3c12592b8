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
    |get-login-password|export-credentials|keyvault|get-credentials|list-access-keys|create-access-key
    """,
    re.VERBOSE,
)


def store(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Clients of clouds and object stores: they may be asked, not changed.
    """
    words = o.plain(call.argv[1:], o.words("--profile --region --output --query --project --format -m -q"))
    text = " ".join(words)
    if words[:2] == ["config", "set"] or (words[:1] == ["configure"] and words[1:2] not in (["list"], ["get"])):
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
    return None


HANDLERS: dict[str, Handler] = o.each("aws gcloud az gsutil rclone s3cmd mc azcopy b2 oci ibmcloud aliyun", store)
