"""Files made of a job's floats when asked for, against what the command line writes."""

import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from web_jobs import RATE, Shares, finished, sound

from xumx_jax.audio import decode, encode
from xumx_jax.audio.containers import Tags
from xumx_jax.errors import Cancelled, UserError
from xumx_jax.separation.file import separate_file
from xumx_jax.web import mixing
from xumx_jax.web.balance import Balance

QUIET, LOUD = 0.25, 2.0  # at the latter level stems exceed full scale
STEMS = [
    (QUIET, "wav", "24", None),
    (LOUD, "wav", "32f", None),
    (LOUD, "flac", None, None),
    (QUIET, "flac", "24", None),
    (QUIET, "mp3", None, None),
    (LOUD, "ogg", None, None),
    (QUIET, "m4a", None, 96),
    (LOUD, "opus", None, None),
]
MIXES = [
    (QUIET, "wav", "16", None),
    (LOUD, "wav", "16", None),
    (LOUD, "wav", "32f", None),
    (QUIET, "flac", "24", None),
    (LOUD, "mp3", None, 128),
    (QUIET, "ogg", None, None),
    (LOUD, "m4a", None, None),
    (QUIET, "opus", None, 64),
]


def whole(balance_parts):
    return Balance({name: (1.0, 0.0) for name in balance_parts})


def content(download):
    """The bytes of a download, whose length must be what it states."""
    made = b"".join(download.pieces)
    assert len(made) == download.size
    return made


def same(content):
    """A file without what differs each time that the very same is encoded.

    Ogg's encoders draw a serial number, which each page has, with its checksum: RFC 3533, 6.
    """
    return re.sub(rb"(OggS.{10}).{4}(.{4}).{4}", rb"\1\2", content, flags=re.S)


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    path = tmp_path_factory.mktemp("song") / "song.flac"
    encode(path, sound(), RATE, "flac", tags=Tags({"title": "Überfahrt", "artist": "Ä"}))
    return path


@pytest.fixture(scope="module")
def jobs(song, tmp_path_factory):
    """{level: (folder, result)} of the song at a usual level, and at one beyond full scale."""
    place = tmp_path_factory.mktemp("jobs")
    made = {level: place / str(level) for level in (QUIET, LOUD)}
    return {level: (folder, finished(folder, song, level)) for level, folder in made.items()}


@pytest.mark.parametrize(["level", "format", "bits", "bitrate"], STEMS)
def test_a_stem_is_the_file_of_the_command_line(jobs, song, tmp_path, level, format, bits, bitrate):
    folder, result = jobs[level]
    form = dict(format=format, bits=bits, bitrate=bitrate)
    # the gain of loud ones is that of all stems; else one is enough to compare
    stems = None if level == LOUD else "vocals"
    separate_file(Shares(level), song, tmp_path, stems=stems, **form, on_warning=lambda line: None)
    path = mixing.encoded(folder, result, "vocals", **form)
    assert same(path.read_bytes()) == same((tmp_path / f"vocals.{format}").read_bytes())
    assert (result.gain < 1) == (level == LOUD)


@pytest.mark.parametrize(["level", "format", "bits", "bitrate"], MIXES)
def test_a_mix_is_the_file_of_the_command_line(jobs, song, tmp_path, level, format, bits, bitrate):
    folder, result = jobs[level]
    form = dict(format=format, bits=bits, bitrate=bitrate)
    separate_file(Shares(level), song, tmp_path, mix="drums+bass", **form)
    made = content(mixing.mix(folder, result, whole(("drums", "bass")), **form))
    assert same(made) == same((tmp_path / f"drums+bass.{format}").read_bytes())


def decoded(tmp_path, download, format="wav"):
    path = tmp_path / f"got.{format}"
    path.write_bytes(content(download))
    return decode(path)[0]


def floats(folder, result, name):
    return np.fromfile(folder / f"{name}.f32", np.float32).reshape(-1, result.channels).T


def test_the_first_format_is_the_file_that_separating_wrote(jobs):
    folder, result = jobs[QUIET]
    assert mixing.encoded(folder, result, "bass") == folder / "bass.wav"


@pytest.mark.parametrize("start", [0, 12_345])
def test_a_region_is_that_part_of_the_whole_at_its_level(jobs, tmp_path, start):
    folder, result = jobs[LOUD]
    part = mixing.region(folder, result, "drums", start, 30_001, "wav")
    made = decoded(tmp_path, part)
    assert made.shape == (2, 30_001)
    all_of_it, _ = decode(folder / "drums.wav")
    assert np.array_equal(made, all_of_it[:, start : start + 30_001])


def test_a_region_without_an_end_reaches_the_songs(jobs, tmp_path):
    folder, result = jobs[QUIET]
    balance = Balance({"drums": (1.0, 0.0)}, start=300_000)
    made = decoded(tmp_path, mixing.mix(folder, result, balance, "flac"), "flac")
    assert made.shape[1] == result.frames - 300_000


def test_gains_and_pans_are_those_of_web_audio(jobs, tmp_path):
    folder, result = jobs[QUIET]
    balance = Balance({"bass": (0.5, -0.5), "vocals": (0.25, 1.0)}, frames=1000)
    made = decoded(tmp_path, mixing.mix(folder, result, balance, "wav", "32f"))
    (bass, vocals) = (floats(folder, result, name)[:, :1000] for name in ("bass", "vocals"))
    half = np.sqrt(0.5)  # sine and cosine of a quarter turn's half
    left = 0.5 * (bass[0] + half * bass[1]) + 0.25 * 0 * vocals[0]
    right = 0.5 * half * bass[1] + 0.25 * (vocals[1] + vocals[0])
    np.testing.assert_allclose(made, [left, right], atol=1e-6)


def test_a_mono_song_stays_mono_until_a_pan_is_given(tmp_path):
    encode(tmp_path / "mono.wav", sound(0.5, channels=1), RATE)
    result = finished(tmp_path / "job", tmp_path / "mono.wav")
    alone = mixing.mix(tmp_path / "job", result, whole(("bass", "vocals")), "wav", "32f")
    stems = [floats(tmp_path / "job", result, name)[0] for name in ("bass", "vocals")]
    assert np.array_equal(decoded(tmp_path, alone), [stems[0] + stems[1]])
    balance = Balance({"bass": (1.0, -1.0), "vocals": (1.0, 0.0)})
    wide = decoded(tmp_path, mixing.mix(tmp_path / "job", result, balance, "wav", "32f"))
    half = np.sqrt(0.5)
    expected = [stems[0] + half * stems[1], half * stems[1]]
    np.testing.assert_allclose(wide, expected, atol=1e-6)


def test_a_mix_beyond_full_scale_is_attenuated_until_it_is_not(jobs, tmp_path):
    folder, result = jobs[QUIET]
    balance = Balance({name: (4.0, 0.0) for name in ("bass", "drums")})
    made = decoded(tmp_path, mixing.mix(folder, result, balance))
    sums = 4 * floats(folder, result, "bass") + 4 * floats(folder, result, "drums")
    peak = np.abs(sums).max()
    assert peak > 1
    np.testing.assert_allclose(made, sums / peak, atol=2**-15)


BAD = {
    "no stem was chosen": dict(parts={}),
    "unknown stem 'flute'; the job has bass": dict(parts={"flute": (1, 0)}),
    "bass: gain is 11; wanted 0 to 10": dict(parts={"bass": (11, 0)}),
    "bass: gain is nan": dict(parts={"bass": (float("nan"), 0)}),
    "bass: pan is -2; wanted -1": dict(parts={"bass": (1, -2)}),
    "start is -1; wanted a frame": dict(parts={"bass": (1, 0)}, start=-1),
    "frames is 308701; wanted 0 to 308700": dict(parts={"bass": (1, 0)}, frames=308_701),
    "speed is 3; wanted 0.5 to 2": dict(parts={"bass": (1, 0)}, speed=3),
    "transpose is 13; wanted -12 to 12": dict(parts={"bass": (1, 0)}, transpose=13),
}


@pytest.mark.parametrize("message", BAD)
def test_a_balance_that_makes_no_sense_is_refused_in_one_line(jobs, message):
    folder, result = jobs[QUIET]
    with pytest.raises(UserError, match=f"^{message}[^\n]*$"):
        mixing.mix(folder, result, Balance(**BAD[message]))


def test_formats_are_kept_up_to_a_number(tmp_path):
    encode(tmp_path / "short.wav", sound(0.1), RATE)
    folder = tmp_path / "job"
    result = finished(folder, tmp_path / "short.wav")
    first = mixing.encoded(folder, result, "bass", "mp3", None, 64)
    changed = first.stat().st_mtime_ns
    assert mixing.encoded(folder, result, "bass", "mp3", None, 64).stat().st_mtime_ns == changed
    for bitrate in range(65, 64 + mixing.MOST_KEPT):
        mixing.encoded(folder, result, "bass", "mp3", None, bitrate)
    assert first.exists()
    last = mixing.encoded(folder, result, "bass", "mp3", None, 320)
    assert last.exists() and not first.exists()
    assert len(list(folder.glob("as-*"))) == mixing.MOST_KEPT


def test_a_file_that_several_ask_for_is_made_once(tmp_path):
    encode(tmp_path / "short.wav", sound(0.2), RATE)
    result = finished(tmp_path / "job", tmp_path / "short.wav")
    made = []

    def ask(_):
        check = lambda: made.append(1)  # noqa: E731
        return mixing.encoded(tmp_path / "job", result, "bass", "flac", check=check)

    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(ask, range(8)))
    assert len(set(paths)) == 1 and len(made) == 1


def test_nothing_is_left_of_what_was_cancelled(tmp_path, jobs):
    folder, result = jobs[QUIET]
    before = sorted(folder.rglob("*"))

    def cancel():
        raise Cancelled("stopped")

    for make in (mixing.encoded, mixing.mix):
        what = "bass" if make is mixing.encoded else whole(("bass",))
        with pytest.raises(Cancelled):
            make(folder, result, what, "m4a", None, 200, check=cancel)
    assert [path for path in folder.rglob("*") if path.is_file() and path not in before] == []


def test_a_job_that_is_removed_meanwhile_is_gone_and_stays_gone(tmp_path):
    encode(tmp_path / "song.wav", sound(7), RATE)
    folder = tmp_path / "job"
    result = finished(folder, tmp_path / "song.wav")
    for make in (mixing.encoded, mixing.mix):
        kept = tmp_path / "kept"
        shutil.copytree(folder, kept)
        what = "bass" if make is mixing.encoded else whole(("bass",))
        with pytest.raises(mixing.Gone, match=r"^bass\.flac: the job was removed$"):
            make(folder, result, what, "flac", check=lambda: shutil.rmtree(folder, True))
        assert not folder.exists()
        kept.rename(folder)
    download = mixing.mix(folder, result, whole(("bass",)))
    next(download.pieces)
    shutil.rmtree(folder)
    with pytest.raises(mixing.Gone):
        list(download.pieces)


def test_no_message_has_a_folder_in_it(tmp_path):
    encode(tmp_path / "song.wav", sound(0.1), RATE)
    folder = tmp_path / "job"
    result = finished(folder, tmp_path / "song.wav")
    (folder / "as-flac-16").write_text("in the way")
    with pytest.raises(UserError) as told:
        mixing.encoded(folder, result, "bass", "flac")
    assert str(tmp_path) not in str(told.value) and "bass.flac" in str(told.value)


def test_samples_of_an_unfinished_download_are_not_held(jobs):
    folder, result = jobs[QUIET]
    pieces = mixing.mix(folder, result, whole(("bass", "vocals"))).pieces
    assert max(len(piece) for piece in pieces) <= 4 * (1 << 18)
    left = [path.name for path in folder.iterdir() if path.name.startswith(".mix-")]
    assert left == []


def test_the_title_says_which_stems(jobs, tmp_path):
    folder, result = jobs[QUIET]
    (tmp_path / "a.wav").write_bytes(content(mixing.mix(folder, result, whole(("drums", "bass")))))
    with soundfile.SoundFile(tmp_path / "a.wav") as file:
        assert file.title == "Überfahrt (song) (drums+bass)"
