"""Two hosts, of which one is cut off in mid-job."""

import os
import sys
import threading
import pathlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "integration"))

from backend_process import Backend  # noqa: E402
from patience import until  # noqa: E402
from shared_backends import server as database  # noqa: E402, F401
from two_hosts import IMAGE, PATIENT, Host, Namespace, run  # noqa: E402

LEASE_S = 20  # a pod ends itself at 5/6 of it
pytestmark = pytest.mark.timeout(300)


class World:
    """Two backends with their database in the middle, a host on each side."""

    def __init__(self, url, base):
        self.center = Namespace(f"cr{os.getpid() % 100000}c")
        self.key_file = base / "keys" / "api-key"
        self.hosts = [Host("host-a", 41, self.center, base),
                      Host("host-b", 42, self.center, base)]
        self.backends = []
        for name in "12":
            (base / name).mkdir()
            self.backends.append(Backend(
                str(base / name), "--keys-dir", str(base / "keys"), "--lease",
                f"{LEASE_S}s", listen="0.0.0.0:0", wrapper=self.center.enter,
                store=f"{url}&schema=hosts"))
        archive = base / "image.tar"
        run("docker", "save", "-o", archive, IMAGE)
        loads = [threading.Thread(target=h.load, args=(archive,))
                 for h in self.hosts]
        for t in loads:
            t.start()
        for t in loads:
            t.join()

    def stop(self):
        statuses = [h.stop() for h in self.hosts]
        statuses += [b.stop() for b in self.backends]
        self.center.remove()
        return statuses


@pytest.fixture
def world(database, tmp_path):  # noqa: F811
    world = World(database, tmp_path)
    yield world
    assert world.stop() == [0, 0, 0, 0], [
        h.log.read_text() for h in world.hosts if h.log.exists()]


def submit(backend, agent=None, **runtime):
    reply = backend.admin.post("/v1/jobs", {
        "script": {"name": "main.sh", "content": PATIENT}, "agent": agent,
        "executor": "docker", "runtime": {
            "type": "bash", "permissions": {"all": True}, **runtime}})
    assert reply.status == 201, reply
    return reply.json["id"]


def log_of(backend, job):
    return backend.admin.get(f"/v1/jobs/{job}/logs").body.decode()


def test_one_is_cut_off(world):
    one, two = world.backends
    a, b = world.hosts

    def what():
        return [h.log.read_text() for h in (a, b) if h.log.exists()] + [
            one.job(again), one.job(once), "".join(one.log[-40:])]

    def end_of(job):
        """What was cut off may take half a minute to be heard again."""
        return until(lambda: (found := two.job(job))["ended_ms"] and found,
                     what)

    a.start(world.backends, world.key_file)
    again = submit(one, retries=1, backoff={"initial": 100, "max": 100,
                                            "max_elapsed": 120000})
    once = submit(two)
    for job in (again, once):
        until(lambda job=job: "begun" in log_of(one, job), what)
    assert len(a.engine.pods()) == 4
    b.start(world.backends, world.key_file)
    until(lambda: len([x for x in two.admin.get("/v1/agents").json["agents"]
                       if x["connected"]]) == 2, what)

    a.cable.cut()
    # What may not run twice is lost; the other one runs once more, on b. By
    # then host a, which hears of nothing, has ended it by itself.
    until(lambda: one.job(once)["state"] == "lost", what)
    until(lambda: one.job(again)["state"] == "running" and
          one.job(again)["agent"] == "host-b", what)
    ends = a.engine.ends(f"cronium.job={again}")
    assert len(ends) == 2 and max(ends) <= one.job(once)["ended_ms"], what()
    assert one.admin.put("/v1/variables/go", True).status == 201
    ended = end_of(again)
    assert ended["state"] == "succeeded" and ended["attempt"] == 2, what()
    assert [x for x in log_of(two, again).splitlines()
            if x in ("begun", "done")] == ["begun", "begun", "done"]

    # What host a says when it is heard again changes nothing: it hears that
    # the other one is lost, and is as good as before.
    assert a.engine.pods(label=f"cronium.job={once}")
    a.cable.mend()
    third = submit(one, agent="host-a")
    ended = end_of(third)
    assert ended["state"] == "succeeded", what()
    assert one.job(again)["attempt"] == 2
    assert one.job(once)["state"] == "lost"
    for host in (a, b):
        until(lambda host=host: not host.engine.pods("-a"), what)
