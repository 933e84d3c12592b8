"""
What changes the machine, other processes, or the agent's own surroundings.
"""

from __future__ import annotations

import re
import warnings

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, hole, holes, is_known

_ADMINISTRATION: dict[str, frozenset[str]] = {
    # program -> first words with which it only tells
    **o.each(
        """
        useradd userdel usermod groupadd groupdel groupmod passwd chpasswd adduser deluser addgroup chsh chfn
        visudo vipw mount umount swapon swapoff mkswap fdisk sfdisk cfdisk parted gdisk sgdisk mkfs wipefs
        blkdiscard hdparm losetup cryptsetup mdadm lvcreate lvremove lvextend pvcreate pvremove vgcreate
        vgremove vgextend dmsetup zpool zfs btrfs iptables ip6tables nft ufw firewall-cmd insmod rmmod modprobe
        reboot shutdown halt poweroff init telinit update-alternatives ldconfig depmod grub-install update-grub
        efibootmgr setenforce semanage aa-disable apparmor_parser auditctl kexec sysrq hwclock pivot_root
        switch_root tune2fs resize2fs e2fsck fsck xfs_repair debugfs setcap ifconfig route tc brctl nmcli
        netplan resolvconf hostnamectl timedatectl localectl loginctl machinectl newusers pwconv quotaon
        chkconfig update-rc.d dpkg-reconfigure do-release-upgrade unattended-upgrade wall mesg write ntpdate
        mkinitcpio dracut fwupdmgr flashrom nvme diskutil launchctl defaults lvm vgchange lvchange pvmove
        csrutil spctl softwareupdate dscl pmset networksetup scutil tmutil osascript
        """,
        frozenset(),
    ),
    "systemctl": o.words("""
        status is-active is-enabled is-failed list-units list-unit-files show cat --version list-timers
    """),
    "service": o.words("--status-all status"),
    "sysctl": o.words("-a -n"),
    "ip": o.words("a addr address route r neigh -br -4 -6 show"),
    "journalctl": frozenset(),
    "dmesg": frozenset(),
    "last": frozenset(),
    "lastlog": frozenset(),
    "telnetd": frozenset(),
    "in.telnetd": frozenset(),
    "sshd": o.words("-T -t"),
    "dropbear": frozenset(),
    "hostname": o.words("-f -i -I -s"),
    "date": frozenset(),
}
_PACKAGES: dict[str, frozenset[str]] = {
    # the machine's package managers -> what only tells
    **o.each(
        "apt apt-get aptitude nala",
        o.words("list search show policy changelog --version depends rdepends -v"),
    ),
    "apt-cache": o.words("search show policy depends rdepends madison showpkg stats pkgnames"),
    "apt-mark": o.words("showmanual showauto showhold"),
    "apt-key": o.words("list"),
    "add-apt-repository": frozenset(),
    "dpkg": o.words("-l -L -s -S --list --listfiles --status --search --print-architecture --version"),
    "dnf": o.words("list search info repolist --version provides"),
    "yum": o.words("list search info repolist --version provides"),
    "microdnf": o.words("repolist"),
    "rpm": o.words("-q -qa -qi -ql -qf --query --version -V"),
    "zypper": o.words("search se info if lr --version"),
    "pacman": o.words("-Q -Qi -Ql -Ss -Si -Qs --version -Qo -F"),
    "yay": o.words("-Q -Qi -Ss -Si"),
    "apk": o.words("info search list --version policy"),
    "emerge": o.words("--search --info -s --version"),
    "xbps-install": frozenset(),
    "nix-env": o.words("-q -qa --query --version"),
    "nix-channel": o.words("--list"),
    "brew": o.words("""
        list search info --version --prefix config doctor outdated deps uses shellenv leaves cat desc home
    """),
    "port": o.words("list search info installed version"),
    "snap": o.words("list info find version"),
    "flatpak": o.words("list search info --version"),
    "choco": o.words("list search info --version"),
    "scoop": o.words("list search info status"),
    "winget": o.words("list search show"),
    "rustup": o.words("show list --version -V which doc check"),
    "tlmgr": o.words("info list search version"),
    "sdk": o.words("list current version"),
    "nvm": o.words("ls list current version use which ls-remote --version exec run"),
    "volta": o.words("list which --version run"),
    "pyenv": o.words("versions version which --version init local root prefix shims commands exec shell"),
    "rbenv": o.words("versions version which --version init local root exec"),
    "asdf": o.words("list current where which --version plugin-list info exec local shell reshim"),
    "conda": o.words("list info search env --version run init activate deactivate config"),
    "mamba": o.words("list info search env --version run"),
    "guix": o.words("search show describe --version shell"),
    "gem": o.words("""
        list search info env environment which contents dependency specification --version -v outdated query
        help server
    """),
    "cpan": frozenset(),
    "cpanm": frozenset(),
    "luarocks": o.words("list search show which path --version"),
    "ghcup": o.words("list --version whereis"),
    "opam": o.words("list show switch env exec --version var config"),
}
_AGENTS = o.words("""
    claude codex aider gemini cursor-agent cursor opencode goose-agent amp droid qwen kiro-cli q crush copilot
    auggie plandex cline continue cn openhands swe-agent sweagent mentat gptme llm-agent claude-code cody
    kilocode rovodev acli devin jules windsurf interpreter open-interpreter tabby-agent claude-squad ccr
    fabric-agent aider-chat sgpt shell-gpt tgpt mods gptme chatgpt-cli smol-developer gpt-engineer gpte
    claude-agent-sdk opencommit-agent tmate gotty ttyd wetty sshx teleconsole upterm
""")
_OURS = re.compile(r"orchestr(?:d|ctl)|orchctl|\bclaude\b|hooks?\.py\b|\bshim\b", re.IGNORECASE)
_REPEATED_GROUP = re.compile(r"\)[*+?{]")
_REPETITION = re.compile(r"[*+?{]")
_MOST_REPETITIONS = 3
_OUR_NAMES = o.words("python python3 claude orchestrd bwrap")
_OUR_LINES = (
    "/usr/bin/python3 -I -S /usr/lib/python3/orchestrd/runner/shim.py /home/me/home/var/agent_logs/2026-11-22/task-001/1",
    "/usr/bin/python3 -m orchestrd --home /home/me/home",
    "/usr/bin/claude -p --input-format stream-json --output-format stream-json --verbose --permission-prompt-tool stdio",
)
"""What the processes look like that an agent lives by."""


def administers(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Programs that change the machine.
    """
    telling = _ADMINISTRATION[call.program]
    words = call.argv[1:]
    if call.program == "date":
        if o.has_flag(words, "s", "--set") and not any(word.startswith("+") for word in words):
            inquiry.object("outside", call, "the machine's clock would be set")
        return None
    if call.program == "hostname" and (not words or set(words) <= telling):
        return HOLE
    if call.program == "mount" and (not words or words in (("-l",), ("--version",))):
        return HOLE
    if (
        call.program == "sysctl"
        and words
        and not o.has_flag(words, "w", "--write", "-p", "--system")
        and "=" not in "".join(words)
    ):
        return HOLE
    if set(words[:3]) & telling or set(words) & {"--help", "--version"}:
        return HOLE
    inquiry.object("outside", call, f"`{call.program}` changes the machine")
    return HOLE


def formats(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``mkfs.ext4`` and its like.
    """
    inquiry.object("outside", call, f"`{call.program}` changes the machine")
    return HOLE


def packages(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Package managers of the machine or of the person: what is installed is theirs.
    """
    words = call.argv[1:]
    telling = _PACKAGES[call.program]
    if not words or set(words[:2]) & telling or set(words) & {"--help", "-h", "--version"}:
        return None
    if call.program == "gem" and words[0] in {"build", "check", "fetch", "unpack", "lock"}:
        return None
    if call.program == "gem" and words[0] in {"push", "yank", "owner", "signin"}:
        inquiry.object("git", call, "a package would be published")
        return HOLE
    if call.program in {"conda", "mamba"} and (o.option(words, "-p", "--prefix") or "").startswith(
        ("./", inquiry.scope.tree)
    ):
        return None
    inquiry.object("outside", call, f"`{call.program} {words[0]}` changes what is installed on the machine")
    return HOLE


def kills(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Ending processes: the agent's own jobs, not the daemon's or its parents.
    """
    text = " ".join(call.argv[1:])
    if _OURS.search(text) or "PPID" in holes(text):
        inquiry.object("exec-unknown", call, "processes that are not the agent's own would be ended", fixed=True)
        return HOLE
    plain = o.plain(call.argv[1:], o.words("-s -n --signal -u -U -P -g -t -G"))
    if (
        call.program == "kill" and any(re.fullmatch(r"0|1|-\d+|-1", word) for word in plain if word in {"0", "1", "-1"})
    ) or (call.program == "kill" and "--" in call.argv and "-1" in call.argv):
        inquiry.object("exec-unknown", call, "every process would be ended", fixed=True)
        return HOLE
    if call.program == "kill" and call.argv[-1:] in (("-1",), ("1",), ("0",)):
        inquiry.object("exec-unknown", call, "every process would be ended", fixed=True)
    if call.program == "killall5" or (
        call.program in {"pkill", "killall"}
        and (o.has_flag(call.argv[1:], "u", "--euid", "--uid", "--user") or plain[:1] in (["."], [".*"], [""]))
    ):
        inquiry.object("exec-unknown", call, "every process would be ended", fixed=True)
    elif call.program in {"pkill", "killall", "skill"} and any(_hits_us(word, call) for word in plain):
        inquiry.object(
            "exec-unknown", call, "the agent's own program, or what watches it, would be ended too", fixed=True
        )
    return ""


def _hits_us(pattern: str, call: Invocation) -> bool:
    """
    True when a process that the agent lives by is among those that *call* finds by *pattern*, or may be.
    """
    words = call.argv[1:]
    exact = o.has_flag(words, "x", "--exact") or (call.program == "killall" and not o.has_flag(words, "r", "--regexp"))
    # What repeats what repeats may take longer than anybody waits.
    if (
        not is_known(pattern)
        or _REPEATED_GROUP.search(pattern)
        or len(_REPETITION.findall(pattern)) > _MOST_REPETITIONS
    ):
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            look = re.compile(pattern, re.IGNORECASE if o.has_flag(words, "iI", "--ignore-case") else 0)
    except (re.error, OverflowError, RecursionError):
        return True
    whole = call.program == "pkill" and o.has_flag(words, "f", "--full")
    lines = _OUR_LINES if whole else _OUR_NAMES
    return any(look.fullmatch(line) if exact and not whole else look.search(line) for line in lines)


def finds_processes(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``pgrep``, ``pidof``: whose numbers they print is remembered.
    """
    del inquiry
    return hole("(orchestrd)" if _OURS.search(" ".join(call.argv)) else "(pgrep)")


def agents(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Another agent, on which none of these rules would be kept.
    """
    words = call.argv[1:]
    if words and set(words) <= o.words("--version -v -V --help -h version help"):
        return HOLE
    if call.program in {"q", "continue", "cursor", "amp"} and not words:
        return None
    inquiry.object("exec-unknown", call, f"`{call.program}` is an agent of its own", fixed=True)
    return HOLE


def ours(inquiry: Inquiry, call: Invocation) -> str:
    """
    This program's own client: an agent may look.
    """
    words = o.plain(call.argv[1:])
    if (
        call.program != "orchctl"
        or not words
        or words[0]
        not in o.words("""
            status why report costs config version policy context doctor events tail logs diff review show
        """)
    ):
        inquiry.object("exec-unknown", call, f"`{call.program}` is not the agent's to use", fixed=True)
    return HOLE


def schedules(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``crontab``, ``at``: a command that runs later, when nobody looks.
    """
    if call.program in {"crontab", "atq"} and call.argv[1:2] == ("-l",):
        inquiry.object("outside", call, "the person's own schedule is outside of the project")
        return HOLE
    if call.stdin is not None:
        for line in call.stdin.splitlines():
            words = line.split()
            text = " ".join(words[5:]) if call.program == "crontab" and len(words) > 5 else line
            inquiry.text(text)
    inquiry.object("exec-unknown", call, "something would be run later, when nobody looks")
    return HOLE


def editor_extensions(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    An editor's extensions are the person's.
    """
    if set(call.argv[1:]) & {"--install-extension", "--uninstall-extension", "--update-extensions"}:
        inquiry.object("outside", call, "what is installed for the person would change")
    return None


HANDLERS: dict[str, Handler] = {
    **o.each("code codium code-server code-insiders", editor_extensions),
    **dict.fromkeys(_ADMINISTRATION, administers),
    **o.each(
        "mkfs.ext2 mkfs.ext3 mkfs.ext4 mkfs.xfs mkfs.btrfs mkfs.vfat mkfs.fat mkfs.ntfs mkfs.f2fs mke2fs newfs",
        formats,
    ),
    **dict.fromkeys(_PACKAGES, packages),
    **o.each("kill pkill killall skill killall5 xkill fkill kill-port", kills),
    **o.each("pgrep pidof", finds_processes),
    **dict.fromkeys(_AGENTS, agents),
    **o.each("orchctl orchestrd", ours),
    **o.each("crontab at batch fcron", schedules),
}
