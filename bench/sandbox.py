"""A job in a sandbox on a running server, against bare bubblewrap."""

from machine import bench_exec, interleave, need
from report import Row, Target
from server import Cronium, bash_job, first_line_ms

BWRAP = ["bwrap", "--unshare-all", "--ro-bind", "/usr", "/usr",
         "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib",
         "--symlink", "usr/lib64", "/lib64", "--proc", "/proc",
         "--dev", "/dev", "--tmpfs", "/tmp", "bash", "-c", ":"]


def run(settings):
    need("bwrap")
    job = bash_job("sandbox")
    with Cronium(settings, "sandbox", 4) as server:
        first_line_ms(server, job)
        took = interleave(settings.repeats, {
            "sandbox": lambda: first_line_ms(server, job),
            "bwrap": lambda: bench_exec("exit", *BWRAP),
        })
    return [Row("sandbox job: submit → first line", "ms", took["sandbox"],
                [took["bwrap"]], Target("extra", at_most=5))]
