"""Prints what PyTorch's recurrent and attention layers answer, for sequence_golden.rs.

    pip install torch==2.15.0
    python src/model/sequence_golden.py

Weights and inputs are sines of their index, the same on both sides, so that only answers are written down.
Weights go by auricle's names, in alphabetical order, and by auricle's shapes: matrices are [n_in, n_out].
"""
import math

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
N_IN = 3


def sines(shape, amplitude, offset, step, phase):
    n = math.prod(shape)
    return torch.tensor([offset + amplitude * math.sin(step * i + phase) for i in range(n)]).reshape(shape)


def weights(shapes):
    made = {}
    for k, name in enumerate(sorted(shapes)):
        positive = name.endswith(("gamma", "running_var"))
        amplitude, offset = (0.4, 1.0) if positive else (0.8, 0.0)
        made[name] = sines(shapes[name], amplitude, offset, 0.7, 1.9 * k + 0.3)
    return made


def clips(n_batch, n_frames):
    return sines((n_batch, N_IN, n_frames), 1.5, 0.0, 0.9, 0.5)


def show(name, answers, lengths=None):
    """answers: [batch, n_out, n_frames]; true frames only."""
    lengths = lengths or [answers.shape[2]] * answers.shape[0]
    values = [v for clip, n in zip(answers, lengths) for row in clip[:, :n].tolist() for v in row]
    print(f"{name}:", ", ".join(f"{v:.6f}" for v in values))


def put(module, parameters):
    with torch.no_grad():
        for name, value in parameters.items():
            target = dict(module.named_parameters())[name]
            assert target.shape == value.shape, (name, target.shape, value.shape)
            target.copy_(value)


def recurrent_shapes(n_gates, n_units, n_projected=None, prefix=""):
    n_out = n_projected or n_units
    shapes = {"w_input": (N_IN, n_gates * n_units), "w_hidden": (n_out, n_gates * n_units), "bias": (n_gates * n_units,)}
    if n_projected:
        shapes["w_projection"] = (n_units, n_projected)
    return {prefix + name: shape for name, shape in shapes.items()}


def recurrent_parameters(made, prefix="", suffix=""):
    of = {"w_input": "weight_ih_l0", "w_hidden": "weight_hh_l0", "w_projection": "weight_hr_l0", "bias": "bias_ih_l0"}
    parameters = {}
    for ours, theirs in of.items():
        if prefix + ours in made:
            value = made[prefix + ours]
            parameters[theirs + suffix] = value.T if value.dim() == 2 else value
    parameters["bias_hh_l0" + suffix] = torch.zeros_like(made[prefix + "bias"])
    return parameters


def linear(made, name, x):
    return nn.functional.linear(x, made[name + ".weight"].T, made[name + ".bias"])


def norm(made, name, x):
    return nn.functional.layer_norm(x, x.shape[-1:], made[name + ".gamma"], made[name + ".beta"])


def linear_shapes(name, n_in, n_out):
    return {name + ".weight": (n_in, n_out), name + ".bias": (n_out,)}


def norm_shapes(name, n):
    return {name + ".gamma": (n,), name + ".beta": (n,)}


def attention_shapes(n, n_heads, n_biases):
    return (
        linear_shapes("attention.qkv", n, 3 * n)
        | linear_shapes("attention.mix", n, n)
        | {"attention.relative_bias": (n_heads, n_biases)}
    )


def score_biases(made, n_batch, n_heads, n_frames, left=None, most=None):
    """What is added to the scores: [batch * n_heads, n_frames, n_frames]."""
    added = torch.full((n_heads, n_frames, n_frames), -math.inf)
    for head in range(n_heads):
        for at in range(n_frames):
            for of in range(n_frames):
                if most is not None:
                    added[head, at, of] = made["attention.relative_bias"][head, max(-most, min(most, of - at)) + most]
                elif 0 <= at - of <= left:
                    added[head, at, of] = made["attention.relative_bias"][head, left - (at - of)]
    return added.repeat(n_batch, 1, 1)


def attention_parameters(made, prefix):
    return {
        prefix + "in_proj_weight": made["attention.qkv.weight"].T,
        prefix + "in_proj_bias": made["attention.qkv.bias"],
        prefix + "out_proj.weight": made["attention.mix.weight"].T,
        prefix + "out_proj.bias": made["attention.mix.bias"],
    }


def encoder(name, n, n_heads, n_hidden, n_batch, n_frames, lengths=None, **context):
    n_biases = context["left"] + 1 if "left" in context else 2 * context["most"] + 1
    made = weights(
        linear_shapes("projection", N_IN, n)
        | norm_shapes("attention_norm", n)
        | attention_shapes(n, n_heads, n_biases)
        | norm_shapes("feed_norm", n)
        | linear_shapes("expand", n, n_hidden)
        | linear_shapes("contract", n_hidden, n)
    )
    layer = nn.TransformerEncoderLayer(n, n_heads, n_hidden, dropout=0.0, batch_first=True, norm_first=True)
    put(
        layer,
        attention_parameters(made, "self_attn.")
        | {
            "linear1.weight": made["expand.weight"].T,
            "linear1.bias": made["expand.bias"],
            "linear2.weight": made["contract.weight"].T,
            "linear2.bias": made["contract.bias"],
            "norm1.weight": made["attention_norm.gamma"],
            "norm1.bias": made["attention_norm.beta"],
            "norm2.weight": made["feed_norm.gamma"],
            "norm2.bias": made["feed_norm.beta"],
        },
    )
    padding = None
    if lengths:
        padding = torch.zeros(n_batch, n_frames)
        for clip, length in enumerate(lengths):
            padding[clip, length:] = -math.inf
    x = linear(made, "projection", clips(n_batch, n_frames).swapaxes(1, 2))
    y = layer(x, src_mask=score_biases(made, n_batch, n_heads, n_frames, **context), src_key_padding_mask=padding)
    show(name, y.swapaxes(1, 2), lengths)


def conformer(n, n_heads, left, kernel, n_hidden, n_frames):
    shapes = linear_shapes("projection", N_IN, n) | attention_shapes(n, n_heads, left + 1)
    for part in ["first", "last"]:
        shapes |= norm_shapes(part + "_norm", n)
        shapes |= linear_shapes(part + "_expand", n, n_hidden) | linear_shapes(part + "_contract", n_hidden, n)
    shapes |= norm_shapes("attention_norm", n) | norm_shapes("conv_norm", n) | norm_shapes("norm", n)
    shapes |= linear_shapes("pointwise_in", n, 2 * n) | linear_shapes("pointwise_out", n, n)
    shapes["depthwise.weight"] = (n, 1, kernel)
    shapes |= {"depthwise.norm." + part: (n,) for part in ["gamma", "beta", "running_mean", "running_var"]}
    made = weights(shapes)

    def half_step(part, x):
        hidden = nn.functional.silu(linear(made, part + "_expand", norm(made, part + "_norm", x)))
        return x + 0.5 * linear(made, part + "_contract", hidden)

    attention = nn.MultiheadAttention(n, n_heads, batch_first=True)
    put(attention, attention_parameters(made, ""))
    x = linear(made, "projection", clips(1, n_frames).swapaxes(1, 2))
    x = half_step("first", x)
    z = norm(made, "attention_norm", x)
    x = x + attention(z, z, z, attn_mask=score_biases(made, 1, n_heads, n_frames, left=left))[0]
    z = nn.functional.glu(linear(made, "pointwise_in", norm(made, "conv_norm", x)), dim=-1).swapaxes(1, 2)
    z = nn.functional.conv1d(nn.functional.pad(z, (kernel - 1, 0)), made["depthwise.weight"], groups=n)
    part = lambda name: made["depthwise.norm." + name]
    z = nn.functional.batch_norm(z, part("running_mean"), part("running_var"), part("gamma"), part("beta"))
    x = x + linear(made, "pointwise_out", nn.functional.silu(z).swapaxes(1, 2))
    x = norm(made, "norm", half_step("last", x))
    show("conformer", x.swapaxes(1, 2))


NORM_PARTS = ["gamma", "beta", "running_mean", "running_var"]


def conv_norm_shapes(name, n_in, n_out, kernel=1):
    return {name + ".weight": (n_out, n_in, kernel)} | {f"{name}.norm.{part}": (n_out,) for part in NORM_PARTS}


def conv_norm(made, name, x, dilation=1, groups=1):
    """x: [batch, n_in, n_frames]; zeros before the first frame."""
    weight = made[name + ".weight"]
    x = nn.functional.pad(x, ((weight.shape[2] - 1) * dilation, 0))
    x = nn.functional.conv1d(x, weight, dilation=dilation, groups=groups)
    gamma, beta, mean, var = (made[f"{name}.norm.{part}"] for part in NORM_PARTS)
    return nn.functional.batch_norm(x, mean, var, gamma, beta)


def projected_svdf(n_units, memory, n_channels, n_frames):
    shapes = {"feature.weight": (N_IN, n_units)} | linear_shapes("projection", n_units, n_channels)
    shapes |= conv_norm_shapes("time", 1, n_units, memory)
    made = weights(shapes)
    x = clips(1, n_frames).swapaxes(1, 2) @ made["feature.weight"]
    x = nn.functional.relu(conv_norm(made, "time", x.swapaxes(1, 2), groups=n_units))
    show("projected svdf", linear(made, "projection", x.swapaxes(1, 2)).swapaxes(1, 2))


def se_res2(n, n_groups, kernel, dilation, n_hidden, window, n_frames):
    n_each = n // n_groups
    shapes = conv_norm_shapes("enter", N_IN, n) | conv_norm_shapes("leave", n, n) | conv_norm_shapes("shortcut", N_IN, n)
    for group in range(1, n_groups):
        shapes |= conv_norm_shapes(f"res2.{group}", n_each, n_each, kernel)
    shapes |= linear_shapes("gate.squeeze", n, n_hidden) | linear_shapes("gate.excite", n_hidden, n)
    made = weights(shapes)
    relu = nn.functional.relu
    clip = clips(1, n_frames)
    groups = list(relu(conv_norm(made, "enter", clip)).split(n_each, dim=1))
    for group in range(1, n_groups):
        mixed = groups[group] + (groups[group - 1] if group > 1 else 0)
        groups[group] = relu(conv_norm(made, f"res2.{group}", mixed, dilation))
    x = relu(conv_norm(made, "leave", torch.cat(groups, dim=1)))
    mean = torch.stack([x[:, :, max(0, at + 1 - window) : at + 1].mean(dim=2) for at in range(n_frames)], dim=1)
    gate = torch.sigmoid(linear(made, "gate.excite", relu(linear(made, "gate.squeeze", mean))))
    show("se-res2", x * gate.swapaxes(1, 2) + conv_norm(made, "shortcut", clip))


with torch.no_grad():
    for nonlinearity in ["tanh", "relu"]:
        layer = nn.RNN(N_IN, 4, nonlinearity=nonlinearity, batch_first=True)
        put(layer, recurrent_parameters(weights(recurrent_shapes(1, 4))))
        show("rnn " + nonlinearity, layer(clips(1, 6).swapaxes(1, 2))[0].swapaxes(1, 2))
    layer = nn.LSTM(N_IN, 3, batch_first=True)
    put(layer, recurrent_parameters(weights(recurrent_shapes(4, 3))))
    show("lstm", layer(clips(1, 6).swapaxes(1, 2))[0].swapaxes(1, 2))
    layer = nn.LSTM(N_IN, 4, batch_first=True, proj_size=2)
    put(layer, recurrent_parameters(weights(recurrent_shapes(4, 4, 2))))
    show("projected lstm", layer(clips(1, 6).swapaxes(1, 2))[0].swapaxes(1, 2))
    layer = nn.LSTM(N_IN, 2, batch_first=True, bidirectional=True)
    made = weights(recurrent_shapes(4, 2, prefix="forward.") | recurrent_shapes(4, 2, prefix="backward."))
    put(layer, recurrent_parameters(made, "forward.") | recurrent_parameters(made, "backward.", "_reverse"))
    lengths = [5, 3]
    packed = nn.utils.rnn.pack_padded_sequence(clips(2, 5).swapaxes(1, 2), lengths, batch_first=True)
    answers, _ = nn.utils.rnn.pad_packed_sequence(layer(packed)[0], batch_first=True)
    show("bilstm", answers.swapaxes(1, 2), lengths)
    encoder("transformer", 4, 2, 5, 1, 6, left=2)
    encoder("full transformer", 4, 2, 5, 2, 5, lengths=[5, 3], most=2)
    conformer(4, 2, 2, 3, 5, 6)
    projected_svdf(4, 3, 2, 6)
    se_res2(6, 3, 2, 2, 3, 3, 5)
