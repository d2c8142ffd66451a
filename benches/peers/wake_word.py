"""Misses at equal false accepts of one wake word: bundles of ours beside pymicro-wakeword and pyopen-wakeword.

    pip install numpy soundfile pymicro-wakeword pyopen-wakeword
    python benches/peers/wake_word.py --auricle AURICLE --bundle NAME=FILE ... --word alexa \\
        --positive DIR --negative DIR [--noise DIR --snr 10,0] [--keep DIR] [--json FILE]

All engines hear the same files: recordings of the word in DIR/WORD (or DIR), and hours without it, at 16 kHz. Each recording
lies between 2.5 s and 1 s of silence (or noise). With noise, every recording gets a seeded stretch of a seeded file at each level
against its own loudness; the hours stay as they are, so that false accepts per hour are of one thing in every row.

A recording is heard when the word is reported from its start to 1 s after its end; a false accept is a rise of the score above the
threshold in the hours, and those within 2 s are one. Two tables: every score as a threshold, and the fewest misses at 0.5 and 1
false accepts per hour (the threshold is the best on these very recordings, for every engine alike); and each engine at the
threshold that it comes with (of a bundle: those in it). Ours by `auricle evaluate --stream`, theirs on the scores that their own
streaming code gives (microWakeWord: the mean over its sliding window). Intervals: Wilson for misses, exact Poisson for rates.

--keep DIR keeps the peers' scores from run to run: they follow from the sounds alone.
"""

import argparse
import hashlib
import json
import math
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile as sf

RATE, LEAD_S, TAIL_S, REFRACTORY_S, TOLERANCE_S = 16_000, 2.5, 1.0, 2.0, 1.0
RATES_PER_HOUR = (0.5, 1.0)


@dataclass
class Heard:
    """What one system does: misses and false accepts of each threshold, and at the one it comes with."""

    n_clips: int
    hours: float
    points: list[tuple[float, int, int]] = field(default_factory=list)  # threshold, false accepts, misses
    shipped: tuple[float, int, int] | None = None

    def misses_at(self, per_hour: float) -> tuple[float, int, int] | None:
        within = [point for point in self.points if point[1] <= per_hour * self.hours]
        return min(within, key=lambda point: (point[2], point[1]), default=None)

    def take_false_accepts_of(self, other: "Heard") -> None:
        false = {threshold: n for threshold, n, _ in other.points}
        self.points = [(threshold, false[threshold], misses) for threshold, _, misses in self.points]
        self.shipped = (self.shipped[0], other.shipped[1], self.shipped[2])


def load(path: Path) -> np.ndarray:
    samples, rate = sf.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    if rate == RATE:
        return mono
    # Linear interpolation: noise and hours of other rates only, the same for all engines.
    at = np.arange(int(len(mono) * RATE / rate)) * (rate / RATE)
    return np.interp(at, np.arange(len(mono)), mono).astype(np.float32)


def pcm(samples: np.ndarray) -> bytes:
    return (samples.clip(-1, 1) * 32767).astype("<i2").tobytes()


def micro_scores(samples: np.ndarray, word: str):
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

    model, features = MicroWakeWord.from_builtin(Model(word)), MicroWakeWordFeatures()
    audio, scores, n = pcm(samples), [], 0
    for at in range(0, len(audio), 320):
        for frame in features.process_streaming(audio[at : at + 320]):
            n += 1
            score = model.process_streaming_prob(frame)
            if n % model.stride == 0:
                scores.append(((at + 320) / 2 / RATE, score or 0.0))
    return scores


def open_scores(samples: np.ndarray, word: str):
    from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures

    model, features = OpenWakeWord.from_builtin(Model(word)), OpenWakeWordFeatures.from_builtin()
    audio, scores = pcm(samples), []
    for at in range(0, len(audio), 2560):
        for embedding in features.process_streaming(audio[at : at + 2560]):
            scores.extend(((at + 2560) / 2 / RATE, score) for score in model.process_streaming(embedding))
    return scores


def micro_cutoff(word: str) -> float:
    from pymicro_wakeword import MicroWakeWord, Model

    return MicroWakeWord.from_builtin(Model(word)).probability_cutoff


# Scores, and the threshold that users of it begin with (openWakeWord's own default).
PEERS = {"pymicro-wakeword": (micro_scores, micro_cutoff), "pyopen-wakeword": (open_scores, lambda word: 0.5)}


def scores_of(name: str, samples: np.ndarray, word: str, keep: Path | None) -> np.ndarray:
    """`[n_scores, 2]`: seconds heard, score."""
    place = keep and keep / name / f"{word}-{hashlib.sha1(pcm(samples)).hexdigest()}.npy"
    if place and place.exists():
        return np.load(place)
    scores = np.array(PEERS[name][0](samples, word), dtype=np.float64).reshape(-1, 2)
    if place:
        place.parent.mkdir(parents=True, exist_ok=True)
        np.save(place, scores)
    return scores


def n_events(scores: np.ndarray, threshold: float) -> int:
    above = scores[:, 1] >= threshold
    rises = np.flatnonzero(above & ~np.concatenate([[False], above[:-1]]))
    events, last = 0, -math.inf
    for at in scores[rises, 0]:
        if at - last >= REFRACTORY_S:
            events, last = events + 1, at
    return events


def peer(name: str, word: str, clips, rest, hours: float, keep: Path | None) -> Heard:
    hours_scores = [scores_of(name, samples, word, keep) for samples in rest]
    best = []
    for samples, end_s in clips:
        scores = scores_of(name, samples, word, keep)
        within = (scores[:, 0] >= LEAD_S) & (scores[:, 0] <= end_s + TOLERANCE_S)
        best.append(scores[within, 1].max(initial=0.0))
    heard = Heard(len(clips), hours)

    def point(threshold: float):
        false = sum(n_events(scores, threshold) for scores in hours_scores)
        return threshold, false, sum(score < threshold for score in best)

    loud = np.concatenate([scores[scores[:, 1] > 0.02, 1] for scores in hours_scores])
    thresholds = sorted({round(float(s), 6) for s in [*loud, *best]})
    if len(thresholds) > 1000:
        thresholds = [thresholds[int(i)] for i in np.linspace(0, len(thresholds) - 1, 1000)]
    heard.points = [point(threshold) for threshold in [*thresholds, 1.01]]
    heard.shipped = point(PEERS[name][1](word))
    return heard


def ours(auricle: str, bundle: str, word: str, positive: Path, negative: Path, n_clips: int, hours: float) -> Heard:
    command = [auricle, "evaluate", bundle, "--stream", "--positive", positive, "--list", positive / "list.tsv"]
    command += ["--negative", negative, "--format", "json", "--workers", "1", "--tolerance-s", str(TOLERANCE_S)]
    out = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    heard = Heard(n_clips, hours)

    def point(judged: dict, threshold: float):
        of_word = [k for k in judged["per_keyword"] if k["keyword"] == word]
        # A keyword that was neither said nor heard is not listed.
        false, hits = (of_word[0]["n_false_accepts"], of_word[0]["n_hits"]) if of_word else (0, 0)
        return threshold, false, n_clips - hits

    heard.points = [point(p["judged"], p["threshold"]) for p in out["report"]["sweep"]]
    detector = out["detector"]
    threshold = detector.get("thresholds", {}).get(word, detector["threshold"])
    heard.shipped = point(out["report"]["conditions"][0]["judged"], threshold)
    return heard


def wilson(k: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    p, d = k / n, 1 + z * z / n
    middle, half = (p + z * z / 2 / n) / d, z * math.sqrt(p * (1 - p) / n + z * z / 4 / n / n) / d
    return max(middle - half, 0.0), min(middle + half, 1.0)


def poisson(k: int) -> tuple[float, float]:
    """The exact 95 % interval of a count."""

    def at(target: float, upto: int) -> float:
        low, high = 0.0, 10.0 * (k + 3)
        for _ in range(200):
            mean = (low + high) / 2
            tail = sum(math.exp(i * math.log(mean) - mean - math.lgamma(i + 1)) for i in range(upto + 1))
            low, high = (mean, high) if tail > target else (low, mean)
        return low

    return (at(0.975, k - 1) if k else 0.0), at(0.025, k)


def told(point, heard: Heard) -> str:
    if point is None:
        return "no threshold keeps to it"
    threshold, false, misses = point
    (low, high), (few, many) = wilson(misses, heard.n_clips), poisson(false)
    return (
        f"{misses:4} of {heard.n_clips} missed {misses / heard.n_clips:6.1%} ({low:.1%} to {high:.1%})"
        f"  {false:3} false, {false / heard.hours:5.2f} an hour ({few / heard.hours:.2f} to {many / heard.hours:.2f})"
        f"  at {threshold:.4f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--auricle", help="the program, for --bundle")
    parser.add_argument("--bundle", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--word", default="alexa")
    parser.add_argument("--peers", default=",".join(PEERS), help="those that know the word; may be empty")
    parser.add_argument("--positive", type=Path, required=True)
    parser.add_argument("--negative", type=Path, required=True)
    parser.add_argument("--noise", type=Path)
    parser.add_argument("--snr", default="10,0")
    parser.add_argument("--keep", type=Path, metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    folder = args.positive / args.word
    paths = sorted((folder if folder.is_dir() else args.positive).iterdir())
    clips = [load(path) for path in paths]
    rest = [load(path) for path in sorted(args.negative.iterdir())]
    hours = sum(map(len, rest)) / RATE / 3600
    noises = [load(p) for p in sorted(args.noise.rglob("*")) if p.is_file()] if args.noise else []
    print(f"{args.word}: {len(clips)} recordings, {hours:.2f} h without")
    levels = [None] + [float(level) for level in args.snr.split(",")] if noises else [None]
    all_rows, in_hours = [], {}
    with tempfile.TemporaryDirectory() as scratch:
        negative = Path(scratch, "negative")
        negative.mkdir()
        for i, samples in enumerate(rest):
            sf.write(negative / f"{i}.wav", samples, RATE, subtype="PCM_16")
        for level in levels:
            rng = np.random.default_rng(1)
            positive = Path(scratch, f"positive{level}")
            positive.mkdir(parents=True)
            heard, rows = [], ["path\tlabel\tstart\tend"]
            for i, clip in enumerate(clips):
                samples = np.concatenate([np.zeros(int(LEAD_S * RATE)), clip, np.zeros(int(TAIL_S * RATE))])
                if level is not None:
                    # The same noise at every level.
                    noise = noises[rng.integers(len(noises))]
                    noise = np.roll(np.resize(noise, len(samples)), rng.integers(len(samples)))
                    rms = lambda x: math.sqrt(float(np.mean(x.astype(np.float64) ** 2)) + 1e-12)
                    samples = samples + noise * (rms(clip) / rms(noise) * 10 ** (-level / 20))
                samples = samples.clip(-1, 1).astype(np.float32)
                end_s = LEAD_S + len(clip) / RATE
                heard.append((samples, end_s))
                sf.write(positive / f"{i}.wav", samples, RATE, subtype="PCM_16")
                rows.append(f"{i}.wav\t{args.word}\t{LEAD_S:.3f}\t{end_s:.3f}")
            (positive / "list.tsv").write_text("\n".join(rows) + "\n")
            systems = {}
            for named in args.bundle:
                name, bundle = named.split("=", 1)
                systems[name] = ours(args.auricle, bundle, args.word, positive, negative, len(clips), hours)
                # Noise before a word is no hour without it: what counts as false is the same at every level, as for the others.
                counted = in_hours.setdefault(name, systems[name])
                systems[name].take_false_accepts_of(counted)
            for name in filter(None, args.peers.split(",")):
                systems[name] = peer(name, args.word, heard, rest, hours, args.keep)
            title = "as recorded" if level is None else f"{level:g} dB"
            print(f"\n{title}")
            for name, system in systems.items():
                for per_hour in RATES_PER_HOUR:
                    point = system.misses_at(per_hour)
                    print(f"  {name:<22} best at {per_hour}/h  {told(point, system)}")
                    all_rows.append([title, name, f"best at {per_hour}/h", point, system.n_clips, system.hours])
                print(f"  {name:<22} as it comes  {told(system.shipped, system)}")
                all_rows.append([title, name, "as it comes", system.shipped, system.n_clips, system.hours])
            sys.stdout.flush()
    if args.json:
        keys = ["condition", "system", "what", "threshold_false_misses", "n_clips", "hours"]
        plain = [dict(zip(keys, row)) for row in all_rows]
        args.json.write_text(json.dumps(plain, indent=1, default=lambda value: value.item()) + "\n")


if __name__ == "__main__":
    main()
