"""Jobs whose end, log and writes are known beforehand."""

import itertools
import json
import threading
import time

import frames

ENDS = ("succeeded", "failed", "timed_out", "cancelled", "lost")
LINES = 30
STEPS = 4
RETRY_S = 0.05  # while the backend is away

# No program but Bash itself: what takes its time waits for nobody's line.
BASH_LINES = f"""
for ((i = 0; i < {LINES}; i++)); do echo "line $i"; done
"""
BASH_SLOW = f"""
exec {{never}}<> <(:)
for ((i = 0; i < {LINES}; i++)); do
    echo "line $i"
    read -r -t 0.0$((RANDOM % 9)) -u "$never" || true
done
"""
BASH_FAILS = BASH_LINES + "exit 7\n"
# Every write is told to the log once it is acknowledged.
PYTHON_WRITES = f"""
import cronium
key = cronium.input()
for i in range({STEPS}):
    cronium.set_variable("w/" + key, i)
    cronium.increment_variable("c/" + key)
    print("line", i)
cronium.output({{"key": key}})
"""
KINDS = {
    "lines": ("bash", BASH_LINES, LINES, "succeeded"),
    "slow": ("bash", BASH_SLOW, LINES, "succeeded"),
    "fails": ("bash", BASH_FAILS, LINES, "failed"),
    "writes": ("python", PYTHON_WRITES, STEPS, "succeeded"),
}
# Python starts cost most of a core's time.
MIX = ["lines"] * 5 + ["slow"] * 3 + ["fails"] + ["writes"] * 2


class Job:
    """One job that was acknowledged."""

    def __init__(self, job, kind, key):
        self.id, self.kind, self.key = job, kind, key
        _, _, self.lines, self.end = KINDS[kind]
        self.log = "".join(f"line {i}\n" for i in range(self.lines))


def patiently(call, accepted, stop=None):
    """Repeats a call until it is answered with one of these."""
    while stop is None or not stop.is_set():
        try:
            reply = call()
        except (OSError, EOFError, ValueError):
            reply = None
        except Exception as e:  # http.client's, when a reply breaks off
            if type(e).__module__ != "http.client":
                raise
            reply = None
        if reply is not None and reply.status in accepted:
            return reply
        assert reply is None or reply.status in (429, 500, 503, 507), reply
        time.sleep(RETRY_S)
    return None


class Submitter(threading.Thread):
    """Submits until it is told to stop; keeps what was acknowledged."""

    def __init__(self, world, rng, name, spec=None, pace_s=0.05, ahead=20,
                 every_s=0):
        super().__init__(daemon=True)
        self.every_s = every_s  # between two submissions
        self.world, self.rng, self.prefix = world, rng, name
        self.spec = spec or {}
        self.pace_s, self.ahead = pace_s, ahead
        self.jobs, self.error = [], None
        self.halt = threading.Event()

    def submit(self, n):
        kind = self.rng.choice(MIX)
        runtime, text, _, _ = KINDS[kind]
        key = f"{self.prefix}-{n}"
        body = {"name": key, "runtime": runtime,
                "script": {"content": text}, "input": key, **self.spec}
        reply = patiently(
            lambda: self.world.admin.post(
                "/v1/jobs", body, **{"Idempotency-Key": key}),
            (200, 201), self.halt)
        if reply:
            self.jobs.append(Job(reply.json["id"], kind, key))

    def queued(self):
        reply = patiently(
            lambda: self.world.admin.get("/v1/jobs?state=queued&limit=100"),
            (200,), self.halt)
        return len(reply.json["jobs"]) if reply else 0

    def run(self):
        try:
            for n in itertools.count():
                if n % self.ahead == 0:
                    while self.queued() > self.ahead:
                        if self.halt.wait(self.pace_s):
                            return
                if self.halt.is_set():
                    return
                self.submit(n)
                if self.every_s and self.halt.wait(self.every_s):
                    return
        except BaseException as e:
            self.error = e


class Writer(threading.Thread):
    """Writes one variable again and again; keeps the last acknowledged."""

    def __init__(self, world, key):
        super().__init__(daemon=True)
        self.world, self.key = world, key
        self.acknowledged, self.error = 0, None
        self.halt = threading.Event()

    def run(self):
        try:
            while not self.halt.wait(0.01):
                n = self.acknowledged + 1
                if patiently(lambda: self.world.admin.put(
                        f"/v1/variables/{self.key}", str(n).encode()),
                        (200, 201, 204), self.halt):
                    self.acknowledged = n
        except BaseException as e:
            self.error = e


def read_job(world, job):
    return patiently(lambda: world.admin.get(f"/v1/jobs/{job}"), (200,)).json


def read_log(world, job):
    """(what the script said, what Cronium added)."""
    stream = world.admin.stream(f"/v1/jobs/{job}/logs")
    said, notices = b"", b""
    try:
        while True:
            kind, payload = stream.next()
            if kind in (frames.STDOUT, frames.STDERR):
                said += payload
            elif kind == frames.NOTICE:
                notices += payload
    except EOFError:
        pass
    finally:
        stream.close()
    return said.decode(), notices.decode()


def variable(world, key):
    reply = patiently(
        lambda: world.admin.get("/v1/variables/" + key.replace("/", "%2F")),
        (200, 404))
    return json.loads(reply.body) if reply.status == 200 else None
