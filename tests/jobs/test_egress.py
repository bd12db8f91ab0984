"""What a script reaches with --allow-net, and that it reaches nothing else."""

import json
import textwrap

import pytest

from egress_world import LARGE_BYTES, World
from harness import descendants
from patience import until

HELPERS = """
import cronium, errno, http.client, json, os, socket, ssl, threading, time
import urllib.error, urllib.request

def get(url, cafile=None):
    context = ssl.create_default_context(cadata=CA) if url[4] == 's' else None
    try:
        with urllib.request.urlopen(url, timeout=60, context=context) as r:
            return [r.status, r.read().decode()]
    except urllib.error.HTTPError as e:
        return [e.code, json.loads(e.read())['code']]
    except urllib.error.URLError as e:
        return [0, str(e.reason)]

def raw(text, more=b'', wait=True):
    s = socket.create_connection(('localhost', 8082))
    s.settimeout(60)
    s.sendall(text.encode() + more)
    reply = b''
    while wait and (part := s.recv(65536)):
        reply += part
    return int(reply.split()[1]) if reply else 0

def connect(target):
    return raw(f'CONNECT {target} HTTP/1.1\\r\\nHost: {target}\\r\\n\\r\\n')
"""


@pytest.fixture(scope="module")
def world(executor, tmp_path_factory):
    world = World(tmp_path_factory.mktemp("egress-" + executor), executor)
    yield world
    assert world.server.stop() == 0, world.server.log.read_text()


def last_log(world):
    job = json.loads(world.server.get("/v1/jobs?limit=1")[1])["jobs"][0]["id"]
    return world.server.cronium("logs", job).ok().err


def said(result):
    """The lines that the script wrote, without notices."""
    return [line for line in result.err.splitlines()
            if line and not line.startswith("cronium: ")]


@pytest.fixture
def python(world, executor, tmp_path):
    """Runs a function body; what it returns."""

    def run(body, *options):
        names = {"CA": world.ca, "GOOD": world.good, "BAD": world.bad,
                 "OTHER": world.other, "PORT": world.port,
                 "TLS_PORT": world.tls_port,
                 "SILENT": world.silent.port}
        script = tmp_path / "script.py"
        script.write_text(
            HELPERS + "".join(f"{k} = {v!r}\n" for k, v in names.items())
            + "def main():\n" + textwrap.indent(textwrap.dedent(body), "    ")
            + "\ncronium.output(main())\n")
        return world.server.cronium(
            "run", "--executor", executor, *options, script).ok().json

    return run


def test_names_and_addresses_that_are_allowed(python, world):
    found = python("""
        return [get(f'http://good.test:{PORT}/a?b=c'),
                get(f'https://good.test:{TLS_PORT}/d'),
                get(f'http://{GOOD}:{PORT}/e'),
                get(f'http://GOOD.test.:{PORT}/f'),
                get(f'http://a.wild.test:{PORT}/g')]
        """, world.allow("good.test", world.good, "*.wild.test"))
    assert found == [[200, f"good /{p}"] for p in
                     ("a?b=c", "d", "e", "f", "g")]
    assert world.http.seen[-1]["host"] == f"a.wild.test:{world.port}"


def test_everything_else_is_refused(python, world):
    seen = world.closed.accepted
    found = python("""
        urls = [f'http://other.test:{PORT}/', f'http://good.test/',
                f'http://good.test:7/',
                f'https://good.test:1/', f'http://{GOOD}:{PORT}/',
                f'http://x.good.test:{PORT}/', f'http://wild.test:{PORT}/']
        return [get(url) for url in urls + urls[:1]]
        """, world.allow("good.test", "*.wild.test"))
    assert found[3][1].startswith("Tunnel connection failed: 403")
    del found[3]
    assert found == [[403, "net_forbidden"]] * 7
    log = last_log(world)
    assert log.count("connect to other.test,") == 1, log
    assert "--allow-net=good.test:7" in log, log
    assert world.closed.accepted == seen


def test_addresses_that_are_not_public(python, world):
    """Whatever the rules say: they are the job's, the addresses are not."""
    seen = world.closed.accepted
    found = python("""
        urls = [f'http://inside.test:{PORT}/', f'http://{BAD}:{PORT}/',
                f'http://mixed.test:{PORT}/', f'http://meta.test/',
                'http://169.254.169.254/', 'http://10.0.0.1/',
                'http://192.168.1.1/', 'http://172.17.0.1/',
                'http://[fd00::1]/', 'http://[::ffff:127.0.0.1]/',
                'http://[::ffff:a9fe:a9fe]/', 'http://[64:ff9b::7f00:1]/',
                'http://0.0.0.0/']
        return [get(url) for url in urls]
        """, "--allow-net")
    assert found == [[403, "net_private"]] * 13
    assert world.closed.accepted == seen


def test_tunnels_lead_nowhere_else(python, world):
    found = python("""
        targets = [f'127.0.0.1:{PORT}', '169.254.169.254:80', '[::1]:22',
                   'localhost:8642', 'local.test:8642', '127.0.0.1:8081']
        bad = ['127.1:80', '2130706433:80', '0x7f.1:80', '0177.0.0.1:80',
               'good.test:0', 'good.test', 'a@good.test:80', '%6c:80']
        return [[connect(t) for t in targets], [connect(t) for t in bad]]
        """, "--allow-net")
    assert found == [[403] * 6, [400] * 8]


def test_a_redirect_is_judged_like_a_request(python, world):
    found = python("""
        return [get(f'http://good.test:{PORT}/to?http://{to}:{PORT}/x')
                for to in ('good.test', BAD, 'other.test')]
        """, world.allow("good.test", world.bad))
    assert found == [[200, "good /x"], [403, "net_private"],
                     [403, "net_forbidden"]]


def test_the_address_that_was_checked_is_connected_to(python, world):
    """The first answer of the DNS server is fine, the second one is not."""
    seen = world.closed.accepted
    found = python("""
        url = f'http://rebind.test:{PORT}/'
        return [get(url), get(url)]
        """, world.allow("rebind.test"))
    assert found == [[200, "good /"], [403, "net_private"]]
    assert world.dns.asked.count("rebind.test") == 2
    assert world.closed.accepted == seen
    world.dns.asked.clear()


def test_no_other_way_out(python, world):
    found = python("""
        def attempt(family, kind, *address):
            with socket.socket(family, kind) as s:
                s.settimeout(2)
                s.connect(address)
                s.send(b'x')
                return s.recv(1)
        def fails(*args):
            try:
                attempt(*args)
            except OSError:
                return True
        inet, inet6 = socket.AF_INET, socket.AF_INET6
        stream, dgram = socket.SOCK_STREAM, socket.SOCK_DGRAM
        tries = [fails(inet, stream, GOOD, PORT),
                 fails(inet, dgram, GOOD, 53), fails(inet, stream, '1.1.1.1', 80),
                 fails(inet, dgram, '1.1.1.1', 53),
                 fails(inet6, stream, '2606:4700::1111', 80),
                 fails(inet, socket.SOCK_RAW, '1.1.1.1', 0),
                 fails(socket.AF_PACKET, socket.SOCK_RAW, 'lo', 0)]
        return [tries, [n for _, n in socket.if_nameindex()]]
        """, world.allow("good.test"))
    assert found == [[True] * 7, ["lo"]]


def test_without_permission_there_is_no_proxy(python):
    found = python("""
        names = [n for n in os.environ if n.lower().endswith('_proxy')]
        try:
            socket.create_connection(('localhost', 8082), 5)
        except OSError as e:
            return [names, e.errno == errno.ECONNREFUSED
                    or e.errno == errno.EADDRNOTAVAIL]
        """)
    assert found == [[], True]


def test_bodies(python, world):
    """By length, in chunks, large both ways; nothing is smuggled."""
    found = python("""
        def post(body, length=None):
            c = http.client.HTTPConnection('localhost', 8082, timeout=300)
            c.request('POST', f'http://good.test:{PORT}/', body=body,
                      headers=length or {}, encode_chunked=not length)
            return int(c.getresponse().read())
        def pieces(n):
            for _ in range(n):
                yield b'x' * 65536
        c = http.client.HTTPConnection('localhost', 8082, timeout=300)
        c.request('GET', f'http://good.test:{PORT}/large')
        r, got = c.getresponse(), 0
        while part := r.read(1 << 20):
            got += len(part)
        large = 1600
        return [post(b'abc', {'Content-Length': '3'}), post(pieces(3)),
                post(pieces(large), {'Content-Length': str(large * 65536)}),
                post(pieces(large)), got]
        """, world.allow("good.test"))
    assert found == [3, 3 * 65536, LARGE_BYTES, LARGE_BYTES, LARGE_BYTES]


def test_tunnels_are_two_way_and_half_closed(python, world):
    found = python("""
        s = socket.create_connection(('localhost', 8082))
        s.settimeout(60)
        target = f'good.test:{PORT}'
        s.sendall(f'CONNECT {target} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'
                  f'GET /early HTTP/1.0\\r\\n\\r\\n'.encode())
        s.shutdown(socket.SHUT_WR)
        reply = b''
        while part := s.recv(65536):
            reply += part
        return reply.decode()
        """, world.allow("good.test"))
    assert found.startswith("HTTP/1.1 200 Connection Established\r\n\r\nHTTP/")
    assert found.endswith("good /early")


def test_many_connections(python, world):
    """More than there may be at a time: they take turns."""
    found = python("""
        done = []
        def one(i):
            for k in range(4):
                done.append(get(f'http://good.test:{PORT}/{i}')[0])
        threads = [threading.Thread(target=one, args=(i,)) for i in range(64)]
        for t in threads: t.start()
        for t in threads: t.join()
        return [len(done), sorted(set(done))]
        """, world.allow("good.test"))
    assert found == [256, [200]]


def test_a_job_ends_with_its_tunnels_open(python, world):
    """The other side never says a word; its connections are closed."""
    before = len(world.silent.connections)
    found = python("""
        global kept
        kept = []
        for _ in range(40):
            s = socket.create_connection(('localhost', 8082))
            s.sendall(f'CONNECT good.test:{SILENT} HTTP/1.1\\r\\nHost: x'
                      '\\r\\n\\r\\n'.encode())
            assert b' 200 ' in s.recv(1000)
            s.sendall(b'hello')
            kept.append(s)
        return len(kept)
        """, world.allow("good.test"))
    assert found == 40
    until(lambda: len(world.silent.connections) == before + 40)
    world.silent.wait_closed()


def sidecar_descriptors(world):
    """Of the sandboxes' sidecars, which are children of the orchestrator."""
    return [pid for pid, name in descendants(world.server.process.pid)
            if name == "cronium-sidecar"]


def test_no_sidecar_stays(world):
    until(lambda: not sidecar_descriptors(world))


CURL = """
set -u
printf %s "$CA" > /tmp/ca.pem
for url in "http://good.test:$PORT/a" "https://good.test:$TLS_PORT/b" \\
    "http://other.test:$PORT/" "https://good.test:1/"; do
    curl -sS --cacert /tmp/ca.pem -m 60 -o /tmp/out -w '%{http_code} ' "$url" \\
        2>/dev/null
    cat /tmp/out; echo; : > /tmp/out
done
"""


def test_curl(world, executor, tmp_path):
    script = tmp_path / "curl.sh"
    script.write_text(CURL)
    result = world.server.cronium(
        "run", "--executor", executor, world.allow("good.test"),
        "--allow-run", "--allow-write", "--allow-read",
        "--env", f"PORT={world.port}", "--env", f"TLS_PORT={world.tls_port}",
        "--env", f"CA={world.ca}", script)
    lines = said(result)
    assert lines[0] == "200 good /a", result.out + result.err
    assert lines[1] == "200 good /b"
    assert lines[2].startswith("403 ") and "net_forbidden" in lines[2]
    assert lines[3].startswith("000")


FETCH = """
const results = [];
for (const url of JSON.parse(process.argv[2])) {
    try {
        const r = await fetch(url, { tls: { ca: process.env.CA } });
        results.push([r.status, await r.text()]);
    } catch (e) { results.push([0, String(e)]); }
}
console.log(JSON.stringify(results));
"""


def test_bun_fetch(world, executor, tmp_path):
    script = tmp_path / "fetch.js"
    script.write_text(FETCH)
    urls = [f"http://good.test:{world.port}/a",
            f"https://good.test:{world.tls_port}/b",
            f"http://other.test:{world.port}/", "https://other.test/"]
    result = world.server.cronium(
        "run", "--executor", executor, "--runtime", "bun",
        world.allow("good.test"), "--env", f"CA={world.ca}", script,
        json.dumps(urls)).ok()
    found = json.loads(said(result)[0])
    assert found[:2] == [[200, "good /a"], [200, "good /b"]], found
    assert found[2][0] == 403 and found[3][0] in (0, 403), found


NODE = """
const http = require("http"), tls = require("tls");
const [port, tlsPort] = process.argv.slice(2);
function plain(url) {
    return new Promise((done) => http.get({ host: "localhost", port: 8082,
        path: url }, (r) => {
            let s = ""; r.on("data", (d) => s += d);
            r.on("end", () => done([r.statusCode, s]));
        }));
}
function tunnel(target) {
    return new Promise((done) => http.request({ host: "localhost", port: 8082,
        method: "CONNECT", path: target }).on("connect", (r, socket) => {
            if (r.statusCode !== 200) return done([r.statusCode, ""]);
            const s = tls.connect({ socket, servername: "good.test",
                ca: process.env.CA }, () => s.end(
                    "GET /b HTTP/1.0\\r\\n\\r\\n"));
            let text = ""; s.on("data", (d) => text += d);
            s.on("end", () => done([200, text.split("\\r\\n\\r\\n")[1]]));
        }).end());
}
(async () => console.log(JSON.stringify([
    await plain(`http://good.test:${port}/a`),
    await tunnel(`good.test:${tlsPort}`),
    (await plain(`http://other.test:${port}/`))[0],
    await tunnel("other.test:443")])))();
"""


def test_node(world, executor, tmp_path):
    """By its own agents: fetch knows proxies from Node 22.21 on only."""
    script = tmp_path / "proxy.cjs"
    script.write_text(NODE)
    result = world.server.cronium(
        "run", "--executor", executor, "--runtime", "node",
        world.allow("good.test"), "--env", f"CA={world.ca}", script,
        world.port, world.tls_port).ok()
    assert json.loads(said(result)[0]) == [
        [200, "good /a"], [200, "good /b"], 403, [403, ""]]
