"""What listening costs on one core: kws-infer beside pymicro-wakeword and pyopen-wakeword, in one run.

    pip install numpy pymicro-wakeword pyopen-wakeword
    python benches/peers/real_time_factor.py KWS_INFER BUNDLE [BUNDLE ...] [--seconds 600] [--rounds 3]

Each engine hears the same sound, whole chain, samples in, detections out, in a process of its own that is pinned to one
core. Printed are CPU seconds by seconds of sound (the median of the rounds), the highest memory, and for kws-infer the wall
clock of a tenth of a second of sound, start of the program included. The sound is speech-shaped noise from a seed:
no engine's cost depends on what is said.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path

import numpy as np

RATE = 16_000
PEERS = ["pymicro-wakeword", "pyopen-wakeword"]


def write(path: Path, seconds: float) -> None:
    rng = np.random.default_rng(1)
    n = int(seconds * RATE)
    loud = 0.5 + 0.5 * np.sin(np.arange(n) * (2 * np.pi * 3 / RATE))
    noise = np.convolve(rng.standard_normal(n), np.ones(8) / 8, "same")
    samples = np.clip(3000 * loud * noise, -32768, 32767).astype("<i2")
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1), wav.setsampwidth(2), wav.setframerate(RATE)
        wav.writeframes(samples.tobytes())


def peer(name: str, path: Path) -> None:
    """One peer over the file, in this process."""
    with wave.open(str(path)) as wav:
        audio = wav.readframes(wav.getnframes())
    started = time.process_time()
    if name == "pymicro-wakeword":
        from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

        word, features = MicroWakeWord.from_builtin(Model.ALEXA), MicroWakeWordFeatures()
        for at in range(0, len(audio), 2 * 480):
            for frame in features.process_streaming(audio[at : at + 2 * 480]):
                word.process_streaming(frame)
    else:
        from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures

        word, features = OpenWakeWord.from_builtin(Model.ALEXA), OpenWakeWordFeatures.from_builtin()
        for at in range(0, len(audio), 2 * 1280):
            for embedding in features.process_streaming(audio[at : at + 2 * 1280]):
                for _ in word.process_streaming(embedding):
                    pass
    print(time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def pinned() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def peak_mib(pid: int, known: float) -> float:
    """The highest memory of a program since its start: what it took over from this one at its birth does not count."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return known
    return max([known, *(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))])


def listen(command: list) -> tuple:
    """CPU seconds, wall seconds and MiB of one program."""
    started, memory = time.monotonic(), 0.0
    child = subprocess.Popen(["taskset", "-c", str(max(os.sched_getaffinity(0))), *command], stdout=subprocess.DEVNULL)
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            break
        memory = peak_mib(child.pid, memory)
        time.sleep(0.001)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, command
    return usage.ru_utime + usage.ru_stime, time.monotonic() - started, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kws_infer")
    parser.add_argument("bundles", nargs="+")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    found = {name: [] for name in [*args.bundles, *PEERS]}
    with tempfile.TemporaryDirectory() as folder:
        sound, short = Path(folder, "sound.wav"), Path(folder, "short.wav")
        write(sound, args.seconds)
        write(short, 0.1)
        starts = []
        for _ in range(args.rounds):
            for bundle in args.bundles:
                cpu, _, memory = listen([args.kws_infer, bundle, str(sound)])
                found[bundle].append((cpu, memory))
                starts.append(listen([args.kws_infer, bundle, str(short)])[1])
            for name in PEERS:
                out = subprocess.run(
                    [sys.executable, __file__, "--peer", name, str(sound)],
                    check=True, capture_output=True, text=True, preexec_fn=pinned,
                    env={**os.environ, "OMP_NUM_THREADS": "1"},
                ).stdout.split()
                found[name].append((float(out[0]), float(out[1])))
    print(f"{args.seconds:.0f} s of sound, {args.rounds} rounds, one core")
    for name, rounds in found.items():
        cpu = statistics.median(cpu for cpu, _ in rounds)
        memory = max(memory for _, memory in rounds)
        print(f"{Path(name).name:<24} {cpu:8.3f} s CPU  real-time factor {cpu / args.seconds:.5f}  {memory:6.1f} MiB")
    print(f"kws-infer, start to the end of 0.1 s: {1000 * statistics.median(starts):.0f} ms")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(sys.argv[2], Path(sys.argv[3]))
    else:
        main()
