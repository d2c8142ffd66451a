"""Outputs of the spectro-temporal, bottleneck and pooling blocks, by PyTorch and written without looking at the
Rust: each block from its paper's equations, causal by padding in front. Weights follow a rule of their names.

    python3 src/model/spectral_golden.py > src/model/spectral_golden.json
"""

import json
import sys

import numpy as np
import torch
import torch.nn.functional as F

N_FRAMES = 9
torch.set_default_dtype(torch.float64)


def pattern(name, shape):
    n, seed = int(np.prod(shape)), sum(name.encode())
    values = ((np.arange(n) * 37 + seed * 11 + 5) % 97) / 97 - 0.5
    if name.endswith(("gamma", "running_var")):
        values = values + 1
    return torch.tensor(values.reshape(shape).astype(np.float32).astype(np.float64))


def norm(x, name):
    """Evaluation-mode batch normalisation of `[batch, channels, ...]`."""
    n = x.shape[1]
    part = lambda it: pattern(f"{name}.{it}", [n])
    return F.batch_norm(x, part("running_mean"), part("running_var"), part("gamma"), part("beta"), eps=1e-5)


def conv2d(x, name, n_out, kernel, stride=(1, 1), dilation=(1, 1), depthwise=False, spans=False):
    """`x`: `[batch, channels, bands, frames]`."""
    n_in, n_bands = x.shape[1], x.shape[2]
    reach = [(k - 1) * d for k, d in zip(kernel, dilation)]
    below = 0 if spans else reach[0] // 2
    n_out_bands = 1 if spans else -(-n_bands // stride[0])
    above = max(0, (n_out_bands - 1) * stride[0] + reach[0] + 1 - n_bands - below)
    x = F.pad(x, (reach[1], 0, below, above))
    weight = pattern(f"{name}.weight", [n_out, 1 if depthwise else n_in, *kernel])
    return F.conv2d(x, weight, stride=stride, dilation=dilation, groups=n_in if depthwise else 1)


def conv1d(x, name, n_out, kernel, stride=1, dilation=1, depthwise=False):
    n_in = x.shape[1]
    weight = pattern(f"{name}.weight", [n_out, 1 if depthwise else n_in, kernel])
    x = F.pad(x, ((kernel - 1) * dilation, 0))
    x = F.conv1d(x, weight, stride=stride, dilation=dilation, groups=n_in if depthwise else 1)
    return norm(x, f"{name}.norm")


def linear(x, name, n_in, n_out, bias):
    x = torch.einsum("bct,co->bot", x, pattern(f"{name}.weight", [n_in, n_out]))
    return x + pattern(f"{name}.bias", [n_out])[None, :, None] if bias else x


def windowed(x, window, reduce):
    """`reduce` over dimension -1 of the last `window` frames at each frame."""
    return torch.stack([reduce(x[..., max(0, t + 1 - window) : t + 1]) for t in range(x.shape[-1])], -1)


def bc_residual(x, spec):
    n_out, keeps = spec["n_channels"], x.shape[1] == spec["n_channels"] and spec["stride_bands"] == 1
    y = x
    if not keeps:
        y = F.relu(norm(conv2d(y, "block.transition", n_out, (1, 1)), "block.transition.norm"))
    y = conv2d(y, "block.frequency", n_out, (spec["kernel_bands"], 1), (spec["stride_bands"], 1), depthwise=True)
    b, c, f, t = y.shape
    groups = max(n for n in range(1, spec["n_subbands"] + 1) if f % n == 0)
    y = norm(y.reshape(b, c * groups, f // groups, t), "block.frequency.norm").reshape(b, c, f, t)
    mean = y.mean(2)
    z = conv1d(mean, "block.broadcast.temporal", c, spec["kernel_frames"], 1, spec["dilation_frames"], True)
    z = linear(F.silu(z), "block.broadcast.pointwise", c, c, False)
    y = y + z[:, :, None, :]
    return F.relu(y + x if keeps else y)


def block2d(x, spec):
    name = spec["kind"]
    kernel = (spec.get("kernel_bands"), spec["kernel_frames"])
    stride = (spec.get("stride_bands", 1), spec.get("stride_frames", 1))
    n_out = spec["n_channels"]
    done = lambda x, part: F.relu(norm(x, f"block.{part}.norm"))
    if name == "conv2d":
        return done(conv2d(x, "block.conv", n_out, kernel, stride), "conv")
    if name == "separable-conv2d":
        x = done(conv2d(x, "block.depthwise", x.shape[1], kernel, stride, depthwise=True), "depthwise")
        return done(conv2d(x, "block.pointwise", n_out, (1, 1)), "pointwise")
    if name == "collapse-bands":
        whole = (x.shape[2], spec["kernel_frames"])
        x = conv2d(x, "block.depthwise", x.shape[1], whole, depthwise=True, spans=True)
        return done(conv2d(x, "block.pointwise", n_out, (1, 1)), "pointwise")
    if name == "residual2d":
        dilation = (spec["dilation_bands"], spec["dilation_frames"])
        y = done(conv2d(x, "block.first", n_out, kernel, dilation=dilation), "first")
        y = norm(conv2d(y, "block.second", n_out, kernel, dilation=dilation), "block.second.norm")
        if x.shape[1] != n_out:
            x = norm(conv2d(x, "block.shortcut", n_out, (1, 1)), "block.shortcut.norm")
        return F.relu(x + y)
    raise ValueError(name)


def inverted_bottleneck(x, spec):
    n_in = x.shape[1]
    n_inner = n_in * spec["expansion"]
    y = F.relu(conv1d(x, "block.widen", n_inner, 1)) if spec["expansion"] > 1 else x
    y = F.relu(conv1d(y, "block.depthwise", n_inner, spec["kernel_frames"], spec["stride_frames"], 1, True))
    if spec["gate"] != "none":
        gate = spec["gate"]["squeeze-excite"]
        n_hidden = n_inner // gate["reduction"]
        mean = windowed(y, gate["window_frames"], lambda w: w.mean(-1))
        hidden = F.relu(linear(mean, "block.gate.squeeze", n_inner, n_hidden, True))
        y = y * torch.sigmoid(linear(hidden, "block.gate.excite", n_hidden, n_inner, True))
    y = conv1d(y, "block.narrow", spec["n_channels"], 1)
    return x + y if n_in == spec["n_channels"] and spec["stride_frames"] == 1 else y


def matchbox(x, spec):
    y = x
    for i in range(spec["n_repeats"]):
        k, d = spec["kernel_frames"], spec["dilation_frames"]
        weight = pattern(f"block.depthwise_{i}.weight", [y.shape[1], 1, 1, k])[:, :, 0]
        y = F.conv1d(F.pad(y, ((k - 1) * d, 0)), weight, dilation=d, groups=y.shape[1])
        y = conv1d(y, f"block.pointwise_{i}", spec["n_channels"], 1)
        if i + 1 < spec["n_repeats"]:
            y = F.relu(y)
    if spec["residual"]:
        y = y + conv1d(x, "block.shortcut", spec["n_channels"], 1)
    return F.relu(y)


def pool(x, spec):
    reduce = (lambda w: w.mean(-1)) if spec["reduction"] == "mean" else (lambda w: w.max(-1).values)
    x = windowed(x, spec["window_frames"], reduce)[..., :: spec["stride_frames"]]
    groups = x.split(spec["window_bands"], dim=2)
    return torch.stack([reduce(group.transpose(2, 3)) for group in groups], 2)


def skip_conv1d(x, spec):
    y = F.relu(conv1d(x, "block.conv", spec["n_channels"], spec["kernel_frames"], 1, spec["dilation_frames"]))
    return torch.cat([x, y], 1) if spec["merge"] == "concatenate" else x + y


def attentive(x, head, n_classes):
    """Logits of the last frame of `[batch, channels, frames]`."""
    x = x[..., -head["window_frames"] :]
    n_in, n_hidden = x.shape[1], head["n_hidden"]
    hidden = torch.tanh(linear(x, "head.attention.matrix", n_in, n_hidden, True))
    share = torch.softmax(linear(hidden, "head.attention.vector", n_hidden, 1, False), -1)
    mean = (share * x).sum(-1)
    variance = (share * x**2).sum(-1) - mean**2
    pooled = torch.cat([mean, torch.sqrt(variance + 1e-5)], 1)
    return linear(pooled[..., None], "head.classifier", 2 * n_in, n_classes, True)[..., 0]


def case(spec, n_channels, n_bands):
    x = pattern("frames", [1, n_channels, n_bands, N_FRAMES])
    flat = x.reshape(1, -1, N_FRAMES)
    kind = spec["kind"]
    if kind == "bc-residual":
        y = bc_residual(x, spec)
    elif kind == "pool":
        y = pool(x, spec)
    elif kind == "inverted-bottleneck":
        y = inverted_bottleneck(flat, spec)
    elif kind == "matchbox":
        y = matchbox(flat, spec)
    elif kind == "skip-conv1d":
        y = skip_conv1d(flat, spec)
    else:
        y = block2d(x, spec)
    values = [round(v, 6) for v in y.flatten().tolist()]
    return {"block": spec, "n_channels": n_channels, "n_bands": n_bands, "values": values}


BC = {"kind": "bc-residual", "kernel_bands": 3, "kernel_frames": 3, "n_subbands": 5}
gate = {"squeeze-excite": {"reduction": 4, "window_frames": 5}}
cases = [
    case({**BC, "n_channels": 4, "stride_bands": 1, "dilation_frames": 2}, 4, 10),
    case({**BC, "n_channels": 3, "stride_bands": 2, "dilation_frames": 1}, 4, 9),
    case({"kind": "conv2d", "n_channels": 3, "kernel_bands": 4, "kernel_frames": 5, "stride_bands": 2, "stride_frames": 2}, 1, 9),
    case({"kind": "separable-conv2d", "n_channels": 3, "kernel_bands": 3, "kernel_frames": 3, "stride_bands": 2, "stride_frames": 1}, 4, 6),
    case({"kind": "residual2d", "n_channels": 3, "kernel_bands": 3, "kernel_frames": 3, "dilation_bands": 2, "dilation_frames": 2}, 3, 7),
    case({"kind": "residual2d", "n_channels": 2, "kernel_bands": 3, "kernel_frames": 3, "dilation_bands": 1, "dilation_frames": 1}, 3, 4),
    case({"kind": "collapse-bands", "n_channels": 4, "kernel_frames": 5}, 3, 5),
    case({"kind": "inverted-bottleneck", "n_channels": 4, "expansion": 3, "kernel_frames": 3, "stride_frames": 1, "gate": gate}, 4, 1),
    case({"kind": "inverted-bottleneck", "n_channels": 3, "expansion": 1, "kernel_frames": 4, "stride_frames": 2, "gate": "none"}, 4, 1),
    case({"kind": "matchbox", "n_channels": 4, "kernel_frames": 3, "dilation_frames": 2, "n_repeats": 2, "residual": True}, 5, 1),
    case({"kind": "pool", "reduction": "mean", "window_frames": 4, "stride_frames": 2, "window_bands": 3}, 2, 7),
    case({"kind": "pool", "reduction": "max", "window_frames": 3, "stride_frames": 2, "window_bands": 2}, 2, 5),
    case({"kind": "skip-conv1d", "n_channels": 3, "kernel_frames": 3, "dilation_frames": 2, "merge": "concatenate"}, 4, 1),
    case({"kind": "skip-conv1d", "n_channels": 4, "kernel_frames": 2, "dilation_frames": 1, "merge": "sum"}, 4, 1),
]
head = {"kind": "attentive-statistics", "window_frames": 6, "n_hidden": 3}
logits = attentive(pattern("frames", [1, 5, N_FRAMES]), head, 4)[0].tolist()
golden = {
    "made_with": f"PyTorch {torch.__version__.split('+')[0]}, python3 src/model/spectral_golden.py",
    "n_frames": N_FRAMES,
    "blocks": cases,
    "head": {"head": head, "n_features": 5, "values": [round(v, 6) for v in logits]},
}
json.dump(golden, sys.stdout, separators=(",", ":"))
print()
