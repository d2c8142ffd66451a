"""Lists the corpus of the wake-word recipe and lays out what its detector is tuned and judged on.

    pip install numpy soundfile
    python recipes/wake-word/prepare.py DATA INTO [--synthetic DIR] [--aloud DIR] [--no-recordings] [--all]

DATA holds wake/WORD/*, negative/*, noise/*, kws_en/*, kws_ar/* and langid/*/*. INTO gets wake.tsv and folders of links:

    clips/{validation,test}/WORD      recordings of the words, as they are
    negative/{validation,test}        hours without the words
    noise/{train,test}                no recording is in both

A recording of a word is on a side by the SHA-1 of its file name. Hours are divided by whole files: what false accepts are
counted on is in no list that anything is learnt or chosen from. Training and validation hear 1.5 s of each recording, around
the loudest stretch without a pause, and every 1.5 s of their hours and of noise. Training also hears each recording 0.12 s earlier
and later: a listener meets the word at every place of its window.

--synthetic takes a folder of `auricle dataset synth` of the same words into the list, near misses included; --no-recordings then
leaves the recordings of the words out of training and validation, for a model that never heard a person say them. --aloud takes
a folder of other speech, such as `read_aloud.py` makes, which training hears in pieces of 1.5 s.

--all lets training have the validation side too, but for a fifth that tells when to stop: for the last training, when nothing is
left to choose.
"""

import argparse
import csv
import hashlib
import os
from collections import Counter
from pathlib import Path

import numpy as np
import soundfile as sf

WORDS = ["alexa", "computer", "jarvis"]
CLIP_S = 1.5
# Training hears a recording also this much earlier and later.
SHIFTS_S = (-0.12, 0.12)
# Percent of the recordings of each word.
VALIDATION_PERCENT, TEST_PERCENT = 15, 35
# Whole files; test has all of LibriSpeech, so that one kind of speech is new to the model altogether.
NEGATIVE = {
    "train": ["fotaq_01", "s2i_01"],
    "validation": ["fotaq_02", "s2i_02"],
    "test": ["fotaq_03", "fotaq_04", "fotaq_05", "fotaq_06", "fotaq_07", "librispeech_01", "librispeech_02", "s2i_03"],
}
# ESC-10 comes in folds by recording; of the background noises two are kept for the test.
NOISE_TEST_FOLD, NOISE_TEST_BACKGROUND = "3-", ["doing_the_dishes", "white_noise"]
# Of the validation side, with --all.
STILL_VALIDATION_PERCENT = 20


def percent_of(name: str) -> float:
    return int.from_bytes(hashlib.sha1(name.encode()).digest()[:8], "big") / 2**64 * 100


def side_of(name: str) -> str:
    at = percent_of(name)
    return "validation" if at < VALIDATION_PERCENT else "test" if at < VALIDATION_PERCENT + TEST_PERCENT else "train"


def loud_stretch(samples: np.ndarray, rate: int) -> tuple[float, float]:
    """Start and end in seconds of the loudest stretch that holds no pause of 150 ms."""
    hop = rate // 100
    power = (samples[: len(samples) // hop * hop].reshape(-1, hop).astype(np.float64) ** 2).mean(axis=1)
    level = np.log(np.convolve(power, np.ones(5) / 5, mode="same") + 1e-10)
    threshold = level.max() - min(6.5, 0.7 * (level.max() - np.percentile(level, 10)))
    loud = np.flatnonzero(level >= threshold)
    stretches = np.split(loud, np.flatnonzero(np.diff(loud) > 15) + 1)
    best = max(stretches, key=lambda frames: power[frames].sum())
    return best[0] / 100, (best[-1] + 1) / 100


def word_piece(path: Path) -> tuple[float, float]:
    samples, rate = sf.read(path, dtype="float32", always_2d=True)
    length_s = len(samples) / rate
    start_s, end_s = loud_stretch(samples.mean(axis=1), rate)
    first_s = min(max((start_s + end_s - CLIP_S) / 2, 0), max(length_s - CLIP_S, 0))
    return first_s, min(first_s + CLIP_S, length_s)


def pieces(path: Path) -> list[tuple[float, float]]:
    length_s = sf.info(path).duration
    return [(i * CLIP_S, min((i + 1) * CLIP_S, length_s)) for i in range(max(int(length_s / CLIP_S), 1))]


def link(target: Path, at: Path) -> None:
    at.parent.mkdir(parents=True, exist_ok=True)
    if not at.is_symlink():
        os.symlink(target.resolve(), at)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path), parser.add_argument("into", type=Path)
    parser.add_argument("--synthetic", type=Path, metavar="DIR")
    parser.add_argument("--aloud", type=Path, metavar="DIR")
    parser.add_argument("--no-recordings", action="store_true")
    parser.add_argument("--all", action="store_true")
    args = parser.parse_args()
    data, into = args.data, args.into
    into.mkdir(parents=True, exist_ok=True)
    link(data, into / "data")
    rows: dict[tuple, tuple] = {}

    def row(path: Path, label: str, side: str, start_s=None, end_s=None, source="recording", synthetic=False):
        times = tuple("" if t is None else f"{t:.3f}" for t in (start_s, end_s))
        if args.all and side == "validation":
            # By speaker where the name tells one, by file, and hours by piece.
            who = path.name.partition("_nohash_")[0] + ("".join(times) if label == "speech" else "")
            side = side if percent_of(f"again {who}") < STILL_VALIDATION_PERCENT else "train"
        # The shifted pieces of a short recording may be the same.
        rows.setdefault((path, times), (path.as_posix(), label, side, *times, source, str(synthetic).lower()))

    for word in WORDS:
        for path in sorted((data / "wake" / word).iterdir()):
            side = side_of(path.name)
            if side != "train":
                link(path, into / "clips" / side / word / path.name)
            if side == "test" or not args.no_recordings:
                start_s, end_s = word_piece(path)
                row(Path("data/wake", word, path.name), word, side, start_s, end_s)
                if side == "train" or side == "validation" and args.all:
                    last_s = max(sf.info(path).duration - CLIP_S, 0)
                    for shift_s in SHIFTS_S:
                        at_s = min(max(start_s + shift_s, 0), last_s)
                        row(Path("data/wake", word, path.name), word, side, at_s, at_s + end_s - start_s)
    for side, names in NEGATIVE.items():
        for name in names:
            path = data / "negative" / f"{name}.ogg"
            if side != "train":
                link(path, into / "negative" / side / path.name)
            # The test side of the list is for the report on clips; the hours themselves are heard by `evaluate --stream`.
            for start_s, end_s in pieces(path):
                row(Path("data/negative", path.name), "speech", side, start_s, end_s, name.split("_")[0])
    # LibriSpeech's readers are heard in the test.
    for path in sorted(p for p in (data / "langid").rglob("*.ogg") if not p.name.startswith("librispeech")):
        side = "validation" if percent_of(path.name) < 10 else "train"
        for start_s, end_s in pieces(path):
            row("data" / path.relative_to(data), "speech", side, start_s, end_s, "langid")
    for corpus in ["kws_en", "kws_ar"]:
        with open(data / corpus / "splits.tsv", newline="") as file:
            for listed in csv.DictReader(file, delimiter="\t"):
                side = "train" if listed["split"] == "train" else "validation"
                row(Path("data", corpus, listed["path"]), "words", side, source=corpus)
    if args.synthetic:
        link(args.synthetic, into / "synthetic")
        with open(args.synthetic / "splits.tsv", newline="") as file:
            for listed in csv.DictReader(file, delimiter="\t"):
                word = listed["path"].split("/")[0]
                label = word if word in WORDS else "near"
                # What it calls test is of no use here: the test is people.
                if listed["split"] != "test":
                    row(Path("synthetic", listed["path"]), label, listed["split"], source="synthetic", synthetic=True)
    if args.aloud:
        link(args.aloud, into / "aloud")
        for path in sorted(args.aloud.iterdir()):
            for start_s, end_s in pieces(path):
                row(Path("aloud", path.name), "aloud", "train", start_s, end_s, source="aloud", synthetic=True)
    for path in sorted((data / "noise").rglob("*.ogg")):
        held_out = path.name.startswith(NOISE_TEST_FOLD) or path.stem in NOISE_TEST_BACKGROUND
        side = "test" if held_out else "train"
        link(path, into / "noise" / side / path.parent.name / path.name)
        if not held_out:
            side = "validation" if percent_of(path.name) < 10 else "train"
            for start_s, end_s in pieces(path):
                row("data" / path.relative_to(data), "noise", side, start_s, end_s, "noise")
    with open(into / "wake.tsv", "w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(["path", "label", "split", "start", "end", "source", "synthetic"])
        writer.writerows(rows.values())
    for side in ["train", "validation", "test"]:
        counts = Counter(label for _, label, of, *_ in rows.values() if of == side)
        print(f"{side:<11}", "  ".join(f"{label} {n}" for label, n in counts.items()))


if __name__ == "__main__":
    main()
