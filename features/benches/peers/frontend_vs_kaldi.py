"""auricle-features beside kaldi-native-fbank, in one run, one thread each, on the same job.

    pip install kaldi-native-fbank==1.23.0
    cargo build --release -p auricle-features --example throughput
    python features/benches/peers/frontend_vs_kaldi.py [PATH OF THE throughput EXAMPLE]

The job: 40 bands at 16 kHz by Kaldi's rules (povey window, pre-emphasis, DC removed, no dither), the case kaldi_40
of golden/cases.json. The two take turns, ROUNDS times; the fastest of all short repeats counts on either side, so
that neighbours on the machine do not. kaldi-native-fbank takes its samples as a Python list, which its binding copies
item by item: what OnlineRawAudioSamples takes for the same list (the copy, and frames cut without any arithmetic) is
measured and taken off, in kaldi's favour. Reading frames out, in Python, is not counted.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"

import kaldi_native_fbank as knf

FEATURES = Path(__file__).resolve().parents[2]
RATE, SECONDS, REPEATS, ROUNDS = 16000, 2, 200, 3


def noise(n):
    state, samples = 1, []
    for _ in range(n):
        state = (1664525 * state + 1013904223) % 2**32
        samples.append((state >> 16) / 32768 - 1)
    return samples


def fastest(make, samples):
    best = float("inf")
    for _ in range(REPEATS):
        extractor = make()
        start = time.perf_counter()
        extractor.accept_waveform(RATE, samples)
        best = min(best, time.perf_counter() - start)
    return best, extractor


def fbank_options(spec):
    options = knf.FbankOptions()
    options.frame_opts.samp_freq, options.frame_opts.dither = RATE, 0.0
    options.frame_opts.window_type, options.frame_opts.preemph_coeff = "povey", spec["pre_emphasis"]
    options.mel_opts.num_bins = spec["n_mels"]
    options.mel_opts.low_freq, options.mel_opts.high_freq = spec["low_hz"], spec["high_hz"]
    return options


def ours(example, spec_path):
    output = subprocess.run(
        [example, str(SECONDS), str(REPEATS), spec_path], check=True, capture_output=True, text=True
    ).stdout
    return {name: float(seconds) for name, seconds in map(str.split, output.splitlines())}


def main():
    target = Path(os.environ.get("CARGO_TARGET_DIR", FEATURES.parent / "target"))
    example = sys.argv[1] if len(sys.argv) > 1 else str(target / "release" / "examples" / "throughput")
    cases = json.loads((FEATURES / "golden" / "cases.json").read_text())
    spec = next(case["spec"] for case in cases if case["name"] == "kaldi_40")
    samples = noise(SECONDS * RATE)
    fbank, raw = fbank_options(spec), knf.RawAudioSamplesOptions()
    best = {}

    def note(name, seconds):
        best[name] = min(best.get(name, float("inf")), seconds)

    with tempfile.TemporaryDirectory() as folder:
        spec_path = str(Path(folder) / "spec.json")
        Path(spec_path).write_text(json.dumps(spec))
        for _ in range(ROUNDS):
            with_copy, extractor = fastest(lambda: knf.OnlineFbank(fbank), samples)
            copy, _ = fastest(lambda: knf.OnlineRawAudioSamples(raw), samples)
            note("with copy", with_copy)
            note("copy", copy)
            for what, preset in (("same job", spec_path), ("speech_16k", "speech_16k")):
                for name, seconds in ours(example, preset).items():
                    note(f"auricle {what}, {name}", seconds)
    assert extractor.num_frames_ready == 1 + (len(samples) - 400) // 160
    kaldi = best.pop("with copy") - best.pop("copy")
    print(f"x real time on one core, fastest of {ROUNDS * REPEATS} runs over {SECONDS} s of noise; the second number is against kaldi")
    print(f"{'kaldi-native-fbank, copy taken off':36} {SECONDS / kaldi:8.0f} {1:6.2f}")
    for name, seconds in best.items():
        print(f"{name:36} {SECONDS / seconds:8.0f} {kaldi / seconds:6.2f}")


main()
