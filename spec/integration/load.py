#!/usr/bin/env python3
"""Ten thousand sleeps and a thousand fetches at once in one process, and thousands of waits
that are cancelled: again and again, in memory that does not grow, with nothing left.
"""
# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import resource
import subprocess
import sys

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from harness import check, same

SCRIPT = pathlib.Path(__file__).with_name("load") / "load.lua"
COLD, WARM, ROUNDS = 2, 12, 24  # the JIT and the allocator have their memory then
MARGIN = 8192  # KiB: 60 bytes for each wait of twelve rounds; a coroutine has 1,000


def run(binary, rounds):
    """The lines of each kind, as lists of numbers."""
    # What mimalloc is given back goes back to the kernel at once: no noise of 30 MiB.
    done = subprocess.run([str(binary), "run", str(SCRIPT), str(rounds)], text=True,
                          env=dict(os.environ, MIMALLOC_DECOMMIT_DELAY="0"),
                          capture_output=True, timeout=600)
    same((done.returncode, done.stderr), (0, ""), "exit code, errors")
    lines = {}
    for line in done.stdout.splitlines()[1:]:
        kind, *numbers = line.split()
        lines.setdefault(kind, []).append([int(number) for number in numbers])
    return lines


def nothing_left(lines):
    first = lines["concurrent"][0][4]
    for kind, most in (("concurrent", 11000), ("aborted", 4100)):
        for number, row in enumerate(lines[kind]):
            same(row[:5], [most, 0, 0, 0, first], f"{kind} {number}: most, waiting, timers, "
                 "fetches, descriptors")


def left(binary):
    nothing_left(run(binary, 2))


def flat(binary):
    lines = run(binary, ROUNDS)
    nothing_left(lines)
    for kind, rows in lines.items():
        for name, column, margin in (("Lua", 5, MARGIN // 4), ("RSS", 6, MARGIN)):
            before = min(row[column] for row in rows[COLD:WARM])
            after = min(row[column] for row in rows[WARM:])
            print(f"     {kind}: {name} {before} KiB, then {after} KiB", flush=True)
            check(after <= before + margin, f"{kind}: {name} grew from {before} to {after} KiB")


def main():
    options = harness.arguments(__doc__).parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    tally = harness.Tally()
    for binary in harness.binaries():
        for name, case in (("load: nothing is left", left), ("load: memory is flat", flat)):
            if case is flat and harness.is_asan(binary):
                tally.say("skipped", f"skipped {name}: ASan keeps what was freed")
            elif options.only in name:
                tally.run(name, case, binary)
    harness.finish(tally)


if __name__ == "__main__":
    main()
