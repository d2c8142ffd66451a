#!/usr/bin/env python3
"""Memory of a search in one process, by finished trials: what is its own, and what is mapped from files.

    python benches/claims/memory.py target/release/auricle --data DIR --noise DIR [--trials 200] [--epochs 1] [--workers 2]

`auricle search` of recipes/claims-12 with so many trials of so few epochs each, shared weights and nothing pruned. Linux; needs
Python 3.11 and nothing else.
"""

import argparse
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from claims import RECIPE, SNAPSHOT, recipe_of_trials


def resident(pid):
    """Mebibytes: all, anonymous, mapped from files."""
    text = Path(f"/proc/{pid}/status").read_text()
    of = {name: int(kib) / 1024 for name, kib in re.findall(r"^(VmRSS|RssAnon|RssFile):\s+(\d+) kB", text, re.M)}
    return of["VmRSS"], of["RssAnon"], of["RssFile"]


def n_finished(runs):
    for path in runs.glob("*/study.sqlite"):
        try:
            rows = sqlite3.connect(f"file:{path}?mode=ro", uri=True).execute("SELECT count(*) FROM trial WHERE status = 'complete'")
            return rows.fetchone()[0]
        except sqlite3.OperationalError:
            pass
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--noise", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        recipe_of_trials(RECIPE, SNAPSHOT, arguments.trials, arguments.epochs, folder / "recipe.toml")
        line = [arguments.program, "search", folder / "recipe.toml", "--data", arguments.data, "--noise", arguments.noise]
        line += ["--runs", folder / "runs", "--device", "cpu", "--workers", str(arguments.workers)]
        process = subprocess.Popen([str(part) for part in line], stdout=subprocess.DEVNULL)
        marks = sorted({1, 10, 25, 50, 100, 150, arguments.trials})
        most, begun = 0.0, time.monotonic()
        print(f"{'trials':>7} {'resident':>9} {'own':>6} {'mapped':>7}  MiB, at {arguments.workers} workers")
        while process.poll() is None:
            try:
                now = resident(process.pid)
            except (FileNotFoundError, KeyError, ProcessLookupError):
                break
            most = max(most, now[0])
            if marks and n_finished(folder / "runs") >= marks[0]:
                print(f"{n_finished(folder / 'runs'):>7} {now[0]:>9.0f} {now[1]:>6.0f} {now[2]:>7.0f}", flush=True)
                marks = [mark for mark in marks if mark > n_finished(folder / "runs")]
            time.sleep(0.5)
        if process.wait() != 0:
            sys.exit(f"{arguments.program}: ended with {process.returncode}")
        n_trials, minutes = n_finished(folder / "runs"), (time.monotonic() - begun) / 60
        print(f"{n_trials} trials in {minutes:.1f} minutes; never more than {most:.0f} MiB resident")


if __name__ == "__main__":
    main()
