"""Which machine this is, as far as folders are concerned.

Owns: the host identity. Must not know: sites, trackers.

Two agents have the same identity exactly when a path means the same folder to both: same boot of the same kernel, same
mount namespace. The parts are hashed, since the answer leaves the machine.
"""

from __future__ import annotations

import os
import uuid

from blake3 import blake3


def host_identity() -> str:
    """32 hex digits. Where the system tells less, the network address of the machine and its name have to do."""
    boot = _read("/proc/sys/kernel/random/boot_id")
    namespace = _link("/proc/self/ns/mnt")
    root = _root()
    if not boot or not namespace:
        boot, namespace = f"{uuid.getnode():x}", os.environ.get("COMPUTERNAME", "") or _node()
    return blake3("\n".join((boot, namespace, root)).encode()).hexdigest(16)


def home_identity(home: os.PathLike[str]) -> str:
    """16 hex digits that tell homes apart, on all machines, and stay the same after a restart."""
    return blake3(f"{_node()}\n{os.fspath(home)}".encode("utf-8", "surrogateescape")).hexdigest(8)


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _root() -> str:
    """A process with another root directory (chroot) sees other folders under the same names."""
    found = os.stat("/")
    return f"{found.st_dev}:{found.st_ino}"


def _node() -> str:
    return os.uname().nodename if hasattr(os, "uname") else ""
