"""Has espeak-ng read English text aloud in many voices: hours of speech without the wake words, for `prepare.py --aloud`.

    pip install numpy soundfile
    python recipes/wake-word/read_aloud.py INTO TEXT... [--voices 96] [--sentences 14]

Every voice reads some of the sentences of the text files (plain ones of 30 to 200 characters; code of Markdown pages is left out)
at a pace and a pitch of its own, into one Ogg Vorbis file at 16 kHz. Sentences with a wake word in them are left out. Needs espeak-ng.
"""

import argparse
import random
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf

from prepare import WORDS

RATE = 16_000
ACCENTS = ["en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029", "en-us-nyc"]
VARIANTS = (
    "m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 klatt2 klatt4 Annie Alicia Andy Adam Belinda Caleb David Denis Ed Gene Jacky Lee Linda "
    "Mario Max Michael Pablo Paul Quincy Rob Steph Zac anika shelby travis victor norbert sandro grandpa"
).split()


def sentences_of(path: Path) -> set[str]:
    text = re.sub(r"```.*?```", "", path.read_text(errors="ignore"), flags=re.S)
    found = (" ".join(part.split()) for part in re.split(r"(?<=[.!?])\s+|\n\s*\n", text))
    plain = re.compile(r"[A-Za-z ,.'\-;:()]{31,199}")
    wake = re.compile("|".join(WORDS), re.I)
    return {s for s in found if plain.fullmatch(s) and s.count(" ") > 4 and not wake.search(s)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("into", type=Path), parser.add_argument("texts", type=Path, nargs="+", metavar="TEXT")
    parser.add_argument("--voices", type=int, default=96)
    parser.add_argument("--sentences", type=int, default=14)
    args = parser.parse_args()
    args.into.mkdir(parents=True, exist_ok=True)
    random.seed(3)
    sentences = sorted(set().union(*map(sentences_of, args.texts)))
    if not sentences:
        parser.error(f"found no plain sentence of 30 to 200 characters in {len(args.texts)} files")
    random.shuffle(sentences)
    voices = [(accent, variant) for accent in ACCENTS for variant in VARIANTS]
    random.shuffle(voices)
    n_samples = 0
    with tempfile.TemporaryDirectory() as scratch:
        spoken = Path(scratch, "spoken.wav")
        for i, (accent, variant) in enumerate(voices[: args.voices]):
            at = i * args.sentences % len(sentences)
            pace, pitch = random.randint(130, 210), random.randint(25, 75)
            said = ["espeak-ng", "-v", f"{accent}+{variant}", "-s", str(pace), "-p", str(pitch), "-w", spoken]
            subprocess.run(said, input="\n\n".join(sentences[at : at + args.sentences]), text=True, check=True)
            samples, rate = sf.read(spoken, dtype="float32")
            n = int(len(samples) * RATE / rate)
            samples = np.interp(np.arange(n) * rate / RATE, np.arange(len(samples)), samples)
            sf.write(args.into / f"{accent}_{variant}_{i}.ogg", samples, RATE)
            n_samples += n
    print(f"{n_samples / RATE / 3600:.2f} h in {args.into}, {len(sentences):,} sentences")


if __name__ == "__main__":
    main()
