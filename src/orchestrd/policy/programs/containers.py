"""
Containers and other machines' shells: what is run in one is judged, its files are not this machine's.
"""

from __future__ import annotations

import re
from contextlib import nullcontext

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.asking import is_asked
from orchestrd.policy.programs.targets import is_migrating_target
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, starts_with_hole
from orchestrd.policy.verdict import Rule

_FLAGS = o.words("""
    -i -t -d -it -ti -dit -itd -P --rm --init --privileged --read-only --detach --interactive --tty
    --no-healthcheck --publish-all --sig-proxy --oom-kill-disable --no-deps --service-ports --build --quiet-pull
    -T --no-TTY --no-tty --use-aliases --remove-orphans --quiet -q --all -a --stdin
""")
_VOLUMES = re.compile(
    r"""
    (?:down\b(?:(?!down\b).)*(?:-v\b|--volumes\b|--rmi)|\bvolume\s+(?:rm|remove|prune)|\bvolumes?\s+(?:rm|prune)
    |system\s+prune\b(?:(?!system\s).)*--volumes|\brm\b(?:(?!\brm\b).)*\s-\w*v)
    """,
    re.VERBOSE,
)


_PUBLISHES = re.compile(r"(?:login|push|buildx .*--push|build .*--push|manifest push|trust)\b")
_PRUNES = re.compile(r"(?:(?:system|image|images|container|network|builder|buildx|pod)\s+)+prune\b|system\s+reset\b")
_FOLLOWED = re.compile(r"\b(?:run|exec)\b(?:(?!\b(?:run|exec)\b).)*--")
_VERBS = o.words("""
    ps images logs inspect version info stats top port events history search pull build start stop restart compose
    pause unpause wait kill rm rmi tag network context buildx image container stack service node swarm system volume
    commit save load import export diff attach rename update machine pod generate play cp
""")
"""Subcommands that run nothing that is given to them."""
_COMPOSE_VALUED = o.words("-f --file -p --profile --project-name --env-file --scale -t --timeout")
_SOURCE = re.compile(r"(?:source|src)=([^,]*)")
_TARGET = re.compile(r"(?:target|dst|destination)=([^,]+)")
_MAX_MOUNTS = 20
_FLAG_GROUP = re.compile(r"-[itdPTq]+|-[veupwelm]\S+")
_NAMED_AFTER = {
    **{
        name: name
        for name in o.words("git flyway liquibase migrate goose dbmate alembic prisma psql kubectl terraform")
    },
    "aws-cli": "aws",
}
"""Images that are named after the program that they run."""


def container(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``docker``, ``podman``, ``docker compose``.
    """
    argv = list(call.argv[1:])
    if call.program in {"docker-compose", "podman-compose"}:
        argv = ["compose", *argv]
    text = " ".join(argv)
    if _VOLUMES.search(text) and not _FOLLOWED.search(text):
        inquiry.object("db", call, "volumes, and the databases in them, would be deleted")
        return HOLE
    if _PUBLISHES.match(text):
        inquiry.object("outside", call, "something would be published or a login be used")
        return HOLE
    if _PRUNES.match(text):
        inquiry.object("outside", call, "images and containers of other projects would be removed")
        return HOLE
    _judge_files(inquiry, call, argv)
    if argv[:1] == ["compose"] and not {"up", "run", "start"}.isdisjoint(argv):
        for word in filter(is_migrating_target, o.plain(argv[1:], _COMPOSE_VALUED)):
            inquiry.object("db", call, f"`{word}` runs migrations or changes a database, by its name")
    verb = next((at for at, word in enumerate(argv) if word in {"run", "exec", "create"}), None)
    if verb is None:
        return HOLE if argv[:1] and argv[0] in _VERBS else None
    if o.has_flag(argv[verb:], "", "--privileged", "--pid=host") or "host" in o.options(argv[verb:], "--pid"):
        inquiry.object("outside", call, "the container would have the whole machine")
    mounts = _mounts(inquiry, call, argv[verb:])
    rest = _command(argv, verb)
    for inside in mounts:
        if inside.startswith("/"):
            place = re.compile(rf"(?<![\w/]){re.escape(inside)}(?=/|\b|$)")
            rest = [place.sub(lambda _: inquiry.scope.tree, word) for word in rest]
    return _inside(inquiry, call, tuple(rest), elsewhere=not mounts) if rest else HOLE


def _judge_files(inquiry: Inquiry, call: Invocation, argv: list[str]) -> None:
    """
    Files that are read or written for the container, not by what runs in it.
    """
    for path in o.options(argv, "--env-file"):
        inquiry.use(path, call)
    match argv[:1]:
        case ["compose"]:
            for path in o.options(argv, "-f", "--file", "--project-directory"):
                inquiry.use(path, call)
        case ["save" | "export"]:
            for path in o.options(argv, "-o", "--output"):
                inquiry.use(path, call, writes=True)
        case ["cp"]:
            for word in o.plain(argv[1:]):
                if ":" not in word:
                    inquiry.use(word, call, writes=word == argv[-1])


def _mounts(inquiry: Inquiry, call: Invocation, argv: list[str]) -> list[str]:
    """
    Where in the container the files of this machine are that it is given.
    """
    found: list[str] = []
    for value in o.options(argv, "-v", "--volume", "--mount"):
        named, inside = _SOURCE.search(value), _TARGET.findall(value)
        source = named.group(1) if named else value.split(":")[0]
        if not source.startswith(("/", ".", "~")) and not starts_with_hole(source):
            continue
        if source.endswith(".sock"):
            inquiry.object("exec-unknown", call, f"`{source}` is another program's socket")
        inquiry.use(source, call)
        if ":" in value and not named:
            inside = value.split(":")[1:2]
        found.append((inside or [""])[0].rstrip("/"))
    return list(dict.fromkeys(found))[:_MAX_MOUNTS]


def _command(argv: list[str], verb: int) -> list[str]:
    """
    What is run: what stands behind the image, its entry point, or the program that the image is named after.
    """
    at = verb + 1
    while at < len(argv) and argv[at].startswith("-"):
        word = argv[at]
        at += 1 if word in _FLAGS or "=" in word or _FLAG_GROUP.fullmatch(word) else 2
    image, rest = (argv[at] if at < len(argv) else ""), argv[at + 1 :]
    if entry := o.option(argv[verb:at], "--entrypoint"):
        return [entry, *rest]
    if argv[verb] == "exec" or argv[0] == "compose":
        return rest
    name = re.sub(r"[:@].*$", "", image).rsplit("/", 1)[-1]
    if not rest or rest[0].startswith("-") or name in _NAMED_AFTER:
        return [_NAMED_AFTER.get(name, name), *rest]
    return rest


def _inside(inquiry: Inquiry, call: Invocation, argv: tuple[str, ...], *, elsewhere: bool) -> str:
    """
    Follow what is run in a container.  Of one that shares the project, what it does to that counts, its other files do
    not.
    """
    before = len(inquiry.found)
    tree = (inquiry.scope.tree,)
    with inquiry.subshell(), inquiry.away() if elsewhere else nullcontext():
        inquiry.state.cwd = tree
        inquiry.argv(call, argv, elsewhere=elsewhere or call.elsewhere, cwd=tree)
    inquiry.found[before:] = [one for one in inquiry.found[before:] if one.rule != "outside"]
    return HOLE


_CLUSTER_VALUED = o.words("""
    -n --namespace --context --cluster --kubeconfig -l --selector -o --output -c --container --tail --since -f
    --filename
""")
_CLUSTER_READING = o.words("""
    get describe logs log top explain version cluster-info api-resources api-versions config diff wait port-forward
    auth kustomize options completion events proxy lint template list ls status history show search repo env
    dependency deps test current-context unittest rollout create package pull fetch verify dry-run
""")
_TRIALS = o.words("--dry-run --dry-run=client --dry-run=server --dry-run=true")
_CONFIG_READING = o.words("view current-context get-contexts get-clusters")
_DATA = re.compile(
    r"\b(?:pvc|pv|persistentvolume\w*|statefulsets?|sts|namespaces?|ns|postgres\w*|mysql\w*|database\w*)\b"
)
"""Resources that hold data."""


def cluster(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``kubectl``: it may tell; what is run by ``exec`` is judged.
    """
    argv = call.argv[1:]
    words = o.plain(argv, _CLUSTER_VALUED)
    for path in o.options(argv, "--kubeconfig", "-f", "--filename"):
        if "://" not in path:
            inquiry.use(path, call)
    if not words:
        return HOLE
    verb, second = words[0], words[1] if len(words) > 1 else ""
    if verb in {"exec", "run", "debug", "rsh"}:
        if "--" in argv:
            return _inside(inquiry, call, argv[argv.index("--") + 1 :], elsewhere=True)
        inner = o.plain(argv[argv.index(verb) + 1 :], o.words("-n --namespace -c --container --context"))
        command = tuple(word for word in inner if word)[1:]
        return _inside(inquiry, call, command, elsewhere=True) if command else HOLE
    if verb not in _CLUSTER_READING | {"create", "rollout"} and _tries(argv):
        return HOLE
    creates = verb == "create" and call.program != "helm" and not _tries(argv)
    if verb == "config" and second and second not in _CONFIG_READING:
        inquiry.object("outside", call, "the person's settings would change")
    elif creates or (verb == "rollout" and second in {"restart", "undo", "pause", "resume"}):
        inquiry.object("outside", call, f"`{call.program} {verb}` changes something in a cluster")
    elif verb not in _CLUSTER_READING:
        rule: Rule = "db" if _DATA.search(" ".join(words[1:])) else "outside"
        inquiry.object(rule, call, f"`{call.program} {verb}` changes something in a cluster")
    return HOLE


def _tries(argv: tuple[str, ...]) -> bool:
    """
    True when a cluster is only asked what it would do.
    """
    return is_asked(argv, _TRIALS) and not any(word.startswith("--dry-run=") for word in set(argv) - _TRIALS)


_DEPLOYING = o.words("""
    apply destroy import taint untaint force-unlock up down refresh cancel deploy rm remove promote rollback scale
    restart ship push publish release delete bootstrap converge provision login logout
""")
_LOOKS = o.words("--check -C --syntax-check --list-tasks --list-hosts --list-tags --help -h --version")
"""How a playbook is only looked at."""
_DEPLOYING_PAIRS = frozenset({"state rm", "state mv", "state push", "state delete", "workspace delete", "stack rm"})


def infrastructure(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``terraform`` and its like: plans, not changes.
    """
    words = o.plain(call.argv[1:], o.words("-chdir -var -var-file -target -out -state -s --stack -C"))
    for path in o.options(call.argv[1:], "-chdir", "-var-file"):
        inquiry.use(path, call, only_looks=True)
    if call.program == "ansible-playbook" and words and _LOOKS.isdisjoint(call.argv):
        inquiry.object("outside", call, "a playbook changes machines")
        return HOLE
    pair = " ".join(words[:2])
    if pair in _DEPLOYING_PAIRS or (words and words[0] in _DEPLOYING):
        verb = pair if pair in _DEPLOYING_PAIRS else words[0]
        inquiry.object("outside", call, f"`{call.program} {verb}` changes what is deployed")
        return HOLE
    return None


HANDLERS: dict[str, Handler] = {
    **o.each("docker podman docker-compose podman-compose nerdctl finch buildah lima colima", container),
    **o.each("kubectl oc k helm k3s kubectl.exe microk8s", cluster),
    **o.each(
        """
        terraform tofu terragrunt pulumi cdk cdktf serverless sls sst ansible-playbook copilot-cli eb sam kamal
        cap capistrano dokku nomad waypoint skaffold argocd flux helmfile salt puppet chef-client
        """,
        infrastructure,
    ),
}
