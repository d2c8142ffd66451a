"""Values of scikit-learn, scipy, statsmodels and numpy that the tests of this room are held against.

    pip install numpy scipy scikit-learn statsmodels
    python3 make.py > oracle.json
"""

import json

import numpy as np
import scipy
import sklearn
import statsmodels
from scipy.optimize import brentq
from scipy.stats import chi2, t
from sklearn import metrics
from statsmodels.stats.proportion import proportion_confint

rng = np.random.default_rng(20190916)
labels = ["yes", "no", "stop", "_unknown_", "_silence_"]
n = 160
truth = rng.choice(len(labels), size=n, p=[0.3, 0.25, 0.2, 0.15, 0.1])
logits = rng.normal(size=(n, len(labels))) * 1.2
logits[np.arange(n), truth] += 2.0
logits[:, 4] -= 1.0
p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
p = np.round(p, 3)
p[:, 0] += 1.0 - p.sum(axis=1)
p = np.clip(p, 0.0, 1.0).astype(np.float32)
p64 = p.astype(np.float64)
predicted = p.argmax(axis=1)
right = predicted == truth
classes = list(range(len(labels)))

precision, recall, f1, support = metrics.precision_recall_fscore_support(truth, predicted, labels=classes)


def ece(confidence, right, bins=15):
    edges = np.linspace(0, 1, bins + 1)
    place = np.digitize(confidence, edges, right=True) - 1
    total = 0.0
    for b in range(bins):
        inside = place == b
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return total


def eer(positive, score):
    far, hit, _ = metrics.roc_curve(positive, score, drop_intermediate=False)
    return brentq(lambda x: 1.0 - x - np.interp(x, far, hit), 0.0, 1.0, xtol=1e-15)


far, hit, thresholds = metrics.roc_curve(truth == 0, p64[:, 0], drop_intermediate=False)

right_of = np.array([min(s % 6, 5) for s in range(40)])
draws = np.random.default_rng(1).integers(0, 40, size=(1_000_000, 40))
shares = right_of[draws].sum(axis=1) / 200.0

wilson_cases = [(0, 10), (1, 10), (5, 10), (10, 10), (1939, 2000), (3, 7), (1, 1)]
poisson_cases = [0, 1, 2, 5, 10, 37, 100, 1000, 20000]
# Two to 31 accuracies of as many seeds, all of the same few numbers in turn.
student_values = [(0.97, 0.96, 0.985, 0.9)[i % 4] for i in range(31)]

print(json.dumps({
    "made_with": f"numpy {np.__version__}, scipy {scipy.__version__}, scikit-learn {sklearn.__version__}, statsmodels {statsmodels.__version__}",
    "scores": {
        "labels": labels,
        "truth": truth.tolist(),
        "probabilities": [float(str(v)) for v in p.ravel()],
        "ids": [f"clip-{i:03}.wav" for i in range(n)],
    },
    "accuracy": metrics.accuracy_score(truth, predicted),
    "balanced_accuracy": metrics.balanced_accuracy_score(truth, predicted),
    "macro_f1": metrics.f1_score(truth, predicted, average="macro"),
    "cross_entropy": metrics.log_loss(truth, p64 / p64.sum(axis=1, keepdims=True), labels=classes),
    "brier": float(((p64 - np.eye(len(labels))[truth]) ** 2).sum(axis=1).mean()),
    "expected_calibration_error": ece(p64.max(axis=1), right),
    "precision": precision.tolist(),
    "recall": recall.tolist(),
    "f1": f1.tolist(),
    "support": support.tolist(),
    "confusion": metrics.confusion_matrix(truth, predicted, labels=classes).tolist(),
    "equal_error_rate": [eer(truth == c, p64[:, c]) for c in classes],
    "roc_of_first": [[t, f, 1.0 - h] for f, h, t in zip(far.tolist(), hit.tolist(), thresholds.tolist()) if np.isfinite(t)],
    "wilson": [[k, m, *proportion_confint(k, m, alpha=0.05, method="wilson")] for k, m in wilson_cases],
    "poisson": [[k, chi2.ppf(0.025, 2 * k) / 2 if k else 0.0, chi2.ppf(0.975, 2 * k + 2) / 2] for k in poisson_cases],
    "student_t": [
        [m, *t.interval(0.95, m - 1, loc=np.mean(student_values[:m]), scale=scipy.stats.sem(student_values[:m]))]
        for m in range(2, 32)
    ],
    "bootstrap_by_speaker": np.quantile(shares, [0.025, 0.975]).tolist(),
}, indent=None, separators=(",", ":")))
