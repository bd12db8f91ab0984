"""What `import cronium` and a first call add to a Python script."""

import os
import sys

from machine import ROOT, bench_exec, interleave
from pod import Sidecar, Upstream
from report import Row, Target

FIRST_CALL = 'import cronium; cronium.get_variable("API_URL")'


def run(settings):
    with Upstream(settings) as upstream, Sidecar(upstream) as sidecar:
        env = {**os.environ, "PYTHONPATH": str(ROOT / "sdk" / "python"),
               "PYTHONPYCACHEPREFIX": str(settings.directory / "pyc"),
               "CRONIUM_RUNTIME_API": f"http://127.0.0.1:{sidecar.port}",
               "CRONIUM_EXECUTION_TOKEN": upstream.token}

        def script(code):
            return bench_exec("exit", sys.executable, "-c", code, env=env)

        script(FIRST_CALL)  # compiles the modules
        took = interleave(settings.repeats, {
            "import + call": lambda: script(FIRST_CALL),
            "python3 -c pass": lambda: script("pass"),
        })
    return [Row("Python: import cronium, first call", "ms",
                took["import + call"], [took["python3 -c pass"]],
                Target("extra", at_most=15))]
