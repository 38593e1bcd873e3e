"""Names divided among splits where the data have none: by hash, so that every run agrees."""

import hashlib
from collections.abc import Iterable, Mapping

import numpy as np


def divide(names: Iterable[str], shares: Mapping[str, float]) -> dict[str, list[str]]:
    """Divide names among splits -> {split: sorted names}; `shares` add up to 1.

    Where a name goes depends on it alone, so that new ones move none: shares are met on average. No
    split stays empty as long as another has a name to spare.
    """
    splits, limits = list(shares), np.cumsum(list(shares.values()))
    found: dict[str, list[str]] = {split: [] for split in shares}
    for name in sorted(set(names), key=_place):
        passed = int((_place(name) >= limits).sum())
        found[splits[min(passed, len(splits) - 1)]].append(name)
    for own in found.values():
        most = max(found.values(), key=len)
        if not own and len(most) > 1:
            own.append(most.pop())
    return {split: sorted(own) for split, own in found.items()}


def _place(name: str) -> float:
    """A number from 0 to 1 that looks random."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8]) / 2**64
