"""How large the runner is."""

from machine import BIN
from report import Row, Samples, Target, known

GO_RUNNER = known("the Go one (known)", 6.5)


def run(settings):
    size = (BIN / "cronium-runner").stat().st_size / 1e6
    return [Row("runner binary, static", "MB", Samples("runner", [size]),
                [GO_RUNNER], Target("value", at_most=5))]
