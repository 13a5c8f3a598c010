"""Perplexity and divergence of made-up logits, in NumPy's float64: the yardstick of engine/bench's figures.

    pip install numpy
    python scripts/golden/divergence.py

writes engine/bench/testdata/divergence.json. The base's distributions are those that llama-perplexity keeps (--save-all-logits): logarithms
of probabilities in 16 bits between the largest and, at most, 16 below it.
"""

import json
import pathlib

import numpy as np

OUT = pathlib.Path(__file__).parents[2] / "engine/bench/testdata/divergence.json"
PLACES, VOCABULARY = 60, 24


def log_softmax(x):
    x = x.astype(np.float64)
    return (
        x
        - x.max(-1, keepdims=True)
        - np.log(np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True))
    )


def sixteen_bits(x):
    """What is left of the logarithms of probabilities, and the codes."""
    out, codes = np.zeros(x.shape), np.zeros(x.shape, np.int64)
    for i, row in enumerate(x):
        largest = row.max()
        least = max(row.min(), np.float32(largest - np.float32(16)))
        scale = np.float32((largest - least) / np.float32(65535))
        low = np.float32(
            least
            - largest
            - np.float32(np.log(np.exp(row.astype(np.float64) - np.float64(largest)).sum()))
        )
        codes[i] = np.where(row > least, np.rint(((row - least) / scale).astype(np.float64)), 0)
        out[i] = np.float64(scale) * codes[i] + np.float64(low)
    return out, codes


def error(x):
    return x.std(ddof=1) / np.sqrt(len(x))


def figures(base, model, follow):
    at = np.arange(len(follow))
    p, codes = sixteen_bits(base)
    q = log_softmax(model)
    kl = np.where(p > -16, np.exp(p) * (p - q), 0).sum(-1)
    nll, nll_base = -q[at, follow], -p[at, follow]
    change = np.exp(-nll) - np.exp(-nll_base)
    same = (model.argmax(-1) == codes.argmax(-1)).astype(np.float64)
    rms = np.sqrt((change**2).mean())
    cov = np.cov(nll, nll_base)
    ratio, ratio_error = (
        nll.mean() - nll_base.mean(),
        np.sqrt((cov[0, 0] + cov[1, 1] - 2 * cov[0, 1]) / len(nll)),
    )
    return {
        "perplexity": np.exp(nll.mean()),
        "perplexity_error": np.exp(nll.mean()) * error(nll),
        "base_perplexity": np.exp(nll_base.mean()),
        "base_perplexity_error": np.exp(nll_base.mean()) * error(nll_base),
        "ln_perplexity_ratio": ratio,
        "ln_perplexity_ratio_error": ratio_error,
        "perplexity_ratio": np.exp(ratio),
        "perplexity_ratio_error": np.exp(ratio) * ratio_error,
        "ln_perplexity_correlation": cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]),
        "kl_mean": kl.mean(),
        "kl_mean_error": error(kl),
        "kl_quantiles": list(np.quantile(kl, [0.5, 0.9, 0.95, 0.99, 0.999, 1])),
        "p_change": change.mean(),
        "p_change_error": error(change),
        "p_change_rms": rms,
        "p_change_rms_error": error(change**2) / (2 * rms),
        "same_top": same.mean(),
        "same_top_error": error(same),
    }


if __name__ == "__main__":
    r = np.random.default_rng(16)
    base = np.round(r.normal(0, 4, (PLACES, VOCABULARY)), 3).astype(np.float32)
    base[:5, 0] -= 40  # out of the range that is kept
    model = np.round(base + r.normal(0, 0.6, base.shape), 3).astype(np.float32)
    follow = np.array([r.choice(VOCABULARY, p=np.exp(row)) for row in log_softmax(base)])
    OUT.write_text(
        json.dumps(
            {
                "made_with": {"numpy": np.__version__},
                "base": [[round(float(x), 3) for x in row] for row in base],
                "model": [[round(float(x), 3) for x in row] for row in model],
                "follow": follow.tolist(),
                "figures": figures(base, model, follow),
            },
            separators=(",", ":"),
        )
        + "\n"
    )
