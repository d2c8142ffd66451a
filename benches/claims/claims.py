#!/usr/bin/env python3
"""The promises of the search, over several seeds, as one table with intervals.

    python benches/claims/claims.py target/release/auricle --data DIR --noise DIR [--seeds 1 2 3] [--runs runs/claims]

a. a searched network of at most 60 % of the parameters of the best hand-designed one is at least as accurate;
b. an ensemble of small ones beats one bigger one of about its parameters (the searched network, widened);
c. with shared weights a search reaches in at most half of the training steps what it reaches without;
d. a student of the ensemble, of the size of one member, keeps at least half of its gain.

Each run is resumable: the same command goes on where it was stopped. Needs Python 3.11 and nothing else.
"""

import argparse
import json
import math
import re
import sqlite3
import statistics
import subprocess
import sys
from pathlib import Path

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "claims-12" / "recipe.toml"
# Two-sided 95 % quantiles of Student's t by degrees of freedom.
STUDENT_T = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26}
WIDTHS = {"n_channels", "n_units"}


def auricle(arguments, command, recipe, runs, seed):
    """Runs a command of the program; the folder of its run."""
    line = [arguments.program, command, recipe, "--data", arguments.data, "--runs", runs, "--device", "cpu"]
    line += ["--seed", str(seed), "--workers", str(arguments.workers)]
    for folder in arguments.noise:
        line += ["--noise", folder]
    done = subprocess.run([str(part) for part in line], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, line))}\n{done.stdout}{done.stderr}")
    name = re.search(r"^run ([0-9a-f]{16})", done.stdout, re.M).group(1)
    return runs / name


def judged(system):
    """Parameters, right clips and clips of the test split."""
    test = system["test"]
    test = test.get("value", test)
    accuracy = test["accuracy"]
    accuracy = accuracy.get("value", accuracy) if isinstance(accuracy, dict) else accuracy
    return system["cost"]["n_params"], float(accuracy)


def of(report, key):
    system = report[key]
    return judged(system.get("value", system))


def chosen_genome(folder):
    """The genome of the best finalist by validation loss."""
    records = [json.loads(path.read_text()) for path in (folder / "full").glob("finalist-*.json")]
    return min(records, key=lambda record: record["scores"]["validation_loss"])["genome"]


def widened(value, factor):
    """Every width times the factor, to a multiple of four."""
    if isinstance(value, dict):
        return {
            key: max(4, round(part * factor / 4) * 4) if key in WIDTHS else widened(part, factor)
            for key, part in value.items()
        }
    if isinstance(value, list):
        return [widened(part, factor) for part in value]
    return value


def toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(part)}" for key, part in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def recipe_of_one(recipe, genome, path):
    """The recipe with one suggestion, trained in full, and nothing else."""
    text = recipe.read_text()
    text = re.sub(r"\[\[baselines\]\].*?(?=\[detector\])", "", text, flags=re.S)
    text = re.sub(r"^student = .*\n", "", text, flags=re.M)
    text = text.replace("n_finalists = 3\nn_members = 3", "n_finalists = 1\nn_members = 1")
    text = re.sub(r"^budget = .*$", f"budget = {{ n_trials = 1 }}\nsuggestions = [{toml(genome)}]", text, flags=re.M)
    text = re.sub(r"^limits = .*$", "limits = {}", text, flags=re.M)
    text = re.sub(r"^fidelity = .*$", 'fidelity = { kind = "full" }', text, flags=re.M)
    text = text.replace("n_epochs = 27", "n_epochs = 1")
    path.write_text(text)


def recipe_for_sharing(recipe, sharing, path):
    """Trials of three epochs each, with or without inherited weights."""
    text = recipe.read_text()
    text = re.sub(r"^fidelity = .*$", f"sharing = {sharing}", text, flags=re.M)
    text = re.sub(r"^budget = .*$", "budget = { n_trials = 30 }", text, flags=re.M)
    text = text.replace("n_epochs = 27", "n_epochs = 3")
    path.write_text(text)


def best_by_epochs(folder):
    """Epochs trained so far and the best validation loss so far, trial by trial."""
    rows = sqlite3.connect(folder / "study.sqlite").execute("SELECT curve FROM trial ORDER BY number").fetchall()
    n_epochs, best, path = 0, math.inf, []
    for (curve,) in rows:
        for point in json.loads(curve):
            n_epochs += 1
            best = min(best, point["validation_loss"])
            path.append((n_epochs, best))
    return path


def interval(values):
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:+.2f}"
    half = STUDENT_T.get(len(values) - 1, 2.0) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:+.2f} [{mean - half:+.2f}, {mean + half:+.2f}]"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--noise", type=Path, action="append", default=[])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--runs", type=Path, default=Path("runs/claims"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="another recipe of the same form")
    parser.add_argument("--only", choices=list("abcd"), nargs="+", default=list("abcd"))
    arguments = parser.parse_args()
    arguments.runs.mkdir(parents=True, exist_ok=True)
    gains = {"a": [], "b": [], "d": []}
    speedups = []
    for seed in arguments.seeds:
        folder = auricle(arguments, "run", arguments.recipe, arguments.runs, seed)
        report = json.loads((folder / "report.json").read_text())
        single, ensemble = of(report, "single"), of(report, "ensemble")
        systems = {system["name"]: judged(system) for system in report["baselines"]}
        student = systems.pop("student of the ensemble")
        print(f"seed {seed}: run {folder.name}")
        for name, (n_params, accuracy) in [("searched", single), ("ensemble", ensemble), ("student", student), *systems.items()]:
            print(f"  {name:20} {n_params:>8,} parameters  {100 * accuracy:.2f} %")
        best_name, best = max(systems.items(), key=lambda item: item[1][1])
        print(f"  a. {single[0] / best[0]:.0%} of the parameters of {best_name}")
        gains["a"].append(100 * (single[1] - best[1]))
        if "b" in arguments.only:
            wide = arguments.runs / f"wide-{seed}.toml"
            recipe_of_one(arguments.recipe, widened(chosen_genome(folder), math.sqrt(ensemble[0] / single[0])), wide)
            alone = auricle(arguments, "run", wide, arguments.runs, seed)
            bigger = of(json.loads((alone / "report.json").read_text()), "single")
            print(f"  {'widened':20} {bigger[0]:>8,} parameters  {100 * bigger[1]:.2f} %", flush=True)
            gains["b"].append(100 * (ensemble[1] - bigger[1]))
        whole = ensemble[1] - single[1]
        gains["d"].append(100 * (student[1] - single[1] - whole / 2))
        if "c" in arguments.only:
            paths = {}
            for name, sharing in [
                ("with", '{ kind = "snapshot", by = "name-and-shape", partial_width = false }'),
                ("without", '{ kind = "none" }'),
            ]:
                recipe = arguments.runs / f"sharing-{name}.toml"
                recipe_for_sharing(arguments.recipe, sharing, recipe)
                paths[name] = best_by_epochs(auricle(arguments, "search", recipe, arguments.runs, seed))
            n_without, target = paths["without"][-1]
            n_without = next(n for n, loss in paths["without"] if loss <= target)
            reached = next((n for n, loss in paths["with"] if loss <= target), None)
            share = reached / n_without if reached else math.inf
            print(f"  c. loss {target:.3f} after {n_without} epochs without, {reached} with: {share:.2f}", flush=True)
            speedups.append(share)
    print()
    print(f"a. searched against the best hand-designed network: {interval(gains['a'])} points")
    if gains["b"]:
        print(f"b. ensemble against one of its size:                {interval(gains['b'])} points")
    if speedups:
        print(f"c. training steps with shared weights:              {statistics.median(speedups):.2f} of those without (median)")
    print(f"d. student beyond half of the ensemble's gain:      {interval(gains['d'])} points")


if __name__ == "__main__":
    main()
