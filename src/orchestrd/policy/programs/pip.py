"""
``pip``: into the project's environment, not the person's or the system's.
"""

from __future__ import annotations

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.fresh import project_setup
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE


def pip(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``pip``: into the project's environment, not the person's or the system's.
    """
    argv = call.argv[1:]
    verb = next((word for word in argv if not word.startswith("-")), "")
    if verb in {"install", "uninstall", "wheel", "download"}:
        if o.has_flag(argv, "", "--user", "--break-system-packages"):
            inquiry.object("outside", call, "what is installed for the person or on the machine would change")
        for path in o.options(argv, "-t", "--target", "--prefix", "--root", "-d", "--dest"):
            inquiry.use(path, call, writes=True)
        for path in [
            *o.options(argv, "-r", "--requirement", "-c", "--constraint", "-e", "--editable"),
            *o.plain(argv, o.words("-r -c -e -t --target --prefix --root -i --index-url"))[1:],
        ]:
            if path.startswith("file:"):
                inquiry.use(path.removeprefix("file:").replace("//", "/", 1), call)
            elif path.startswith(("/", "../", "~")):
                inquiry.use(path, call)
        if verb == "install":
            places = [*o.plain(argv, o.words("-r -c -t -i"))[1:], *o.options(argv, "-e", "--editable")]
            project_setup(inquiry, call, places)
    elif verb == "config" and set(argv) & {"set", "unset", "edit"} and "--site" not in argv:
        inquiry.object("outside", call, "the person's settings would change")
    return HOLE


HANDLERS: dict[str, Handler] = o.each("pip pip3 pip2", pip)
