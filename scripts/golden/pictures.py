"""Pictures that several of these scripts make golden data of."""

import numpy as np


def noise(w, h, seed):
    """The test picture of a seed: byte i is the top byte of a hash of i and the seed. The Go test computes the same."""
    mask = np.uint64(0xFFFFFFFF)
    x = (
        np.arange(3 * w * h, dtype=np.uint64) * np.uint64(2654435761)
        + np.uint64(seed) * np.uint64(40503)
    ) & mask
    x ^= x >> np.uint64(15)
    x = (x * np.uint64(2246822519)) & mask
    x ^= x >> np.uint64(13)
    x = (x * np.uint64(3266489917)) & mask
    return (x >> np.uint64(24)).astype(np.uint8).reshape(h, w, 3)
