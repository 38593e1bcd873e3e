"""The audio engine when pieces come late, not at all, or are still being made."""

import numpy as np
import pytest
from page_samples import floats, parts
from serving import listening
from stored_jobs import ran, separated

from xumx_jax.web.floats import Floats
from xumx_jax.web.jobs import Live, Result, Stem

RATE = 44_100
# Two stems that cancel each other as long as they are in step, and one that says where it is.
CANCELLING = """const noise = (frame) => ((frame * 7919) % 8191) / 32768;
  const made = new rig.Made({
    vocals: noise, drums: (frame) => -noise(frame), bass: (frame) => (frame % 16384 + 1) / 32768,
  });"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with listening(tmp_path_factory.mktemp("loading") / "jobs") as running:
        yield running


@pytest.fixture(scope="module")
def song(server):
    """The id of a song of 8 s."""
    rng = np.random.default_rng(0)
    stems = {name: rng.uniform(-0.2, 0.2, (2, 8 * RATE)) for name in ("drums", "vocals")}
    return separated(server.store, stems)


def test_stems_wait_for_each_other_and_go_on_in_step(server, rig):
    page = rig(server, bypass_csp=True)
    samples, states = page.evaluate(
        f"""async () => {{
          {CANCELLING}
          made.delay = (start) => (start > 60000 && start < 160000 ? 2.2 : 0);
          const {{ engine, states, tapped }} = await rig.live(made);
          engine.seek(20001);
          await engine.play();
          await rig.until(() => states.at(-1) === "waiting" && engine.position > 20001);
          await rig.until(() => states.at(-1) === "playing");
          await rig.until(() => engine.position > 170000);
          engine.pause();
          await rig.sleep(0.2);
          return [rig.sent(tapped().channels[0]), states];
        }}"""
    )
    assert states == ["waiting", "playing", "waiting", "playing", "paused"]
    made = floats(samples)
    before, after = parts(made)
    # two samples, each of which is where it should be: nothing is left out
    where = np.rint(made * 32768).astype(int) - 1
    assert np.array_equal(where[before[0] + 400 : before[1] - 400] % 16384, counted(before, 20_001))
    goes_on = int(where[after[0] + 400]) - 400
    assert np.array_equal(where[after[0] + 400 : after[1] - 400] % 16384, counted(after, goes_on))
    stopped = (20_001 + before[1] - before[0]) % 16384
    assert 0 <= stopped - goes_on % 16384 < 400  # the fade is heard again


def counted(part, first):
    """The frames that a part should say, without its fades."""
    first_one = first + 400
    return (first_one + np.arange(part[1] - part[0] - 800)) % 16384


@pytest.mark.parametrize("broken", ["refused", "status", "short"])
def test_a_server_that_comes_back_is_waited_for(server, rig, song, broken):
    page = rig(server)
    page.expected += ["Failed to load resource"]
    left = [4]

    def answer(route):
        left[0] -= 1
        if left[0] < 0:
            route.continue_()
        elif broken == "refused":
            route.abort("connectionrefused")
        elif broken == "status":
            route.fulfill(status=503, json={"error": {"code": "draining", "message": "stops"}})
        else:
            route.fulfill(status=206, body=b"few")

    page.route("**/*.wav*", answer)
    states = page.evaluate(
        """async (id) => {
          const song = await rig.song(id);
          const context = rig.openContext(song.rate);
          const engine = new rig.Engine(context, song);
          const states = [];
          engine.addEventListener("state", ({ detail }) => states.push(detail));
          engine.addEventListener("error", ({ detail }) => states.push(detail.message));
          await engine.play();
          await rig.until(() => engine.position > 3000);
          engine.destroy();
          return states;
        }""",
        song,
    )
    assert states == ["waiting", "playing", "paused"]
    assert left[0] < 0


def test_a_song_that_is_gone_is_an_error_in_the_servers_words(server, rig):
    id = separated(server.store, {"vocals": np.ones((1, 9000))}, 9000)
    page = rig(server)
    page.expected += ["status of 404"]
    page.evaluate("async (id) => { window.song = await rig.song(id); }", id)
    server.ask("DELETE", f"/api/v1/jobs/{id}")
    states, error, playing = page.evaluate(
        """async () => {
          const engine = new rig.Engine(rig.openContext(song.rate), song);
          const states = [];
          engine.addEventListener("state", ({ detail }) => states.push(detail));
          const failed = new Promise((resolve) => {
            engine.addEventListener("error", ({ detail }) => resolve(detail));
          });
          engine.play();
          const { code, status } = await failed;
          return [states, [code, status], engine.playing];
        }"""
    )
    assert error == ["unknown", 404] and states == ["waiting", "paused"] and not playing


def test_only_the_last_of_quick_seeks_is_loaded(server, rig):
    page = rig(server)
    asked, held, position = page.evaluate(
        """async () => {
          const song = new rig.Made({ vocals: rig.tone(440) }, { seconds: 100 });
          const aborted = [];
          const { piece } = song;
          song.piece = (stem, start, frames, signal, into) => {
            signal.addEventListener("abort", () => aborted.push(start));
            return piece.call(song, stem, start, frames, signal, into);
          };
          song.delay = () => 0.1;
          const engine = new rig.Engine(rig.openContext(song.rate), song);
          engine.play();
          for (const second of [10, 70, 30, 50]) {
            engine.seek(44100 * second);
            await rig.sleep(0.02);
          }
          await rig.until(() => engine.position > 44100 * 50.1);
          const { held, position } = engine;
          engine.destroy();
          return [aborted, held, position];
        }"""
    )
    assert asked[:4] == [0, RATE * 10, RATE * 70, RATE * 30]
    assert RATE <= held <= 13 * RATE
    assert 50 * RATE < position < 53 * RATE


def test_a_cold_seek_asks_for_little_first_and_memory_is_bounded(server, rig):
    page = rig(server)
    first, most = page.evaluate(
        """async () => {
          const song = new rig.Made({ vocals: () => 0.1 }, { seconds: 600, rate: 8000 });
          const engine = new rig.Engine(rig.openContext(song.rate), song);
          await engine.play();
          let most = 0;
          const first = [];
          for (let second = 20; second < 600; second += 20) {
            const { length } = song.asked;
            engine.seek(8000 * second);
            await rig.until(() => song.asked.length > length + 1);
            first.push(song.asked[length].frames);
            most = Math.max(most, engine.held);
          }
          engine.destroy();
          return [first, most];
        }"""
    )
    assert len(first) == 29 and set(first) == {8000 + 104}
    assert 20 * 8000 < most <= 30 * 8000


def test_playing_along(server, rig):
    """A job that runs is heard as far as it is; when it is done, its level stays."""
    rng = np.random.default_rng(2)
    waves = {name: rng.uniform(-0.2, 0.2, (2, 5 * RATE)).astype(np.float32) for name in "ab"}
    store = server.store
    job = ran(store)
    writer = Floats(
        store.folder(job.id),
        waves,
        lambda count: store.grown(job.id, Live(RATE, 2, None, count, tuple(waves))),
    )

    def write(first, last):
        writer({name: wave[:, first * RATE : last * RATE] for name, wave in waves.items()})

    page = rig(server, bypass_csp=True)
    page.expected += ["status of 409"]
    restarted = [3]  # requests to a server that has begun the song anew

    def answer(route):
        restarted[0] -= 1
        if restarted[0] < 0:
            return route.continue_()
        begun = {"error": {"code": "not_done", "message": "0 frames are there yet"}}
        return route.fulfill(status=409, json=begun)

    page.route("**/*.f32*", answer)
    with writer:
        write(0, 3)
        page.evaluate(
            """async (id) => {
              window.song = await rig.song(id);
              window.heard = await rig.live(song);
              await heard.engine.play();
              await rig.until(() => heard.states.at(-1) === "waiting" && heard.engine.position);
            }""",
            job.id,
        )
        write(3, 5)
        page.evaluate(
            """async (id) => {
              song.update(await new rig.Server().job(id));
              heard.engine.update(song);
              await rig.until(() => heard.states.at(-1) === "playing");
            }""",
            job.id,
        )
    stems = tuple(Stem(name, 44, 1.0) for name in waves)
    store.done(job.id, Result(RATE, 2, 5 * RATE, 0.5, stems))
    samples, states, end = page.evaluate(
        """async (id) => {
          song.update(await new rig.Server().job(id));
          heard.engine.update(song);
          await rig.until(() => heard.states.at(-1) === "ended");
          return [rig.sent(heard.tapped().channels[0]), heard.states, heard.engine.position];
        }""",
        job.id,
    )
    assert restarted[0] < 0
    assert end == 5 * RATE and states == ["waiting", "playing", "waiting", "playing", "ended"]
    before, after = parts(floats(samples))
    made, total = floats(samples), sum(waves.values())[0]
    assert np.array_equal(made[before[0] :][:RATE], total[:RATE])
    assert 2.9 * RATE < before[1] - before[0] <= 3 * RATE
    last = after[1] + 1 - RATE
    assert np.array_equal(made[last : after[1] + 1], total[-RATE:])


def test_a_context_of_another_rate_resamples(server, rig):
    page = rig(server)
    for song_rate, rate in [(32_000, 44_100), (8000, 48_000), (44_056, 48_000)]:
        frequency, step, end = page.evaluate(
            """async ([songRate, rate]) => {
              const options = { rate: songRate, seconds: 7 };
              const song = new rig.Made({ vocals: rig.tone(200, songRate) }, options);
              const { channels } = await rig.offline(song, 8 * rate, () => {}, { rate });
              const end = channels[0].findLastIndex((sample) => sample !== 0);
              const steady = channels[0].subarray(1000, end - 1000);
              return [rig.frequency(steady, rate), rig.step(steady), end];
            }""",
            [song_rate, rate],
        )
        assert frequency == pytest.approx(200, rel=1e-3)
        assert step < 1.1 * np.pi * 200 / rate
        assert end == pytest.approx(7 * rate, abs=rate / 100)


def test_any_rate_gets_a_context_which_sleeps_and_wakes(server, rig):
    page = rig(server)
    rates, states = page.evaluate(
        """async () => {
          const rates = [8000, 44100, 192000, 100].map((rate) => rig.openContext(rate).sampleRate);
          const context = rig.openContext(44100);
          const engine = new rig.Engine(context, new rig.Made({ vocals: rig.tone(440) }));
          const states = [];
          engine.addEventListener("state", ({ detail }) => states.push(detail));
          await engine.play();
          await context.suspend(); // a call comes in
          await rig.until(() => states.at(-1) === "paused");
          await engine.play();
          await rig.until(() => engine.position > 9000);
          engine.destroy();
          return [rates, [context.state, ...states]];
        }"""
    )
    assert rates[:3] == [8000, 44100, 192000] and rates[3] >= 8000
    assert states[0] == "running" and states[-3:] == ["paused", "playing", "paused"]
