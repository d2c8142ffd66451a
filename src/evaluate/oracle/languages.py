"""More values that the tests of this room are held against: pooled error rate, average cost, McNemar's test.

    pip install numpy scipy scikit-learn statsmodels
    python3 languages.py < oracle.json > languages.json
"""

import json
import sys

import numpy as np
import scipy
import sklearn
import statsmodels
from scipy.optimize import brentq
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar

scores = json.load(sys.stdin)["scores"]
n_classes = len(scores["labels"])
truth = np.array(scores["truth"])
p = np.array(scores["probabilities"], dtype=np.float32).astype(np.float64).reshape(-1, n_classes)

far, hit, _ = metrics.roc_curve((truth[:, None] == np.arange(n_classes)).ravel(), p.ravel(), drop_intermediate=False)
pooled = brentq(lambda x: 1.0 - x - np.interp(x, far, hit), 0.0, 1.0, xtol=1e-15)


def cavg(threshold):
    """NIST LRE 2009, section 3.1, P_target 0.5."""
    total = 0.0
    for t in range(n_classes):
        total += 0.5 * np.mean(p[truth == t, t] < threshold)
        for n in range(n_classes):
            if n != t:
                total += 0.5 / (n_classes - 1) * np.mean(p[truth == n, t] >= threshold)
    return total / n_classes


cells = [(0, 1), (1, 3), (5, 5), (10, 25), (3, 17), (120, 80), (0, 40), (400, 401)]

print(json.dumps({
    "made_with": f"numpy {np.__version__}, scipy {scipy.__version__}, scikit-learn {sklearn.__version__}, statsmodels {statsmodels.__version__}",
    "pooled_equal_error_rate": pooled,
    "pooled_det_area": 1.0 - metrics.roc_auc_score((truth[:, None] == np.arange(n_classes)).ravel(), p.ravel()),
    "det_area": [1.0 - metrics.roc_auc_score(truth == c, p[:, c]) for c in range(n_classes)],
    "average_cost": cavg(1.0 / n_classes),
    "minimum_average_cost": min(cavg(t) for t in np.unique(p.ravel()).tolist() + [2.0]),
    "mcnemar": [[b, c, float(mcnemar([[0, b], [c, 0]], exact=True).pvalue)] for b, c in cells],
}, separators=(",", ":")))
