"""The audio engine gives what the files hold, bit for bit, and clicks nowhere."""

import numpy as np
import pytest
import soundfile
from page_samples import floats, found, heard
from serving import listening
from stored_jobs import separated

from xumx_jax.web.balance import panned

RATE = 44_100
STEMS = ("bass", "drums", "other", "vocals")
STEP = 2 * np.pi * 440 / RATE / 2  # the largest of a tone of 440 Hz at half of full scale


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with listening(tmp_path_factory.mktemp("engine") / "jobs") as running:
        yield running


@pytest.fixture(scope="module")
def song(server):
    """The id of a song of 12 s and some frames."""
    rng = np.random.default_rng(0)
    return separated(server.store, {name: rng.uniform(-0.2, 0.2, (2, 529_323)) for name in STEMS})


@pytest.fixture(scope="module")
def total(server, song):
    """The sum of its files, [channel, time]."""
    return sum(wave(server, song, name) for name in STEMS)


def wave(server, id, stem):
    samples, _ = soundfile.read(server.store.folder(id) / f"{stem}.wav", dtype="int16")
    return (samples.reshape(len(samples), -1).T / np.float32(32768)).astype(np.float32)


def test_offline_it_is_the_sum_of_the_files(server, rig, song, total):
    page = rig(server)
    stems, channels, held = page.evaluate(
        """async (id) => {
          const song = await rig.song(id);
          const { engine, channels } = await rig.offline(song, song.frames + 500);
          return [song.stems, channels.map(rig.sent), engine.held];
        }""",
        song,
    )
    assert stems == ["vocals", "drums", "bass", "other"]
    made = np.stack([floats(text) for text in channels])
    assert np.array_equal(made[:, : total.shape[1]], total)
    assert not made[:, total.shape[1] :].any()
    assert held == total.shape[1]


def test_live_it_is_the_sum_of_the_files_from_any_frame_on(server, rig, song, total):
    page = rig(server, bypass_csp=True)
    channels, states, at = page.evaluate(
        """async (id) => {
          const { engine, states, tapped } = await rig.live(await rig.song(id));
          engine.seek(132017);
          await engine.play();
          await rig.until(() => engine.position > 132017 + 120000);
          engine.pause();
          const at = engine.position;
          await rig.sleep(0.2);
          return [tapped().channels.map(rig.sent), states, at];
        }""",
        song,
    )
    made = heard(channels)
    first = found(made[:, 400:120_000], total, 132_417)
    assert abs(first - 132_417) <= 1
    assert states[-2:] == ["playing", "paused"]
    # it goes on where the fade began
    last = np.flatnonzero(made.any(axis=0))[-1]
    assert abs(132_017 + last - at) < 400


@pytest.mark.parametrize("start, end", [(219_723, 233_054), (219_723, 222_000)])
def test_a_loop_of_odd_ends_has_no_gap(server, rig, song, total, start, end):
    page = rig(server, bypass_csp=True)
    channels, position = page.evaluate(
        """async ([id, start, end]) => {
          const { context, engine, tapped } = await rig.live(await rig.song(id));
          engine.setLoop(start, end);
          engine.seek(start - 5000);
          await engine.play();
          await rig.until(() => context.currentTime > 1.5);
          const position = engine.position;
          engine.clearLoop();
          await rig.until(() => engine.position > end + 4000);
          engine.pause();
          await rig.sleep(0.2);
          return [tapped().channels.map(rig.sent), position];
        }""",
        [song, start, end],
    )
    assert start <= position < end
    made = heard(channels)[:, 400:]
    first = found(made[:, :4000], total, start - 4600, 3)
    turns = np.concatenate([total[:, first:end], *[total[:, start:end]] * 60], axis=1)
    same = (made == turns[:, : made.shape[1]]).all(axis=0)
    left = int(np.argmin(same))  # then the song goes on behind the loop
    assert left > 40_000
    assert (left - (end - first)) % (end - start) == 0
    found(made[:, left - 1000 : left + 3000], total, end - 1000, 1)


def test_it_ends_and_begins_anew(server, rig, song, total):
    page = rig(server, bypass_csp=True)
    end, channels, states, again = page.evaluate(
        """async (id) => {
          const song = await rig.song(id);
          const { engine, states, tapped } = await rig.live(song);
          engine.seek(song.frames - 30000);
          await engine.play();
          await rig.until(() => states.at(-1) === "ended");
          const end = engine.position;
          const { channels } = tapped();
          await engine.play();
          await rig.until(() => engine.position > 20000);
          engine.pause();
          await rig.sleep(0.2);
          const again = tapped().channels.map((one, at) => one.slice(channels[at].length));
          return [end, channels.map(rig.sent), states, again.map(rig.sent)];
        }""",
        song,
    )
    assert end == total.shape[1]
    assert [state for state in states if state != "waiting"] == [
        *("playing", "ended", "playing", "paused")
    ]
    made = heard(channels)
    last = np.flatnonzero(made.any(axis=0))[-1]
    found(made[:, 400 : last + 1], total, total.shape[1] - 29_600, 3)
    # the song's own beginning is not faded in
    found(heard(again)[:, :15_000], total, 0 + 500, 501)


def test_gain_and_pan_are_those_of_the_servers_mix(server, rig, song):
    page = rig(server)
    balance = {"vocals": (0.8, -0.3), "drums": (0, 0), "bass": (2.5, 1), "other": (1, 0)}
    made = page.evaluate(
        """async ([id, balance]) => {
          const { channels } = await rig.offline(await rig.song(id), 44100, (engine) => {
            for (const [name, [gain, pan]] of Object.entries(balance)) {
              engine.setStem(name, { gain, pan });
            }
            engine.setMaster(0.5);
          });
          return channels.map(rig.sent);
        }""",
        [song, balance],
    )
    mix = sum(gain * panned(wave(server, song, name), pan) for name, (gain, pan) in balance.items())
    made = np.stack([floats(text) for text in made])
    np.testing.assert_allclose(made, 0.5 * mix[:, :44100], atol=1e-6)


def test_a_mono_song_is_mono_until_a_stem_is_panned(server, rig):
    rng = np.random.default_rng(1)
    stems = {name: rng.uniform(-0.2, 0.2, (1, 50_000)) for name in ("drums", "vocals")}
    id = separated(server.store, stems)
    page = rig(server)
    plain, wide, muted = page.evaluate(
        """async (id) => {
          const song = await rig.song(id);
          const made = [];
          for (const gain of [null, 1, 0]) {
            const { channels } = await rig.offline(song, 44100, (engine) => {
              if (gain !== null) engine.setStem("drums", { gain, pan: -0.5 });
            });
            made.push(channels.map(rig.sent));
          }
          return made;
        }""",
        id,
    )
    drums, vocals = (wave(server, id, name)[:, :44100] for name in ("drums", "vocals"))
    for text in plain:
        assert np.array_equal(floats(text)[None], drums + vocals)
    mix = panned(drums, -0.5) + panned(vocals, 0, wide=True)
    np.testing.assert_allclose(np.stack([floats(text) for text in wide]), mix, atol=1e-6)
    for text in muted:  # a pan that nobody hears does not count
        assert np.array_equal(floats(text)[None], vocals)


def test_nothing_clicks(server, rig):
    page = rig(server, bypass_csp=True)
    step, states = page.evaluate(
        """async () => {
          const made = new rig.Made({ vocals: rig.tone(440), drums: () => 0 });
          const { engine, states, tapped } = await rig.live(made);
          const heard = async (seconds) => {
            const from = engine.position;
            await rig.until(() => engine.position > from + seconds * 44100);
          };
          engine.seek(1025);
          await engine.play();
          await heard(0.2);
          engine.setStem("vocals", { gain: 0 });
          await heard(0.1);
          for (const gain of [0.1, 0.9, 0.2, 0.5]) engine.setStem("vocals", { gain });
          await heard(0.1);
          engine.setStem("vocals", { pan: -0.7 });
          await heard(0.1);
          engine.setStem("vocals", { gain: 1, pan: 0 });
          engine.setMaster(0.3);
          await heard(0.1);
          engine.setMaster(1);
          engine.seek(60017);
          await heard(0.1);
          engine.seek(20031);
          engine.pause();
          await rig.sleep(0.1);
          await engine.play();
          await heard(0.05);
          engine.pause();
          await engine.play();
          for (const speed of [0.8, 1.5, 1, 0.75, 1]) {
            engine.setSpeed(speed);
            await heard(0.25);
          }
          engine.setTranspose(4);
          await heard(0.2);
          engine.setTranspose(-3);
          engine.setLoop(engine.position - 4410, engine.position + 4410);
          engine.clearLoop();
          await heard(0.2);
          engine.destroy();
          await rig.sleep(0.3);
          return [Math.max(...tapped().channels.map((one) => rig.step(one))), states];
        }"""
    )
    assert 0.9 * STEP < step < 1.5 * STEP  # a fade of 8 ms adds 0.0015
    assert not [state for state in states if state.startswith("error")]
