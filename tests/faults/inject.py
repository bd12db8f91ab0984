#!/usr/bin/env python3
"""./dev faults --inject: each place that allocates memory or asks the kernel
for something fails once in the unit tests (inject.c). A test that says so is a
fair answer; a crash, a hang, undefined behaviour, or a leak of a test that
passes all the same is a defect.

A place is found by running a program, and then fails in the first test that
came by it. With --seconds a sample is taken, in an order that the seed gives.
"""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import random
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASELINE_TIMEOUT_S = 180
HANG_S = 30
ASAN = ("exitcode=99:detect_leaks=1:handle_segv=2:handle_sigbus=2:"
        "handle_abort=2:handle_sigfpe=2:handle_sigill=2:"
        "allocator_may_return_null=1:symbolize=1")
UBSAN = "halt_on_error=1:print_stacktrace=1:exitcode=99"
SITE = r"^SITE (\w+) (\w+) (\S+)((?: [0-9a-f]+)+)$"
EVENT = re.compile(r"^\[ RUN      \] (\S+)|" + SITE, re.M)
# Frames of a report: "#1 0x… in buf_reserve ../common/buf.c:40"; a compiler's
# cache may have the object from another directory of the same source.
FRAME = re.compile(r"^ *#\d+ 0x[0-9a-f]+ in (\S+) (?:\S*\.\./)?(\S+?):(\d+)",
                   re.M)

# The innermost frame is jansson's: it reads on behind the end of its text when
# a token of more than 16 bytes finds no memory, whoever calls it.
LIBRARY = re.compile(r"AddressSanitizer: .*\n(?:(?! *#0 ).*\n)*"
                     r" *#0 0x\w+ +\(\S*/libjansson")

Site = collections.namedtuple("Site", "program place library function offsets test")
Verdict = collections.namedtuple("Verdict", "kind site output")


def arguments(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--build", type=pathlib.Path,
                        default=ROOT / "build-asan",
                        help="a build with -Dinject=true")
    parser.add_argument("--seconds", type=float, default=0,
                        help="a sample, for so long; 0: all there is")
    parser.add_argument("--seed", type=int,
                        default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--only", action="append", metavar="NAME",
                        help="the test program test_NAME; repeatable")
    parser.add_argument("--site", metavar="PLACE",
                        help="this place alone, with all that is printed; "
                             "needs --only and --test")
    parser.add_argument("--test", help="of --site")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--verbose", action="store_true",
                        help="print every place that failed")
    return parser.parse_args(argv)


# --- one run of a program ----------------------------------------------------

def own_tmp(program, log):
    """A test that is left half-way leaves its files: in a /tmp of its own."""
    return ["bwrap", "--dev-bind", "/", "/", "--tmpfs", "/tmp",
            "--bind", ROOT, ROOT, "--bind", program.parent, program.parent,
            "--bind", log.parent, log.parent, program]


def run(program, log, timeout, place=None, test=None):
    """(exit status or None for a hang, what it printed)."""
    env = {**os.environ, "CRONIUM_INJECT_LOG": str(log),
           "ASAN_OPTIONS": ASAN, "UBSAN_OPTIONS": UBSAN,
           "CMOCKA_MESSAGE_OUTPUT": "STDOUT"}
    if place:
        env["CRONIUM_INJECT_FAIL"] = place
    if test:
        env["CRONIUM_INJECT_TEST"] = test
    with open(log, "ab") as out:
        process = subprocess.Popen(
            own_tmp(program, log), env=env, stdin=subprocess.DEVNULL, stdout=out,
            stderr=out, start_new_session=True)
        try:
            code = process.wait(timeout)
            if code > 128:  # as bwrap tells the signal that ended it
                code = 128 - code
        except subprocess.TimeoutExpired:
            code = None
    # What it has started must not outlive it.
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    return code, log.read_text(errors="replace")


def in_temporary(function):
    def wrapped(*args, **kwargs):
        with tempfile.TemporaryDirectory(prefix="inject-") as directory:
            return function(pathlib.Path(directory) / "log", *args, **kwargs)
    return wrapped


def sites_of(program, text, test=None):
    """The places in what a program printed, each with the test that was
    running."""
    for match in EVENT.finditer(text):
        if match[1]:
            test = match[1]
        elif test:
            yield Site(program, *match.group(2, 3, 4),
                       tuple(match[5].split()), test)


@in_temporary
def baseline(log, program):
    code, text = run(program, log, BASELINE_TIMEOUT_S)
    if code != 0:
        return None, text
    return list(sites_of(program, text)), text


# --- whose fault -------------------------------------------------------------

def first_frame(text):
    """The file of the innermost frame of a report that is not a library's."""
    for match in FRAME.finditer(text):
        path = match[2]
        if (not path.startswith(("/", "tests/faults/"))
                and (ROOT / path).is_file()):
            return path
    return ""


def judge(code, text, function=""):
    """"tolerated", "told", "crash", "hang", "leak", "not reached", "library":
    a library cannot bear it, or "test": the test itself cannot."""
    if "\nFAIL\n" not in text:
        return "not reached"
    failed = "[  FAILED  ]" in text or "[  ERROR   ]" in text
    report = text[text.index("\nFAIL\n"):]
    if code is None:
        return "hang"
    if "LeakSanitizer" in report:
        return "told" if failed else "leak"
    # The programs ignore it; a test may be told in this way.
    if code == -signal.SIGPIPE:
        return "told"
    if function == "json_malloc" and LIBRARY.search(report):
        return "library"
    if ("AddressSanitizer" in report or "runtime error:" in report
            or "Test failed with exception" in report or code < 0):
        frame = first_frame(report)
        return "test" if frame.startswith("tests/") else "crash"
    return "tolerated" if code == 0 else "told"


@in_temporary
def inject(log, site):
    code, text = run(site.program, log, HANG_S, site.place, site.test)
    return (Verdict(judge(code, text, site.function), site, text),
            list(sites_of(site.program, text, site.test)))


# --- places ------------------------------------------------------------------

class Symbols:
    """Source lines of offsets."""

    def __init__(self):
        self.known = {}

    def add(self, program, offsets):
        new = sorted({o for o in offsets
                      if (program, o) not in self.known})
        if not new:
            return
        done = subprocess.run(
            ["addr2line", "-f", "-s", "-e", program, *new],
            check=True, capture_output=True, text=True)
        full = subprocess.run(["addr2line", "-e", program, *new], check=True,
                              capture_output=True, text=True)
        lines, paths = done.stdout.split("\n"), full.stdout.split("\n")
        for i, offset in enumerate(new):
            path = re.sub(r" \(discriminator \d+\)", "", paths[i])
            path = path.rpartition("../")[2]
            self.known[program, offset] = f"{lines[2 * i]} {path}"

    def text(self, site):
        return [self.known[site.program, o] for o in site.offsets]

    def place(self, site):
        """What tells it from others: not which test came by. None where a
        test itself, not what it tests, made the call."""
        ours = []
        for offset, text in zip(site.offsets, self.text(site)):
            if text.split()[1].startswith("tests/"):
                break
            ours.append(offset)
        return (site.function, site.library, *ours) if ours else None


def replay(site):
    name = site.program.name.removeprefix("test_")
    return shlex.join(["./dev", "faults", "--inject", "--only", name, "--test",
                       site.test, "--site", site.place])


def describe(verdict, symbols):
    site = verdict.site
    lines = [f"{verdict.kind.upper()} {site.program.name} {site.test}: "
             f"{site.function} fails in"]
    symbols.add(site.program, site.offsets)
    lines += [f"    {line}" for line in symbols.text(site)]
    lines.append(f"  again: {replay(site)}")
    lines += [f"  | {line}"
              for line in verdict.output[verdict.output.find("\nFAIL\n") + 6:]
              .strip().splitlines()
              if not line.startswith("SITE") and line.strip()][:25]
    return "\n".join(lines)


# --- all of them -------------------------------------------------------------

class Campaign:
    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.end = (time.monotonic() + options.seconds if options.seconds
                    else float("inf"))
        self.symbols = Symbols()
        self.counts = collections.Counter()
        self.programs, self.defects, self.broken = 0, [], []

    def in_time(self):
        return time.monotonic() < self.end

    def wanted(self, sites, seen):
        """Those that are new."""
        new = []
        for program in {s.program for s in sites}:
            self.symbols.add(program, [o for s in sites for o in s.offsets])
        for site in sites:
            place = self.symbols.place(site)
            if place and place not in seen:
                seen.add(place)
                new.append(site)
        return new

    def take(self, verdict):
        self.counts[verdict.kind] += 1
        if verdict.kind in ("crash", "hang", "leak"):
            self.defects.append(verdict)
            print(describe(verdict, self.symbols), flush=True)
        elif self.options.verbose:
            print(verdict.kind, verdict.site.program.name, verdict.site.test,
                  verdict.site.place, *self.symbols.text(verdict.site),
                  flush=True)

    def program(self, pool, program):
        sites, text = baseline(program)
        if sites is None:
            self.broken.append(program.name)
            print(f"{program.name} fails by itself:\n{text[-2000:]}")
            return
        self.programs += 1
        seen = set()
        todo = self.wanted(sites, seen)
        self.random.shuffle(todo)
        if self.options.seconds:
            # Something of every program comes before all of one.
            todo = todo[:40]
        under_way = set()
        while (todo and self.in_time()) or under_way:
            while todo and len(under_way) < self.options.jobs \
                    and self.in_time():
                under_way.add(pool.submit(inject, todo.pop()))
            done, under_way = concurrent.futures.wait(
                under_way, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                verdict, more = future.result()
                self.take(verdict)
                todo += self.wanted(more, seen)

    def run(self, programs):
        self.random.shuffle(programs)
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            for program in programs:
                if not self.in_time():
                    break
                begin, before = time.monotonic(), sum(self.counts.values())
                self.program(pool, program)
                print(f"{program.name}: "
                      f"{sum(self.counts.values()) - before} places, "
                      f"{time.monotonic() - begin:.0f} s", file=sys.stderr,
                      flush=True)
        return self.summary()

    def summary(self):
        if self.programs and not self.counts:
            print(f"{self.options.build} is no build with -Dinject=true: "
                  "not one place was found")
            return 2
        print(f"seed {self.options.seed}: {self.programs} programs, "
              f"{sum(self.counts.values())} places failed: "
              + ", ".join(f"{n} {kind}"
                          for kind, n in self.counts.most_common()))
        print(f"{len(self.defects)} defects"
              + (f"; fail by themselves: {', '.join(self.broken)}"
                 if self.broken else ""))
        return 1 if self.defects or self.broken else 0


def need_postgres():
    """Programs that run under tools/with_postgres.sh alone."""
    if "CRONIUM_TEST_STORE" in os.environ:
        return set()
    text = (ROOT / "tests" / "unit" / "meson.build").read_text()
    names = re.search(r"^postgres_only = \[(.*?)\]", text, re.M | re.S)[1]
    return {f"test_{name}" for name in re.findall(r"'(\w+)'", names)}


def programs_of(options):
    directory = options.build.resolve() / "tests" / "unit"
    without = need_postgres()
    if options.only:
        programs = [directory / f"test_{name}" for name in options.only]
        for program in programs:
            if not program.is_file():
                sys.exit(f"--only: there is no {program}")
        return programs
    return sorted(p for p in directory.glob("test_*")
                  if p.is_file() and os.access(p, os.X_OK)
                  and p.name not in without)


@in_temporary
def one(log, options):
    """A single place, for who looks for the cause."""
    program, = programs_of(options)
    code, text = run(program, log, HANG_S, options.site, options.test)
    print(re.sub(SITE, "", text, flags=re.M))
    print("verdict:", judge(code, text))
    return 0


def main():
    options = arguments()
    if options.site:
        return one(options)
    programs = programs_of(options)
    if not programs:
        sys.exit(f"{options.build} has no unit tests: build it with "
                 "-Dinject=true")
    return Campaign(options).run(programs)


if __name__ == "__main__":
    sys.exit(main())
