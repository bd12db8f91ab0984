"""What `import cronium` and a first call add to a Python script."""

import compileall
import os
import shutil
import sys

from machine import ROOT, bench_exec, interleave
from pod import Sidecar, Upstream
from report import Row, Target

FIRST_CALL = 'import cronium; cronium.get_variable("API_URL")'


def run(settings):
    # A copy, compiled as an installed one is.
    sdk = settings.directory / "sdk"
    shutil.copytree(ROOT / "sdk" / "python" / "cronium", sdk / "cronium",
                    ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(sdk, quiet=1)
    with Upstream(settings) as upstream, Sidecar(upstream) as sidecar:
        env = {**os.environ, "PYTHONPATH": str(sdk),
               "CRONIUM_RUNTIME_API": f"http://127.0.0.1:{sidecar.port}",
               "CRONIUM_EXECUTION_TOKEN": upstream.token}

        def script(code):
            return bench_exec("exit", sys.executable, "-c", code, env=env)

        took = interleave(settings.repeats, {
            "import + call": lambda: script(FIRST_CALL),
            "python3 -c pass": lambda: script("pass"),
        })
    return [Row("Python: import cronium, first call", "ms",
                took["import + call"], [took["python3 -c pass"]],
                Target("extra", at_most=15))]
