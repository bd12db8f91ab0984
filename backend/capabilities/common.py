"""What capabilities share. This text stands in front of each program."""

import base64
import errno
import hashlib
import json
import os
import stat
import sys

import cronium

CHUNK_BYTES = 1024 * 1024


class Refused(Exception):
    """Why it is not done: a code for programs, a sentence for people."""

    def __init__(self, code, message, **more):
        super().__init__(message)
        self.code, self.more = code, more


def explain(error, path, doing):
    """The Refused for what the kernel said."""
    if error.errno == errno.ENOENT:
        return Refused("not_found", f"there is no {path}")
    if error.errno in (errno.EACCES, errno.EPERM):
        return Refused(
            "not_permitted",
            f"{path} may not be {doing} by user {os.geteuid()} here: the "
            "permissions of the files hold, a link must not lead out of its "
            "share, and to write takes one with :rw (--share PATH:rw of the "
            "orchestrator)")
    if error.errno == errno.EROFS:
        return Refused(
            "read_only_share",
            f"{path} lies in a share that may only be read: --share PATH:rw "
            "of the orchestrator lets it be written")
    if error.errno == errno.ELOOP:
        return Refused(
            "symbolic_link",
            f"{path} is a symbolic link: name the file that it leads to")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Refused("disk_full",
                       f"{path} cannot be {doing}: {error.strerror}; what "
                       "was there is unchanged")
    return Refused("failed", f"{path} cannot be {doing}: {error.strerror}")


def octal(mode):
    return f"{stat.S_IMODE(mode):04o}"


def encoded(data):
    """(encoding, text): UTF-8 where it is, without NUL."""
    try:
        if b"\0" not in data:
            return "utf-8", data.decode()
    except UnicodeDecodeError:
        pass
    return "base64", base64.b64encode(data).decode()


def inside(fd, path):
    """What was opened lies in a share, whatever links led there."""
    real = os.readlink(f"/proc/self/fd/{fd}")
    for share in json.loads(os.environ["CRONIUM_SHARES"]):
        share = os.path.realpath(share)
        if real == share or real.startswith(share + "/"):
            return
    raise Refused("not_permitted", f"{path} leads out of its share")


def regular(path, fd):
    """Its status, where it is a file."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        what = "directory" if stat.S_ISDIR(status.st_mode) else "device"
        raise Refused("not_a_file", f"{path} is no file but a {what}")
    return status


def hide():
    """Whoever runs as the same user shall not read our token."""
    import ctypes

    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE


def tell(output):
    try:
        cronium.output(output)
    except cronium.TooLargeError as error:
        raise Refused("too_large",
                      f"the result is too large for the server: {error}")


def main(capability):
    try:
        context = cronium.get_event_context()
        tell(capability(cronium.input(), context))
    except Refused as refused:
        message = str(refused)
        cronium.output({"error": {"code": refused.code, "message": message},
                        **refused.more})
        sys.stderr.write(message + "\n")
        sys.exit(1)
