"""An hour of sound pushed through kws-infer at full speed: flat memory, no drift, the same in any chunks.

    pip install numpy
    python benches/peers/one_hour.py KWS_INFER BUNDLE WAV [--hours 1]

WAV (16-bit, mono, 16 kHz) holds words that the bundle knows. It is sent over and over on standard input, once in pieces of 10 ms
and once of 1 s. Said are the memory after the first minute and at the end, whether both runs gave the same lines, and by how
much the words of the last turn are off their places in the second one (the networks' memory of the first turn's start
is over then).
"""

import argparse
import json
import subprocess
import sys
import threading
import time
import wave
from pathlib import Path


def memory_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise SystemExit("no VmRSS: this needs Linux")


def push(program: str, bundle: str, turn: bytes, n_turns: int, n_chunk: int) -> tuple:
    child = subprocess.Popen([program, bundle, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    lines: list = []
    reader = threading.Thread(target=lambda: lines.extend(child.stdout.read().splitlines()))
    reader.start()
    memory, sent, started = [], 0, time.monotonic()
    minute = 60 * 16_000 * 2
    for _ in range(n_turns):
        for at in range(0, len(turn), n_chunk):
            child.stdin.write(turn[at : at + n_chunk])
            child.stdin.flush()
        before, sent = sent, sent + len(turn)
        if before // minute != sent // minute:
            memory.append(memory_kib(child.pid))
    child.stdin.close()
    reader.join()
    assert child.wait() == 0
    return [json.loads(line) for line in lines], memory, time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kws_infer"), parser.add_argument("bundle"), parser.add_argument("wav")
    parser.add_argument("--hours", type=float, default=1.0)
    args = parser.parse_args()
    with wave.open(args.wav) as wav:
        assert (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) == (1, 2, 16_000), "16-bit mono 16 kHz"
        turn = wav.readframes(wav.getnframes())
    # Four seconds of silence, so that a turn does not hear the one before; whole pieces of 320 ms, so that all turns fall
    # alike on the networks' strides.
    turn += bytes(4 * 32_000)
    turn += bytes(-len(turn) % 10_240)
    turn_s = len(turn) / 32_000
    n_turns = max(3, round(args.hours * 3600 / turn_s))
    runs = {n: push(args.kws_infer, args.bundle, turn, n_turns, n) for n in (320, 32_000)}
    for n_chunk, (lines, memory, seconds) in runs.items():
        print(
            f"chunks of {n_chunk / 32:.0f} ms: {n_turns * turn_s / 60:.1f} min in {seconds:.1f} s, {len(lines)} detections,"
            f" memory {memory[0] / 1024:.2f} MB after a minute, {memory[-1] / 1024:.2f} MB at the end"
        )
    (ten, _, _), (second, _, _) = runs.values()
    print("same lines in both:", ten == second)

    def of_turn(i: int) -> list:
        within = [line for line in ten if i * turn_s <= line["decided_s"] < (i + 1) * turn_s]
        return [(line["keyword"], line["decided_s"] - i * turn_s) for line in within]

    first, last = of_turn(1), of_turn(n_turns - 1)
    # The end of the stream decides what is open; compare what both turns have.
    same = [(a, b) for a, b in zip(first, last) if a[0] == b[0]]
    drift = max((abs(a[1] - b[1]) for a, b in same), default=float("nan"))
    print(f"turn 2 and turn {n_turns}: {len(first)} and {len(last)} detections, largest shift {drift:.6f} s")
    sys.exit(ten != second)


if __name__ == "__main__":
    main()
