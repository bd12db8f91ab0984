"""The setting of a case of sdk/vectors, and what it leaves behind; the format
is said in sdk/vectors/README.md."""

import contextlib
import json
import pathlib

from backend_process import Backend, quote
from gateway_harness import Seat
from scripted_runtime import ScriptedRuntime
from sidecar_harness import Sidecar
from tap import tapped

VECTORS = pathlib.Path(__file__).parents[2] / "sdk" / "vectors"
CASES = [
    case for file in sorted(VECTORS.glob("*.json"))
    for case in json.loads(file.read_text(encoding="utf-8"))]
# Members of a setup that are no members of the job.
NOT_THE_JOB = {"variables", "secrets", "input_records", "input_ends",
               "input_broken", "limits"}


TOOL = """
name: vectors
summary: What the vectors call.
actions:
  echo:
    params:
      type: object
      required: [text]
      properties:
        text: {{type: string}}
        times: {{type: integer, default: 1}}
    request:
      url: {url}/echo
      json: '{{{{params}}}}'
  refuse:
    request:
      method: POST
      url: {url}/refuse
    retry: {{max_elapsed_ms: 0}}
"""


class Target:
    """Where the tool's requests go to."""

    def __init__(self):
        self.calls = 0

    def answer(self, request):
        if request.path == "/refuse":
            request.reply(500, "never")
            return
        self.calls += 1
        params = json.loads(request.body)
        request.reply(200, {"text": params["text"] * params["times"],
                            "calls": self.calls})


@contextlib.contextmanager
def backend_with_tool(directory):
    """A backend that has the tool of the vectors."""
    target = Target()
    with ScriptedRuntime(target.answer) as server:
        tools = pathlib.Path(directory) / "data" / "tools"
        tools.mkdir(parents=True)
        (tools / "vectors.yaml").write_text(TOOL.format(url=server.url))
        backend = Backend(str(directory), "--tools-allow", "127.0.0.1")
        backend.target = target
        yield backend
        assert backend.stop() == 0, "".join(backend.log)


def as_lines(records):
    return "".join(
        json.dumps(r, ensure_ascii=False) + "\n" for r in records).encode()


def steps_of(case):
    """All of them, also those that are made while others go on."""
    for step in case["steps"]:
        yield step
        yield from step.get("during", ())


def _store_only(backend, setup):
    """The case's variables, and none of another's."""
    for old in backend.admin.get("/v1/variables").json["variables"]:
        assert backend.admin.delete(
            f"/v1/variables/{quote(old['key'])}").status == 204
    for member, query in ("variables", ""), ("secrets", "?secret=1"):
        for key, value in setup.get(member, {}).items():
            reply = backend.admin.put(
                f"/v1/variables/{quote(key)}{query}",
                json.dumps(value).encode())
            assert reply.status == 201, reply


def _failed_writer(backend, agent, records):
    """A job whose output stream is broken behind the records."""
    job = backend.submit()
    claim = agent.claim()
    agent.started(claim)
    reply = backend.sidecar(claim).post(
        "/v1/runtime/output/stream", as_lines(records))
    assert reply.status == 200, reply
    agent.complete(claim, "failed")
    return job


def _submit(backend, agent, setup):
    spec = {k: v for k, v in setup.items() if k not in NOT_THE_JOB}
    records = setup.get("input_records")
    if setup.get("input_broken"):
        spec["input_from"] = _failed_writer(backend, agent, records)
    job = backend.submit(**spec)
    if records is not None and not setup.get("input_broken"):
        end = "?end=1" if setup.get("input_ends", True) else ""
        reply = backend.admin.post(
            f"/v1/jobs/{job}/input/stream{end}", as_lines(records))
        assert reply.status == 200, reply


def _check_end(backend, job, case):
    """What the job has at its end."""
    if "output" in case:
        reply = backend.admin.get(f"/v1/jobs/{job}/output")
        assert reply.json == case["output"]
    if expected := case.get("output_stream"):
        streams = backend.admin.get(f"/v1/jobs/{job}/streams").json
        assert streams["output"]["state"] == expected["state"]
        assert streams["output"]["records"] == len(expected["records"])
        reply = backend.admin.get(f"/v1/jobs/{job}/output/stream")
        assert reply.body == as_lines(expected["records"]) or [
            json.loads(line) for line in reply.body.splitlines()
        ] == expected["records"]


@contextlib.contextmanager
def job(tmp_path, backend, case, gateway=None):
    """The case's job in a sidecar with a tap, or at a gateway; what it leaves
    is checked."""
    setup = case["setup"]
    backend.target.calls = 0
    _store_only(backend, setup)
    agent = backend.agent()
    _submit(backend, agent, setup)
    claim = agent.claim()
    agent.started(claim)
    with contextlib.ExitStack() as stack:
        limits = setup.get("limits")
        if gateway:
            sidecar = stack.enter_context(Seat.of(
                tmp_path, backend, claim, gateway=gateway, limits=limits))
        else:
            sidecar = stack.enter_context(
                Sidecar.of(tmp_path, backend, claim, limits=limits))
            stack.enter_context(tapped(sidecar))
        yield sidecar
    _check_end(backend, claim.job, case)
    for value in setup.get("secrets", {}).values():
        assert json.dumps(value).encode() in sidecar.control.redacted
    agent.complete(claim)
    agent.close()
