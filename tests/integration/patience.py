"""How tests wait: for something to be so, never for time to pass."""

import time

# Of a test that fails; one that passes waits no longer than it must.
PATIENCE_S = 120
PAUSE_S = 0.01


def until(condition, what="it did not come to pass", seconds=PATIENCE_S,
          pause=PAUSE_S):
    """What condition() returns, once that is true. `what` is missing when it
    does not become so: text, or what makes some."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(pause)
    return found


def stays(condition, seconds, pause=PAUSE_S):
    """Whether it is so all the time: for what must not happen."""
    end = time.monotonic() + seconds
    while condition():
        if time.monotonic() >= end:
            return True
        time.sleep(pause)
    return False


def stands(value, seconds=1.0, pause=0.05):
    """What value() is, once it has not changed for so long."""
    last = value()
    while not stays(lambda: value() == last, seconds, pause):
        last = value()
    return last
