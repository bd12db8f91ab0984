"""What a script cannot reach, proved from inside a script."""

import subprocess
import textwrap


from harness import FREE, docker


def inside(run, body, *options):
    """The output of a script whose `check()` returns a JSON value."""
    text = "import cronium, os, socket, glob, errno\n"
    text += textwrap.dedent(body)
    text += "\ncronium.output(check())\n"
    return run(text, *options).ok().json


FIND_SOCKETS = """
def check():
    found = []
    for top, dirs, files in os.walk('/', followlinks=False):
        if top in ('/proc', '/sys'):
            dirs.clear()
            continue
        for name in files:
            path = os.path.join(top, name)
            try:
                if not __import__('stat').S_ISSOCK(os.lstat(path).st_mode):
                    continue
                s = socket.socket(socket.AF_UNIX)
                s.connect(path)
                found.append(path)
            except OSError:
                pass
    return found
"""


def test_no_unix_socket_can_be_connected(run):
    """Neither the backend's, Docker's, the orchestrator's nor a sidecar's."""
    assert inside(run, FIND_SOCKETS) == []


def test_no_abstract_socket_of_the_host(run):
    found = inside(run, """
        def check():
            with open('/proc/net/unix') as f:
                return [l.split()[-1] for l in f if '@' in l]
        """)
    assert found == []


def test_network_is_loopback_only(run):
    found = inside(run, """
        def check():
            names = sorted(n for _, n in socket.if_nameindex())
            reached = []
            for host in ('192.0.2.1', '1.1.1.1', '172.17.0.1', '10.0.0.1'):
                s = socket.socket()
                s.settimeout(2)
                try:
                    s.connect((host, 80))
                    reached.append(host)
                except OSError as e:
                    pass
            return [names, reached]
        """)
    assert found == [["lo"], []]


def test_only_the_sidecar_listens(run):
    found = inside(run, """
        def check():
            ports = set()
            for name in ('tcp', 'tcp6'):
                with open('/proc/net/' + name) as f:
                    for line in list(f)[1:]:
                        fields = line.split()
                        if fields[3] == '0A':
                            ports.add(int(fields[1].split(':')[1], 16))
            return sorted(ports)
        """)
    assert found == [8081]


def test_runner_cannot_be_reached(run):
    found = inside(run, """
        import ctypes, signal
        def check():
            found = {}
            try:
                os.kill(1, signal.SIGKILL); found['kill'] = 'sent'
            except OSError as e:
                found['kill'] = errno.errorcode[e.errno]
            for name in ('environ', 'mem', 'maps', 'fd'):
                try:
                    path = '/proc/1/' + name
                    os.listdir(path) if name == 'fd' else open(path).read(1)
                    found[name] = 'read'
                except OSError as e:
                    found[name] = errno.errorcode[e.errno]
            libc = ctypes.CDLL(None, use_errno=True)
            found['ptrace'] = libc.ptrace(16, 1, 0, 0)
            return found
        """)
    for name in ("environ", "mem", "maps", "fd"):
        assert found[name] in ("EACCES", "EPERM"), found
    assert found["ptrace"] == -1


def test_no_capability_and_no_new_privileges(run):
    found = inside(run, """
        def check():
            with open('/proc/self/status') as f:
                status = dict(l.rstrip().split(':\\t') for l in f if ':\\t' in l)
            return [os.getuid() != 0 or status['CapEff'],
                    int(status['CapEff'], 16), int(status['CapPrm'], 16),
                    status['NoNewPrivs'], status['Seccomp']]
        """)
    assert found[1:] == [0, 0, "1", "2"]


def test_system_is_read_only(run):
    found = inside(run, """
        def check():
            written = []
            for path in ('/usr/x', '/etc/x', '/bin/x', '/opt/x', '/x',
                         '/var/x', '/sys/x', '/proc/sys/kernel/x'):
                try:
                    open(path, 'w').close(); written.append(path)
                except OSError:
                    pass
            open('/work/x', 'w').close(); open('/tmp/x', 'w').close()
            return written
        """)
    assert found == []


def test_other_jobs_and_the_host_cannot_be_seen(server, executor, run, tmp_path):
    other = tmp_path / "other.py"
    other.write_text(
        "import time\nopen('/work/private-4711', 'w').write('x')\n"
        "open('/tmp/private-4711', 'w').write('x')\n"
        "print('up', flush=True)\ntime.sleep(600)"
    )
    process = server.popen("run", *FREE, "--executor", executor, other)
    while b"up" not in process.stderr.readline():
        assert process.poll() is None
    try:
        found = inside(run, """
            def check():
                names = []
                for top, dirs, files in os.walk('/'):
                    if top in ('/proc', '/sys'):
                        dirs.clear()
                    names += [f for f in files if 'private-4711' in f]
                pids = [p for p in os.listdir('/proc') if p.isdigit()]
                return [names, len(pids), os.path.exists('/root/.ssh'),
                        glob.glob('/home/*/*')[:3]]
            """)
        assert found[0] == []
        assert found[1] <= 4
        assert found[2:] == [False, []]
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_own_token_does_not_open_the_backend(server, run):
    """The runtime token is for the sidecar alone: the backend refuses it."""
    token = inside(run, """
        def check():
            t = os.environ['CRONIUM_EXECUTION_TOKEN']
            return [t[:len(t) // 2], t[len(t) // 2:]]
        """)
    result = subprocess.run(
        [
            "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
            "--unix-socket", server.run_dir / "runtime" / "backend.sock",
            "-H", "Authorization: Bearer " + "".join(token),
            "http://c/v1/runtime/variables",
        ],
        capture_output=True, text=True, timeout=30,
    )
    assert result.stdout == "401"


def test_tokens_and_secrets_in_no_command_line_or_inspect(
    server, executor, tmp_path
):
    server.cronium(
        "vars", "set", "HIDDEN", "-", "--secret", stdin="hidden-9f8e7d6c"
    ).ok()
    script = tmp_path / "s.py"
    script.write_text(
        "import cronium, os, time\ncronium.get_variable('HIDDEN')\n"
        "t = os.environ['CRONIUM_EXECUTION_TOKEN']\n"
        "cronium.set_variable('halves', [t[:99], t[99:]])\n"
        "print('up', flush=True)\ntime.sleep(600)"
    )
    process = server.popen("run", *FREE, "--executor", executor, script)
    while b"up" not in process.stderr.readline():
        assert process.poll() is None
    try:
        text = subprocess.run(
            ["ps", "axww", "-o", "args"], capture_output=True, text=True
        ).stdout
        if executor == "docker":
            ids = docker("ps", "-q", "--filter", "label=cronium.pod").split()
            text += docker("inspect", *ids)
        text += server.log.read_text()
        token = "".join(server.cronium("vars", "get", "halves").ok().json)
        assert token not in text
        assert "hidden-9f8e7d6c" not in text
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_egress_only_when_asked(run, executor):
    if executor != "docker":
        return
    names = inside(run, """
        def check():
            return sorted(n for _, n in socket.if_nameindex())
        """, "--egress")
    assert "eth0" in names
