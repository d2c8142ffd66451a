"""A real Wyoming client (the PyPI package `wyoming`) against `kws-infer serve --wyoming`.

    pip install wyoming
    kws-infer serve wake.auricle --wyoming tcp://127.0.0.1:10400 &
    python benches/peers/wyoming_client.py --uri tcp://127.0.0.1:10400 --wav words.wav

Describes, asks for all words, plays the 16-bit WAV in chunks of 80 ms and prints one JSON object:
the models, the names of the detections in their order, and whether the stream ended undetected.
"""

import argparse
import asyncio
import json
import wave

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.wake import Detect, Detection, NotDetected


async def play(uri: str, path: str) -> dict:
    client = AsyncClient.from_uri(uri)
    await client.connect()
    await client.write_event(Describe().event())
    info = Info.from_event(await client.read_event())
    models = [model.name for program in info.wake for model in program.models]

    await client.write_event(Detect().event())
    with wave.open(path) as wav:
        sound = dict(rate=wav.getframerate(), width=wav.getsampwidth(), channels=wav.getnchannels())
        await client.write_event(AudioStart(**sound, timestamp=0).event())
        n_chunk, at_ms = wav.getframerate() * 80 // 1000, 0
        while audio := wav.readframes(n_chunk):
            await client.write_event(AudioChunk(**sound, audio=audio, timestamp=at_ms).event())
            at_ms += 80
    await client.write_event(AudioStop(timestamp=at_ms).event())
    await client.write_event(Ping(text="all sent").event())

    detections, undetected = [], False
    while True:
        event = await client.read_event()
        if event is None:
            raise SystemExit("the server closed the connection")
        if Detection.is_type(event.type):
            detections.append(Detection.from_event(event).name)
        undetected |= NotDetected.is_type(event.type)
        if Pong.is_type(event.type):
            assert Pong.from_event(event).text == "all sent"
            break
    await client.disconnect()
    return {"models": models, "detections": detections, "not_detected": undetected}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uri", required=True)
    parser.add_argument("--wav", required=True)
    args = parser.parse_args()
    print(json.dumps(asyncio.run(play(args.uri, args.wav))))
