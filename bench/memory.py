"""Proportional set size of a sidecar and of an nginx worker: idle, and with
connections that each have asked once and stay open."""

import contextlib
import socket
import time

from machine import TIMEOUT_S, need, pss_mb
from peers import Nginx
from pod import Sidecar, Upstream
from report import Row, Samples, Target

PATH = "/variables/API_URL"
CONNECTIONS = 100
LOOK_S = 0.5
STEADY_LOOKS = 5


def steady_pss_mb(pid):
    """Once it has not changed for a while: a job's sidecar is idle for most
    of its life."""
    deadline = time.monotonic() + TIMEOUT_S
    looks = [pss_mb(pid)]
    while (len(set(looks[-STEADY_LOOKS:])) > 1 or len(looks) < STEADY_LOOKS):
        if time.monotonic() > deadline:
            break
        time.sleep(LOOK_S)
        looks.append(pss_mb(pid))
    return looks[-1]


@contextlib.contextmanager
def asked(port, request, n):
    """n connections with a reply on each."""
    with contextlib.ExitStack() as stack:
        for _ in range(n):
            s = stack.enter_context(
                socket.create_connection(("127.0.0.1", port), TIMEOUT_S))
            s.sendall(request.encode())
            if b" 200 " not in s.recv(65536):
                raise RuntimeError(f"port {port} answered badly")
        yield


def measure(port, pid, request):
    """(idle, with connections)"""
    with asked(port, request, 1):
        pass
    idle = steady_pss_mb(pid)
    with asked(port, request, CONNECTIONS):
        return idle, pss_mb(pid)


def run(settings):
    need("nginx", "taskset")
    idle, busy = {"sidecar": [], "nginx": []}, {"sidecar": [], "nginx": []}
    with Upstream(settings) as upstream:
        request = upstream.request(PATH)
        for _ in range(settings.rounds):
            with Sidecar(upstream) as s, Nginx(settings.directory) as n:
                for name, port, pid in (("sidecar", s.port, s.pid),
                                        ("nginx", n.port, n.worker)):
                    i, b = measure(port, pid, request)
                    idle[name].append(i)
                    busy[name].append(b)
    return [
        Row("memory (PSS), idle", "MB", Samples("sidecar", idle["sidecar"]),
            [Samples("nginx worker", idle["nginx"])],
            Target("value", at_most=2)),
        Row("memory (PSS), 100 connections", "MB",
            Samples("sidecar", busy["sidecar"]),
            [Samples("nginx worker", busy["nginx"])],
            Target("value", at_most=4)),
    ]
