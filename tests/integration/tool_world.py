"""A backend with tools, their target, and a job that calls them."""

import concurrent.futures

import pytest

from backend_process import Backend
from target_server import Target

EXECUTE = "/v1/runtime/tool-actions/execute"
TOKEN = "s3cret/token+with=signs"

PROBE = """
name: probe
credentials:
  token: {secret: PROBE_TOKEN, optional: true}
actions:
  once:
    params:
      type: object
      required: [url]
      additionalProperties: false
      properties: {url: {type: string}, note: {type: string}}
    request:
      method: POST
      url: '{{params.url}}'
      auth: {bearer: '{{credentials.token}}'}
      json: {note: '{{params.note}}'}
    timeout_ms: 3000
    retry: {initial_ms: 10, max_ms: 50, max_elapsed_ms: 3000}
    result: '{{response.body}}'
  again:
    idempotent: true
    params: {type: object, properties: {url: {type: string}}}
    request: {method: POST, url: '{{params.url}}', json: {}}
    timeout_ms: 500
    retry: {initial_ms: 10, max_ms: 50, max_elapsed_ms: 3000}
  patient:
    idempotent: true
    params: {type: object, properties: {url: {type: string}}}
    request: {method: POST, url: '{{params.url}}', json: {}}
    retry: {initial_ms: 10, max_ms: 50, max_elapsed_ms: 60000}
"""
NEEDY = """
name: needy
credentials: {key: {secret: NEEDY_KEY}}
actions:
  do:
    params: {type: object}
    request: {url: '%(url)s/echo', headers: {X-Key: '{{credentials.key}}'}}
"""

WORLDS = []  # of the test that runs


@pytest.fixture(autouse=True)
def no_world_stays():
    """Ends what a failed test has left."""
    yield
    while WORLDS:
        world = WORLDS.pop()
        world.target.release.set()
        if world.backend.process.poll() is None:
            world.backend.kill()


class World:
    """A backend with tools, the target that they call, and a job."""

    def __init__(self, directory, *options, target=None, allow=True):
        self.target = target or Target()
        tools = directory / "tools"
        tools.mkdir(exist_ok=True)
        (tools / "probe.yaml").write_text(PROBE)
        (tools / "needy.yaml").write_text(NEEDY % {"url": self.target.url})
        self.tools = tools
        if allow:
            options = ("--tools-allow", f"127.0.0.1:{self.target.port}",
                       *options)
        self.backend = Backend(str(directory), "--tools-dir", str(tools),
                               *options)
        WORLDS.append(self)
        self.agent = self.backend.agent(slots=100)
        self.sidecar = None
        self.start_job()

    def start_job(self, **spec):
        self.job = self.backend.submit(**spec)
        self.claim = self.agent.claim()
        self.agent.started(self.claim)
        self.sidecar = self.backend.sidecar(self.claim)
        return self.sidecar

    def call(self, tool, action, params=None, key=None, sidecar=None, **more):
        headers = {"Idempotency-Key": key} if key else {}
        body = {"tool": tool, "action": action,
                "params": self.params(params or {}), **more}
        return (sidecar or self.sidecar).call("POST", EXECUTE, body, headers)

    def params(self, given):
        """A path is one of the target's."""
        if "path" not in given:
            return given
        rest = {k: v for k, v in given.items() if k != "path"}
        return {"url": f"{self.target.url}/{given['path']}", **rest}

    def later(self, *args, **kwargs):
        """The same in a thread; what its reply will be."""
        pool = concurrent.futures.ThreadPoolExecutor(1)
        try:
            return pool.submit(self.call, *args, **kwargs)
        finally:
            pool.shutdown(wait=False)

    def restart(self):
        self.backend.kill()
        self.backend.start()

    def close(self):
        self.target.close()
        assert self.backend.stop() == 0, "".join(self.backend.log)


@pytest.fixture
def world(tmp_path):
    w = World(tmp_path)
    yield w
    w.close()


def count(world, path):
    return sum(c.path == path for c in world.target.calls)


def put_secret(world, name, value):
    reply = world.backend.admin.put(f"/v1/variables/{name}?secret=1", value)
    assert reply.status in (201, 204), reply
