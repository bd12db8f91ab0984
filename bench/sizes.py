"""How large the runners for hosts are, as they are uploaded."""

from machine import ROOT, Skip
from report import Row, Samples, Target, known

GO_RUNNER = known("the Go one (known)", 6.5)
# Where ./dev runner puts them, whatever is measured.
BIN = ROOT / "build" / "bin"
AIM_MB = 2  # 5 is what has to be reached


def row_of(path, name):
    return Row(f"runner for hosts, {name}", "MB",
               Samples(path.name, [path.stat().st_size / 1e6]), [GO_RUNNER],
               Target("value", at_most=AIM_MB))


def run(settings):
    rows, missing = [], []
    for name in ("amd64", "arm64"):
        path = BIN / f"cronium-runner-{name}"
        if path.exists():
            rows.append(row_of(path, name))
        else:
            missing.append(name)
    if missing:
        raise Skip(f"no runner for {' and '.join(missing)}: "
                   "./dev runner builds them, on amd64", rows)
    return rows
