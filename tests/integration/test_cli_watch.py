"""`cronium vars watch` and `cronium audit`."""

import json
import os
import re
import select
import signal
import time


from cli_process import TIMEOUT


class Watch:
    """A running `cronium vars watch`."""

    def __init__(self, home, env, *args):
        self.process = home.start("vars", "watch", *args, env=env)
        self.pending = b""

    def line(self):
        """The next line, as text."""
        deadline = time.monotonic() + TIMEOUT
        while b"\n" not in self.pending:
            left = deadline - time.monotonic()
            ready = select.select([self.process.stdout], [], [], left)[0]
            assert ready, "nothing came"
            piece = os.read(self.process.stdout.fileno(), 1 << 16)
            assert piece, self.process.stderr.read()
            self.pending += piece
        line, self.pending = self.pending.split(b"\n", 1)
        return line.decode()

    def next(self):
        return json.loads(self.line())

    def stop(self, sig=signal.SIGINT):
        self.process.send_signal(sig)
        out, err = self.process.communicate(timeout=TIMEOUT)
        assert self.pending + out == b""
        return self.process.returncode, err.decode()


def put(backend, key, value):
    reply = backend.admin.put(f"/v1/variables/{key}", value)
    assert reply.status in (201, 204), reply
    return int(reply.headers["etag"].strip('"'))


# --- vars watch --------------------------------------------------------------

def test_watch(home, backend, env):
    first = put(backend, "k", b"1")
    watch = Watch(home, env, "k")
    assert watch.line() == f'{{"key":"k","version":{first},"value":1}}'
    second = put(backend, "k", b'{\n "a": [1.10,\r\n 2]\n}')
    assert watch.line() == (f'{{"key":"k","version":{second},'
                            f'"value":{{  "a": [1.10,   2] }}}}')
    put(backend, "other", b"1")
    backend.admin.delete("/v1/variables/k")
    assert watch.line() == \
        f'{{"key":"k","version":{second + 2},"deleted":true}}'
    last = put(backend, "k", b'"\\u00e9 \xc3\xa9"')
    assert watch.next() == {"key": "k", "version": last, "value": "é é"}
    assert watch.stop() == (130, "")


def test_watch_of_what_is_not_there(home, backend, env):
    watch = Watch(home, env, "absent")
    assert watch.next() == {"key": "absent", "version": 0, "deleted": True}
    version = put(backend, "absent", b"1")
    assert watch.next()["version"] == version
    assert watch.stop(signal.SIGTERM)[0] == 130


def test_watch_from(home, backend, env):
    versions = [put(backend, "k", b"%d" % i) for i in range(5)]
    watch = Watch(home, env, "k", "--from", versions[1])
    assert [watch.next()["version"] for _ in range(3)] == versions[2:]
    version = put(backend, "k", b'"new"')
    assert watch.next() == {"key": "k", "version": version, "value": "new"}
    assert watch.stop() == (130, "")
    watch = Watch(home, env, "k", "--from", version + 1000)
    assert watch.next()["version"] == version
    code, err = watch.stop()
    assert code == 130 and "are known any more" in err


def test_watch_outlives_the_backend(home, backend, env):
    """Killed and started again, over and over: each change once."""
    watch = Watch(home, env, "k")
    watch.next()
    seen, expected = [], []
    for round in range(3):
        for i in range(10):
            expected.append(put(backend, "k", b"%d" % i))
        if round == 1:
            seen += [watch.next()["version"] for _ in range(5)]
        backend.kill()
        backend.start()
    expected.append(put(backend, "k", b"0"))
    seen += [watch.next()["version"]
             for _ in range(len(expected) - len(seen))]
    assert seen == expected
    assert watch.stop()[0] == 130


def test_watch_of_a_secret(home, backend, env):
    backend.admin.put("/v1/variables/s?secret=1", b'"hush"')
    watch = Watch(home, env, "s")
    assert watch.next()["value"] == "hush"
    watch.stop()
    entry = backend.admin.get("/v1/audit?limit=1").json["entries"][0]
    assert (entry["action"], entry["target"]) == ("secret.read", "s")


def test_watch_refused(home, backend, env):
    r = home("vars", "watch", "a b", env=env)
    assert r.code == 1 and "a variable's key is" in r.err and not r.out
    r = home("vars", "watch", "k", "--from", "x", env=env)
    assert r.code == 2 and "--from x" in r.err
    assert home("vars", "watch", env=env).code == 2


def test_watch_into_a_closed_pipe(home, backend, env):
    put(backend, "k", b"1")
    watch = Watch(home, env, "k")
    watch.next()
    watch.process.stdout.close()
    put(backend, "k", b"2")
    assert watch.process.wait(TIMEOUT) == 0
    assert watch.process.stderr.read() == b""


# --- audit -------------------------------------------------------------------

def test_audit(home, backend, env):
    agent = backend.agent()
    first, second = backend.submit(), backend.submit()
    claims = [agent.claim(), agent.claim()]
    for claim, key in zip(claims, ("alpha", "beta")):
        backend.sidecar(claim).put(f"/v1/runtime/variables/{key}", b"1")
    put(backend, "gamma", b"1")
    backend.admin.post(f"/v1/jobs/{first}/cancel")
    r = home("audit", env=env)
    assert r.code == 0, r
    lines = r.out.splitlines()
    assert lines[0].split() == ["TIME", "WHO", "ACTION", "TARGET", "RESULT",
                                "TRACE"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  uid:\d+ +job.cancel"
                        rf" +{first} +ok +\S+", lines[1]), lines[1]
    assert len(lines) == 7
    r = home("audit", "--json", "-n", "2", env=env)
    assert [e["action"] for e in r.json["entries"]] == ["job.cancel",
                                                        "variable.put"]
    r = home("audit", "--json", "--before", r.json["next"], env=env)
    assert [e["target"] for e in r.json["entries"]] == [
        "beta", "alpha", second, first]
    # Of an execution, and of a job: what was done to it, and what it did.
    r = home("audit", "--json", "--execution", claims[1].id, env=env)
    assert [e["target"] for e in r.json["entries"]] == ["beta"]
    r = home("audit", "--json", "--job", first, env=env)
    assert [(e["action"], e["target"]) for e in r.json["entries"]] == [
        ("job.cancel", first), ("variable.put", "alpha"),
        ("job.submit", first)]
    assert all(e["job"] == first for e in r.json["entries"])
    r = home("audit", "--json", "--job", first, "-n", "1", env=env)
    assert len(r.json["entries"]) == 1 and r.json["next"]
    assert home("audit", "--json", "--job", "job_x", env=env
                ).json == {"entries": [], "next": None}
    r = home("audit", "--job", first, "--execution", claims[0].id, env=env)
    assert r.code == 1 and "of one job" in r.err
    assert home("audit", "-n", "x", env=env).code == 2
    agent.close()


# --- jobs for one agent ------------------------------------------------------

def test_who_waits_for_an_agent_is_told(home, backend, env):
    agent = backend.agent(name="here", executors="sandbox")
    away = backend.submit(agent="away")
    wrong = backend.submit(agent="here", executor="docker")
    for job, why in ((away, "it is for the orchestrator 'away', which is not "
                      "connected"),
                     (wrong, "the orchestrator 'here' has not the executor "
                      "'docker'")):
        process = home.start("logs", "-f", job, env=env, text=True)
        line = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT)
        assert f"waiting: {why}" in line
    r = home("job", away, env=env)
    assert re.search(r"^for agent +away$", r.out, re.M), r
    agent.close()
