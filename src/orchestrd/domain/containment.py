"""
How an agent is held, in words for a person.
"""

from __future__ import annotations

from orchestrd.domain.model import Containment, Credentials, Network

_NETWORK = {
    Network.FULL: "the whole network",
    Network.API_ONLY: "network to the API and listed hosts only",
    Network.OFF: "no network but for the API's own requests",
}
_CREDENTIALS = {
    Credentials.PROXY: "API key kept outside",
    Credentials.ENV: "credentials in its environment",
    Credentials.LOGIN: "the CLI's own login",
}


def in_words(held: Containment) -> str:
    """
    One line: ``in a sandbox, the whole network, credentials in its environment``; what is not as it was wanted at the end.
    """
    if not held.sandbox:
        return f"no sandbox: {held.why}"
    words = f"in a sandbox, {_NETWORK[held.network]}, {_CREDENTIALS[held.credentials]}"
    return f"{words}: {held.why}" if held.why else words
