"""Makes the golden values of auricle-features: `python make.py`, with librosa and kaldi-native-fbank.

Writes signal.i16 (half a second at 16 kHz) and, for each case of cases.json, NAME.f32 `[n_frames, n_mels]`
beside this script, all little-endian, and the package versions to made-with.txt. librosa computes in float64;
the running normalisation is done by scipy.signal.lfilter on librosa's logarithms.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import kaldi_native_fbank as knf
import librosa
import numpy as np
import scipy.signal

HERE = Path(__file__).parent


def make_signal(n=8000, rate=16000):
    """A chirp from 100 Hz to 6 kHz, noise of a linear congruential generator, an offset, and a digital silence."""
    noise, state = np.empty(n), 1
    for i in range(n):
        state = (1664525 * state + 1013904223) % 2**32
        noise[i] = (state >> 16) / 32768 - 1
    t = np.arange(n) / rate
    chirp = np.sin(2 * np.pi * (100 * t + 5900 * t**2 / (2 * n / rate)))
    loudness = 0.05 + 0.4 * np.sin(np.pi * np.arange(n) / n) ** 2
    x = loudness * chirp + 0.05 * noise + 0.01
    x[4000:5000] = 0  # five frames at the floor
    return np.round(32767 * x).astype("<i2")


def with_librosa(spec, x):
    n_fft, n_window = spec["fft_samples"], spec["window_samples"]
    if spec.get("pre_emphasis") is not None:
        # Over the whole signal: within a window that begins with a zero the same as within the window.
        assert spec["window"] == "hann-periodic"
        x = librosa.effects.preemphasis(x, coef=spec["pre_emphasis"], zi=[0.0])
    assert not spec["remove_dc"]
    window = {
        "hann-periodic": lambda n: scipy.signal.get_window("hann", n, fftbins=True),
        "hann-symmetric": lambda n: scipy.signal.get_window("hann", n, fftbins=False),
        "hamming": lambda n: scipy.signal.get_window("hamming", n, fftbins=False),
    }[spec["window"]]
    # librosa centres a short window within the transform: zeros before the signal put it at the start.
    before = (n_fft - n_window) // 2
    x = np.pad(x, (before, n_fft - n_window - before))
    power = {"power": 2.0, "magnitude": 1.0}[spec["spectrum"]]
    spectrum = np.abs(librosa.stft(
        x, n_fft=n_fft, hop_length=spec["hop_samples"], win_length=n_window, window=window(n_window), center=False
    )) ** power
    weights = librosa.filters.mel(
        sr=spec["sample_rate_hz"], n_fft=n_fft, n_mels=spec["n_mels"], fmin=spec["low_hz"], fmax=spec["high_hz"],
        htk=spec["mel_scale"] == "htk", norm={"none": None, "slaney": "slaney"}[spec["mel_norm"]], dtype=np.float64,
    )
    bands = weights @ spectrum
    pcen = spec.get("pcen")
    if pcen is None:
        values = np.log(np.maximum(bands, spec["log_floor"]))
    else:
        values = librosa.pcen(
            bands * pcen["scale"], sr=spec["sample_rate_hz"], hop_length=spec["hop_samples"], gain=pcen["gain"],
            bias=pcen["bias"], power=pcen["power"], time_constant=pcen["time_constant_s"], eps=pcen["eps"],
        )
    norm = spec.get("running_norm")
    if norm is not None:
        r = 1 - np.exp(-spec["hop_samples"] / spec["sample_rate_hz"] / norm["time_constant_s"])
        mean, _ = scipy.signal.lfilter([r], [1, r - 1], values, zi=(1 - r) * values[:, :1])
        values = values - mean
        if norm["variance"]:
            variance, _ = scipy.signal.lfilter([r], [1, r - 1], values**2, zi=np.full_like(values[:, :1], 1 - r))
            values = values / np.sqrt(variance + 1e-5)
    return values.T


def with_kaldi(spec, x):
    options = knf.FbankOptions()
    frame, mel = options.frame_opts, options.mel_opts
    rate = spec["sample_rate_hz"]
    frame.samp_freq, frame.dither, frame.snip_edges = rate, 0.0, True
    frame.frame_length_ms, frame.frame_shift_ms = 1000 * spec["window_samples"] / rate, 1000 * spec["hop_samples"] / rate
    frame.preemph_coeff, frame.remove_dc_offset = spec.get("pre_emphasis") or 0.0, spec["remove_dc"]
    frame.window_type = {"povey": "povey", "hamming": "hamming", "hann-symmetric": "hanning"}[spec["window"]]
    mel.num_bins, mel.low_freq, mel.high_freq = spec["n_mels"], spec["low_hz"], spec["high_hz"]
    options.use_energy, options.use_log_fbank = False, True
    options.use_power = spec["spectrum"] == "power"
    assert spec["mel_scale"] == "kaldi" and spec["mel_norm"] == "none" and spec["log_floor"] == 1.1920929e-7
    assert spec["fft_samples"] == 1 << (spec["window_samples"] - 1).bit_length()
    fbank = knf.OnlineFbank(options)
    fbank.accept_waveform(rate, x.astype(np.float32).tolist())
    fbank.input_finished()
    return np.array([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])


def main():
    signal = make_signal()
    signal.tofile(HERE / "signal.i16")
    x = signal / 32768
    oracles = {"librosa": with_librosa, "kaldi": with_kaldi}
    for case in json.loads((HERE / "cases.json").read_text()):
        values = oracles[case["oracle"]](case["spec"], x)
        values.astype("<f4").tofile(HERE / f"{case['name']}.f32")
        print(f"{case['name']}: {values.shape[0]} frames of {values.shape[1]}, {values.min():.3f} to {values.max():.3f}")
    packages = ["librosa", "kaldi-native-fbank", "numpy", "scipy"]
    versions = [f"python {sys.version.split()[0]}"] + [f"{name} {version(name)}" for name in packages]
    (HERE / "made-with.txt").write_text("\n".join(versions) + "\n")


main()
