"""The gateway: many executions, one door, real TLS."""

import base64
import concurrent.futures
import contextlib
import json
import os
import random
import socket
import ssl
import subprocess
import threading

import h2.config
import h2.connection
import h2.events
import jwt
import pytest
import requests

import frames
from backend_process import Backend
from gateway_fixture import SEATS, code_of, execution
from gateway_fixture import gateway  # noqa: F401
from gateway_harness import Gateway
from patience import until
from sidecar_harness import TIMEOUT_S, Tokens

pytestmark = pytest.mark.timeout(120)


# --- one execution

def test_a_script_is_served_over_http_1_1(gateway):
    with gateway.seat(input=b'{"a":1}') as seat:
        assert seat.get("/input").json() == {"a": 1}
        assert seat.put("/variables/k", [1]).status_code == 201
        r = seat.get("/variables/k")
        assert (r.json(), r.headers["x-cronium-cache"]) == ([1], "hit")
        assert seat.post("/output", 1).status_code == 204
    assert gateway.backend.store.output == b"1"


def h2_exchange(sock, requests_):
    """[(status, body)] of requests on one HTTP/2 connection, all at once."""
    c = h2.connection.H2Connection(
        h2.config.H2Configuration(header_encoding="utf-8"))
    c.initiate_connection()
    replies = {}
    for path, token in requests_:
        stream = c.get_next_available_stream_id()
        replies[stream] = [None, b"", False]
        c.send_headers(stream, [
            (":method", "GET"), (":path", path), (":scheme", "https"),
            (":authority", "x"), ("authorization", f"Bearer {token}")],
            end_stream=True)
    sock.sendall(c.data_to_send())
    while not all(done for _, _, done in replies.values()):
        for event in c.receive_data(sock.recv(65536)):
            if isinstance(event, h2.events.ResponseReceived):
                replies[event.stream_id][0] = int(
                    dict(event.headers)[":status"])
            elif isinstance(event, h2.events.DataReceived):
                replies[event.stream_id][1] += event.data
            elif isinstance(event, h2.events.StreamEnded):
                replies[event.stream_id][2] = True
        sock.sendall(c.data_to_send())
    return [(status, body) for status, body, _ in replies.values()]


def test_http_2_with_tokens_of_several_executions(gateway):
    with contextlib.ExitStack() as stack:
        seats = [stack.enter_context(gateway.seat(
            execution=execution(n), input=b"%d" % n)) for n in range(20)]
        with gateway.open("h2") as sock:
            assert sock.selected_alpn_protocol() == "h2"
            replies = h2_exchange(sock, [("/input", s.token) for s in seats])
    assert replies == [(200, b"%d" % n) for n in range(20)]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_tls_below_1_2_is_refused(gateway):
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(gateway.authority.file)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", gateway.port)) as sock:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            old.wrap_socket(sock, server_hostname="localhost")
    with gateway.open("http/1.1") as sock:
        assert sock.version() == "TLSv1.3"


def test_without_a_token_there_is_only_health(gateway):
    with gateway.seat() as seat:
        assert seat.get("/healthz", token=None).json() == {"status": "ok"}
        assert seat.get("/readyz", token=None).json()["state"] == "ready"
        for token in None, "":
            assert seat.get("/metrics", token=token).status_code == 404
        for path in "/input", "/variables/k", "/context":
            assert code_of(seat.get(path, token=None)) == (
                401, "token_missing")
        # Where the numbers are, nothing else is.
        inside = f"http://{gateway.ready['metrics'][0]}"
        r = requests.get(f"{inside}/input", headers={
            "Authorization": f"Bearer {seat.token}"}, timeout=TIMEOUT_S)
        assert r.status_code == 404
        assert seat.get("/input").status_code == 200
    assert gateway.metric("connections") >= 1


def test_the_control_socket_is_its_owners(gateway):
    assert gateway.control_path.stat().st_mode & 0o777 == 0o600


def test_another_user_is_no_orchestrator(gateway):
    """Even where the file lets him."""
    if os.getuid():
        return  # nobody can be another then, and the mode above holds
    gateway.control_path.chmod(0o777)
    gateway.directory.chmod(0o755)
    script = ("import socket; s = socket.socket(socket.AF_UNIX); "
              "s.connect('gateway.sock'); assert s.recv(100) == b''")
    subprocess.run(
        ["/usr/bin/python3", "-c", script], cwd=gateway.directory, check=True,
        user=65534, timeout=TIMEOUT_S)
    assert "is refused: the orchestrator's user" in gateway.logged()


# --- many executions

def test_nobody_gets_anything_of_another(gateway):
    """SEATS executions at the same time, with the same names of variables."""
    tokens = Tokens()
    with contextlib.ExitStack() as stack:
        seats = [stack.enter_context(gateway.seat(
            execution=execution(n), tokens=tokens, input=b"%d" % n))
            for n in range(SEATS)]

        def ask(seed):
            order = seats[:]
            random.Random(seed).shuffle(order)
            with requests.Session() as session:
                session.verify = str(gateway.authority.file)
                session.trust_env = False
                for seat in order:
                    headers = {"Authorization": f"Bearer {seat.token}"}
                    for path, member in ("/input", None), (
                            "/context", "execution"):
                        r = session.get(gateway.url + path, headers=headers,
                                        timeout=TIMEOUT_S)
                        got = r.json()[member] if member else r.json()
                        assert got == (seat.execution if member else int(
                            seat.input)), (seat.execution, r.text)
            return len(order)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(ask, range(8))) == 8 * SEATS
        # Its own numbers at the end of each.
        for seat in seats[::50]:
            seat.control.send(frames.DRAIN)
            stats = json.loads(seat.control.expect(frames.DRAINED))
            assert (stats["requests"], stats["errors"]) == (16, 0)


def test_caches_and_secrets_are_apart(gateway):
    gateway.backend.store.set("s", "hidden", secret=True)
    with gateway.seat(execution=execution(1)) as a, \
            gateway.seat(execution=execution(2)) as b:
        assert a.get("/variables/s").json() == "hidden"
        assert a.get("/variables/s").headers["x-cronium-cache"] == "hit"
        assert (a.control.redacted, b.control.redacted) == (
            [b'"hidden"'], [])
        # It is no hit for the other one, and is masked there before.
        b.control.hold_acks = True
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            reply = pool.submit(b.get, "/variables/s")
            b.control.expect(frames.REDACT)
            assert a.get("/input").status_code == 200
            assert not reply.done()
            b.control.release_acks()
            assert reply.result().headers["x-cronium-cache"] == "miss"
        assert b.control.redacted == [b'"hidden"']


def test_unread_replies_are_on_ones_own_account(gateway):
    """A script that reads nothing takes no room from another."""
    large = b'"' + b"x" * (12 << 20) + b'"'
    with gateway.seat(execution=execution(1), input=large) as greedy, \
            gateway.seat(execution=execution(2), input=large) as other, \
            contextlib.ExitStack() as stack:
        statuses = []
        for _ in range(12):
            sock = stack.enter_context(gateway.open("http/1.1"))
            sock.settimeout(TIMEOUT_S)
            sock.sendall((f"GET /input HTTP/1.1\r\nHost: x\r\nAuthorization: "
                          f"Bearer {greedy.token}\r\n\r\n").encode())
            statuses.append(int(sock.recv(12).split()[1]))
        assert statuses[0] == 200 and 503 in statuses
        assert len(other.get("/input").content) == len(large)


def test_the_execution_is_not_told_to_a_stranger(gateway):
    """Whatever is wrong with a token: the reply is the same, whether there is
    such an execution or not."""
    stranger = Tokens()
    with gateway.seat() as seat:
        for make in forged(stranger):
            replies = []
            for sub in seat.execution, execution(99):
                r = seat.get("/input", token=make(sub))
                problem = r.json()
                assert problem["code"] == "token_invalid", r.text
                # Not the job's trace, either.
                assert problem.pop("trace_id") == r.headers.pop(
                    "x-cronium-trace-id")
                del r.headers["date"]
                replies.append((r.status_code, problem, dict(r.headers)))
            assert replies[0] == replies[1]
        assert seat.get("/input").status_code == 200


def unsigned(claims, alg):
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(
        b"=").decode() for part in ({"alg": alg, "typ": "JWT"}, claims)]
    return ".".join(parts) + "."


def forged(stranger):
    """Tokens of an execution, by somebody without its key."""
    return [
        lambda sub: stranger.mint(sub=sub),
        lambda sub: unsigned(stranger.claims(sub=sub), "none"),
        lambda sub: unsigned(stranger.claims(sub=sub), "ES256"),
        lambda sub: jwt.encode(stranger.claims(sub=sub), "0" * 32, "HS256"),
        lambda sub: stranger.mint(sub=sub, exp=1),
        lambda sub: stranger.mint(sub=sub, aud="backend"),
    ]


def test_tokens_are_not_to_be_mixed(gateway):
    """The head of one, the claims of another, the signature of a third."""
    tokens = Tokens()  # the same key, as a backend has it
    with gateway.seat(execution=execution(1), tokens=tokens) as a, \
            gateway.seat(execution=execution(2), tokens=tokens) as b:
        head, claims, _ = a.token.split(".")
        for token in (
                ".".join([head, claims, b.token.split(".")[2]]),
                ".".join([head, b.token.split(".")[1], a.token.split(".")[2]]),
                a.mint(aud="backend"), a.mint(iss="another")):
            assert code_of(a.get("/input", token=token)) == (
                401, "token_invalid")
        assert a.get("/input").status_code == b.get("/input").status_code == (
            200)


def test_a_key_is_good_for_its_own_execution_alone(gateway):
    """Each has keys of a backend of its own, and would be the other one."""
    with gateway.seat(execution=execution(1), input=b"1") as a, \
            gateway.seat(execution=execution(2), input=b"2") as b:
        for seat, other in (a, b), (b, a):
            token = seat.tokens.mint(sub=other.execution)
            assert code_of(seat.get("/input", token=token)) == (
                401, "token_invalid")
        assert (a.get("/input").json(), b.get("/input").json()) == (1, 2)


# --- the end of one

def open_watch(gateway, seat):
    """A watch's connection, once the script's request is under way."""
    sock = gateway.open("http/1.1")
    sock.settimeout(TIMEOUT_S)
    sock.sendall((f"GET /input/stream HTTP/1.1\r\nHost: x\r\nAuthorization: "
                  f"Bearer {seat.token}\r\n\r\n").encode())
    return sock


def assert_refused_soon(seat, code):
    """The very next request may be faster than what we have said."""
    until(lambda: seat.get("/input").status_code != 200, seconds=10)
    assert code_of(seat.get("/input")) == (401, code)


def test_a_revoked_token_is_refused_at_once(gateway):
    with gateway.seat() as seat:
        assert seat.get("/input").status_code == 200
        jti = jwt.decode(seat.token, options={"verify_signature": False})[
            "jti"]
        seat.control.send(frames.REVOKE, {"jti": jti})
        assert_refused_soon(seat, "token_revoked")
        assert seat.get("/input", token=seat.mint()).status_code == 200


def test_the_end_of_the_control_stream_is_the_tokens(gateway):
    with gateway.seat(execution=execution(2)) as other:
        with gateway.seat(execution=execution(1)) as seat:
            assert seat.get("/input").status_code == 200
        assert_refused_soon(seat, "token_revoked")
        # Only to whom has had it; anybody else hears what he always hears.
        assert code_of(seat.get("/input", token=Tokens().mint(
            sub=seat.execution))) == (401, "token_invalid")
        assert other.get("/input").status_code == 200


def test_requests_under_way_end_with_their_execution(tmp_path):
    """Of a real backend: streams that wait, and a watch."""
    backend = Backend(str(tmp_path))
    socket_ = os.path.join(backend.run, "runtime/backend.sock")
    backend.submit()
    claim = backend.agent().claim()
    with Gateway(tmp_path, socket_) as gateway:
        seat = gateway.seat().of(tmp_path, backend, claim, gateway=gateway)
        with seat:
            answers = [seat.get(path, stream=True) for path in (
                "/input/stream", "/variables/k/watch")]
            assert [r.status_code for r in answers] == [200, 200]
            pieces = answers[1].iter_content(None)
            assert b"snapshot" in next(pieces)
            seat.control.close()
            # A watch ends as it should, a stream that has no end breaks off.
            list(pieces)
            with pytest.raises(requests.exceptions.RequestException):
                answers[0].content
            for r in answers:
                r.close()
        assert_refused_soon(seat, "token_revoked")
    assert backend.stop() == 0


def test_draining(gateway):
    with gateway.seat() as seat:
        assert seat.get("/input").status_code == 200
        seat.control.send(frames.DRAIN)
        assert json.loads(seat.control.expect(frames.DRAINED))["requests"] == 1
        assert code_of(seat.get("/input")) == (503, "draining")
        assert code_of(seat.get("/input", token=Tokens().mint())) == (
            401, "token_invalid")
    assert_refused_soon(seat, "token_revoked")


def test_a_write_under_way_is_finished(gateway):
    """Its script's reply, too, although the orchestrator is gone."""
    came, go_on = threading.Event(), threading.Event()

    def hold(request):
        if (request.method, request.path) == ("PUT", "/variables/k"):
            came.set()
            assert go_on.wait(TIMEOUT_S)

    gateway.backend.hook = hold
    with gateway.seat() as seat, \
            concurrent.futures.ThreadPoolExecutor(1) as pool:
        reply = pool.submit(seat.put, "/variables/k", 1)
        assert came.wait(TIMEOUT_S)
        seat.control.close()
        assert_refused_soon(seat, "token_revoked")
        go_on.set()
        assert reply.result().status_code == 201


def test_another_turn_of_the_same_execution(gateway):
    """What was used in the turn before is over."""
    tokens = Tokens()
    with gateway.seat(tokens=tokens) as before:
        assert before.get("/input").status_code == 200
        with gateway.seat(tokens=tokens, input=b"2") as seat:
            assert code_of(before.get("/input")) == (401, "token_revoked")
            assert seat.get("/input").json() == 2
        assert code_of(seat.get("/input")) == (401, "token_revoked")


def test_kill_9(gateway):
    """The orchestrator hears of it; a new one begins with nothing."""
    with gateway.seat() as seat:
        assert seat.get("/input").status_code == 200
        gateway.process.kill()
        seat.control.expect(None)
        gateway.process.wait()
    gateway.start(f"127.0.0.1:{gateway.port}")
    assert code_of(seat.get("/input")) == (401, "token_invalid")
    with gateway.seat() as again:
        assert again.get("/input").status_code == 200


def test_sigterm_ends_it_in_order(gateway):
    with gateway.seat() as seat:
        assert seat.put("/variables/k", 1).status_code == 201
        gateway.process.terminate()
        seat.control.expect(frames.DRAINED)
        seat.control.close()
        assert gateway.process.wait(TIMEOUT_S) == 0
    assert not gateway.control_path.exists()
