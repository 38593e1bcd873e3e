"""Stems, mixes and zips as they are downloaded: whole, in parts, again, by several at once."""

import hashlib
import io
import os
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from serving import JOBS, clip, environment, listening, path_of

from xumx_jax.web import jobs


def mix(job, format="wav", **query):
    from urllib.parse import urlencode

    return f"{JOBS}/{job['id']}/mix.{format}?{urlencode(query)}"


@pytest.fixture(scope="module")
def command_line(tmp_path_factory):
    """What `xumx separate` writes of the same file, by format."""
    folder = tmp_path_factory.mktemp("command")
    (folder / "Song A.wav").write_bytes(clip())
    words = [sys.executable, "-m", "xumx_jax", "separate", "Song A.wav", "--model", "demo"]
    subprocess.run(words, cwd=folder, env=environment(folder / "cache"), check=True)
    return folder / "separated" / "Song A"


@pytest.mark.slow
def test_a_stem_is_what_the_command_line_writes(server, done, command_line):
    for stem in done["stems"]:
        assert server.get(stem["url"]).body == (command_line / f"{stem['name']}.wav").read_bytes()


def test_a_stem_is_an_attachment_with_the_songs_name(server, done):
    answer = server.get(path_of(done, "vocals"))
    assert answer.status == 200 and answer.body[:4] == b"RIFF"
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"Song A (vocals).wav\"; filename*=UTF-8''Song%20A%20%28vocals%29.wav"
    )
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.headers["cache-control"].startswith("private")


@pytest.mark.parametrize("format, query, kind", [
    ("wav", {"bits": "24"}, "audio/wav"),
    ("flac", {}, "audio/flac"),
    ("mp3", {"bitrate": 96}, "audio/mpeg"),
    ("ogg", {}, "audio/ogg"),
    ("m4a", {}, "audio/mp4"),
    ("opus", {}, "audio/ogg"),
])  # fmt: skip
def test_formats(server, done, format, query, kind):
    answer = server.get(path_of(done, "bass", format), **query)
    assert answer.status == 200 and answer.headers["content-type"] == kind
    assert f".{format}" in answer.headers["content-disposition"]
    from xumx_jax import audio

    path = server.folder.with_name(f"got.{format}")
    path.write_bytes(answer.body)
    wave, rate = audio.decode(path)[:2]
    seconds = wave.shape[1] / rate
    assert wave.shape[0] == 2 and abs(seconds - 1) < 0.1


def test_what_a_request_does_not_say_is_as_the_job_says(server):
    job = server.separated(clip(0.3), stems="vocals", format="wav", bits="24")
    (stem,) = job["stems"]
    assert len(server.get(stem["url"]).body) == pytest.approx(6 * job["frames"], abs=400)
    sixteen = server.get(stem["wav"]).body
    assert len(sixteen) == stem["offset"] + 4 * job["frames"]
    assert server.get(path_of(job, "vocals", "flac")).body[:4] == b"fLaC"


@pytest.mark.parametrize("given, first, last", [
    ("bytes=0-9", 0, 9),
    ("bytes=100-", 100, None),
    ("bytes=-7", -7, None),
    ("bytes=10-999999999", 10, None),
])  # fmt: skip
def test_one_range(server, done, given, first, last):
    path = path_of(done, "drums")
    whole = server.get(path).body
    answer = server.get(path, {"Range": given})
    part = whole[first : None if last is None else last + 1]
    assert answer.status == 206 and answer.body == part
    begin = first % len(whole)
    assert answer.headers["content-range"] == f"bytes {begin}-{begin + len(part) - 1}/{len(whole)}"


@pytest.mark.parametrize(
    "given", ["bytes=9999999999-", "bytes=5-2", "lines=1-2", "bytes", "bytes=a-b"]
)
def test_ranges_that_cannot_be(server, done, given):
    answer = server.get(path_of(done, "drums"), {"Range": given})
    assert (answer.status, answer.code) == (416, "bad_range")
    assert answer.headers["content-range"].startswith("bytes */")


def test_several_ranges_are_refused(server, done):
    many = "bytes=" + ",".join(f"{n}-{n}" for n in range(1000))
    answer = server.get(path_of(done, "drums"), {"Range": many})
    assert (answer.status, answer.code) == (416, "bad_range")


def test_what_is_known_is_not_sent_again(server, done):
    path = path_of(done, "other")
    tag = server.get(path).headers["etag"]
    for given in (tag, f'"x", {tag}', f"W/{tag}"):
        answer = server.get(path, {"If-None-Match": given})
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
    assert server.get(path, {"If-None-Match": '"x"'}).status == 200
    assert server.get(path, {"Range": "bytes=0-1", "If-Range": tag}).status == 206
    assert server.get(path, {"Range": "bytes=0-1", "If-Range": '"x"'}).status == 200


def test_a_region_is_part_of_the_whole(server, done):
    whole, rate = soundfile.read(io.BytesIO(server.get(path_of(done, "bass")).body), dtype="int16")
    answer = server.get(path_of(done, "bass"), start=1000, frames=500)
    part, _ = soundfile.read(io.BytesIO(answer.body), dtype="int16")
    assert rate == 44100 and np.array_equal(part, whole[1000:1500])
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.headers["accept-ranges"] == "none"


def test_peaks_are_those_of_the_sound(server, done):
    wave, _ = soundfile.read(io.BytesIO(server.get(path_of(done, "vocals")).body))
    pairs = np.frombuffer(server.get(path_of(done, "vocals", "peaks")).body, np.int8).reshape(-1, 2)
    assert len(pairs) == -(-len(wave) // 512)
    loudest = np.abs(wave).max(axis=1) / done["gain"]  # peaks are of what is before it
    for number, (least, greatest) in enumerate(pairs):
        piece = loudest[512 * number : 512 * (number + 1)].max() * 127
        assert max(-int(least), int(greatest)) == pytest.approx(piece, abs=1.5)


def test_a_mix_is_the_sum_of_its_stems(server, done):
    answer = server.get(mix(done, vocals=0.5, drums="0.25,-0.5", bits="32f"))
    mixed, _ = soundfile.read(io.BytesIO(answer.body))
    vocals, drums = (
        soundfile.read(io.BytesIO(server.get(path_of(done, stem), bits="32f").body))[0]
        for stem in ("vocals", "drums")
    )
    left, right = np.cos(np.pi / 4), np.sin(np.pi / 4)  # of a pan of -0.5
    panned = np.stack([drums[:, 0] + left * drums[:, 1], right * drums[:, 1]], 1)
    assert np.abs(mixed - 0.5 * vocals - 0.25 * panned).max() < 1e-6
    assert "Song%20A%20%28vocals%2Bdrums%29.wav" in answer.headers["content-disposition"]
    slow = server.get(mix(done, "mp3", vocals=1, speed=0.5, start=0, frames=22050))
    assert slow.status == 200 and slow.headers["content-type"] == "audio/mpeg"
    higher = server.get(mix(done, vocals=1, transpose=3, speed=2, start=100, frames=30000))
    with soundfile.SoundFile(io.BytesIO(higher.body)) as file:
        assert (file.frames, file.samplerate, file.channels) == (15000, 44100, 2)


def test_a_stem_has_a_picture(server, done):
    answer = server.get(path_of(done, "vocals", "png"), width=64, height=32)
    assert answer.status == 200 and answer.headers["content-type"] == "image/png"
    assert answer.body[16:24] == (64).to_bytes(4, "big") + (32).to_bytes(4, "big")
    tag = {"If-None-Match": answer.headers["etag"]}
    assert server.get(path_of(done, "vocals", "png"), tag, width=64, height=32).status == 304
    usual = server.get(path_of(done, "bass", "png"))
    assert usual.body[16:24] == (1200).to_bytes(4, "big") + (256).to_bytes(4, "big")


@pytest.mark.parametrize("query, words", [
    ({}, "no stem was chosen; wanted some of bass, drums"),
    ({"tuba": 1}, "unknown stem 'tuba'"),
    ({"vocals": "loud"}, "vocals: got 'loud'; wanted GAIN or GAIN,PAN"),
    ({"vocals": "nan"}, "vocals: gain is nan"),
    ({"vocals": 11}, "wanted 0 to 10"),
    ({"vocals": "1,2"}, "pan is 2"),
    ({"vocals": 1, "speed": 3}, "speed: input should be less than or equal to 2"),
    ({"vocals": 1, "transpose": 13}, "transpose: input should be less than or equal to 12"),
    ({"vocals": 1, "transpose": 0.5}, "transpose: input should be a valid integer"),
    ({"vocals": 1, "start": 44101}, "start is 44101"),
    ({"vocals": 1, "start": 44000, "frames": 1000}, "frames is 1000; wanted 0 to 100"),
    ({"vocals": 1, "start": -1}, "start: input should be greater than or equal to 0"),
    ({"vocals": 1, "bits": "12"}, "bits: input should be '16', '24' or '32f'"),
    ({"vocals": 1, "bitrate": "128"}, "wav files have no bitrate"),
])  # fmt: skip
def test_mixes_that_make_no_sense(server, done, query, words):
    answer = server.get(mix(done, **query))
    assert (answer.status, answer.code) == (400, "bad_option")
    assert words in answer.json()["error"]["message"]
    assert server.folder.name not in answer.body.decode()


@pytest.mark.parametrize("path, status, words", [
    ("stems/tuba.wav", 404, "the job has no stem 'tuba'; it has bass, drums, vocals, other"),
    ("stems/..%2F..%2Finput.wav", 404, "there is nothing"),
    ("stems/vocals.aiff", 400, "format: input should be 'wav', 'flac'"),
    ("stems/vocals", 404, "there is nothing"),
    ("stems/vocals.mp3?bits=16", 400, "mp3 files have no bits"),
    ("stems/vocals.png?width=15", 400, "width: input should be greater than or equal to 16"),
    ("stems/vocals.png?height=1025", 400, "height: input should be less than or equal to 1024"),
    ("stems/tuba.png", 404, "the job has no stem 'tuba'"),
    ("all.zip?format=aiff", 400, "format: input should be"),
    ("mix.aiff?vocals=1", 400, "format: input should be"),
])  # fmt: skip
def test_files_that_there_are_not(server, done, path, status, words):
    answer = server.get(f"{JOBS}/{done['id']}/{path}")
    assert answer.status == status and words in answer.json()["error"]["message"]


def test_a_zip_has_all_stems_under_the_songs_name(server, done):
    answer = server.get(done["all"])
    assert 'filename="Song A.zip"' in answer.headers["content-disposition"]
    assert answer.headers["content-length"] == str(len(answer.body))
    with zipfile.ZipFile(io.BytesIO(answer.body)) as found:
        assert found.testzip() is None
        names = [f"Song A ({stem['name']}).wav" for stem in done["stems"]]
        assert found.namelist() == names
        for stem, name in zip(done["stems"], names, strict=True):
            assert found.read(name) == server.get(stem["url"]).body
    with zipfile.ZipFile(io.BytesIO(server.get(done["all"], format="flac").body)) as found:
        assert found.namelist()[0] == "Song A (bass).flac"


def test_many_who_ask_for_the_same_get_the_same(server, done):
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda _: server.get(path_of(done, "drums", "flac"), bits="24"), range(8))
        )
    assert {answer.status for answer in found} == {200}
    assert len({hashlib.sha256(answer.body).hexdigest() for answer in found}) == 1


def test_what_has_expired_is_gone(tmp_path):
    with listening(tmp_path / "data", keep_seconds=0.1) as server:
        id = server.send(clip(0.05)).json()["id"]
        assert server.store.take(long_too=True).id == id
        stems = (jobs.Stem("vocals", 44, 0.5),)
        server.store.done(id, jobs.Result(44100, 2, 100, 1.0, stems))
        while server.job(id)["state"] != "expired":
            server.store.sweep()
        for path in ("stems/vocals.wav", "stems/vocals.peaks", "mix.wav?vocals=1", "all.zip"):
            answer = server.get(f"{JOBS}/{id}/{path}")
            assert (answer.status, answer.code) == (410, "expired")
        assert server.folders() == []
        assert [job["state"] for _, job in server.events(id)] == ["expired"]


def test_files_that_are_gone_while_their_row_is_there(tmp_path):
    """As for a moment while a job is being removed."""
    with listening(tmp_path / "data") as server:
        id = server.send(clip(0.05)).json()["id"]
        server.store.take(long_too=True)
        stems = (jobs.Stem("vocals", 44, 0.5),)
        server.store.done(id, jobs.Result(44100, 2, 100, 1.0, stems))
        os.rmdir(server.folder / id)
        for path in ("stems/vocals.wav", "stems/vocals.flac", "stems/vocals.peaks",
                     "mix.wav?vocals=1", "all.zip"):  # fmt: skip
            answer = server.get(f"{JOBS}/{id}/{path}")
            assert (answer.status, answer.code) == (404, "unknown"), path
