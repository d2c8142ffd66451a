"""Training throughput, this project against PyTorch: same networks, weights, batch, loss and AdamW, one thread each.

    pip install torch numpy
    cargo bench --bench train_step --no-run        # prints the path of the bench's program
    python benches/pytorch/compare.py PATH-OF-THE-PROGRAM [--seconds 5] [--rounds 3] [--only KIND ...]

Both sides train the networks of networks.json on one batch of 64 clips of [40, 98], in turn and in processes of their
own, and count clips per second of CPU time; of the rounds the median is shown. PyTorch starts from the weights that our
side drew, and the first three losses of both must agree to 1e-4, so it is the same training that is timed. (AdamW's
epsilon is 1e-4 here: with the usual 1e-8 it makes steps of full length out of gradients that are all rounding, such as
that of a scale before a normalisation. Later losses drift apart like any two orders of summation: the fifth of BC-ResNet-1
by 6e-4 between PyTorch in single and in double precision.)
With --keep-memory PyTorch's C library keeps freed memory, as our trainer asks of it by itself.
"""

import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

N_BATCH, N_MELS, N_FRAMES, N_CLASSES = 64, 40, 98, 12
N_LOSSES = 10
N_COMPARED = 3
NETWORKS = Path(__file__).with_name("networks.json")


def read_safetensors(path):
    """Name -> array, from a file of f32 tensors."""
    import numpy

    blob = Path(path).read_bytes()
    (n_header,) = struct.unpack("<Q", blob[:8])
    header = json.loads(blob[8 : 8 + n_header])
    data = blob[8 + n_header :]
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            values = numpy.frombuffer(data[start:end], dtype="<f4")
            tensors[name] = values.reshape(entry["shape"]).copy()
    return tensors


def build(genome, weights):
    """The PyTorch network of a genome, with those weights."""
    import torch
    from torch import nn
    from torch.nn import functional

    def tensor(name):
        return torch.from_numpy(weights[name])

    class ConvNorm(nn.Module):
        """Causal convolution without bias, batch normalisation, ReLU if asked for."""

        def __init__(self, prefix, stride=1, dilation=1, depthwise=False, relu=True):
            super().__init__()
            weight = tensor(f"{prefix}.weight")
            n_out, n_in, kernel = weight.shape
            groups = n_out if depthwise else 1
            self.conv = nn.Conv1d(
                n_in * groups, n_out, kernel, stride=stride, dilation=dilation, groups=groups, bias=False
            )
            self.norm = nn.BatchNorm1d(n_out, eps=1e-5, momentum=0.1)
            self.n_past, self.relu = (kernel - 1) * dilation, relu
            with torch.no_grad():
                self.conv.weight.copy_(weight)
                self.norm.weight.copy_(tensor(f"{prefix}.norm.gamma"))
                self.norm.bias.copy_(tensor(f"{prefix}.norm.beta"))

        def forward(self, frames):
            if self.n_past:
                frames = functional.pad(frames, (self.n_past, 0))
            frames = self.norm(self.conv(frames))
            return functional.relu(frames) if self.relu else frames

    class Residual(nn.Module):
        def __init__(self, prefix, stride):
            super().__init__()
            self.first = ConvNorm(f"{prefix}.first", stride)
            self.second = ConvNorm(f"{prefix}.second", relu=False)
            name = f"{prefix}.shortcut"
            has_shortcut = f"{name}.weight" in weights
            self.shortcut = ConvNorm(name, stride, relu=False) if has_shortcut else nn.Identity()

        def forward(self, frames):
            return functional.relu(self.second(self.first(frames)) + self.shortcut(frames))

    class Matrix(nn.Module):
        """The same matrix at every frame, without bias."""

        def __init__(self, prefix):
            super().__init__()
            self.weight = nn.Parameter(tensor(f"{prefix}.weight").t().unsqueeze(2).contiguous())

        def forward(self, frames):
            return functional.conv1d(frames, self.weight)

    class Gru(nn.Module):
        def __init__(self, prefix):
            super().__init__()
            w_input, w_hidden = tensor(f"{prefix}.w_input"), tensor(f"{prefix}.w_hidden")
            self.gru = nn.GRU(w_input.shape[0], w_hidden.shape[0], batch_first=True)
            with torch.no_grad():
                self.gru.weight_ih_l0.copy_(w_input.t())
                self.gru.weight_hh_l0.copy_(w_hidden.t())
                self.gru.bias_ih_l0.copy_(tensor(f"{prefix}.b_input"))
                self.gru.bias_hh_l0.copy_(tensor(f"{prefix}.b_hidden"))

        def forward(self, frames):
            return self.gru(frames.transpose(1, 2))[0].transpose(1, 2)

    class Conv2d(nn.Module):
        """Causal convolution over bands and time without bias; batch normalisation by channel and sub-band, and ReLU."""

        def __init__(self, prefix, stride=(1, 1), dilation=(1, 1), depthwise=False, spans_bands=False, relu=True):
            super().__init__()
            weight = tensor(f"{prefix}.weight")
            n_out, n_in, *kernel = weight.shape
            groups = n_out if depthwise else 1
            self.conv = nn.Conv2d(
                n_in * groups, n_out, kernel, stride=stride, dilation=dilation, groups=groups, bias=False
            )
            self.kernel, self.stride, self.dilation = kernel, stride, dilation
            self.spans_bands, self.relu = spans_bands, relu
            with torch.no_grad():
                self.conv.weight.copy_(weight)
            self.norm = None
            if f"{prefix}.norm.gamma" in weights:
                gamma = tensor(f"{prefix}.norm.gamma")
                self.n_subbands = len(gamma) // n_out
                self.norm = nn.BatchNorm2d(len(gamma), eps=1e-5, momentum=0.1)
                with torch.no_grad():
                    self.norm.weight.copy_(gamma)
                    self.norm.bias.copy_(tensor(f"{prefix}.norm.beta"))

        def padding(self, n_bands):
            """Before the first frame, and below the first and above the last band."""
            n_past = (self.kernel[1] - 1) * self.dilation[1]
            if self.spans_bands:
                return (n_past, 0, 0, 0)
            reach = (self.kernel[0] - 1) * self.dilation[0]
            n_out = -(-n_bands // self.stride[0])
            above = (n_out - 1) * self.stride[0] + reach + 1 - n_bands - reach // 2
            return (n_past, 0, reach // 2, max(above, 0))

        def forward(self, x):
            x = x.unsqueeze(1) if x.dim() == 3 else x
            padding = self.padding(x.shape[2])
            x = self.conv(functional.pad(x, padding) if any(padding) else x)
            if self.norm is not None:
                n, c, f, t = x.shape
                x = x.reshape(n, c * self.n_subbands, f // self.n_subbands, t)
                x = self.norm(x).reshape(n, c, f, t)
            return functional.relu(x) if self.relu else x

    class Residual2d(nn.Module):
        def __init__(self, prefix, dilation):
            super().__init__()
            self.first = Conv2d(f"{prefix}.first", dilation=dilation)
            self.second = Conv2d(f"{prefix}.second", dilation=dilation, relu=False)
            name = f"{prefix}.shortcut"
            has_shortcut = f"{name}.weight" in weights
            self.shortcut = Conv2d(name, relu=False) if has_shortcut else nn.Identity()

        def forward(self, x):
            return functional.relu(self.second(self.first(x)) + self.shortcut(x))

    class BcResidual(nn.Module):
        def __init__(self, prefix, stride_bands, dilation_frames):
            super().__init__()
            name = f"{prefix}.transition"
            has_transition = f"{name}.weight" in weights
            self.transition = Conv2d(name) if has_transition else None
            self.frequency = Conv2d(f"{prefix}.frequency", (stride_bands, 1), depthwise=True, relu=False)
            temporal = f"{prefix}.broadcast.temporal"
            self.temporal = ConvNorm(temporal, dilation=dilation_frames, depthwise=True, relu=False)
            self.pointwise = Matrix(f"{prefix}.broadcast.pointwise")

        def forward(self, x):
            frequency = self.frequency(x if self.transition is None else self.transition(x))
            temporal = functional.silu(self.temporal(frequency.mean(dim=2)))
            y = frequency + self.pointwise(temporal).unsqueeze(2)
            return functional.relu(y if self.transition is not None else y + x)

    class Pool(nn.Module):
        """The mean over groups of bands and the last frames, of those that exist."""

        def __init__(self, window_bands, window_frames, stride_frames):
            super().__init__()
            self.window, self.stride = (window_bands, window_frames), (window_bands, stride_frames)

        def forward(self, x):
            n_bands, n_frames = x.shape[2:]
            n_missing = -n_bands % self.window[0]
            padded = functional.pad(x, (self.window[1] - 1, 0, 0, n_missing))
            sums = functional.avg_pool2d(padded, self.window, self.stride, divisor_override=1)
            counts = torch.arange(1, n_frames + 1, self.stride[1]).clamp(max=self.window[1])
            bands = torch.full((sums.shape[2], 1), float(self.window[0]))
            bands[-1] -= n_missing
            return sums / (bands * counts)

    class MeanOfBands(nn.Module):
        def forward(self, x):
            return x.mean(dim=2)

    class Head(nn.Module):
        def __init__(self, with_deviation):
            super().__init__()
            weight = tensor("head.classifier.weight")
            self.classifier = nn.Linear(*weight.shape)
            self.with_deviation = with_deviation
            with torch.no_grad():
                self.classifier.weight.copy_(weight.t())
                self.classifier.bias.copy_(tensor("head.classifier.bias"))

        def forward(self, frames):
            pooled = frames.mean(dim=2)
            if self.with_deviation:
                deviation = (frames.var(dim=2, unbiased=False) + 1e-5).sqrt()
                pooled = torch.cat([pooled, deviation], dim=1)
            return self.classifier(pooled)

    def block(prefix, spec):
        stride = spec.get("stride_frames", 1)
        kind = spec.get("kind", "conv1d")
        if kind == "conv1d":
            return [ConvNorm(f"{prefix}.conv", stride)]
        if kind == "dilated-conv1d":
            return [ConvNorm(f"{prefix}.conv", dilation=spec["dilation_frames"])]
        if kind == "separable-conv1d":
            depthwise = ConvNorm(f"{prefix}.depthwise", stride, depthwise=True)
            return [depthwise, ConvNorm(f"{prefix}.pointwise")]
        if kind == "residual":
            return [Residual(prefix, stride)]
        if kind == "svdf":
            return [Matrix(f"{prefix}.feature"), ConvNorm(f"{prefix}.time", depthwise=True)]
        if kind == "projection":
            return [ConvNorm(f"{prefix}.projection")]
        if kind == "gru":
            return [Gru(f"{prefix}.gru")]
        strides = (spec.get("stride_bands", 1), stride)
        if kind == "conv2d":
            return [Conv2d(f"{prefix}.conv", strides)]
        if kind == "separable-conv2d":
            return [Conv2d(f"{prefix}.depthwise", strides, depthwise=True), Conv2d(f"{prefix}.pointwise")]
        if kind == "residual2d":
            return [Residual2d(prefix, (spec["dilation_bands"], spec["dilation_frames"]))]
        if kind == "bc-residual":
            return [BcResidual(prefix, spec["stride_bands"], spec["dilation_frames"])]
        if kind == "collapse-bands":
            depthwise = Conv2d(f"{prefix}.depthwise", depthwise=True, spans_bands=True, relu=False)
            return [depthwise, Conv2d(f"{prefix}.pointwise"), MeanOfBands()]
        if kind == "pool" and spec["reduction"] == "mean":
            return [Pool(spec["window_bands"], spec["window_frames"], stride)]
        if kind == "pool-bands" and spec["reduction"] == "mean":
            return [MeanOfBands()]
        raise ValueError(f"found block kind {kind}, which this script does not build")

    layers = block("stem", genome["stem"]) if "stem" in genome else []
    for i, spec in enumerate(genome["blocks"]):
        layers += block(f"blocks.{i}", spec)
    return nn.Sequential(*layers, Head(genome["head"]["kind"] == "statistics"))


def measure(kind, seconds, weights_path):
    """Trains in this process; the same line of JSON as our side gives."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(1)
    genome = json.loads(NETWORKS.read_text())[kind]
    network = build(genome, read_safetensors(weights_path))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, eps=1e-4, weight_decay=1e-2, fused=True)
    index = torch.arange(N_BATCH * N_MELS * N_FRAMES, dtype=torch.int64)
    frames = ((index * 7919) % 997).float() / 500.0 - 1.0
    frames = frames.reshape(N_BATCH, N_MELS, N_FRAMES)
    labels = torch.arange(N_BATCH) * 7 % N_CLASSES

    def step():
        optimizer.zero_grad(set_to_none=True)
        # A copy, as a new batch would be one.
        loss = functional.cross_entropy(network(frames.clone()), labels, label_smoothing=0.1)
        loss.backward()
        optimizer.step()
        return loss.detach()

    losses = [step().item() for _ in range(N_LOSSES)]
    clock, start, n_steps = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - clock < seconds:
        step()
        n_steps += 1
    spent = time.process_time() - start
    return {"network": kind, "clips_per_s": n_steps * N_BATCH / spent, "n_steps": n_steps, "losses": losses}


def run(command, keep_memory=False):
    environment = dict(os.environ, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", RAYON_NUM_THREADS="1")
    if keep_memory:
        environment |= {"MALLOC_TRIM_THRESHOLD_": str(256 << 20), "MALLOC_MMAP_THRESHOLD_": str(32 << 20)}
    result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(result.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the compiled bench train_step")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="kinds of network; all without it")
    parser.add_argument("--keep-memory", action="store_true", help="for PyTorch too")
    parser.add_argument("--worker", nargs=2, metavar=("KIND", "WEIGHTS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(measure(options.worker[0], options.seconds, options.worker[1])))
        return

    kinds = options.only or list(json.loads(NETWORKS.read_text()))
    print("| network | auricle clips/s | PyTorch clips/s | ratio | first losses differ by |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            weights = str(Path(folder) / "first.safetensors")
            ours, theirs, difference = [], [], 0.0
            for _ in range(options.rounds):
                seconds = str(options.seconds)
                us = run([options.program, "--measure", kind, seconds, weights])
                worker = ["--seconds", seconds, "--worker", kind, weights]
                them = run([sys.executable, __file__, options.program, *worker], options.keep_memory)
                ours.append(us["clips_per_s"])
                theirs.append(them["clips_per_s"])
                pairs = list(zip(us["losses"], them["losses"]))[:N_COMPARED]
                difference = max([difference, *(abs(a - b) for a, b in pairs)])
            us, them = statistics.median(ours), statistics.median(theirs)
            print(f"| {kind} | {us:,.0f} | {them:,.0f} | {us / them:.2f} | {difference:.1e} |", flush=True)
            if difference > 1e-4:
                sys.exit(f"{kind}: the two trainings are not the same")


if __name__ == "__main__":
    main()
