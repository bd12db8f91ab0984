import selectors
import signal
import subprocess
import time

GRACE_S = 2.0  # from SIGTERM to SIGKILL
REST_S = 1.0  # for what others still write when the command has ended
FOREIGN = ("CRONIUM_", "PYTHON", "TRACEPARENT", "NODE_")


class Stream:
    """Passes on what comes, to the job's log, and keeps its beginning."""

    def __init__(self, source, log, keep):
        self.source, self.log, self.keep = source, log, keep
        self.kept, self.total = bytearray(), 0
        os.set_blocking(source.fileno(), False)

    def take(self):
        """False at its end."""
        try:
            data = os.read(self.source.fileno(), 65536)
        except BlockingIOError:
            return True
        self.kept += data[:max(0, self.keep - len(self.kept))]
        self.total += len(data)
        view = memoryview(data)
        while view:
            view = view[os.write(self.log, view):]
        return bool(data)

    def result(self, name):
        text = self.kept.decode(errors="replace").replace("\0", "\ufffd")
        result = {name: text}
        if encoded(bytes(self.kept))[0] == "base64":
            result[f"{name}_base64"] = base64.b64encode(self.kept).decode()
        return result


class Command:
    def __init__(self, argv, args, cwd, env):
        self.argv, self.args, self.cwd, self.env = argv, args, cwd, env
        self.timed_out = False
        self.kill_at = None
        limit = args.get("timeout_ms")
        self.ends_at = time.monotonic() + limit / 1000 if limit else None

    def start(self):
        self.process = subprocess.Popen(
            self.argv, cwd=self.cwd, env=self.env, start_new_session=True,
            stdin=subprocess.PIPE if self.feed else subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        keep = self.args["max_output_bytes"]
        self.out = Stream(self.process.stdout, 1, keep)
        self.err = Stream(self.process.stderr, 2, keep)
        self.selector = selectors.DefaultSelector()
        for stream in (self.out, self.err):
            self.selector.register(stream.source, selectors.EVENT_READ,
                                   stream)
        if self.feed:
            os.set_blocking(self.process.stdin.fileno(), False)
            self.selector.register(self.process.stdin,
                                   selectors.EVENT_WRITE, None)

    def write(self):
        try:
            sent = os.write(self.process.stdin.fileno(), self.feed[:65536])
            self.feed = self.feed[sent:]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.feed = b""
        if not self.feed:
            self.selector.unregister(self.process.stdin)
            self.process.stdin.close()

    def signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def watch_clock(self, now):
        if self.ends_at and now >= self.ends_at and not self.timed_out:
            self.timed_out = True
            self.kill_at = now + GRACE_S
            self.signal(signal.SIGTERM)
        elif self.kill_at and now >= self.kill_at:
            self.kill_at = None
            self.signal(signal.SIGKILL)

    def turn(self):
        """What is ready now, or within a moment."""
        for key, _ in self.selector.select(0.05):
            if key.data is None:
                self.write()
            elif not key.data.take():
                self.selector.unregister(key.fileobj)

    def run(self):
        """The result."""
        self.feed = self.args.get("stdin", "").encode()
        self.start()
        rest_until = None
        while self.selector.get_map():
            now = time.monotonic()
            self.watch_clock(now)
            self.turn()
            if self.process.poll() is not None and rest_until is None:
                rest_until = now + REST_S
            if rest_until and now >= rest_until:
                break  # a child of its own holds on to them
        while self.process.poll() is None:
            self.watch_clock(time.monotonic())
            time.sleep(0.01)
        return self.result()

    def result(self):
        code = self.process.returncode
        return {
            "exit_code": code if code >= 0 else 128 - code,
            "signal": -code if code < 0 else None,
            "timed_out": self.timed_out,
            **self.out.result("stdout"), **self.err.result("stderr"),
            "truncated": (self.out.total > len(self.out.kept) or
                          self.err.total > len(self.err.kept)),
        }


def environment(more):
    """Ours, without what is for us alone."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
    own["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {**own, **more}


def found(name, env, missing):
    """The program's file."""
    import shutil

    path = name if "/" in name else shutil.which(name, path=env["PATH"])
    if not path:
        raise Refused("no_program", missing)
    return path


def entered(path):
    """path, once it is a directory of a share."""
    try:
        fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise explain(error, path, "entered")
    try:
        inside(fd, path)
    finally:
        os.close(fd)
    return path


def execute(argv, args, cwd, env):
    hide()
    try:
        return Command(argv, args, cwd, env).run()
    except OSError as error:
        raise Refused("not_started",
                      f"{argv[0]} cannot be started: {error.strerror}")
