"""Rows of the table: what was measured, beside what, and whether it is
enough."""

import dataclasses
import json
import os
import platform
import statistics
import time

GREEN, RED, BOLD, PLAIN = "\033[32m", "\033[31m", "\033[1m", "\033[0m"


@dataclasses.dataclass
class Samples:
    """One thing measured several times."""

    name: str
    values: list

    @property
    def median(self):
        return statistics.median(self.values)

    def json(self):
        return {"name": self.name, "median": self.median,
                "min": min(self.values), "max": max(self.values),
                "values": self.values}


def pick(samples, i):
    """Of {name: Samples} of tuples, those of one place in the tuple."""
    return {name: Samples(name, [v[i] for v in s.values])
            for name, s in samples.items()}


def known(name, value):
    """An anchor that is not measured here, but known from elsewhere."""
    return Samples(name, [value])


@dataclasses.dataclass
class Target:
    """What is to be reached: of is "ratio" (value / anchor), "extra"
    (value - anchor) or "value"."""

    of: str
    at_least: float = None
    at_most: float = None

    def reached(self, value):
        if self.at_least is not None:
            return value >= self.at_least
        return value <= self.at_most

    def text(self, unit):
        sign, limit = ("≥", self.at_least)
        if limit is None:
            sign, limit = ("≤", self.at_most)
        if self.of == "ratio":
            return f"{sign} {limit:g}×"
        plus = "+" if self.of == "extra" else ""
        return f"{sign} {plus}{number(limit)} {unit}"


@dataclasses.dataclass
class Row:
    what: str
    unit: str
    ours: Samples
    anchors: list  # the best of them counts
    target: Target
    higher_is_better: bool = False

    @property
    def anchor(self):
        best = max if self.higher_is_better else min
        return best(self.anchors, key=lambda a: a.median)

    @property
    def ratio(self):
        """None where the anchor is not above zero."""
        if self.anchor.median <= 0:
            return None
        return self.ours.median / self.anchor.median

    @property
    def judged(self):
        return {"ratio": self.ratio, "value": self.ours.median,
                "extra": self.ours.median - self.anchor.median,
                }[self.target.of]

    @property
    def reached(self):
        return self.target.reached(self.judged)

    def json(self):
        return {"what": self.what, "unit": self.unit,
                "ours": self.ours.json(),
                "anchors": [a.json() for a in self.anchors],
                "anchor": self.anchor.name, "ratio": self.ratio,
                "target": dataclasses.asdict(self.target),
                "judged": self.judged, "reached": self.reached}

    def cells(self):
        return [self.what, self.unit, spread(self.ours),
                f"{self.anchor.name} {spread(self.anchor)}",
                f"{self.ratio:.2f}×" if self.ratio else "–",
                self.target.text(self.unit),
                "reached" if self.reached else "NOT REACHED"]


def number(v):
    if abs(v) >= 1000:
        return f"{v:,.0f}"
    return f"{v:.3g}"


def spread(samples):
    text = number(samples.median)
    if len(samples.values) > 1:
        low, high = min(samples.values), max(samples.values)
        text += f" ({number(low)}–{number(high)})"
    return text


HEAD = ["what", "unit", "Cronium", "anchor", "ratio", "reach", ""]


def print_table(rows, out):
    """Aligned; the verdict in colour where somebody looks at it."""
    lines = [HEAD] + [row.cells() for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    colour = out.isatty()
    for n, line in enumerate(lines):
        cells = [cell.ljust(width) for cell, width in zip(line, widths)]
        if colour and n == 0:
            cells = [f"{BOLD}{cell}{PLAIN}" for cell in cells]
        elif colour:
            paint = GREEN if rows[n - 1].reached else RED
            cells[-1] = f"{paint}{cells[-1]}{PLAIN}"
        print("  ".join(cells).rstrip(), file=out)


def save(rows, skipped, failed, path):
    document = {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"cores": os.cpu_count(), "kernel": platform.release(),
                    "load": os.getloadavg()},
        "rows": [row.json() for row in rows],
        "skipped": skipped,
        "failed": failed,
    }
    with open(path, "w") as f:
        json.dump(document, f, indent=1, ensure_ascii=False)
        f.write("\n")
