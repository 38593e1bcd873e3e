"""The player where something is in the way: what cannot be loaded, and unusual gestures."""

from page_player import engine, in_state, opened, play, press, row, until
from page_songs import row as row_of
from playwright.sync_api import expect

RATE = 44100


def test_a_player_that_could_not_be_loaded_is_loaded_later(open_page, server, song):
    page = open_page(f"{server.url}/docs")
    page.expected += ["net::ERR_FAILED"]
    page.route("**/page/opened.js", lambda route: route.abort(), times=1)
    with page.expect_event("requestfailed"):
        page.goto(f"{server.url}/#job={song['id']}")
    expect(row_of(page, "Song A")).to_be_visible()
    in_state(page, "empty")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # look now
    in_state(page, "paused")


def test_without_the_pitch_shifter_the_song_plays_on_as_it_is(open_page, server, song):
    page = opened(open_page, server, song)
    page.expected += ["net::ERR_FAILED"]
    page.route("**/vendor/*", lambda route: route.abort())
    play(page)
    press(page, "]", "=")
    expect(page.locator("#player [role=alert]")).to_contain_text("cannot be changed")
    in_state(page, "playing")
    for label, plain in (("Speed", "1"), ("Key", "0")):
        expect(page.get_by_label(label, exact=True)).to_have_value(plain)
    before = engine(page, "position")
    until(page, lambda: engine(page, "position") > before)


# How many pitch shifters compute, told ten times a second.
COUNTED = """
  const register = registerProcessor;
  const busy = new Set();
  register("counter", class extends AudioWorkletProcessor {
    process() {
      if (Math.floor(currentFrame / 4410) === Math.floor((currentFrame - 128) / 4410)) return true;
      this.port.postMessage(busy.size);
      busy.clear();
      return true;
    }
  });
  globalThis.registerProcessor = (name, Processor) => register(name, class extends Processor {
    process(...all) {
      busy.add(this);
      return super.process(...all);
    }
  });
"""


def test_pitch_shifters_do_not_pile_up(server, rig):
    page = rig(server, bypass_csp=True)
    page.evaluate(
        """async (counted) => {
      const context = new AudioContext({ sampleRate: 44100 });
      await context.audioWorklet.addModule(`data:text/javascript,${encodeURIComponent(counted)}`);
      const counter = new AudioWorkletNode(context, "counter");
      const counts = [];
      counter.port.onmessage = ({ data }) => counts.push(data);
      counter.connect(context.destination);
      for (let k = 0; k < 3; k += 1) {
        const engine = new rig.Engine(context, new rig.Made({ vocals: rig.tone(440) }));
        engine.setSpeed(0.9);
        await engine.play();
        await rig.until(() => engine.position > 4410);
        engine.destroy();
      }
      counts.splice(0);
      await rig.until(() => counts.at(-1) <= 1);
    }""",
        COUNTED,
    )
