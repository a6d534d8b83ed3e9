"""Independent random streams, so that no draw depends on what was asked for before."""

from __future__ import annotations

import zlib

import numpy as np

__all__ = ["stream"]


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator that belongs to `names` under `seed`.

    Parameters
    ----------
    seed : int
        Seed of the market.
    names : str or int
        What the numbers are for, for example ``("minutes", "SPY", session.toordinal())``.
    """
    parts = [zlib.crc32(name.encode()) if isinstance(name, str) else name for name in names]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *parts])))
