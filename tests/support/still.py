"""still.py - a thread of the daemon stands still, by ptrace(2): so that what others do meanwhile does not depend
on how long anything takes."""
import contextlib
import ctypes
import os

import harness as h

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17  # linux/ptrace.h
WALL = 0x40000000  # waitpid(2): also of a thread
WAITS = {"x86_64": (232, 281), "aarch64": (22,)}.get(os.uname().machine)  # epoll_wait, epoll_pwait


def ptrace(request, pid):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(request, pid, None, None) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")


def stop(pid):
    """Whether the thread is stopped, and had nothing to do: elsewhere it might hold a lock."""
    ptrace(SEIZE, pid)
    ptrace(INTERRUPT, pid)
    os.waitpid(pid, WALL)
    if h.text_of(f"/proc/{pid}/syscall").split()[0] in map(str, WAITS):
        return True
    ptrace(DETACH, pid)
    return False


@contextlib.contextmanager
def standing_still(d, thread=None):
    """The daemon's first thread, or that one, does nothing meanwhile."""
    pid = thread or d.proc.pid
    h.poll_until("it has nothing to do", lambda: stop(pid))
    try:
        yield
    finally:
        ptrace(DETACH, pid)


def threads(d):
    return {int(t) for t in os.listdir(f"/proc/{d.proc.pid}/task")}
