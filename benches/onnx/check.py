#!/usr/bin/env python3
"""Bundles exported by the program, run by onnxruntime: do they answer as the program does?

    python -m venv venv && venv/bin/pip install onnx onnxruntime numpy soundfile
    venv/bin/python benches/onnx/check.py PROGRAM BUNDLE --data DIR [--list FILE --split NAME] [--clips N]
    venv/bin/python benches/onnx/check.py --folder FOLDER

The first exports BUNDLE in both forms, decodes the clips with libsndfile (WAV, FLAC, Ogg Vorbis, MP3, AIFF, AU, ..., any
number of channels; those of another rate than the bundle's are left out and counted, as are formats that only the program reads,
since another resampler or decoder is another sound), computes log-mel frames with numpy alone, by the front-end that stands in the
graph's metadata, and compares probabilities with `PROGRAM evaluate --format csv`. The second takes graphs of every kind of block, with frames and
the answers of our own networks, that the tests write:

    AURICLE_ONNX_FOLDER=FOLDER cargo test --lib export::

Ends with status 1 where a difference is above the tolerance, and prints the largest either way.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import soundfile

TOLERANCE = 1e-4


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def whole_clip(run, frames):
    """Logits and probabilities of frames [n_frames, n_mels]."""
    return run.run(["logits", "probabilities"], {"frames": frames[None]})


def one_frame_at_a_time(run, frames):
    """Logits and probabilities at every frame; all states are zeros at first."""
    names = [value.name for value in run.get_outputs()]
    feed = {
        value.name: np.zeros(value.shape, np.float32)
        for value in run.get_inputs()
        if value.name != "frames"
    }
    logits, probabilities = [], []
    for frame in frames:
        found = dict(zip(names, run.run(None, feed | {"frames": frame[None, None]})))
        logits.append(found["logits"])
        probabilities.append(found["probabilities"])
        feed = {name: found[name + ".next"] for name in feed}
    return logits, probabilities


class LogMel:
    """The front-end of a bundle, as its metadata describes it."""

    def __init__(self, spec):
        unknown = [key for key in ("pcen", "running_norm", "pre_emphasis") if spec.get(key)]
        if unknown or spec["window"] != "hann-periodic" or spec["mel_scale"] != "htk":
            sys.exit(f"the front-end {spec} is more than this script computes")
        self.spec = spec
        n = spec["window_samples"]
        self.window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
        self.bank = self.make_bank()

    def make_bank(self):
        spec = self.spec
        to_mel = lambda hz: 2595 * np.log10(1 + hz / 700)
        to_hz = lambda mel: 700 * (10 ** (mel / 2595) - 1)
        edges = np.linspace(to_mel(spec["low_hz"]), to_mel(spec["high_hz"]), spec["n_mels"] + 2)
        left, centre, right = (to_hz(edges)[i : i + spec["n_mels"], None] for i in range(3))
        n_bins = spec["fft_samples"] // 2 + 1
        bins = np.arange(n_bins)[None] * spec["sample_rate_hz"] / spec["fft_samples"]
        rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
        bank = np.maximum(0, np.minimum(rising, falling))
        if spec["mel_norm"] == "slaney":
            bank *= 2 / (right - left)
        return bank

    def __call__(self, samples):
        spec = self.spec
        n = spec["window_samples"]
        frames = np.lib.stride_tricks.sliding_window_view(samples, n)[:: spec["hop_samples"]]
        if spec["remove_dc"]:
            frames = frames - frames.mean(1, keepdims=True)
        spectrum = np.abs(np.fft.rfft(frames * self.window, spec["fft_samples"]))
        if spec["spectrum"] == "power":
            spectrum = spectrum**2
        bands = spectrum @ self.bank.T
        return np.log(np.maximum(bands, spec["log_floor"])).astype(np.float32)


def samples_of(path, rate_hz):
    """The mean of a file's channels, or why it is left out."""
    try:
        samples, found_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        return None, f"not read by libsndfile: {error.error_string}"
    if found_hz != rate_hz:
        return None, f"{found_hz} Hz, not {rate_hz}"
    return samples.mean(axis=1, dtype=np.float64), None


def fitted(samples, n):
    """The rule of the program: the middle of a longer clip, a shorter one between zeros."""
    if len(samples) >= n:
        start = (len(samples) - n) // 2
        return samples[start : start + n]
    before = (n - len(samples)) // 2
    return np.pad(samples, (before, n - len(samples) - before))


def calibrated(probabilities, languages, heard_s):
    """What the program makes of the graph's probabilities where the classes are languages: see `auricle.languages`."""
    points = (languages or {}).get("temperatures", [])
    if not points:
        return probabilities
    times = np.log([point["heard_ms"] / 1000 for point in points])
    temperature = np.interp(np.log(heard_s), times, [point["temperature"] for point in points])
    powers = probabilities.astype(np.float64) ** (1 / temperature)
    return powers / powers.sum()


def exported(program, bundle, folder, streaming):
    path = Path(folder) / ("stream.onnx" if streaming else "clip.onnx")
    command = [program, "export", bundle, "--onnx", path] + ["--streaming"] * streaming
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    onnx.checker.check_model(str(path), full_check=True)
    return session(path)


def check_bundle(args):
    command = [args.program, "evaluate", args.bundle, "--data", args.data, "--format", "csv"]
    for name in ("list", "split"):
        if getattr(args, name):
            command += [f"--{name}", getattr(args, name)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = list(csv.DictReader(text.splitlines()))
    rows = rows[:: max(1, len(rows) // args.clips)][: args.clips]
    with tempfile.TemporaryDirectory() as folder:
        clip, stream = (exported(args.program, args.bundle, folder, s) for s in (False, True))
    about = clip.get_modelmeta().custom_metadata_map
    labels = json.loads(about["auricle.labels"])
    log_mel = LogMel(json.loads(about["auricle.frontend"]))
    rate_hz = log_mel.spec["sample_rate_hz"]
    languages = json.loads(about.get("auricle.languages", "null"))
    in_samples = lambda ms: (int(ms) * rate_hz + 500) // 1000
    longest_ms = json.loads(about.get("auricle.whole_clips_ms", "null"))

    def clip_of(samples):
        """The rule of the program: clips of one length, or whole ones up to a length."""
        if longest_ms is None:
            return fitted(samples, in_samples(about["auricle.clip_ms"]))
        longest = in_samples(longest_ms)
        is_too_short = len(samples) < log_mel.spec["window_samples"]
        return fitted(samples, longest if is_too_short else min(len(samples), longest))

    worst = {"clip": 0.0, "stream": 0.0, "stream against clip": 0.0}
    n_checked, n_frames, seconds, left_out = 0, 0, 0.0, {}
    for row in rows:
        samples, reason = samples_of(Path(args.data) / row["id"], rate_hz)
        if samples is None:
            left_out[reason] = left_out.get(reason, 0) + 1
            continue
        n_checked += 1
        samples = clip_of(samples)
        frames = log_mel(samples)
        expected = np.array([float(row[f"p:{label}"]) for label in labels])
        clip_logits, of_clip = whole_clip(clip, frames)
        start = time.perf_counter()
        stream_logits, of_stream = one_frame_at_a_time(stream, frames)
        seconds += time.perf_counter() - start
        n_frames += len(frames)
        for form, found in (("clip", of_clip), ("stream", of_stream[-1])):
            found = calibrated(found[0], languages, len(samples) / rate_hz)
            worst[form] = max(worst[form], float(np.abs(found - expected).max()))
        between = float(np.abs(stream_logits[-1] - clip_logits).max())
        worst["stream against clip"] = max(worst["stream against clip"], between)
    if not n_checked:
        sys.exit(f"{args.data}: found no clip to check, left out: {left_out}")
    print(f"{args.bundle}: {n_checked} clips, onnxruntime {onnxruntime.__version__}")
    for reason, n in left_out.items():
        print(f"  {n} left out: {reason}")
    print(f"  whole clip, probabilities against the program's:    {worst['clip']:.1e}")
    print(f"  frame by frame, probabilities against the program's: {worst['stream']:.1e}")
    print(f"  frame by frame against whole clip, logits:           {worst['stream against clip']:.1e}")
    hop_s = log_mel.spec["hop_samples"] / rate_hz
    print(f"  frame by frame: {1e6 * seconds / n_frames:.0f} us a frame, {seconds / n_frames / hop_s:.4f} of real time")
    return max(worst.values())


def check_folder(folder):
    """Every `NAME.json` with `NAME.onnx` beside it."""
    worst, worst_name, n_checked = 0.0, None, 0
    for path in sorted(Path(folder).glob("*.json")):
        case = json.loads(path.read_text())
        graph = path.with_suffix(".onnx")
        onnx.checker.check_model(str(graph), full_check=True)
        run, frames = session(graph), np.array(case["frames"], np.float32)
        expected = np.array(case["logits"], np.float32)
        if case["form"] == "stream":
            found, _ = one_frame_at_a_time(run, frames)
            found = np.stack([logits.ravel() for logits in found])
        else:
            found = whole_clip(run, frames)[0].ravel()
            expected = expected[-1]
        difference = float(np.abs(found - expected).max())
        if not difference <= TOLERANCE:
            print(f"{case['form']:<6} {difference:.1e}  {case['genome']}")
        n_checked += 1
        if not difference <= worst:
            worst, worst_name = difference, f"{case['form']}: {case['genome']}"
    if not n_checked:
        sys.exit(f"{folder}: found no case")
    print(f"{n_checked} graphs, onnxruntime {onnxruntime.__version__}: largest difference of logits {worst:.1e} ({worst_name})")
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", nargs="?")
    parser.add_argument("bundle", nargs="?")
    parser.add_argument("--data")
    parser.add_argument("--list")
    parser.add_argument("--split")
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--folder")
    args = parser.parse_args()
    if args.folder:
        worst = check_folder(args.folder)
    elif args.program and args.bundle and args.data:
        worst = check_bundle(args)
    else:
        parser.error("expected PROGRAM BUNDLE --data DIR, or --folder FOLDER")
    sys.exit(0 if worst <= TOLERANCE else 1)


if __name__ == "__main__":
    main()
