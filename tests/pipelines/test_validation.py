"""Validation pieces: all of every track, once, with weights known by hand."""

import numpy as np
import pytest
import soundfile
from track_folders import LENGTHS, SOURCES, excerpt, opened, write

from pipelines.validation import cut, pieces


def joined(found):
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


@pytest.mark.parametrize(
    "length, wanted",
    [
        (100, [(0, 0.4), (40, 0.4), (60, 0.2)]),
        (80, [(0, 0.5), (40, 0.5)]),
        (41, [(0, 40 / 41), (1, 1 / 41)]),
        (30, [(0, 1.0)]),
        (0, []),
    ],
)
def test_pieces_of_40_cover_a_track(length, wanted):
    found = cut(length, 40)
    assert [start for start, _ in found] == [start for start, _ in wanted]
    assert [share for _, share in found] == pytest.approx([share for _, share in wanted])


def test_pieces_cover_each_track_with_equal_weight_per_track(tracks):
    stems, mix, weight = joined(pieces(tracks, 32, batch=4))
    # 100 samples: three pieces and the last 32, 64: two, 30: one with silence; one row left over
    np.testing.assert_allclose(weight, [0.32] * 3 + [0.04] + [0.5] * 2 + [1, 0], rtol=1e-6)
    places = [(0, 0), (0, 32), (0, 64), (0, 68), (1, 0), (1, 32), (2, 0)]
    for row, (track, start) in enumerate(places):
        for source in range(3):
            wave = excerpt(tracks, source, track, start, 32)
            np.testing.assert_array_equal(stems[row, source], wave)
    np.testing.assert_allclose(mix, stems.sum(1), atol=1e-7)
    assert stems[6].any() and not stems[6, ..., 30:].any() and not stems[7:].any()
    assert {array.dtype for array in (stems, mix, weight)} == {np.dtype(np.float32)}


def test_mixture_is_that_of_the_data(tmp_path):
    write(tmp_path, (50,), (*SOURCES, "mixture"))
    (found,) = pieces(opened(tmp_path), 40, batch=2)
    wave = soundfile.read(tmp_path / "0" / "mixture.wav", dtype="float32")[0].T
    np.testing.assert_array_equal(found.mix, [wave[:, :40], wave[:, 10:]])
    assert np.abs(found.mix - found.stems.sum(1)).max() > 0.1


def test_whole_tracks_come_one_a_batch_in_their_own_length(tracks):
    found = list(pieces(tracks, 0, batch=2))
    assert [batch.mix.shape for batch in found] == [(2, 2, length) for length in LENGTHS]
    for track, batch in enumerate(found):
        np.testing.assert_array_equal(batch.weight, [1, 0])
        for stems in batch.stems:
            wave = excerpt(tracks, 1, track, 0, LENGTHS[track])
            np.testing.assert_array_equal(stems[1], wave)


@pytest.mark.parametrize("samples", [32, 0])
def test_pieces_of_hosts_make_up_the_global_batches(tracks, samples):
    whole = list(pieces(tracks, samples, batch=4))
    hosts = [pieces(tracks, samples, batch=4, process_index=p, process_count=2) for p in range(2)]
    for batch, *parts in zip(whole, *hosts, strict=True):
        for all_rows, rows in zip(batch, joined(parts), strict=True):
            np.testing.assert_array_equal(all_rows, rows)
