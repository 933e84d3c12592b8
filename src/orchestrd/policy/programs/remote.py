"""
Other machines: their shells, and copies to and from them.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.secrecy import is_secret
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, shown


def remote_shell(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``ssh``: another machine is outside; what would be done there is judged first, for the reason it gives.
    """
    valued = o.words("-b -c -D -E -e -F -I -i -J -L -l -m -O -o -p -Q -R -S -W -w")
    for setting in o.options(call.argv[1:], "-o"):
        if match := re.match(
            r"\s*(?:ProxyCommand|LocalCommand|KnownHostsCommand|Match\s+exec|PermitLocalCommand)[\s=]+(.*)",
            setting,
            re.IGNORECASE,
        ):
            inquiry.text(match.group(1))
    at = o.after_options(call.argv, valued)
    if "-V" in call.argv[1:2] or "-Q" in call.argv[1:2]:
        return HOLE
    rest = call.argv[at + 1 :]
    before = len(inquiry.found)
    if rest:
        with inquiry.away():
            inquiry.text(" ".join(rest), stdin=call.stdin)
    if len(inquiry.found) == before:
        inquiry.object("outside", call, "another machine is outside of the project")
    return HOLE


def remote_copy(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``scp``, ``sftp`` and clients of stores: files would leave the project or come from outside.
    """
    for setting in o.options(call.argv[1:], "-o", "-S", "-D"):
        if match := re.match(r"\s*(?:ProxyCommand|LocalCommand|KnownHostsCommand)[\s=]+(.*)", setting, re.IGNORECASE):
            inquiry.text(match.group(1))
    for word in o.plain(call.argv[1:]):
        if is_secret(word.split(":")[-1]):
            inquiry.object("secret", call, f"`{shown(word)}` holds secrets")
    inquiry.object("outside", call, "files would go to or come from another machine")
    return HOLE


HANDLERS: dict[str, Handler] = {
    **o.each("ssh mosh autossh sshpass pdsh pssh et slogin rsh", remote_shell),
    **o.each(
        """
        scp sftp ftp lftp tftp croc wormhole rcp transfer ngrok cloudflared localtunnel lt bore smbclient
        ncftpput wormhole-william magic-wormhole
        """,
        remote_copy,
    ),
}
