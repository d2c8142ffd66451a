"""Misses at equal false accepts of one wake word: a bundle of ours beside pymicro-wakeword and pyopen-wakeword.

    pip install numpy soundfile pymicro-wakeword pyopen-wakeword
    python benches/peers/wake_word.py AURICLE BUNDLE --word alexa --positive DIR --negative DIR [--noise DIR --snr 10,0]

All engines hear the same files: clips of the word and long recordings without it, at 16 kHz, each clip between silence (or
noise) of 2.5 s before and 1 s behind. With noise, every clip gets a seeded stretch from a seeded file at each level;
the recordings without the word stay as they are, so that false accepts per hour are of one thing. An event is the
rise of the score above a threshold; events within 2 s are one; a clip is missed when there is none in it or in the second
behind it. Every distinct score is tried as a threshold, ours by `auricle evaluate --stream`, theirs on the scores that their
own streaming code gives (microWakeWord: the mean over its sliding window).
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf

RATE, LEAD_S, TAIL_S, REFRACTORY_S = 16_000, 2.5, 1.0, 2.0


def load(path: Path) -> np.ndarray:
    samples, rate = sf.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    if rate == RATE:
        return mono
    at = np.arange(int(len(mono) * RATE / rate)) * (rate / RATE)
    return np.interp(at, np.arange(len(mono)), mono).astype(np.float32)


def micro_scores(samples: np.ndarray, word: str):
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

    model, features = MicroWakeWord.from_builtin(Model(word)), MicroWakeWordFeatures()
    audio, scores, n = (samples.clip(-1, 1) * 32767).astype("<i2").tobytes(), [], 0
    for at in range(0, len(audio), 320):
        for frame in features.process_streaming(audio[at : at + 320]):
            n += 1
            score = model.process_streaming_prob(frame)
            if n % model.stride == 0:
                scores.append(((at + 320) / 2 / RATE, score))
    return scores


def open_scores(samples: np.ndarray, word: str):
    from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures

    model, features = OpenWakeWord.from_builtin(Model(word)), OpenWakeWordFeatures.from_builtin()
    audio, scores = (samples.clip(-1, 1) * 32767).astype("<i2").tobytes(), []
    for at in range(0, len(audio), 2560):
        for embedding in features.process_streaming(audio[at : at + 2560]):
            scores.extend(((at + 2560) / 2 / RATE, score) for score in model.process_streaming(embedding))
    return scores


def n_events(scores, threshold: float) -> int:
    events, last, above = 0, -math.inf, False
    for at, score in scores:
        rises = score >= threshold and not above
        above = score >= threshold
        if rises and at - last >= REFRACTORY_S:
            events, last = events + 1, at
    return events


def curve(positives, negatives, hours: float):
    """Pairs of false accepts per hour and miss rate."""
    best = [max((s for at, s in scores if at >= LEAD_S), default=0.0) for scores in positives]
    loud = [[pair for pair in scores] for scores in negatives]
    thresholds = sorted({round(s, 6) for scores in loud for _, s in scores if s > 0.02} | {round(b, 6) for b in best})
    if len(thresholds) > 400:
        thresholds = [thresholds[int(i)] for i in np.linspace(0, len(thresholds) - 1, 400)]
    thresholds.append(1.01)
    return [
        (sum(n_events(s, t) for s in loud) / hours, sum(b < t for b in best) / len(best)) for t in thresholds
    ]


def ours(auricle: str, bundle: str, word: str, positive: Path, negative: Path):
    out = subprocess.run(
        [auricle, "evaluate", bundle, "--stream", "--positive", positive, "--negative", negative, "--format", "json",
         "--workers", "1"],
        check=True, capture_output=True, text=True,
    ).stdout
    points = []
    for point in json.loads(out)["report"]["sweep"]:
        judged = {k["keyword"]: k for k in point["judged"]["per_keyword"]}
        if word in judged:
            points.append((judged[word]["n_false_accepts"], judged[word]["miss_rate"], point["threshold"]))
    return points


def miss_at(points, rate: float) -> float:
    return min((miss for false, miss in points if false <= rate), default=1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("auricle"), parser.add_argument("bundle")
    parser.add_argument("--word", default="alexa")
    parser.add_argument("--positive", type=Path, required=True)
    parser.add_argument("--negative", type=Path, required=True)
    parser.add_argument("--noise", type=Path)
    parser.add_argument("--snr", default="10,0")
    args = parser.parse_args()
    rng = np.random.default_rng(1)
    clips = [load(path) for path in sorted(args.positive.iterdir())]
    rest = [load(path) for path in sorted(args.negative.iterdir())]
    hours = sum(map(len, rest)) / RATE / 3600
    noises = [load(p) for p in sorted(args.noise.rglob("*")) if p.is_file()] if args.noise else []
    engines = {"pymicro-wakeword": micro_scores, "pyopen-wakeword": open_scores}
    scores_of_rest = {name: [engine(samples, args.word) for samples in rest] for name, engine in engines.items()}
    print(f"{args.word}: {len(clips)} clips, {hours:.2f} h without; missed at 0.5 and 1 false accepts per hour")
    levels = [None] + [float(level) for level in args.snr.split(",")] if noises else [None]
    with tempfile.TemporaryDirectory() as folder:
        negative = Path(folder, "negative")
        negative.mkdir()
        for i, samples in enumerate(rest):
            sf.write(negative / f"{i}.wav", samples, RATE, subtype="PCM_16")
        for level in levels:
            positive = Path(folder, f"positive{level}", args.word)
            positive.mkdir(parents=True)
            heard = []
            for i, clip in enumerate(clips):
                samples = np.concatenate([np.zeros(int(LEAD_S * RATE)), clip, np.zeros(int(TAIL_S * RATE))])
                if level is not None:
                    noise = noises[rng.integers(len(noises))]
                    noise = np.roll(np.resize(noise, len(samples)), rng.integers(len(samples)))
                    rms = lambda x: math.sqrt(float(np.mean(x.astype(np.float64) ** 2)) + 1e-12)
                    samples = samples + noise * (rms(clip) / rms(noise) * 10 ** (-level / 20))
                samples = samples.clip(-1, 1).astype(np.float32)
                heard.append(samples)
                sf.write(positive / f"{i}.wav", samples, RATE, subtype="PCM_16")
            name = "as recorded" if level is None else f"{level:g} dB"
            points = ours(args.auricle, args.bundle, args.word, positive.parent, negative)
            table = {"auricle": [(false / hours, miss) for false, miss, _ in points]}
            for engine_name, engine in engines.items():
                positives = [engine(samples, args.word) for samples in heard]
                table[engine_name] = curve(positives, scores_of_rest[engine_name], hours)
            for engine_name, points in table.items():
                print(f"  {name:<12} {engine_name:<18} {miss_at(points, 0.5):7.1%} {miss_at(points, 1.0):7.1%}")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
