#!/usr/bin/env python3
"""The promises of the search, over several seeds, as one table with intervals.

    python benches/claims/claims.py target/release/auricle --data DIR --noise DIR [--seeds 1 2 3] [--runs runs/claims] [--results FILE]

a. a searched network of at most 60 % of the parameters of the best hand-designed one is at least as accurate;
b. an ensemble of small ones beats one bigger one of about its parameters (the searched network, widened, and trained for the
   wall-clock of all members and of the trials that their weights come from);
c. with shared weights a search reaches in at most half of the training steps what it reaches without;
d. a student of the ensemble, of the size of one member, keeps at least half of its gain.

Every system is a run of its own: the search with its ensemble and student, each hand-designed network, the widened one. A system
that is in the file of results is not made again, and a run that was stopped goes on, so the same command may be given any number
of times. Needs Python 3.11 and nothing else.
"""

import argparse
import json
import math
import re
import sqlite3
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "claims-12" / "recipe.toml"
# Two-sided 95 % quantiles of Student's t by degrees of freedom.
STUDENT_T = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26}
WIDTHS = {"n_channels", "n_units"}
WIDENED = "the searched one, widened"


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


def without_baselines(recipe):
    """The recipe's text without its hand-designed networks."""
    return re.sub(r"\[\[baselines\]\].*?(?=\[detector\])", "", recipe.read_text(), flags=re.S)


def recipe_of_one(recipe, genome, n_more_epochs, path):
    """The recipe with one suggestion, trained in full (and longer), and nothing else."""
    text = without_baselines(recipe)
    n_full = int(re.search(r"\[ensemble\.train\]\nn_epochs = (\d+)", text).group(1))
    text = text.replace(f"[ensemble.train]\nn_epochs = {n_full}", f"[ensemble.train]\nn_epochs = {n_full + n_more_epochs}")
    text = re.sub(r"^warm_start = .*\n", "", text, flags=re.M)
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
    """Wall-clock with one worker: of a search, its trials and its finalists' trainings."""
    rows = sqlite3.connect(folder / "study.sqlite").execute("SELECT seconds FROM trial").fetchall()
    finalists = (json.loads(path.read_text())["seconds"] for path in (folder / "full").glob("finalist-*.json"))
    return (sum(seconds for (seconds,) in rows) + sum(finalists)) / 60


def table(rows):
    """System by system: parameters, mean accuracy, its interval, every seed's."""
    print("\n| system | parameters | test, mean [95 %] | by seed |\n|---|---|---|---|")
    for name, seeds in rows.items():
        accuracies = [100 * accuracy for _, accuracy in seeds.values()]
        n_params = sorted({n for n, _ in seeds.values()})
        size = f"{n_params[0]:,}" if len(n_params) == 1 else f"{n_params[0]:,} to {n_params[-1]:,}"
        each = ", ".join(f"{seed}: {100 * accuracy:.2f}" for seed, (_, accuracy) in seeds.items())
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

    def keep():
        if arguments.results:
            arguments.results.write_text(json.dumps(kept, indent=1) + "\n")

    for seed in arguments.seeds:
        of_seed = kept.setdefault(str(seed), {})
        if set("abd") & set(arguments.only):
            for _ in systems_of(arguments, seed, of_seed):
                keep()
        if "c" in arguments.only and "share_of_steps" not in of_seed:
            of_seed["share_of_steps"] = sharing(arguments, seed)
            keep()
    rows = {}
    for seed, of_seed in kept.items():
        for name, system in of_seed.get("systems", {}).items():
            rows.setdefault(name, {})[seed] = system
    shares = [of_seed["share_of_steps"] for of_seed in kept.values() if "share_of_steps" in of_seed]
    if rows:
        table(rows)
        verdicts(rows)
    if shares:
        each = ", ".join(f"{share:.2f}" for share in shares)
        print(f"c. training steps with shared weights: {statistics.median(shares):.2f} of those without (median of {each})")


def systems_of(arguments, seed, of_seed):
    """Makes the systems of a seed that are missing, and says when one more is there: parameters, accuracy on the test split."""
    systems = of_seed.setdefault("systems", {})

    def made(name, folder, key="single"):
        report = json.loads((folder / "report.json").read_text())
        report |= {system["name"]: system for system in report["baselines"]}
        systems[name] = n_params, accuracy = of(report, key)
        print(f"seed {seed}: {name:26} {n_params:>8,} parameters  {100 * accuracy:.2f} %  (run {folder.name})", flush=True)

    def timed(name, folder):
        of_seed.setdefault("minutes", {})[name] = took = minutes(folder)
        print(f"seed {seed}: {name:26} {took:.1f} minutes of search and full training", flush=True)

    if "student" not in systems:
        recipe = arguments.runs / "search.toml"
        recipe.write_text(without_baselines(arguments.recipe))
        folder = auricle(arguments, "run", recipe, arguments.runs, seed)
        for name, key in [("searched", "single"), ("ensemble", "ensemble"), ("student", "student of the ensemble")]:
            made(name, folder, key)
        timed("searched", folder)
        genome, number = chosen(folder)
        of_seed["chosen"] = {"genome": genome, "n_epochs_before": n_epochs_of_line(folder, number)}
        yield
    alone = [(network["name"], network["genome"], 0) for network in tomllib.loads(arguments.recipe.read_text())["baselines"]]
    if "b" in arguments.only:
        share = systems["ensemble"][0] / systems["searched"][0]
        # An epoch of it costs what one of all members costs: it also gets the epochs in which their weights began.
        n_more = math.ceil(of_seed["chosen"]["n_epochs_before"] / share)
        alone.insert(0, (WIDENED, widened(of_seed["chosen"]["genome"], math.sqrt(share)), n_more))
    for name, genome, n_more in alone:
        if name not in systems:
            recipe = arguments.runs / f"{name.replace(' ', '-')}-{seed}.toml"
            recipe_of_one(arguments.recipe, genome, n_more, recipe)
            folder = auricle(arguments, "run", recipe, arguments.runs, seed)
            made(name, folder)
            timed(name, folder)
            yield


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
    """The promises, each with its interval over the seeds that have all the systems it speaks of."""
    accuracies = {name: {seed: 100 * accuracy for seed, (_, accuracy) in seeds.items()} for name, seeds in rows.items()}
    ours = ("searched", "ensemble", "student", WIDENED)
    best = max((name for name in rows if name not in ours), key=lambda name: statistics.mean(accuracies[name].values()), default=None)

    def over_seeds(names, value):
        seeds = [seed for seed in accuracies[names[0]] if all(seed in accuracies[name] for name in names)]
        return [value(*(accuracies[name][seed] for name in names)) for seed in seeds]

    if best:
        share = statistics.mean(n for n, _ in rows["searched"].values()) / next(iter(rows[best].values()))[0]
        ahead = over_seeds(["searched", best], lambda searched, by_hand: searched - by_hand)
        print(f"\na. searched, {share:.0%} of the parameters of {best}, against it: {interval(ahead)} points")
    if WIDENED in rows:
        ahead = over_seeds(["ensemble", WIDENED], lambda ensemble, one: ensemble - one)
        print(f"b. ensemble against one network of its size: {interval(ahead)} points")
    trio = ["searched", "ensemble", "student"]
    gain = statistics.mean(over_seeds(trio, lambda searched, ensemble, _: ensemble - searched))
    kept = statistics.mean(over_seeds(trio, lambda searched, _, student: student - searched))
    beyond = interval(over_seeds(trio, lambda searched, ensemble, student: student - (searched + ensemble) / 2))
    print(f"d. the student keeps {kept:+.2f} of the ensemble's {gain:+.2f} points; beyond half: {beyond}")


if __name__ == "__main__":
    main()
