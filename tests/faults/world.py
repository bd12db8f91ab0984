"""A backend and an orchestrator that are killed and come back, the way a
supervisor would bring them back, with fail points armed at each start."""

import collections
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
sys.path.insert(0, str(ROOT / "tests" / "jobs"))

from backend_process import Peer, UnixConnection  # noqa: E402
from patience import until  # noqa: E402
from relay import Relay  # noqa: E402
from two_hosts import Engine, Namespace  # noqa: E402

BIN = pathlib.Path(os.environ.get("CRONIUM_BIN_DIR", ROOT / "build" / "bin"))
CGROUPS = pathlib.Path("/sys/fs/cgroup")
START_S = 30
STOP_S = 60
# Which program reaches a fail point, by the first word of its name.
OWNERS = {"backend": ("backend", "store", "keys"),
          "orchestrator": ("orchestrator", "wal", "pod", "log")}


def usage(pid):
    """(open files, resident KiB) of a process."""
    proc = pathlib.Path(f"/proc/{pid}")
    rss = re.search(r"VmRSS:\s+(\d+)", (proc / "status").read_text())
    return len(list((proc / "fd").iterdir())), int(rss[1])


def fail_points(program):
    """Every fail point that the sources of a program name."""
    names = set()
    for source in ROOT.glob("*/*.c"):
        names |= set(re.findall(r'FAIL_POINT(?:_ERROR)?\(\s*"([a-z_.]+)"',
                                source.read_text()))
    return sorted(n for n in names if n.split(".")[0] in OWNERS[program])


def built_with_fail_points():
    return b"CRONIUM_FAIL_POINTS" in (BIN / "cronium-backend").read_bytes()


class Program:
    """One program: started again whenever it has died."""

    def __init__(self, name, argv, log, env=None):
        self.name, self.argv, self.log = name, argv, log
        self.env = env or {}
        self.process = None
        self.armed = None  # the fail point of this start
        self.excuse = None  # the last words of an end that is none of its
        self.deaths = collections.Counter()  # by what they died of

    def start(self, point=None):
        env = {**os.environ, **self.env, "CRONIUM_GUARD": "off"}
        env.pop("CRONIUM_FAIL_POINTS", None)
        if point:
            env["CRONIUM_FAIL_POINTS"] = point
        self.armed = point
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=env, start_new_session=True)

    def dead(self):
        return self.process.poll() is not None

    def note_death(self, cause=None):
        code = self.process.wait(STOP_S)
        if code == 1 and self.excuse and \
                self.excuse in self.tail().splitlines()[-1]:
            self.deaths[self.excuse] += 1
            return
        assert code == -signal.SIGKILL, (
            f"{self.name} ended by itself ({code}):\n{self.tail()}")
        self.deaths[cause or f"at {self.armed.split('=')[0]}"] += 1

    def kill(self):
        """SIGKILL, unless it died at its fail point first."""
        if not self.dead():
            self.process.kill()
            self.note_death("killed")
        else:
            self.note_death()

    def tail(self):
        return self.log.read_text(errors="replace")[-4000:]

    def stop(self):
        if not self.dead():
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S)


class World:
    """Directories, the two programs, and ways to look at what is left."""

    def __init__(self, base, executors="sandbox", slots=8,
                 backend_options=(), orchestrator_options=(), hostile=False):
        self.base = pathlib.Path(base)
        self.data, self.run = self.base / "data", self.base / "run"
        for directory in (self.data, self.run):
            directory.mkdir(parents=True, mode=0o700)
        # Of the data alone: pods are made elsewhere.
        self.disk = Disk(self.data) if hostile else None
        common = ["--data-dir", self.data, "--run-dir", self.run]
        self.pods = self.run / "pods"
        self.backend = Program(
            "backend",
            [BIN / "cronium-backend", *common, "--listen", "none",
             "--rate-forward", "0", *backend_options],
            self.base / "backend.log")
        self.orchestrator = Program(
            "orchestrator",
            [BIN / "cronium-orchestrator", *common, "--executors", executors,
             "--slots", str(slots), *orchestrator_options],
            self.base / "orchestrator.log")
        self.admin = Peer(
            lambda: UnixConnection(str(self.run / "api.sock")))
        self.clock = None
        if hostile:
            self.clock = Clock(self.base)
            for program in self.programs:
                program.env = self.clock.env()

    @property
    def programs(self):
        return self.backend, self.orchestrator

    def start(self):
        for program in self.programs:
            program.start()
        self.wait_ready()

    def agents(self):
        try:
            reply = self.admin.get("/v1/agents")
        except OSError:
            return []
        if reply.status != 200:
            return []
        return [a for a in reply.json["agents"] if a["connected"]]

    def wait_ready(self):
        def ready():
            for program in self.programs:
                assert not program.dead(), program.tail()
            return self.agents()

        until(ready, lambda: [p.tail() for p in self.programs], START_S)

    def instance(self):
        argv = self.orchestrator.argv
        data = pathlib.Path(argv[argv.index("--data-dir") + 1])
        return (data / "orchestrator.lock").read_text().strip()

    def cgroups(self):
        """The directories of this instance's pods, in every hierarchy. They
        come and go: glob() would stumble over that."""
        for place in CGROUPS.glob(f"*/cronium/{self.instance()}"), \
                CGROUPS.glob(f"cronium/{self.instance()}"):
            for instance in place:
                try:
                    yield from (instance / name for name in
                                os.listdir(instance)
                                if name.startswith("pod_"))
                except FileNotFoundError:
                    pass

    def pod_processes(self):
        """(pid, pod) of everything in the cgroups of this instance's pods."""
        for group in self.cgroups():
            pod = group.name.removesuffix(".sidecar")
            try:
                pids = (group / "cgroup.procs").read_text().split()
            except OSError:
                continue
            for pid in pids:
                yield int(pid), pod

    def containers(self, what="ps"):
        words = ["ps", "-aq"] if what == "ps" else ["network", "ls", "-q"]
        return subprocess.run(
            ["docker", *words, "--filter",
             f"label=cronium.instance={self.instance()}"],
            capture_output=True, text=True, timeout=60).stdout.split()

    def remains(self, docker=False):
        """What pods have left behind, by kind; empty when all is well."""
        left = {
            "processes": sorted(set(self.pod_processes())),
            "directories": [p.name for p in self.pods.glob("*")],
            "cgroups": sorted({g.name for g in self.cgroups()}),
        }
        if docker:
            left["containers"] = self.containers()
            left["networks"] = self.containers("networks")
        return {kind: found for kind, found in left.items() if found}

    def wait_clean(self, docker=False, seconds=60):
        until(lambda: not self.remains(docker),
              lambda: self.remains(docker), seconds, pause=0.1)

    def stop(self):
        codes = [p.stop() for p in reversed(self.programs)]
        assert codes == [0, 0], [p.tail() for p in self.programs]
        if self.disk:
            self.disk.remove()


class Disk:
    """A file system of the world's own, which can be filled."""

    def __init__(self, place, size="256m"):
        self.place = pathlib.Path(place)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs",
                        self.place], check=True)
        self.ballast = self.place / "ballast"

    def fill(self):
        with open(self.ballast, "wb") as f:
            try:
                while True:
                    f.write(bytes(1 << 20))
            except OSError:
                pass

    def empty(self):
        self.ballast.unlink()

    def remove(self):
        subprocess.run(["umount", "-l", self.place], check=True)


class Clock:
    """What backend and orchestrator take for the time, by libfaketime. The
    sidecars, which are static, go by the machine's."""

    def __init__(self, base):
        self.file = base / "clock"
        self.set(0)

    def set(self, seconds):
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self.file)

    def env(self):
        found = list(pathlib.Path("/usr/lib").glob(
            "*/faketime/libfaketimeMT.so.1"))
        assert found, "the package faketime is missing: ./dev setup"
        asan = os.environ.get("ASAN_OPTIONS", "")
        return {"LD_PRELOAD": str(found[0]),
                "FAKETIME_TIMESTAMP_FILE": str(self.file),
                "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "ASAN_OPTIONS": f"{asan}:verify_asan_link_order=0"}


class OwnEngine(Engine):
    """dockerd of this world alone, which may be killed. What runs in it goes
    with it once it starts again."""

    IMAGES = "cronium/bash", "cronium/python", "cronium/sidecar"

    def __init__(self, base):
        # An engine without a bridge removes the one of its namespace.
        super().__init__(Namespace(f"crf{os.getpid()}"))
        self.wait_ready()
        archive = base / "images.tar"
        subprocess.run(["docker", "save", "-o", archive, *self.IMAGES],
                       check=True)
        self("load", "-q", "-i", archive)
        archive.unlink()

    def kill(self):
        super().kill()
        self.start()
        self.wait_ready()

    def stop(self):
        super().stop()
        self.namespace.remove()


class EngineWorld(World):
    """Containers of an engine that is killed as well."""

    def __init__(self, base, slots=4):
        self.engine = OwnEngine(pathlib.Path(base))
        super().__init__(
            base, "docker", slots, orchestrator_options=[
                "--docker-socket", self.engine.socket])
        # One that starts while the engine does, too.
        self.orchestrator.excuse = "no Docker engine answers"

    def containers(self, what="ps"):
        words = ["ps", "-aq"] if what == "ps" else ["network", "ls", "-q"]
        return self.engine(
            *words, "--filter",
            f"label=cronium.instance={self.instance()}").split()

    def stop(self):
        super().stop()
        self.engine.stop()


class Listening(Program):
    """A backend behind a relay, at another port after each start."""

    def __init__(self, relay, *args):
        super().__init__(*args)
        self.relay = relay

    def start(self, point=None):
        size = self.log.stat().st_size if self.log.exists() else 0
        super().start(point)
        threading.Thread(target=self._follow, args=(self.process, size),
                         daemon=True).start()

    def _follow(self, process, at):
        while process.poll() is None:
            found = re.search(r'msg="ready .*port=(\d+)',
                              self.log.read_bytes()[at:].decode())
            if found:
                self.relay.target = "127.0.0.1", int(found[1])
                return
            time.sleep(0.01)


class RemoteWorld(World):
    """The orchestrator reaches its backend over TCP, through a relay that
    loses replies and connections when it is told to."""

    def __init__(self, base, executors="sandbox", slots=8):
        super().__init__(base, executors, slots)
        self.relay = Relay(("127.0.0.1", 1)).listen()
        argv = self.backend.argv
        argv[argv.index("none")] = "127.0.0.1:0"
        self.backend = Listening(self.relay, "backend", argv,
                                 self.backend.log)
        theirs = self.base / "orchestrator"
        (theirs / "run").mkdir(parents=True, mode=0o700)
        self.pods = theirs / "run" / "pods"
        self.orchestrator.argv = [
            BIN / "cronium-orchestrator", "--data-dir", theirs, "--run-dir",
            theirs / "run", "--executors", executors, "--slots", str(slots),
            "--backend", self.relay.url, "--api-key-file",
            self.data / "api-key"]

    def start(self):
        self.backend.start()

        def listens():
            assert not self.backend.dead(), self.backend.tail()
            return (self.run / "api.sock").exists()

        until(listens, self.backend.tail, START_S)
        self.orchestrator.start()
        self.wait_ready()

    def stop(self):
        super().stop()
        self.relay.close()
