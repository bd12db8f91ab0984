"""sdk/vectors: the runtime API is what they and sdk/openapi.yaml say, over
plain HTTP and with each SDK, against a real sidecar and a real backend."""

import contextlib
import json
import pathlib

import pytest
import sdk_drivers
from backend_process import Backend, quote
from openapi_check import OpenAPI
from sidecar_harness import Sidecar

pytestmark = pytest.mark.timeout(120)

VECTORS = pathlib.Path(__file__).parents[2] / "sdk" / "vectors"
FILES = {
    file.stem: json.loads(file.read_text(encoding="utf-8"))
    for file in sorted(VECTORS.glob("*.json"))}
CASES = FILES["runtime"]
STORED = "variables", "secrets"  # of a case's setup; the rest is the job

all_cases = pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
all_clients = pytest.mark.parametrize("client", sdk_drivers.CLIENTS)


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    b = Backend(str(tmp_path_factory.mktemp("backend")))
    yield b
    assert b.stop() == 0, "".join(b.log)


@pytest.fixture(scope="module")
def node_directory(tmp_path_factory):
    return sdk_drivers.install_node(tmp_path_factory.mktemp("node"))


@pytest.fixture(scope="module")
def document():
    return OpenAPI()


def store_only(backend, setup):
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


@contextlib.contextmanager
def job(tmp_path, backend, case):
    """The case's job in a sidecar; at the end its output is checked."""
    setup = case["setup"]
    store_only(backend, setup)
    backend.submit(**{k: v for k, v in setup.items() if k not in STORED})
    agent = backend.agent()
    claim = agent.claim()
    agent.started(claim)
    with Sidecar.of(tmp_path, backend, claim) as sidecar:
        yield sidecar
    if "output" in case:
        reply = backend.admin.get(f"/v1/jobs/{claim.job}/output")
        assert reply.json == case["output"]
    for value in setup.get("secrets", {}).values():
        assert json.dumps(value).encode() in sidecar.control.redacted
    agent.complete(claim)
    agent.close()


def includes(whole, part):
    """part, where it is an object, may leave out members."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(k in whole and includes(whole[k], v)
                   for k, v in part.items())
    return whole == part and type(whole) is type(part)


# --- plain HTTP


def fill_in(text, saved):
    """$NAME stands for a version of before."""
    for name, version in saved.items():
        text = text.replace(f"${name}", version)
    return text


def take_step(sidecar, document, step, saved):
    request = step["request"]
    body = request.get("raw", "").encode()
    if "body" in request:
        body = json.dumps(request["body"], ensure_ascii=False).encode()
    headers = {k: fill_in(v, saved)
               for k, v in request.get("headers", {}).items()}
    r = sidecar.request(request["method"], request["path"],
                        data=body or None, headers=headers)
    assert r.status_code == step["status"], (step, r.text)
    document.check(request["method"], request["path"], headers, body, r)
    if "code" in step:
        assert r.json()["code"] == step["code"], step
    if "body" in step:
        assert r.json() == step["body"], step
    elif "result" in step and r.status_code == 200:
        assert r.json() == step["result"], step
    if "includes" in step:
        assert includes(r.json(), step["includes"]), r.text
    if "save" in step:
        saved[step["save"]] = r.headers["etag"].strip('"')


@all_cases
def test_http(tmp_path, backend, document, case):
    with job(tmp_path, backend, case) as sidecar:
        saved = {}
        for step in case["steps"]:
            take_step(sidecar, document, step, saved)


def test_every_operation_has_a_vector(document):
    requests = [s["request"] for cases in FILES.values() for case in cases
                for s in case["steps"]]
    made = {document.operation_id(r["method"], r["path"]) for r in requests}
    assert made - {None} == document.operations()


# --- the SDKs


def check_result(step, got):
    if "error" in step:
        assert got.get("error") == step["error"], (step, got)
        if "code" in step:
            assert got["code"] == step["code"], (step, got)
        return
    assert "error" not in got, (step, got)
    if "result" in step:
        assert includes([got["result"]], [step["result"]]), (step, got)
    if "includes" in step:
        assert includes(got["result"], step["includes"]), (step, got)


@all_clients
@all_cases
def test_sdk(tmp_path, node_directory, backend, client, case):
    steps = [s for s in case["steps"] if not s.get("http_only")]
    if not steps:
        return
    with job(tmp_path, backend, case) as sidecar:
        done = sdk_drivers.run(
            node_directory, client, steps,
            sdk_drivers.environment(sidecar.base_url, sidecar.token))
        assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert len(results) == len(steps)
    for step, got in zip(steps, results):
        check_result(step, got)


@all_clients
def test_sdk_without_an_operation_fails(
        tmp_path, node_directory, backend, client):
    """A vector that an SDK does not know never passes by accident."""
    step = {"call": "no_such_operation", "args": []}
    with job(tmp_path, backend, {"setup": {}}) as sidecar:
        done = sdk_drivers.run(
            node_directory, client, [step],
            sdk_drivers.environment(sidecar.base_url, sidecar.token))
    assert done.returncode != 0
    assert "no_such_operation" in done.stderr or "noSuchOperation" in (
        done.stderr)
