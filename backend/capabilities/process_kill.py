import select
import signal

OWN_NAMES = ("cronium", "cronium-")  # of the server's own processes


class Process:
    """What /proc says of it."""

    def __init__(self, pid):
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                text = file.read().decode(errors="replace")
            self.uid = os.stat(f"/proc/{pid}").st_uid
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read(4096).decode(errors="replace")
        except OSError:
            raise Refused("not_found", f"there is no process {pid}")
        fields = text[text.rindex(")") + 2:].split()
        self.name = text[text.index("(") + 1:text.rindex(")")]
        self.parent, self.start_ticks = int(fields[1]), int(fields[19])
        self.command = line.rstrip("\0").replace("\0", " ")


def ancestors():
    """From us up to the first process."""
    pid = os.getpid()
    while pid > 0:
        yield pid
        try:
            pid = Process(pid).parent
        except Refused:
            return


def check(args, process):
    pid = args["pid"]
    expected = args.get("name", process.name)
    if process.name not in (expected, expected[:15]):
        raise Refused("changed", f"process {pid} is called {process.name}, "
                                 f"not {expected}")
    if args.get("start_ticks", process.start_ticks) != process.start_ticks:
        raise Refused("changed", f"process {pid} is another one: it was "
                                 f"started at {process.start_ticks}")
    if pid in ancestors():
        raise Refused("protected", f"process {pid} ({process.name}) has "
                                   "started this job: it is left alone")
    if process.name == OWN_NAMES[0] or process.name.startswith(OWN_NAMES[1]):
        raise Refused("protected", f"process {pid} ({process.name}) is "
                                   "Cronium's own: it is left alone")


def send(handle, number, args, process):
    try:
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        raise Refused("not_found", f"process {args['pid']} has just ended")
    except PermissionError:
        raise Refused(
            "not_permitted",
            f"process {args['pid']} ({process.name}) belongs to user "
            f"{process.uid}: user {os.geteuid()}, as which this runs, may "
            "not signal it")


def ended(handle, wait_ms):
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(wait_ms))


def kill(args, context):
    pid, number = args["pid"], signal.Signals["SIG" + args["signal"]]
    if not hasattr(os, "pidfd_open"):
        raise Refused("no_pidfd", "the python3 here is older than 3.9, with "
                                  "which no process can be held on to")
    try:
        handle = os.pidfd_open(pid)
    except OSError as error:
        if error.errno in (errno.ESRCH, errno.EINVAL):
            raise Refused("not_found", f"there is no process {pid}")
        raise explain(error, f"process {pid}", "opened")
    # Looked at after it is held: what is signalled is what was checked.
    process = Process(pid)
    check(args, process)
    result = {"pid": pid, "signal": args["signal"], "name": process.name,
              "uid": process.uid, "start_ticks": process.start_ticks,
              "command": process.command}
    if context["dry_run"]:
        return {"dry_run": True, **result,
                "permitted": process.uid == os.geteuid()}
    send(handle, number, args, process)
    return {**result, "ended": ended(handle, args["wait_ms"])}


main(kill)
