"""The system call filter of a systemd unit, for one process: what systemd would let it do, without
systemd. Needs systemd-analyze, which knows the groups (@system-service), and libseccomp."""
import ctypes
import ctypes.util
import subprocess

_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000


class Unavailable(Exception):
    """Why no filter can be made here."""


def _expand(group, known):
    """The calls of a group, with those of the groups in it."""
    if not group.startswith("@"):
        return {group}
    if group not in known:
        try:
            text = subprocess.run(["systemd-analyze", "syscall-filter", group], check=True,
                                  capture_output=True, text=True).stdout
        except (OSError, subprocess.CalledProcessError) as error:
            raise Unavailable(f"systemd-analyze syscall-filter: {error}") from error
        known[group] = set()
        for line in text.splitlines()[1:]:
            word = line.strip()
            if word and not word.startswith("#"):
                known[group] |= _expand(word, known)
    return known[group]


def allowed_by(unit):
    """The names of the calls that the lines SystemCallFilter= of a unit allow."""
    known = {}
    allowed = _expand("@default", known)
    for line in unit.splitlines():
        if not line.startswith("SystemCallFilter="):
            continue
        words = line.split("=", 1)[1]
        takes_away = words.startswith("~")
        for word in words.lstrip("~").split():
            calls = _expand(word, known)
            allowed = allowed - calls if takes_away else allowed | calls
    return allowed


def make_filter(allowed):
    """A function for subprocess's preexec_fn: any other call ends the process with SIGSYS."""
    name = ctypes.util.find_library("seccomp")
    if name is None:
        raise Unavailable("libseccomp is not installed")
    seccomp = ctypes.CDLL(name, use_errno=True)
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(_KILL_PROCESS)))
    # What the process does before it is the daemon.
    for call in sorted(allowed | {"execve", "execveat"}):
        number = seccomp.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:
            seccomp.seccomp_rule_add(context, ctypes.c_uint32(_ALLOW), number, 0)

    def load():
        if seccomp.seccomp_load(context) != 0:
            raise OSError("seccomp_load failed")

    return load
