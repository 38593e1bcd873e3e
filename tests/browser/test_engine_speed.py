"""The audio engine at other speeds and pitches, and the position that it tells."""

import numpy as np
import pytest
from page_samples import floats
from serving import listening

RATE = 44_100
STEP = 2 * np.pi * 440 / RATE / 2  # the largest of a tone of 440 Hz at half of full scale


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with listening(tmp_path_factory.mktemp("speed") / "jobs") as running:
        yield running


def test_pitch_and_speed_are_independent(server, rig):
    page = rig(server)  # with our Content-Security-Policy
    for speed, semitones in [(0.75, 0), (0.5, 0), (2, 0), (1, 3), (0.8, -5), (1.5, 12)]:
        frequency, step, end = page.evaluate(
            """async ([speed, semitones]) => {
              const song = new rig.Made({ vocals: rig.tone(440) }, { seconds: 3 });
              const { channels } = await rig.offline(song, 7 * 44100, (engine) => {
                engine.setSpeed(speed);
                engine.setTranspose(semitones);
              });
              const end = channels[0].findLastIndex((sample) => Math.abs(sample) > 0.1);
              const steady = channels[0].subarray(22050, end - 22050);
              return [rig.frequency(steady, 44100), rig.step(steady), end];
            }""",
            [speed, semitones],
        )
        assert frequency == pytest.approx(440 * 2 ** (semitones / 12), rel=0.01)
        assert step < 1.15 * STEP * 2 ** (semitones / 12)
        assert end / RATE == pytest.approx(3 / speed + 0.12, abs=0.05)


def test_pieces_meet_at_other_speeds(server, rig):
    """What goes into the shifter is what one uncut buffer would give.

    Rates that are no binary fraction are rounded, so a buffer of 9 s has drifted by its end.
    """
    page = rig(server)
    for speed, most in [(0.75, 0.0), (0.8, 1e-3), (1.95, 1e-3)]:
        assert page.evaluate(SEAMS, speed) <= most


SEAMS = """async (speed) => {
  const { Pieces } = await import("/page/pieces.js");
  const { Run, ratio, margin } = await import("/page/run.js");
  const { Clock } = await import("/page/clock.js");
  const song = new rig.Made({ vocals: rig.tone(440) }, { seconds: 9 });
  const frames = 8 * 44100;
  const uncut = new OfflineAudioContext(2, frames, 44100);
  const [samples] = await song.piece("vocals", 1003, 8.9 * 44100 - 1003);
  const buffer = new AudioBuffer({ length: samples.length, sampleRate: 44100 });
  buffer.copyToChannel(samples, 0);
  const source = new AudioBufferSourceNode(uncut, { buffer, playbackRate: speed });
  source.connect(uncut.destination);
  source.start();
  const cut = new OfflineAudioContext(2, frames, 44100);
  const pieces = new Pieces(cut, song, margin(44100, 44100));
  const run = new Run(new Clock(cut), {
    at: 0,
    from: 1003,
    ratio: ratio(44100, 44100, speed),
    speed,
    latency: 0,
    output: cut.destination,
    balances: [["vocals", { gain: 1, pan: 0, wide: false }]],
  });
  const lengths = [50011, 44100, 61003, 47007];
  for (let at = 0, start = 1003; start < 8 * 44100; at += 1) {
    await new Promise((resolve) => {
      pieces.onload = resolve;
      pieces.load(start, lengths[at % lengths.length] / 44100 / 2);
    });
    const piece = pieces.find(run.next);
    run.add(piece, Infinity);
    start = piece.end;
  }
  const end = Math.min(run.end, Math.floor((8 * 44100 - 1003) / speed), frames);
  const [a, b] = [await uncut.startRendering(), await cut.startRendering()];
  return rig.difference(
    a.getChannelData(0).subarray(400, end), b.getChannelData(0).subarray(400, end));
}"""


@pytest.mark.parametrize("speed", [1, 0.75])
def test_the_position_is_what_is_heard(server, rig, speed):
    """A tone begins at 1 s of the song: the position says so when it comes out."""
    page = rig(server, bypass_csp=True)
    at, samples, marks = page.evaluate(
        """async (speed) => {
          const tone = rig.tone(440);
          const song = new rig.Made({ vocals: (frame) => (frame < 44100 ? 0 : tone(frame)) });
          const { context, engine, tapped } = await rig.live(song);
          engine.setSpeed(speed);
          engine.seek(12345);
          await engine.play();
          const marks = [];
          await rig.until(() => {
            const behind = context.outputLatency || context.baseLatency;
            marks.push([44100 * (context.currentTime - behind), engine.position]);
            return engine.position > 80000;
          });
          engine.destroy();
          const { frame, channels } = tapped();
          return [frame, rig.sent(channels[0]), marks];
        }""",
        speed,
    )
    made = floats(samples)
    onset = at + int(np.argmax(np.abs(made) > 0.1))
    heard, position = np.array(marks).T
    expected = RATE + speed * (heard - onset)
    begun = expected > 12_345 + 2000
    assert begun.sum() > 20
    np.testing.assert_allclose(position[begun], expected[begun], atol=700)
