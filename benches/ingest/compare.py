"""Ingestion, this project against lhotse and torchaudio: the same files, two workers each, in turn in one run.

    pip install torch==2.11.0 torchaudio==2.11.0 lhotse==1.33.0 soundfile urllib3
    cargo build --release
    python benches/ingest/compare.py target/release/auricle DATA [--parts kws_en langid] [--rounds 3]
    python benches/ingest/compare.py target/release/auricle DATA --memory 1000 10000 100000

Ours is `auricle ingest`, whole and as a process of its own: list, audit, decode, judge, 40 log-mel bands, samples and features and
manifest written. lhotse opens and decodes each file (`Recording.from_file`, `load_audio`) and computes its `Fbank` of 40 bands; torchaudio's
`compliance.kaldi.fbank` does so on samples that soundfile decoded, since torchaudio no longer decodes by itself. Both keep nothing, have one
torch thread a worker, and are timed from when their imports are done. Wall and CPU time (all processes) of each round, and the median.

With --memory a list of the smallest number of files is repeated (through links to the folder) to each of the others, and the peak of
resident memory is shown of ours and of one worker of lhotse. Needs Linux or macOS.
"""

import argparse
import json
import multiprocessing
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

N_WORKERS = 2
N_BANDS = 40
RATE_HZ = 16_000
AUDIO = {".ogg", ".wav", ".flac"}

# Nothing is trained, but a recipe says how it would be.
TRAIN = """
n_epochs = 1
batch_size = 16
learning_rate = 0.01
warmup_share = 0.1
weight_decay = 0.01
label_smoothing = 0.05
sampler = "shuffled"
augment = { time_shift_ms = 0.0 }
"""
RECIPE = f"""
title = "Ingestion, measured"
seed = 1
n_workers = 2
frontend = "speech_16k"
[data]
clip_ms = 1000
max_reject_share = 0.05
layout = {{ kind = "manifest", path = "MANIFEST" }}
speaker = {{ kind = "unnamed" }}
splits = {{ kind = "given" }}
background = {{ folders = [], divide = "position" }}
labels = {{ keywords = [], unknown = false, silence = false }}
[space]
depth = [1, 1]
blocks = [{{ kind = "gru", n_units = [8] }}]
heads = [{{ kind = "last" }}]
limits = {{}}
[search]
controller = {{ kind = "random" }}
budget = {{ n_trials = 1 }}
[search.train]
{TRAIN}[ensemble]
n_finalists = 1
n_members = 1
[ensemble.train]
{TRAIN}[detector]
threshold = 0.6
smoothing_ms = 100
min_consecutive = 2
refractory_ms = 700
warmup_ms = 300
"""


def lhotse_features():
    import torch
    from lhotse import Fbank, FbankConfig, Recording

    torch.set_num_threads(1)
    fbank = Fbank(FbankConfig(sampling_rate=RATE_HZ, num_filters=N_BANDS))

    def of_file(path):
        samples = Recording.from_file(path).load_audio()
        return samples.shape[-1], fbank.extract(samples, RATE_HZ)

    return of_file


def torchaudio_features():
    import soundfile
    import torch
    from torchaudio.compliance import kaldi

    torch.set_num_threads(1)

    def of_file(path):
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        assert rate == RATE_HZ, path
        wave = torch.from_numpy(samples.T.copy())
        return samples.shape[0], kaldi.fbank(wave, num_mel_bins=N_BANDS, sample_frequency=RATE_HZ)

    return of_file


PEERS = {"lhotse": lhotse_features, "torchaudio": torchaudio_features}


def peer_worker(name, paths, ready, answers):
    of_file = PEERS[name]()
    of_file(paths[0])  # Whatever is set up at the first call.
    ready.wait()
    started, cpu = time.monotonic(), time.process_time()
    n_samples = 0
    for path in paths:
        n, features = of_file(path)
        assert features.shape[1] == N_BANDS
        n_samples += n
    answers.put((time.monotonic() - started, time.process_time() - cpu, n_samples / RATE_HZ, peak_mib()))


def peak_mib(who=None):
    import resource

    peak = resource.getrusage(who if who is not None else resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def peer(name, paths):
    context = multiprocessing.get_context("spawn")
    ready, answers = context.Barrier(N_WORKERS), context.Queue()
    workers = [
        context.Process(target=peer_worker, args=(name, paths[i::N_WORKERS], ready, answers)) for i in range(N_WORKERS)
    ]
    for worker in workers:
        worker.start()
    told = []
    while len(told) < N_WORKERS:
        try:
            told.append(answers.get(timeout=1))
        except queue.Empty:
            if any(worker.exitcode for worker in workers):
                for worker in workers:
                    worker.kill()
                sys.exit(f"a worker of {name} failed")
    for worker in workers:
        worker.join()
    return {
        "wall_s": max(one[0] for one in told),
        "cpu_s": sum(one[1] for one in told),
        "audio_s": sum(one[2] for one in told),
        "peak_mib": max(one[3] for one in told),
    }


def ours(program, data, files):
    """files: paths below data, with their labels."""
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        manifest = scratch / "manifest.tsv"
        with manifest.open("w") as out:
            out.write("path\tlabel\tspeaker\tsplit\n")
            for at, (path, label) in enumerate(files):
                split = ["train", "train", "validation", "test"][at // 20 % 4]
                out.write(f"{path}\t{label}\ts{at // 20}\t{split}\n")
        recipe = scratch / "recipe.toml"
        recipe.write_text(RECIPE.replace("MANIFEST", str(manifest)))
        command = [program, "ingest", recipe, "--data", data, "--runs", scratch / "runs", "--workers", str(N_WORKERS)]
        started = time.monotonic()
        process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))}\n{said}")
        kept = sum(1 for _ in next((scratch / "runs").rglob("manifest.jsonl")).open())
        n_bytes = sum(path.stat().st_size for path in (scratch / "runs").rglob("*") if path.is_file())
    scale = 1024 * 1024 if sys.platform == "darwin" else 1024
    return {
        "wall_s": wall_s,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "n_kept": kept,
        "written_mib": n_bytes / (1 << 20),
        "peak_mib": usage.ru_maxrss / scale,
    }


def listing(data, parts):
    files = []
    for part in parts:
        for path in sorted((data / part).rglob("*")):
            if path.suffix in AUDIO:
                files.append((str(path.relative_to(data)), path.parent.name))
    return files


def speed(args, files):
    whole = [str(args.data / path) for path, _ in files]
    rounds = {name: [] for name in ["auricle", *args.peers]}
    for at in range(args.rounds):
        for name in rounds:
            told = ours(args.auricle, args.data, files) if name == "auricle" else peer(name, whole)
            rounds[name].append(told)
            print(f"round {at + 1} {name}: {json.dumps({k: round(v, 2) for k, v in told.items()})}", flush=True)
    audio_s = rounds[args.peers[0]][0]["audio_s"]
    print(f"\n{len(files):,} files, {audio_s / 60:.1f} minutes, {N_WORKERS} workers, median of {args.rounds}")
    print(f"{'':<12}{'files/s':>9}{'x real time':>13}{'wall s':>9}{'CPU s':>9}")
    middle = {}
    for name, told in rounds.items():
        wall, cpu = (statistics.median(one[key] for one in told) for key in ["wall_s", "cpu_s"])
        middle[name] = (wall, cpu)
        print(f"{name:<12}{len(files) / wall:>9.0f}{audio_s / wall:>13.0f}{wall:>9.2f}{cpu:>9.2f}")
    for name in args.peers:
        wall, cpu = (theirs / mine for theirs, mine in zip(middle[name], middle["auricle"]))
        print(f"against {name}: {wall:.2f} times as fast by wall clock, {cpu:.2f} by CPU time")


def memory(args, files):
    # The shortest list that is asked for, drawn evenly from all files: however often it is repeated, its mix of lengths stays.
    n_once = min(*args.memory, len(files))
    once = [files[at * len(files) // n_once] for at in range(n_once)]
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        print(f"{'files':>9}{'auricle MiB':>13}{'wall s':>9}{'lhotse worker MiB':>19}{'wall s':>9}")
        for n in args.memory:
            repeated = []
            for copy in range(-(-n // n_once)):
                link = root / f"copy{copy:03}"
                if not link.exists():
                    link.symlink_to(args.data)
                repeated += [(f"{link.name}/{path}", label) for path, label in once]
            repeated = repeated[:n]
            mine = ours(args.auricle, root, repeated)
            theirs = peer("lhotse", [str(root / path) for path, _ in repeated])
            print(
                f"{n:>9,}{mine['peak_mib']:>13.1f}{mine['wall_s']:>9.1f}{theirs['peak_mib']:>19.1f}{theirs['wall_s']:>9.1f}",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("auricle", type=Path)
    parser.add_argument("data", type=Path, help="folder of 16 kHz recordings")
    parser.add_argument("--parts", nargs="+", default=["kws_en", "langid"], help="folders below it")
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", nargs="+", type=int, metavar="N_FILES")
    args = parser.parse_args()
    args.auricle, args.data = args.auricle.resolve(), args.data.resolve()
    files = listing(args.data, args.parts)
    if not files:
        sys.exit(f"{args.data}: found no sound files in {args.parts}")
    (memory if args.memory else speed)(args, files)


if __name__ == "__main__":
    main()
