"""Frames of zstd, walked in any pieces."""

from __future__ import annotations

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tapemill.vendors.databento._frames import FrameWalker

SKIPPABLE = b"\x55\x2a\x4d\x18" + (9).to_bytes(4, "little") + b"note here"
EMPTY_NOTE = b"\x50\x2a\x4d\x18" + bytes(4)


def frames(seed: int) -> list[bytes]:
    """Frames with and without sizes, checksums, repeats and noise."""
    rng = np.random.default_rng(seed)
    found = [SKIPPABLE, EMPTY_NOTE]
    for _ in range(4):
        size = int(rng.choice([0, 1, 300, 70_000, 300_000]))
        noise = rng.integers(0, 256 if rng.random() < 0.5 else 1, size, dtype=np.uint8)
        compressor = zstandard.ZstdCompressor(
            level=int(rng.integers(1, 4)),
            write_checksum=bool(rng.integers(2)),
            write_content_size=bool(rng.integers(2)),
        )
        if rng.random() < 0.5:
            engine = compressor.compressobj()
            found.append(engine.compress(noise.tobytes()) + engine.flush())
        else:
            found.append(compressor.compress(noise.tobytes()))
    order = rng.permutation(len(found))
    return [found[number] for number in order]


@pytest.mark.property
@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), cut=st.floats(0, 1), piece=st.integers(1, 5000))
def test_only_ends_of_frames_are_complete(seed: int, cut: float, piece: int) -> None:
    parts = frames(seed)
    ends = np.cumsum([0, *map(len, parts)]).tolist()
    data = b"".join(parts)
    stop = int(cut * len(data))
    walker = FrameWalker()
    for at in range(0, stop, piece):
        walker.feed(data[at : min(at + piece, stop)])
        assert walker.complete == (walker.position in ends)
    assert not walker.lost
    assert walker.position == stop
    rest = data[stop:]
    walker.feed(rest)
    assert walker.complete and not walker.lost
    walker.feed(b"tail of another kind")
    assert walker.lost
    assert walker.frame_start == len(data)
