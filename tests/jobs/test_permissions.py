"""What a job was not granted it does not get, in whatever language."""

import json

import pytest

RUNTIMES = ("python", "node", "bash", "bun")
NAMES = {"python": "p.py", "node": "n.cjs", "bash": "b.sh", "bun": "u.ts"}
MAY_NOT_RUN = "the script may not run programs: --allow-run lets it"

# Each takes one path, or command, and prints "yes", or why not.
READ = {
    "python": """
import os, sys
try:
    os.listdir(p) if os.path.isdir(p := sys.argv[1]) else open(p).read(1)
    print("yes")
except OSError as e:
    print(e.strerror)
""",
    "node": """
const fs = require("fs"), p = process.argv[2]
try {
  fs.statSync(p).isDirectory() ? fs.readdirSync(p) : fs.readFileSync(p)
  console.log("yes")
} catch (e) {
  console.log(e.code === "EACCES" ? "Permission denied" : e.message)
}
""",
    "bash": """
if [ -d "$1" ]; then
    names=("$1"/*)
    [ -e "${names[0]}" ] && echo yes || echo Permission denied
elif read -rN 1 _ < "$1"; then
    echo yes
fi 2>&1
""",
}
WRITE = {
    "python": """
import sys
try:
    open(sys.argv[1], "w").write("x")
    print("yes")
except OSError as e:
    print(e.strerror)
""",
    "node": """
try {
  require("fs").writeFileSync(process.argv[2], "x")
  console.log("yes")
} catch (e) {
  console.log(e.code === "EACCES" ? "Permission denied" : e.message)
}
""",
    "bash": '{ echo x > "$1" && echo yes; } 2>&1',
}
RUN = {
    "python": """
import subprocess
try:
    print(subprocess.run(["true"]).returncode or "yes")
except OSError as e:
    print(e.strerror)
""",
    "node": """
const r = require("child_process").spawnSync("true")
console.log(r.status === 0 ? "yes" : r.error.code === "EACCES"
  ? "Permission denied" : r.error)
""",
    "bash": "{ env true && echo yes; } 2>&1",
}
for programs in READ, WRITE, RUN:
    programs["bun"] = programs["node"]


@pytest.fixture
def attempt(run):
    """What the program of a runtime says, in a job with these permissions."""

    def attempt(programs, runtime, *granted, args=()):
        return run(programs[runtime], *(("--", *args) if args else ()),
                   name=NAMES[runtime], granted=granted).err

    return attempt


def yes(text):
    return "\nyes\n" in f"\n{text}"


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_read(attempt, runtime):
    def read(path, *granted):
        return attempt(READ, runtime, *granted, args=[path])

    for path in "/usr/bin", "/proc/self/status", "/work", "/etc/passwd":
        assert yes(read(path)), path
    for path in "/tmp", "/var", "/dev/shm":
        refused = read(path)
        assert "Permission denied" in refused and not yes(refused), path
    assert yes(read("/var", "--allow-read=/var"))
    assert yes(read("/var", "--allow-read"))
    assert not yes(read("/var", "--allow-read=/tmp"))
    assert not yes(read("/var", "--allow-write", "--allow-run"))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_write(attempt, runtime):
    def write(path, *granted):
        return attempt(WRITE, runtime, *granted, args=[path])

    for path in "x", "/work/" + NAMES[runtime], "/tmp/x", "/dev/shm/x":
        refused = write(path)
        assert "Permission denied" in refused and not yes(refused), path
    assert yes(write("/dev/null"))
    assert yes(write("x", "--allow-write=/work"))
    assert yes(write("/tmp/x", "--allow-write=/work,/tmp"))
    assert yes(write("/dev/shm/x", "--allow-write"))
    assert not yes(write("/tmp/x", "--allow-write=/work"))
    assert not yes(write("/tmp/x", "--allow-read", "--allow-run"))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_run(attempt, runtime):
    refused = attempt(RUN, runtime)
    assert "Permission denied" in refused and not yes(refused)
    assert refused.count(MAY_NOT_RUN) == 1
    assert MAY_NOT_RUN in attempt(RUN, runtime, "--allow-read",
                                  "--allow-write", "--allow-env")
    granted = attempt(RUN, runtime, "--allow-run")
    assert yes(granted) and MAY_NOT_RUN not in granted


def test_the_notice_comes_once(run):
    result = run("import os\nfor _ in range(20): os.system('true')\n",
                 granted=()).ok()
    assert result.err.count(MAY_NOT_RUN) == 1


def test_bash_runs_what_its_sdk_needs(run):
    result = run("""
source cronium.sh
jq -n '{a: 1}' | cronium_output -
cronium_set_variable permitted 5
echo "got $(cronium_get_variable permitted)"
cat <<< here-string
read -r line <<EOF
here-document
EOF
echo "$line"
while read -r line; do echo "$line"; done < <(echo substituted)
(exec curl --version) | { read -r word _; echo "$word"; }
""", name="b.sh", granted=())
    assert json.loads(result.out) == {"a": 1}
    for words in ("got 5", "here-document", "substituted", "curl",
                  "cat: Permission denied"):
        assert words in result.err


LOADERS = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1")


def test_bash_has_no_way_round(run):
    ways = " ".join([
        "/bin/ls", "../usr/bin/ls", "'exec ls'", "'bash -c ls'",
        "'$BASH -c ls'", "/proc/self/exe", "./b.sh",
        *(f"'{loader} /bin/ls'" for loader in LOADERS),
        "'curl -o x file:///bin/ls && ./x'", "'command ls'",
        "'PATH=/bin:$PATH; hash -r; ls'", "'enable -f /bin/ls ls'",
        "'cd /usr/bin; ./curl --version'",
    ])
    result = run(f"for way in {ways}; do (eval \"$way\") >&3; done 3>&1 |\n"
                 "while read -r line; do echo \"out: $line\"; done",
                 name="b.sh", granted=())
    assert "out: " not in result.err
    assert MAY_NOT_RUN in result.err


def test_bash_starts_no_program_of_its_own_by_the_name_of_one_it_may(
        server, executor, tmp_path):
    """The job's PATH says what the script finds, not what it may start."""
    files = tmp_path / "files"
    files.mkdir()
    for name in "curl", "jq":
        (files / name).write_text("#!/bin/bash\necho its own program ran\n")
        (files / name).chmod(0o755)
    (files / "main.sh").write_text(
        "{ command -v curl; curl; jq; /usr/bin/jq -n 40+2; } 2>&1\n")
    (files / "manifest.yaml").write_text(
        "version: v1\ninterpreter: bash\nentrypoint: main.sh\n"
        "environment:\n  PATH: /work:/usr/bin:/bin\n")
    archive = tmp_path / "own.tar.gz"
    server.cronium("pack", files, "-o", archive).ok()
    result = server.cronium("run", "--executor", executor, archive).ok()
    assert "/work/curl\n" in result.err and "42\n" in result.err
    assert "its own program ran" not in result.err
    assert MAY_NOT_RUN in result.err


C_WAYS = """
import ctypes, errno, os, platform, sys
libc = ctypes.CDLL(None, use_errno=True)
arm = platform.machine() == "aarch64"
NR = dict(execve=221 if arm else 59, execveat=281 if arm else 322,
          open_by_handle_at=265 if arm else 304, ptrace=117 if arm else 101,
          mount=40 if arm else 165, chroot=51 if arm else 161,
          unshare=97 if arm else 272, io_uring_setup=425,
          memfd_create=279 if arm else 319, bpf=280 if arm else 321,
          pivot_root=41 if arm else 155, truncate=45 if arm else 76,
          fchmodat=53 if arm else 268, setxattr=5 if arm else 188,
          linkat=37 if arm else 265, renameat=38 if arm else 264,
          open_tree=428, move_mount=429, fsopen=430)

def call(name, *args):
    ctypes.set_errno(0)
    r = libc.syscall(ctypes.c_long(NR[name]), *args)
    return r, ctypes.get_errno()

def argv(*words):
    return (ctypes.c_char_p * (len(words) + 1))(*words, None)

def refused(what, r, e):
    print(what, "refused" if r == -1 else "DONE", errno.errorcode.get(e, e))

def attempt(what, f):
    try:
        f()
        print(what, "DONE")
    except OSError as e:
        print(what, "refused", errno.errorcode[e.errno])
"""


def c_ways(run, text, *granted):
    """Attempts that were not refused."""
    result = run(C_WAYS + text, granted=granted)
    lines = [line for line in result.err.splitlines()
             if " refused " in line or " DONE" in line]
    assert lines, result.err
    return [line for line in lines if " DONE" in line], result


def test_programs_cannot_be_started_past_the_c_library(run):
    done, result = c_ways(run, """
import threading
ls = argv(b"/bin/ls")
def ways(where):
    refused(where + "execve", *call("execve", b"/bin/ls", ls, None))
    refused(where + "execveat", *call("execveat", -100, b"/bin/ls", ls, None, 0))
    fd = os.open("/bin/ls", os.O_RDONLY)
    refused(where + "fexecve", *call("execveat", fd, b"", ls, None, 0x1000))
    memory = os.memfd_create("x", 0)
    os.write(memory, open("/bin/ls", "rb").read())
    refused(where + "memfd", *call("execveat", memory, b"", ls, None, 0x1000))
    path = f"/proc/self/fd/{memory}".encode()
    refused(where + "memfd by path", *call("execve", path, ls, None))
ways("")
thread = threading.Thread(target=ways, args=("thread ",))
thread.start()
thread.join()
if os.fork() == 0:
    ways("child ")
    os._exit(0)
os.wait()
attempt("posix_spawn", lambda: os.posix_spawn("/bin/ls", ["ls"], {}))
attempt("script itself", lambda: os.execv("/work/script.py", ["x"]))
refused("io_uring", *call("io_uring_setup", 8, ctypes.create_string_buffer(256)))
""")
    assert done == []
    assert result.err.count(MAY_NOT_RUN) == 1


def test_other_system_call_tables_have_no_programs_either(run):
    done, _ = c_ways(run, """
x32 = 0x40000000 # of x86-64; elsewhere these are no calls at all
ls = argv(b"/bin/ls")
for nr in 59, 322, 520, 545:
    pid = os.fork()
    if pid == 0:
        r = libc.syscall(ctypes.c_long(x32 | nr), b"/bin/ls", ls, None, 0, 0)
        os._exit(9 if r == -1 else 0)
    status = os.wait()[1]
    ok = os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 9
    refused(f"x32 {nr}", -1 if ok else 0, status)
""")
    assert done == []


def test_files_cannot_be_read_another_way(run):
    done, _ = c_ways(run, """
import socket
for path in ("/proc/self/root/var", "/proc/1/root/var", "/proc/1/cwd",
             "/proc/thread-self/root/var", "/proc/self/cwd/../var",
             "/work/../var", "/dev/fd/../../../var", "/proc/1/environ",
             "/proc/1/mem", "/proc/1/fd", "/proc/1/maps", "/dev/mqueue",
             "/dev/pts", "/run", "/home", "/root", "/tmp", "/etc", "/"):
    attempt(path, lambda: os.listdir(path) if os.path.isdir(path)
            else open(path, "rb").read(1))
root = os.open("/", os.O_PATH)
attempt("openat", lambda: os.open("var", os.O_RDONLY, dir_fd=root))
attempt("path descriptor", lambda: os.open(f"/proc/self/fd/{root}/var", 0))
os.chdir("/var")
attempt("current directory", lambda: os.listdir("."))
handle = ctypes.create_string_buffer(b"\\x80" + bytes(139))
refused("open_by_handle_at", *call("open_by_handle_at", root, handle, 0))
refused("chroot", *call("chroot", b"/var"))
refused("mount", *call("mount", b"/var", b"/work", None, 4096, None))
refused("open_tree", *call("open_tree", -100, b"/var", 1))
refused("fsopen", *call("fsopen", b"tmpfs", 0))
refused("ptrace", *call("ptrace", 16, 1, None, None))
attempt("signal to the runner", lambda: os.kill(1, 15))
""")
    assert done == []


def test_namespaces_do_not_help(run):
    """Where they can be made at all: Docker forbids it, the sandbox, too."""
    done, _ = c_ways(run, """
refused("unshare", *call("unshare", 0x10000000 | 0x20000))
refused("mount", *call("mount", b"none", b"/tmp", b"tmpfs", 0, None))
refused("bind", *call("mount", b"/var", b"/tmp", None, 4096, None))
refused("chroot", *call("chroot", b"/var"))
attempt("listing", lambda: os.listdir("/var"))
attempt("writing", lambda: open("/tmp/x", "w"))
""", "--allow-run")
    assert [line for line in done if "unshare" not in line] == []


def test_nothing_is_changed_another_way(run):
    done, _ = c_ways(run, """
import socket
me = b"/work/script.py"
refused("truncate", *call("truncate", me, 0))
attempt("O_TRUNC", lambda: os.open(me, os.O_RDONLY | os.O_TRUNC))
attempt("chmod", lambda: os.chmod(me, 0o777))
attempt("utime", lambda: os.utime(me))
attempt("chown", lambda: os.chown(me, os.getuid(), os.getgid()))
refused("setxattr", *call("setxattr", me, b"user.x", b"1", 1, 0))
attempt("unlink", lambda: os.unlink(me))
attempt("rename", lambda: os.rename(me, "/work/y"))
attempt("rename across", lambda: os.rename(me, "/tmp/y"))
attempt("link", lambda: os.link(me, "/work/y"))
attempt("symlink", lambda: os.symlink(me, "/work/y"))
attempt("mkdir", lambda: os.mkdir("/tmp/d"))
attempt("fifo", lambda: os.mkfifo("/tmp/f"))
attempt("socket", lambda: socket.socket(socket.AF_UNIX).bind("/tmp/s"))
attempt("tmpfile", lambda: os.open("/tmp", os.O_TMPFILE | os.O_RDWR))
attempt("shm", lambda: open("/dev/shm/x", "w"))
for path in ("/proc/self/oom_score_adj", "/proc/self/comm",
             "/proc/self/mem", "/proc/1/oom_score_adj"):
    attempt(path, lambda: open(path, "w").write("0"))
""")
    assert done == []


def test_lists_hold_at_their_edges(run):
    done, result = c_ways(run, """
os.mkdir("/tmp/in")
os.symlink("/var", "/tmp/in/var")
os.symlink("/work/new", "/tmp/in/new")
attempt("reading through a link", lambda: os.listdir("/tmp/in/var"))
attempt("writing through a link", lambda: open("/tmp/in/new", "w"))
attempt("linking out", lambda: os.link("/tmp/in/x", "/work/x"))
open("/tmp/in/f", "w").write("1")
attempt("moving out", lambda: os.rename("/tmp/in/f", "/work/f"))
attempt("linking in", lambda: os.link("/work/script.py", "/tmp/in/s"))
attempt("moving in", lambda: os.rename("/work/script.py", "/tmp/in/s"))
attempt("a name that begins alike", lambda: open("/tmpx", "w"))
os.rename("/tmp/in/f", "/tmp/g")
os.chmod("/tmp/g", 0o600)
assert open("/tmp/g").read() == "1"
print("within: fine")
""", "--allow-write=/tmp", "--allow-read=/tmp")
    assert done == []
    assert "within: fine" in result.err


def test_writing_is_not_reading(run):
    result = run("open('/tmp/x', 'w').write('1')\nopen('/tmp/x')",
                 granted=["--allow-write=/tmp"])
    assert result.code == 1 and "PermissionError" in result.err


def test_renaming_across_directories_when_all_may_be_written(run):
    run("import os\nos.rename('script.py', '/work/y')\n"
        "os.mkdir('d')\nos.rename('y', 'd/z')\nos.chmod('d/z', 0o600)\n",
        granted=["--allow-write"]).ok()


def test_a_listed_path_that_is_not_there_is_told(run):
    result = run("print('went on')",
                 granted=["--allow-read=/nowhere", "--allow-write=/tmp/no"])
    assert "went on" in result.ok().err
    assert "--allow-read=/nowhere: there is no /nowhere" in result.err
    assert "--allow-write=/tmp/no: there is no /tmp/no" in result.err


def test_env(run, executor):
    text = "import json, os\nprint(json.dumps(dict(os.environ)))"

    def environment(*granted):
        err = run(text, "--env", "MINE=1", granted=granted).ok().err
        return json.loads(next(line for line in err.splitlines()
                               if line.startswith("{")))

    names = set(environment())
    own = {"PATH", "LANG", "HOME", "PWD", "TZ", "MINE", "PYTHONPATH",
           "TRACEPARENT"}
    assert {n for n in names - own if not n.startswith("CRONIUM_")} == set()
    assert set(environment("--allow-env=HOSTNAME")) - names <= {"HOSTNAME"}
    if executor == "docker":
        assert "HOSTNAME" in environment("--allow-env=HOSTNAME")
        assert "HOSTNAME" in environment("--allow-env")
        assert "HOSTNAME" not in environment("--allow-env=OTHER")


def test_with_everything_granted_nothing_is_confined(run):
    result = run("""
import os, subprocess
open("/tmp/x", "w")
os.chmod("/tmp/x", 0o600)
os.listdir("/var")
subprocess.run(["true"], check=True)
print([l for l in open("/proc/self/status") if l.startswith("Seccomp_f")])
""", granted=["--allow-all"]).ok()
    assert MAY_NOT_RUN not in result.err


def test_processes_without_programs(run):
    """fork is not exec."""
    result = run("""
import multiprocessing, threading
def work(q): q.send(6 * 7)
ours, theirs = multiprocessing.Pipe()
p = multiprocessing.get_context("fork").Process(target=work, args=(theirs,))
p.start()
print("answer", ours.recv())
p.join()
""", granted=()).ok()
    assert "answer 42" in result.err


def test_too_much_of_stderr_is_dropped(run):
    result = run("import sys\nfor _ in range(3000):\n"
                 "    sys.stderr.write('e' * 999 + '\\n')\nprint('after')",
                 granted=()).ok()
    assert "after" in result.err
    assert result.err.count("e" * 999) in (1048, 1049)
    assert "stderr is over 1 MiB: the rest is dropped" in result.err
    assert f"{3000 * 1000 - 1024 * 1024} bytes of stderr" in result.err
