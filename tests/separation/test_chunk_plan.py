"""Where chunks begin and end, with answers known by hand."""

import pytest

from xumx_jax.models.interface import Segment
from xumx_jax.separation.chunk_plan import Batch, Chunk, ChunkPlan


def walk(plan, end, count=2):
    """All batches of a stream of `end` samples, known in full."""
    at, batches = 0, []
    while True:
        batch = plan.next(at, count, end, True)
        if not batch.chunks:
            return batches
        batches.append(batch)
        if batch.last:
            return batches
        at = batch.chunks[-1].wanted + plan.step


def chunks(plan, end):
    return [chunk for batch in walk(plan, end) for chunk in batch.chunks]


ANY, GRID = Segment(usual=100), Segment(usual=100, grid=10)
EVEN = Segment(usual=96, least=32, largest=96, multiple_of=16)
POWERS = Segment(usual=128, least=32, next_length=lambda n: 1 << (n - 1).bit_length())


def test_chunks_that_butt_leave_a_shorter_rest():
    assert chunks(ChunkPlan(ANY, 100, 0), 250) == [(0, 0, 100), (100, 100, 200), (200, 200, 250)]
    assert chunks(ChunkPlan(ANY, 100, 0), 200) == [(0, 0, 100), (100, 100, 200)]
    assert [batch.length for batch in walk(ChunkPlan(ANY, 100, 0), 250)] == [100, 50]
    assert walk(ChunkPlan(ANY, 100, 0), 0) == []


def test_a_rest_that_is_too_short_for_the_model_gets_context():
    batches = walk(ChunkPlan(EVEN, 90, 0), 100)
    assert batches == [Batch(96, [Chunk(0, 0, 96)], False), Batch(32, [Chunk(68, 96, 100)], True)]
    # a stream shorter than the least has none: what is missing is silence
    assert walk(ChunkPlan(EVEN, 90, 0), 20) == [Batch(32, [Chunk(0, 0, 20)], True)]


def test_overlapping_chunks_begin_on_the_grid_and_the_last_is_moved_back():
    plan = ChunkPlan(GRID, 100, 0.25)
    assert (plan.length, plan.step) == (100, 70)
    assert chunks(plan, 243) == [(0, 0, 100), (70, 70, 170), (140, 140, 240), (150, 150, 243)]
    assert chunks(plan, 100) == [(0, 0, 100)]
    assert walk(plan, 30) == [Batch(40, [Chunk(0, 0, 30)], True)]


@pytest.mark.parametrize(
    ("segment", "samples", "length"),
    [(EVEN, 90, 96), (EVEN, 1000, 96), (EVEN, 5, 32), (POWERS, 100, 128), (POWERS, 1, 32)],
)
def test_chunks_have_lengths_that_the_model_takes(segment, samples, length):
    plan = ChunkPlan(segment, samples, 0.25)
    assert plan.length == length
    for end in (1, 31, 97, 250, 1001):
        for batch in walk(plan, end):
            assert segment.fit(batch.length) == batch.length
            assert all(chunk.stop - chunk.start <= batch.length for chunk in batch.chunks)
        covered = {n for chunk in chunks(plan, end) for n in range(chunk.wanted, chunk.stop)}
        assert covered == set(range(end))


def test_more_is_not_planned_than_is_known():
    plan = ChunkPlan(ANY, 100, 0.5)
    assert plan.reach(0, 3) == 201
    assert plan.next(0, 3, 201, False) == Batch(
        100, [(0, 0, 100), (50, 50, 150), (100, 100, 200)], False
    )
    assert plan.next(0, 3, 150, False).chunks == [(0, 0, 100)]


def test_a_segment_knows_the_nearest_length():
    assert (EVEN.fit(33), EVEN.chunk(33), EVEN.chunk(500)) == (48, 48, 96)
    assert POWERS.fit(65) == 128
    assert Segment(usual=90, largest=90, next_length=lambda n: -(-n // 40) * 40).chunk(85) == 80
    with pytest.raises(ValueError, match="97 samples do not fit into 96"):
        EVEN.fit(97)
