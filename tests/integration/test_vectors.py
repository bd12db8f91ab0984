"""sdk/vectors: the runtime API is what they and sdk/openapi.yaml say, over
plain HTTP and with each SDK, against a real sidecar and a real backend."""

import json

import pytest
import requests
import sdk_drivers
import vector_case
from openapi_check import OpenAPI, events_of, lines_of

pytestmark = pytest.mark.timeout(120)

CASES = vector_case.CASES

all_cases = pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
all_clients = pytest.mark.parametrize("client", sdk_drivers.CLIENTS)


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    directory = tmp_path_factory.mktemp("backend")
    with vector_case.backend_with_tool(directory) as b:
        yield b


@pytest.fixture(scope="module")
def node_directory(tmp_path_factory):
    return sdk_drivers.install_node(tmp_path_factory.mktemp("node"))


@pytest.fixture(scope="module")
def document():
    return OpenAPI()


def includes(whole, part):
    """part, where it is an object, may leave out members."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(k in whole and includes(whole[k], v)
                   for k, v in part.items())
    return whole == part and type(whole) is type(part)


def all_include(wholes, parts):
    return len(wholes) == len(parts) and all(map(includes, wholes, parts))


# --- plain HTTP


def fill_in(text, saved):
    """$NAME stands for a version of before."""
    for name, version in saved.items():
        text = text.replace(f"${name}", version)
    return text


class Http:
    """Makes the steps of a case with a plain client."""

    def __init__(self, sidecar, document):
        self.sidecar, self.document = sidecar, document
        self.saved = {}

    def request(self, request):
        """The reply, its body yet to come; and what was sent."""
        body, media_type = request.get("raw", "").encode(), None
        if "body" in request:
            body = json.dumps(request["body"], ensure_ascii=False).encode()
            media_type = "application/json"
        elif "records" in request:
            body = vector_case.as_lines(request["records"])
            media_type = "application/x-ndjson"
        headers = {k: fill_in(v, self.saved)
                   for k, v in request.get("headers", {}).items()}
        if media_type:
            headers["Content-Type"] = media_type
        path = fill_in(request["path"], self.saved)
        return self.sidecar.request(
            request["method"], path, data=body or None, headers=headers,
            stream=True), (request["method"], path, headers, body)

    def step(self, step):
        r, sent = self.request(step["request"])
        with r:
            assert r.status_code == step["status"], (step, r.text)
            if r.headers.get("content-type") == "text/event-stream":
                self.take_events(step, r)
                return
            r.broken, r.encoding = False, "utf-8"
            try:
                r.content
            except requests.exceptions.ChunkedEncodingError:
                r.broken = True
            assert r.broken == ("records" in step), step
        if r.broken:
            return  # what it says comes by the tap of the SDKs
        self.document.check(*sent, r)
        self.check(step, r)

    def check(self, step, r):
        media_type = r.headers.get("content-type")
        if media_type == "application/x-ndjson":
            assert [json.loads(line) for line in lines_of(r.text)] == step[
                "result"], step
        elif "body" in step:
            assert r.json() == step["body"], step
        elif "result" in step and r.status_code == 200:
            assert r.json() == step["result"], step
        if "includes" in step:
            assert includes(r.json(), step["includes"]), r.text
        if media_type == "application/problem+json":
            self.check_problem(step, r.json())
        if "save" in step:
            self.saved[step["save"]] = r.headers["etag"].strip('"')

    def check_problem(self, step, problem):
        assert problem["status"] == step["status"] and problem["detail"]
        if "code" in step:
            assert problem["code"] == step["code"], step
        assert includes(problem, step.get("problem", {})), (step, problem)

    def take_events(self, step, r):
        """The first events; what is due after each is done."""
        text, events = "", []
        pieces = r.iter_content(None)
        while len(events) < len(step["events"]):
            text += next(pieces).decode()
            for kind, id, data in events_of(text)[len(events):]:
                events.append({
                    "type": kind, "id": id, "value": None, "deleted": False,
                    **data})
                for other in step.get("during", ()):
                    if other["after"] == len(events):
                        self.step(other)
        assert all_include(events, step["events"]), events
        versions = [e["version"] for e in events]
        assert versions == sorted(set(versions))
        if "save" in step:
            self.saved[step["save"]] = str(versions[-1])


@all_cases
def test_http(tmp_path, backend, document, case):
    with vector_case.job(tmp_path, backend, case) as sidecar:
        http = Http(sidecar, document)
        for step in case["steps"]:
            http.step(step)


def test_every_operation_has_a_vector(document):
    requests = [step["request"] for case in CASES
                for step in vector_case.steps_of(case)]
    made = {document.operation_id(r["method"], r["path"]) for r in requests}
    assert made - {None} == document.operations()


# --- the SDKs


def check_result(step, got):
    if "error" in step:
        assert got.get("error") == step["error"], (step, got)
        if "code" in step:
            assert got["code"] == step["code"], (step, got)
        assert got.get("records", []) == step.get("records", []), (step, got)
        return
    assert "error" not in got, (step, got)
    if "result" in step:
        assert includes([got["result"]], [step["result"]]), (step, got)
    if "includes" in step:
        assert includes(got["result"], step["includes"]), (step, got)
    if "events" in step:
        assert all_include(got["result"], step["events"]), (step, got)
        versions = [int(event["version"]) for event in got["result"]]
        assert versions == sorted(set(versions)), (step, got)


@all_clients
@all_cases
def test_sdk(tmp_path, node_directory, backend, client, case):
    steps = [s for s in case["steps"] if not s.get("http_only")]
    if not steps:
        return
    with vector_case.job(tmp_path, backend, case) as sidecar:
        done = sdk_drivers.run(
            node_directory, client, steps,
            sdk_drivers.environment_of(sidecar))
        assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert len(results) == len(steps)
    for step, got in zip(steps, results):
        check_result(step, got)
    assert len(sidecar.tap.exchanges) >= len(steps)


@all_clients
@pytest.mark.parametrize("step", [
    {"call": "no_such_operation", "args": []},
    {"call": "no_such_operation", "args": ["k"], "events": [{}]},
    {"call": "subscribe", "args": ["k"], "events": [{}, {}], "during": [
        {"after": 1, "call": "no_such_operation", "args": []}]},
], ids=["a call", "a subscription", "during a subscription"])
def test_sdk_without_an_operation_fails(
        tmp_path, node_directory, backend, client, step):
    """A vector that an SDK does not know never passes by accident."""
    with vector_case.job(tmp_path, backend, {"setup": {}}) as sidecar:
        done = sdk_drivers.run(
            node_directory, client, [step],
            sdk_drivers.environment_of(sidecar))
    assert done.returncode != 0
    assert "no_such_operation" in done.stderr or "noSuchOperation" in (
        done.stderr)
