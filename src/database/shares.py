"""Whether a file lies on another machine's disk: SQLite's log needs memory that only one machine shares (S11)."""

from pathlib import Path

_MOUNTS = Path("/proc/mounts")
_REMOTE = ("nfs", "cifs", "smb", "ncpfs", "fuse.sshfs", "9p", "afs", "ceph", "glusterfs", "davfs")


def is_on_share(path: Path, mounts: Path = _MOUNTS) -> bool:
    """By the name of its file system, where the system tells it; by its address on Windows."""
    absolute = path.absolute()
    if absolute.drive.startswith("\\\\"):
        return True
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    mounted = [fields for line in lines if len(fields := line.split(" ")) > 2]
    above = [fields for fields in mounted if absolute.is_relative_to(fields[1].replace("\\040", " "))]
    nearest = max(above, key=lambda fields: len(fields[1]), default=["", "", ""])
    return nearest[2].startswith(_REMOTE)
