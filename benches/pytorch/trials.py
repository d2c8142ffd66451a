"""Trials an hour on two cores: whole trainings of TC-ResNet8 by the program's own search, against PyTorch's.

    pip install torch numpy
    cargo build --release
    python benches/pytorch/trials.py target/release/auricle --data DIR [--epochs 6] [--rounds 3] [--processes 2]

Ours is `auricle search` with as many workers as there are processes, a thread each, on the twelve words of
recipes/claims-12: augmentation and log-mel of every training clip, the step, judging by the validation split after every
epoch, and the trial's artefacts. PyTorch's is as many processes of one thread, which take the same number of steps of the same
batch with the same network, loss and AdamW, and judge as many clips, but find all features ready in memory: it does less.
In each round one follows the other; the ratio is of wall-clock per trial, of the rounds the median.
"""

import argparse
import json
import os
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from compare import N_CLASSES, N_FRAMES, N_MELS, build, read_safetensors

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "benches" / "claims"))
from claims import RECIPE, without_baselines  # noqa: E402
N_BATCH = 64
GENOME = (
    '{ stem = { n_channels = 16, kernel_frames = 3, stride_frames = 1 }, blocks = ['
    '{ kind = "residual", n_channels = 24, kernel_frames = 9, stride_frames = 2 }, '
    '{ kind = "residual", n_channels = 32, kernel_frames = 9, stride_frames = 2 }, '
    '{ kind = "residual", n_channels = 48, kernel_frames = 9, stride_frames = 2 }], '
    'head = { kind = "mean", window_frames = 100 } }'
)


def recipe_of(path, augmented, n_epochs, n_trials):
    """claims-12 with that many trainings of one genome and nothing else."""
    text = without_baselines(RECIPE)
    text = re.sub(r"^budget = .*$", f"budget = {{ n_trials = {n_trials} }}", text, flags=re.M)
    text = re.sub(r"^limits = .*$", "limits = {}", text, flags=re.M)
    text = re.sub(
        r"^fidelity = .*$",
        f'fidelity = {{ kind = "full" }}\nsharing = {{ kind = "none" }}\nrepeats = true\nsuggestions = [{", ".join([GENOME] * n_trials)}]',
        text,
        flags=re.M,
    )
    text = text.replace("n_epochs = 27", f"n_epochs = {n_epochs}")
    if not augmented:
        text = re.sub(r"^augment = .*$", "augment = { time_shift_ms = 0.0 }", text, flags=re.M)
    path.write_text(text)


def ours(arguments, folder, name, recipe):
    """Wall-clock seconds a trial of a search, and what its manifest holds: clips to learn from and to judge by."""
    line = [arguments.program, "search", recipe, "--data", arguments.data, "--runs", folder / name, "--device", "cpu"]
    line += ["--workers", arguments.processes]
    for noise in arguments.noise:
        line += ["--noise", noise]
    done = subprocess.run([str(part) for part in line], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, line))}\n{done.stdout}{done.stderr}")
    study = next((folder / name).glob("*/study.sqlite"))
    rows = sqlite3.connect(study).execute("SELECT seconds FROM trial").fetchall()
    return [seconds for (seconds,) in rows]


def worker(n_train, n_judged, n_epochs, weights):
    """A training in PyTorch; seconds of wall-clock."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(1)
    genome = json.loads(Path(__file__).with_name("networks.json").read_text())["tc-resnet8"]
    network = build(genome, read_safetensors(weights))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, eps=1e-8, weight_decay=0.05, fused=True)
    generator = torch.Generator().manual_seed(1)
    frames = torch.randn(n_train + n_judged, N_MELS, N_FRAMES, generator=generator)
    labels = torch.randint(0, N_CLASSES, (n_train + n_judged,), generator=generator)
    start = time.perf_counter()
    for _ in range(n_epochs):
        network.train()
        order = torch.randperm(n_train, generator=generator)
        for items in order.split(N_BATCH):
            optimizer.zero_grad(set_to_none=True)
            loss = functional.cross_entropy(network(frames[items]), labels[items], label_smoothing=0.1)
            loss.backward()
            optimizer.step()
        network.eval()
        with torch.no_grad():
            for items in torch.arange(n_train, n_train + n_judged).split(256):
                functional.cross_entropy(network(frames[items]), labels[items])
    return time.perf_counter() - start


def theirs(arguments, n_train, n_judged, weights):
    environment = dict(os.environ, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    line = [sys.executable, __file__, arguments.program, "--data", arguments.data, "--epochs", str(arguments.epochs)]
    line += ["--worker", str(n_train), str(n_judged), weights]
    jobs = [subprocess.Popen([str(part) for part in line], env=environment, stdout=subprocess.PIPE, text=True) for _ in range(arguments.processes)]
    return [float(job.communicate()[0]) for job in jobs]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--noise", type=Path, action="append", default=[])
    parser.add_argument("--bench", type=Path, required="--worker" not in sys.argv, help="the compiled bench train_step, which draws the first weights")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        n_train, n_judged, weights = arguments.worker
        print(worker(int(n_train), int(n_judged), arguments.epochs, weights))
        return
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        weights = folder / "first.safetensors"
        subprocess.run([arguments.bench, "--measure", "tc-resnet8", "0.1", weights], check=True, capture_output=True)
        print("| round | auricle, augmented | auricle, as stored | PyTorch, features ready | ratio | ratio, as stored |")
        print("|---|---|---|---|---|---|")
        ratios = []
        for i in range(arguments.rounds):
            seconds = {}
            for name, augmented in [("augmented", True), ("stored", False)]:
                recipe = folder / f"{name}.toml"
                recipe_of(recipe, augmented, arguments.epochs, arguments.processes)
                seconds[name] = statistics.mean(ours(arguments, folder, f"{name}-{i}", recipe))
            manifest = next((folder / f"stored-{i}").glob("ingested/*/manifest.jsonl"))
            splits = [json.loads(line)["split"] for line in manifest.read_text().splitlines()]
            n_train, n_judged = splits.count("train"), splits.count("validation")
            torch = statistics.mean(theirs(arguments, n_train, n_judged, weights))
            ratios.append((torch / seconds["augmented"], torch / seconds["stored"]))
            per_hour = [f"{3600 * arguments.processes / s:,.0f} trials/h" for s in (seconds["augmented"], seconds["stored"], torch)]
            print(f"| {i + 1} | {' | '.join(per_hour)} | {ratios[-1][0]:.2f} | {ratios[-1][1]:.2f} |", flush=True)
        print(f"median ratio of trials an hour: {statistics.median(r for r, _ in ratios):.2f} with augmentation, {statistics.median(r for _, r in ratios):.2f} as stored")


if __name__ == "__main__":
    main()
