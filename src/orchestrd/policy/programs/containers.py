"""
Containers and other machines' shells: what is run in one is judged, its files are not this machine's.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.targets import is_migrating_target
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, starts_with_hole

_FLAGS = o.words("""
    -i -t -d -it -ti -dit -itd -P --rm --init --privileged --read-only --detach --interactive --tty
    --no-healthcheck --publish-all --sig-proxy --oom-kill-disable --no-deps --service-ports --build --quiet-pull
    -T --no-TTY --no-tty --use-aliases --remove-orphans --quiet -q --all -a --stdin
""")
_VOLUMES = re.compile(
    r"""
    (?:down\b.*(?:-v\b|--volumes\b|--rmi)|\bvolume\s+(?:rm|remove|prune)|\bvolumes?\s+(?:rm|prune)
    |system\s+prune\b.*--volumes|\brm\b.*\s-\w*v)
    """,
    re.VERBOSE,
)


def container(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``docker``, ``podman``, ``docker compose``.
    """
    argv = list(call.argv[1:])
    if call.program in {"docker-compose", "podman-compose"}:
        argv = ["compose", *argv]
    text = " ".join(argv)
    if _VOLUMES.search(text) and not re.search(r"\b(?:run|exec)\b.*--", text):
        inquiry.object("db", call, "volumes, and the databases in them, would be deleted")
        return HOLE
    if re.search(r"^(?:login|push|buildx .*--push|build .*--push|manifest push|trust)\b", text):
        inquiry.object("outside", call, "something would be published or a login be used")
        return HOLE
    verb = next((at for at, word in enumerate(argv) if word in {"run", "exec", "create"}), None)
    for path in o.options(argv, "--env-file"):
        inquiry.use(path, call)
    if argv[:1] == ["compose"]:
        for path in o.options(argv, "-f", "--file", "--project-directory"):
            inquiry.use(path, call)
    if argv[:1] in (["save"], ["export"]):
        for path in o.options(argv, "-o", "--output"):
            inquiry.use(path, call, writes=True)
    if "compose" in argv[:1] and (set(argv) & {"up", "run", "start"}):
        for word in o.plain(argv[1:], o.words("-f --file -p --profile --project-name --env-file --scale -t --timeout")):
            if is_migrating_target(word):
                inquiry.object("db", call, f"`{word}` runs migrations or changes a database, by its name")
    if verb is None:
        if argv[:1] == ["cp"]:
            for word in o.plain(argv[1:]):
                if ":" not in word:
                    inquiry.use(word, call, writes=word == argv[-1])
        return (
            HOLE
            if argv[:1]
            and argv[0]
            in o.words("""
                ps images logs inspect version info stats top port events history search pull build start stop
                restart compose pause unpause wait kill rm rmi tag network context buildx image container stack
                service node swarm system volume commit save load import export diff attach rename update
                machine pod generate play
            """)
            else None
        )
    mounted = False
    targets: list[str] = []
    for value in o.options(argv[verb:], "-v", "--volume", "--mount"):
        source = (
            value.split(":")[0]
            if "source=" not in value and "src=" not in value
            else re.split(r"(?:source|src)=", value)[1].split(",")[0]
        )
        if source.startswith(("/", ".", "~")) or starts_with_hole(source):
            if re.search(r"\.sock$", source):
                inquiry.object("exec-unknown", call, f"`{source}` is another program's socket")
            inquiry.use(source, call)
            mounted = True
            inside = (
                value.split(":")[1]
                if ":" in value and "source=" not in value
                else (re.findall(r"(?:target|dst|destination)=([^,]+)", value) or [""])[0]
            )
            targets.append(inside.rstrip("/"))
    if o.has_flag(argv[verb:], "", "--privileged", "--pid=host") or "host" in o.options(argv[verb:], "--pid"):
        inquiry.object("outside", call, "the container would have the whole machine")
    for path in o.options(argv[verb:], "--env-file"):
        inquiry.use(path, call)
    at = verb + 1
    while at < len(argv) and argv[at].startswith("-"):
        word = argv[at]
        at += (
            1
            if word in _FLAGS
            or "=" in word
            or re.fullmatch(r"-[itdPTq]+", word)
            or re.fullmatch(r"-[veupwelm]\S+", word)
            else 2
        )
    image, rest = (argv[at] if at < len(argv) else ""), argv[at + 1 :]
    entry = o.option(argv[verb:at], "--entrypoint")
    if entry:
        rest = [entry, *rest]
    name = re.sub(r"[:@].*$", "", image).rsplit("/", 1)[-1]
    if (
        argv[verb] != "exec"
        and not entry
        and argv[0] != "compose"
        and (
            not rest
            or rest[0].startswith("-")
            or name
            in o.words("""
                git flyway liquibase migrate goose dbmate alembic prisma psql aws-cli kubectl terraform
            """)
        )
    ):
        rest = [{"aws-cli": "aws"}.get(name, name), *rest]
    if not rest:
        return HOLE
    for target in targets:
        if target.startswith("/"):
            rest = [re.sub(rf"(?<![\w/]){re.escape(target)}(?=/|\b|$)", inquiry.scope.tree, word) for word in rest]
    return _inside(inquiry, call, tuple(rest), elsewhere=not mounted)


def _inside(inquiry: Inquiry, call: Invocation, argv: tuple[str, ...], *, elsewhere: bool) -> str:
    """
    Follow what is run in a container; of one that shares the project, what it does to it counts, its other files do not.
    """
    before = len(inquiry.found)
    outer, inquiry.elsewhere = inquiry.elsewhere, elsewhere or inquiry.elsewhere
    state = inquiry.state
    inquiry.state = state.copy()
    inquiry.state.cwd = (inquiry.scope.tree,)
    try:
        inquiry.argv(call, argv, elsewhere=elsewhere or call.elsewhere, cwd=(inquiry.scope.tree,))
    finally:
        inquiry.elsewhere, inquiry.state = outer, state
    kept = [one for one in inquiry.found[before:] if one.rule != "outside"]
    inquiry.found[before:] = kept
    return HOLE


def cluster(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``kubectl``: it may tell; what is run by ``exec`` is judged.
    """
    argv = call.argv[1:]
    words = o.plain(
        argv,
        o.words("""
            -n --namespace --context --cluster --kubeconfig -l --selector -o --output -c --container --tail
            --since -f --filename
        """),
    )
    for path in o.options(argv, "--kubeconfig", "-f", "--filename"):
        if "://" not in path:
            inquiry.use(path, call)
    if words[:1] in (["exec"], ["run"], ["debug"], ["rsh"]):
        if "--" in argv:
            return _inside(inquiry, call, argv[argv.index("--") + 1 :], elsewhere=True)
        rest = argv[argv.index(words[0]) + 1 :]
        inner = [word for word in o.plain(rest, o.words("-n --namespace -c --container --context")) if word][1:]
        return _inside(inquiry, call, tuple(inner), elsewhere=True) if inner else HOLE
    if words[:1] == ["config"] and words[1:2] not in (
        ["view"],
        ["current-context"],
        ["get-contexts"],
        ["get-clusters"],
        [],
    ):
        inquiry.object("outside", call, "the person's settings would change")
        return HOLE
    if words[:2] in (["rollout", "restart"], ["rollout", "undo"], ["rollout", "pause"], ["rollout", "resume"]) or (
        words[:1] == ["create"] and call.program != "helm" and "--dry-run" not in " ".join(argv)
    ):
        inquiry.object("outside", call, f"`{call.program} {words[0]}` changes something in a cluster")
        return HOLE
    if words[:1] and words[0] not in o.words("""
        get describe logs log top explain version cluster-info api-resources api-versions config diff wait
        port-forward auth kustomize options completion events proxy lint template list ls status history show
        search repo env dependency deps test current-context unittest rollout create package pull fetch verify
        dry-run
    """):
        resources = re.search(
            r"\b(?:pvc|pv|persistentvolume\w*|statefulsets?|sts|namespaces?|ns|postgres\w*|mysql\w*|database\w*)\b",
            " ".join(words[1:]),
        )
        rule = "db" if resources else "outside"
        inquiry.object(rule, call, f"`{call.program} {words[0]}` changes something in a cluster")
    return HOLE


def infrastructure(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``terraform`` and its like: plans, not changes.
    """
    words = o.plain(call.argv[1:], o.words("-chdir -var -var-file -target -out -state -s --stack -C"))
    for path in o.options(call.argv[1:], "-chdir", "-var-file"):
        inquiry.use(path, call, only_looks=True)
    if words[:1] and words[0] in o.words("""
        apply destroy import taint untaint force-unlock up down refresh cancel deploy rm remove promote rollback
        scale restart ship push publish release delete bootstrap converge provision login logout
    """):
        inquiry.object("outside", call, f"`{call.program} {words[0]}` changes what is deployed")
        return HOLE
    if words[:2] in (
        ["state", "rm"],
        ["state", "mv"],
        ["state", "push"],
        ["workspace", "delete"],
        ["stack", "rm"],
        ["state", "delete"],
    ):
        inquiry.object("outside", call, f"`{call.program} {' '.join(words[:2])}` changes what is deployed")
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
