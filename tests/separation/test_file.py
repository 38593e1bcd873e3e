"""One function for a file: what it reads, writes, tells and gives back, and how it is stopped."""

import io
import threading
from fractions import Fraction
from importlib import import_module

import av
import numpy as np
import pytest
import soundfile
from opened_files import Opened

from xumx_jax import AudioStream, Cancelled, UserError, audio, separate_file
from xumx_jax.errors import collected

RATE = 8000
encoding = import_module("xumx_jax.audio.encode")  # a function has the name, too


class Halves:
    """Stems that are a half, a quarter and the negative quarter of what comes, times `gain`."""

    sources, rate = ("a", "b", "c"), RATE

    def __init__(self, gain=1.0):
        self.gain, self.closed = gain, False

    def stream(self, blocks, rate, length, callback):
        done = 0
        try:
            for block in blocks:
                done += block.shape[1]
                if callback(done / length if length else None, None) is False:
                    raise Cancelled("the separation was cancelled")
                yield {
                    "a": block * np.float32(0.5 * self.gain),
                    "b": block * np.float32(0.75 * self.gain),
                    "c": block * np.float32(-0.25 * self.gain),
                }
        finally:
            self.closed = True


def noise(time=3000, channels=2):
    rng = np.random.default_rng(time)
    return rng.uniform(-0.5, 0.5, (channels, time)).astype(np.float32)


def stream(wave, size=1000, **more):
    blocks = (wave[:, at : at + size] for at in range(0, wave.shape[1], size))
    return AudioStream(RATE, wave.shape[0], wave.shape[1], blocks, **more)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_stems_of_a_file_and_what_is_known_of_them(tmp_path):
    mix = noise()
    soundfile.write(tmp_path / "song.wav", mix.T, RATE, "FLOAT")
    done = separate_file(Halves(), tmp_path / "song.wav", tmp_path / "out", bits="32f")
    assert names(tmp_path / "out") == ["a.wav", "b.wav", "c.wav"]
    assert done.paths == {name: tmp_path / "out" / f"{name}.wav" for name in "abc"}
    for name, factor in zip("abc", (0.5, 0.75, -0.25), strict=True):
        np.testing.assert_array_equal(audio.decode(done.paths[name])[0], mix * np.float32(factor))
    assert (done.rate, done.channels, done.samples, done.seconds) == (RATE, 2, 3000, 0.375)
    assert (done.stems_rate, done.stems_samples, done.gain) == (RATE, 3000, 1)
    peak = float(np.abs(mix).max())
    assert done.peaks == pytest.approx({"a": peak / 2, "b": 0.75 * peak, "c": peak / 4})
    assert done.null_error_db < -140 and done.warnings == ()
    assert set(done.timings) == {"decode", "separate", "encode", "total"}


def test_a_stream_with_tags_and_a_length_that_nobody_knows(tmp_path):
    mix = noise(2500, 1)
    given = stream(mix, tags=audio.Tags({"title": "A"}))
    given.length, seen = None, []
    done = separate_file(
        *(Halves(), given, tmp_path), stems=["b"], format="flac", name="song-{stem}.{format}",
        on_progress=lambda *told: seen.append(told),
    )  # fmt: skip
    assert names(tmp_path) == ["song-b.flac"] and set(seen) == {(None, None)}
    assert audio.read_tags(done.paths["b"]).text == {"title": "A (song-b)"}
    wave, rate = audio.decode(tmp_path / "song-b.flac")
    assert rate == RATE
    np.testing.assert_allclose(wave, 0.75 * mix, atol=2**-15)


def test_an_estimate_stands_in_for_a_length(tmp_path):
    given = stream(noise(4000), estimate=8000)
    given.length, seen = None, []
    separate_file(Halves(), given, tmp_path, on_progress=lambda far, eta: seen.append(far))
    assert seen == [0.125, 0.25, 0.375, 0.5]


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (dict(stems="a, c"), {"a": 0.5, "c": -0.25}),
        (dict(two_stems="b"), {"b": 0.75, "rest": 0.25}),
        (dict(mix=("a", "b")), {"a+b": 1.25}),
        (dict(mix="c+b"), {"c+b": 0.5}),
        (dict(aggregate={"x": ["a", "c"], "y": "b"}), {"x": 0.25, "y": 0.75}),
    ],
)
def test_choices(tmp_path, choice, written):
    mix = noise()
    paths = {name: tmp_path / f"{name} {{of}} it.wav" for name in written}
    assert separate_file(Halves(), stream(mix), paths, bits="32f", **choice).paths == paths
    for name, factor in written.items():
        np.testing.assert_allclose(audio.decode(paths[name])[0], factor * mix, atol=1e-6)


def test_an_open_file_gets_one_stem(tmp_path):
    file, mix = io.BytesIO(), noise()
    done = separate_file(Halves(), stream(mix), file, mix="a+b", bits="32f")
    assert done.paths == {}
    (tmp_path / "x.wav").write_bytes(file.getvalue())
    np.testing.assert_allclose(audio.decode(tmp_path / "x.wav")[0], 1.25 * mix, atol=1e-6)


def test_what_was_odd_is_given_back_and_told(tmp_path):
    mix, told = noise(channels=3), []
    mix[0, 1500] = np.inf
    done = separate_file(
        Halves(8), stream(mix), tmp_path, stems="a", on_warning=told.append, label="song"
    )
    assert list(done.warnings) == told and [line.split(":")[0] for line in told] == [
        "the mixture has 3 channels",
        f"samples reach {done.peaks['a']:.3f} times full scale",
        "1 samples are NaN, infinite or beyond 1e12 and were replaced by 0",
    ]
    assert done.gain == 1 / done.peaks["a"] and done.channels == 3
    assert separate_file(Halves(), stream(noise(0)), tmp_path).warnings == (
        "the mixture has no samples: the stems are empty",
    )
    with pytest.raises(
        UserError, match="^song: 1 samples are NaN, infinite or beyond 1e12; use finite ones"
    ):
        separate_file(Halves(), stream(mix), tmp_path / "no", label="song", strict=True)
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("settings", [("wav", "16"), ("flac", "24"), ("ogg", None), ("mp3", None)])
@pytest.mark.parametrize("late", [False, True])
def test_one_gain_even_where_the_last_sample_makes_it_needed(tmp_path, monkeypatch, settings, late):
    """The files are those of a writer that knew the gain from the beginning."""
    monkeypatch.setattr(encoding, "_BLOCK", 700)
    format, bits = settings
    mix = noise(3500)
    mix[1, -1] = 1.6 if late else 0.1
    started = []
    usual = encoding.open_writer
    monkeypatch.setattr(
        encoding, "open_writer", lambda *a, **b: started.append(a) or usual(*a, **b)
    )
    done = separate_file(Halves(), stream(mix, 900), tmp_path / "x", format=format, bits=bits)
    # encoded as they come, and again only where that is needed
    assert len(started) == (6 if late else 3)
    assert done.gain == (1 / done.peaks["b"] if late else 1) and done.peaks["b"] > late
    assert names(tmp_path / "x") == [f"{name}.{format}" for name in "abc"]
    for name, factor in zip("abc", (0.5, 0.75, -0.25), strict=True):
        wanted = encoding.StemWriter(
            *({name: tmp_path / f"{name}.{format}"}, RATE, 2, format, bits), gain=done.gain
        )
        with collected(lambda message: None), wanted:
            for at in range(0, 3500, 700):
                wanted.write({name: mix[:, at : at + 700] * np.float32(factor)})
        found, known = (folder / f"{name}.{format}" for folder in (tmp_path / "x", tmp_path))
        if format != "ogg":  # whose pages bear a number drawn at random
            assert found.read_bytes() == known.read_bytes()
        np.testing.assert_array_equal(audio.decode(found)[0], audio.decode(known)[0])


@pytest.mark.parametrize("how", ["progress", "asked", "while a lock is waited for"])
def test_cancelling_leaves_nothing(tmp_path, how):
    separator, more, lock = Halves(), {}, threading.Lock()
    if how == "progress":
        more["on_progress"] = lambda fraction, eta: fraction < 0.5
    elif how == "asked":
        asked = iter([False] * 4)
        more["cancelled"] = lambda: next(asked, True)
    else:
        lock.acquire()
        asked = iter([False] * 4)
        more |= {"cancelled": lambda: next(asked, True), "device_lock": lock}
    with pytest.raises(Cancelled):
        separate_file(separator, stream(noise()), tmp_path / "out", **more)
    assert not (tmp_path / "out").exists()
    assert separator.closed or how == "while a lock is waited for"
    assert not [thread for thread in threading.enumerate() if thread.name == "decode"]


def test_progress_may_wait(tmp_path):
    """A pause holds the track and nothing else."""
    goes_on, waits = threading.Event(), threading.Event()

    def pause(fraction, eta):
        waits.set()
        goes_on.wait(30)

    thread = threading.Thread(
        target=separate_file,
        args=(Halves(), stream(noise()), tmp_path / "one"),
        kwargs={"on_progress": pause},
    )
    thread.start()
    assert waits.wait(30)
    separate_file(Halves(), stream(noise()), tmp_path / "other")
    assert names(tmp_path) == ["other"] or not list((tmp_path / "one").glob("[!.]*"))
    goes_on.set()
    thread.join()
    assert names(tmp_path / "one") == ["a.wav", "b.wav", "c.wav"]


def test_every_block_of_what_is_written_is_handed_on_before_the_gain(tmp_path):
    mix, blocks = noise(), []
    done = separate_file(
        Halves(8), stream(mix), tmp_path, two_stems="b", bits="16", on_block=blocks.append
    )
    assert done.gain < 1 and [block["b"].shape for block in blocks] == [(2, 1000)] * 3
    for name, factor in (("b", 6), ("rest", -5)):
        wave = np.concatenate([block[name] for block in blocks], axis=1)
        np.testing.assert_allclose(wave, factor * mix, atol=1e-6)
        written = np.rint(wave * np.float32(done.gain) * 2.0**15).clip(-(2**15), 2**15 - 1)
        np.testing.assert_array_equal(audio.decode(done.paths[name])[0] * 2**15, written)


def test_what_a_block_is_handed_to_may_end_the_work(tmp_path):
    def full(block):
        raise OSError("no room")

    separator = Halves()
    with pytest.raises(OSError, match="no room"):
        separate_file(separator, stream(noise()), tmp_path / "out", on_block=full)
    assert separator.closed and not names(tmp_path)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (dict(stems="x"), "unknown stem 'x'; the model has a, b, c"),
        (dict(stems="a", mix="a"), "use only one of"),
        (dict(format="flac", bits="32f"), "cannot hold '32f' bits"),
        (dict(rate="high"), "rate is 'high'"),
        (dict(channels="both"), "channels 'both'"),
        (dict(start=1), "start, duration and allow_truncated are for files"),
        (dict(name="stem.wav"), "the same for several stems"),
        (dict(name="{track}.wav"), "name is '{track}.wav'; wanted {stem}"),
        (dict(out={"a": "a.wav"}), "got files for a; wanted one for each of a, b, c"),
        (dict(out=io.BytesIO()), "an open file takes one stem as wav"),
        (dict(aggregate={"a/b": ["a"]}), "cannot be the name of a file"),
    ],
)
def test_what_makes_no_sense_is_one_line(tmp_path, more, says):
    out = more.pop("out", tmp_path / "out")
    with pytest.raises(UserError) as caught:
        separate_file(Halves(), stream(noise(100)), out, **more)
    assert says in str(caught.value) and "\n" not in str(caught.value) and not names(tmp_path)


@pytest.mark.parametrize("format", ["wav", "flac", "mp3", "m4a", "ogg", "opus", "mkv"])
def test_a_file_is_opened_once(tmp_path, format):
    path = tmp_path / f"song.{format}"
    if format == "mkv":
        with av.open(str(path), "w") as container:
            sound = container.add_stream("pcm_s16le", rate=RATE, layout="stereo")
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1000), np.int16), "s16", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
    else:
        tags = audio.Tags({"title": "A"})
        audio.encode(path, noise(48000), 48000, format, tags=tags)
    with Opened(path) as opened:
        done = separate_file(Halves(), path, tmp_path / "out", stems="a")
    assert opened.count == 1 and done.samples >= 500
    kept = audio.read_tags(done.paths["a"]).text
    assert kept == ({} if format == "mkv" else {"title": "A (song) (a)"})
