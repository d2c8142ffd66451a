#!/usr/bin/env python3
"""The promises of the search, over several seeds, as one table with intervals.

    python benches/claims/claims.py target/release/auricle --data DIR --noise DIR [--seeds 1 2 3] [--runs runs/claims] [--results FILE]

a. a searched network of at most 60 % of the parameters of the best hand-designed one is at least as accurate;
b. an ensemble of small ones beats one bigger one of about its parameters (the searched network, widened, and trained for the
   wall-clock of all members and of the trials that their weights come from);
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


def chosen(folder):
    """The genome of the best finalist by validation loss, and its trial's number."""
    records = [(json.loads(path.read_text()), int(path.stem.split("-")[1])) for path in (folder / "full").glob("finalist-*.json")]
    record, number = min(records, key=lambda record: record[0]["scores"]["validation_loss"])
    return record["genome"], number


def n_epochs_of_line(folder, number):
    """Epochs that a trial and those whose weights it began with have learned."""
    rows = sqlite3.connect(folder / "study.sqlite").execute("SELECT number, donors, curve FROM trial").fetchall()
    trials = {n: (json.loads(donors), len(json.loads(curve))) for n, donors, curve in rows}
    n_epochs, line = 0, [number]
    while line:
        donors, n_own = trials[line.pop()]
        n_epochs += n_own
        line += donors[:1]
    return n_epochs


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


def recipe_of_one(recipe, genome, n_more_epochs, path):
    """The recipe with one suggestion, trained in full and longer, and nothing else."""
    text = recipe.read_text()
    n_full = int(re.search(r"\[ensemble\.train\]\nn_epochs = (\d+)", text).group(1))
    text = text.replace(f"[ensemble.train]\nn_epochs = {n_full}", f"[ensemble.train]\nn_epochs = {n_full + n_more_epochs}")
    text = re.sub(r"^warm_start = .*\n", "", text, flags=re.M)
    text = re.sub(r"\[\[baselines\]\].*?(?=\[detector\])", "", text, flags=re.S)
    text = re.sub(r"^student = .*\n", "", text, flags=re.M)
    text = text.replace("n_finalists = 3\nn_members = 3", "n_finalists = 1\nn_members = 1")
    text = re.sub(r"^budget = .*$", f"budget = {{ n_trials = 1 }}\nsuggestions = [{toml(genome)}]", text, flags=re.M)
    text = re.sub(r"^limits = .*$", "limits = {}", text, flags=re.M)
    text = re.sub(r"^fidelity = .*$", 'fidelity = { kind = "full" }', text, flags=re.M)
    text = text.replace("n_epochs = 27", "n_epochs = 1")
    path.write_text(text)


SNAPSHOT = '{ kind = "snapshot", by = "name-and-shape", partial_width = false }'


def recipe_of_trials(recipe, sharing, n_trials, n_epochs, path):
    """So many trials of so many epochs each, with or without inherited weights."""
    text = recipe.read_text()
    text = re.sub(r"^fidelity = .*$", f"sharing = {sharing}", text, flags=re.M)
    text = re.sub(r"^budget = .*$", f"budget = {{ n_trials = {n_trials} }}", text, flags=re.M)
    text = text.replace("n_epochs = 27", f"n_epochs = {n_epochs}")
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


def interval(values, sign="+"):
    """Mean and its 95 % interval over the seeds (Student's t)."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:{sign}.2f}"
    half = STUDENT_T.get(len(values) - 1, 2.0) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:{sign}.2f} [{mean - half:{sign}.2f}, {mean + half:{sign}.2f}]"


def minutes(folder):
    """Wall-clock with one worker: the hand-designed networks' trainings; the search with its finalists' trainings."""
    rows = sqlite3.connect(folder / "study.sqlite").execute("SELECT seconds FROM trial").fetchall()
    full = {path.stem: json.loads(path.read_text())["seconds"] for path in (folder / "full").glob("*.json")}
    by_hand = sum(seconds for name, seconds in full.items() if name.startswith("baseline-"))
    finalists = sum(seconds for name, seconds in full.items() if name.startswith("finalist-"))
    return by_hand / 60, (sum(seconds for (seconds,) in rows) + finalists) / 60


def table(rows):
    """System by system: parameters, mean accuracy, its interval, every seed's."""
    print("\n| system | parameters | test, mean [95 %] | by seed |\n|---|---|---|---|")
    for name, seeds in rows.items():
        accuracies = [100 * accuracy for _, accuracy in seeds]
        n_params = sorted({n for n, _ in seeds})
        size = f"{n_params[0]:,}" if len(n_params) == 1 else f"{n_params[0]:,} to {n_params[-1]:,}"
        each = ", ".join(f"{accuracy:.2f}" for accuracy in accuracies)
        print(f"| {name} | {size} | {interval(accuracies, '')} | {each} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--noise", type=Path, action="append", default=[])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--runs", type=Path, default=Path("runs/claims"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="another recipe of the same form")
    parser.add_argument("--results", type=Path, help="JSON that keeps every seed's results: the table is of all seeds in it")
    parser.add_argument("--only", choices=list("abcd"), nargs="+", default=list("abcd"))
    arguments = parser.parse_args()
    arguments.runs.mkdir(parents=True, exist_ok=True)
    kept = json.loads(arguments.results.read_text()) if arguments.results and arguments.results.exists() else {}
    for seed in arguments.seeds:
        of_seed = kept.setdefault(str(seed), {})
        if set("abd") & set(arguments.only):
            of_seed["systems"] = systems_of(arguments, seed, of_seed)
        if "c" in arguments.only:
            of_seed["share_of_steps"] = sharing(arguments, seed)
        if arguments.results:
            arguments.results.write_text(json.dumps(kept, indent=1) + "\n")
    rows = {}
    for of_seed in kept.values():
        for name, system in of_seed.get("systems", {}).items():
            rows.setdefault(name, []).append(system)
    shares = [of_seed["share_of_steps"] for of_seed in kept.values() if "share_of_steps" in of_seed]
    if rows:
        table(rows)
        verdicts(rows)
    if shares:
        each = ", ".join(f"{share:.2f}" for share in shares)
        print(f"c. training steps with shared weights: {statistics.median(shares):.2f} of those without (median of {each})")


def systems_of(arguments, seed, of_seed):
    """Parameters and accuracy on the test split of every system of a seed."""
    folder = auricle(arguments, "run", arguments.recipe, arguments.runs, seed)
    report = json.loads((folder / "report.json").read_text())
    systems = {system["name"]: judged(system) for system in report["baselines"]}
    systems = {
        "searched": of(report, "single"),
        "ensemble": of(report, "ensemble"),
        "student": systems.pop("student of the ensemble"),
        **systems,
    }
    of_seed["minutes_by_hand"], of_seed["minutes_searched"] = by_hand, searched = minutes(folder)
    print(f"seed {seed}: run {folder.name}; by hand {by_hand:.1f} minutes, searched {searched:.1f}", flush=True)
    if "b" in arguments.only:
        wide = arguments.runs / f"wide-{seed}.toml"
        share = systems["ensemble"][0] / systems["searched"][0]
        genome, number = chosen(folder)
        # An epoch of it costs what one of all members costs: it also gets the epochs in which their weights began.
        n_more = math.ceil(n_epochs_of_line(folder, number) / share)
        recipe_of_one(arguments.recipe, widened(genome, math.sqrt(share)), n_more, wide)
        alone = auricle(arguments, "run", wide, arguments.runs, seed)
        systems["the searched one, widened"] = of(json.loads((alone / "report.json").read_text()), "single")
    for name, (n_params, accuracy) in systems.items():
        print(f"  {name:26} {n_params:>8,} parameters  {100 * accuracy:.2f} %", flush=True)
    return systems


def sharing(arguments, seed):
    """Training steps that a search with shared weights needs, as a share of those without."""
    paths = {}
    for name, how in [
        ("with", SNAPSHOT),
        ("without", '{ kind = "none" }'),
    ]:
        recipe = arguments.runs / f"sharing-{name}.toml"
        recipe_of_trials(arguments.recipe, how, 30, 3, recipe)
        paths[name] = best_by_epochs(auricle(arguments, "search", recipe, arguments.runs, seed))
    target = paths["without"][-1][1]
    n_without = next(n for n, loss in paths["without"] if loss <= target)
    reached = next((n for n, loss in paths["with"] if loss <= target), None)
    share = reached / n_without if reached else math.inf
    last = paths["with"][-1][1]
    print(
        f"seed {seed}, c: validation loss {target:.3f} after {n_without} epochs without, {reached} with; {last:.3f} at the end",
        flush=True,
    )
    return share


def verdicts(rows):
    """The promises, each with its interval over the seeds."""
    accuracies = {name: [100 * accuracy for _, accuracy in seeds] for name, seeds in rows.items()}
    ours = ("searched", "ensemble", "student", "the searched one, widened")
    best = max((name for name in rows if name not in ours), key=lambda name: statistics.mean(accuracies[name]), default=None)
    searched, ensemble, student = (accuracies[name] for name in ours[:3])

    def difference(left, right):
        return interval([a - b for a, b in zip(left, right)])

    if best:
        share = statistics.mean(n for n, _ in rows["searched"]) / rows[best][0][0]
        print(f"\na. searched, {share:.0%} of the parameters of {best}, against it: {difference(searched, accuracies[best])} points")
    if ours[3] in rows:
        print(f"b. ensemble against one network of its size: {difference(ensemble, accuracies[ours[3]])} points")
    half = [(e - s) / 2 for e, s in zip(ensemble, searched)]
    gain, kept = statistics.mean(half) * 2, statistics.mean(student) - statistics.mean(searched)
    beyond = interval([t - s - h for t, s, h in zip(student, searched, half)])
    print(f"d. the student keeps {kept:+.2f} of the ensemble's {gain:+.2f} points; beyond half: {beyond}")


if __name__ == "__main__":
    main()
