"""The player where something is in the way: what cannot be loaded, and unusual gestures."""

from page_player import engine, in_state, opened, play, press, row, until
from page_songs import row as row_of
from playwright.sync_api import expect
from serving import clip

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


def test_the_seek_bar_let_go_where_it_was_taken_follows_the_song(open_page, server, song):
    page = opened(open_page, server, song)
    bar = page.get_by_label("Place in the song")
    box = bar.bounding_box()
    x, y = box["x"] + 8, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 200, y)
    page.mouse.move(x, y)
    page.mouse.up()
    play(page)
    until(page, lambda: engine(page, "position") > RATE)
    assert float(bar.input_value()) > RATE / 2


def test_an_edge_of_the_loop_that_is_only_clicked_stays(open_page, server, song):
    page = opened(open_page, server, song, f"loop={RATE}-{4 * RATE}")
    loop = {"start": RATE, "end": 4 * RATE}
    for edge in page.locator("#player .edges .edge").all():
        edge.click(position={"x": 12, "y": 5})
        edge.click(position={"x": 12, "y": 5}, button="right")
        assert engine(page, "loop") == loop
    row(page, "vocals").locator("[data-edge=end]").click(position={"x": 2, "y": 5})
    assert engine(page, "loop") == loop
    assert engine(page, "position") == 0
    edge = page.get_by_role("slider", name="End of the loop")
    edge.hover()
    page.mouse.down()
    box = page.locator("#player .edges").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"])
    press(page, "l")
    page.mouse.move(box["x"] + box["width"] / 3, box["y"])
    page.mouse.up()
    assert engine(page, "loop") is None


def test_the_sound_card_is_left_alone_when_no_song_is_open(open_page, server, song):
    page = open_page(f"{server.url}/docs")
    page.add_init_script("""
      const Usual = AudioContext;
      window.AudioContext = class extends Usual {
        constructor(...all) { super(...all); window.context = this; }
      };
    """)
    page.clock.install()
    page.goto(f"{server.url}/#job={song['id']}")
    in_state(page, "paused")
    play(page)
    page.locator("#player").evaluate("one => one.engine.destroy()")
    page.clock.fast_forward(12_000)
    until(page, lambda: page.evaluate("context.state") == "suspended")


def test_a_spectrogram_that_was_given_up_does_not_come_back(open_page, server, song):
    page = opened(open_page, server, song)
    page.expected += ["net::ERR_FAILED"]
    held = []
    page.route("**/vocals.png?*", lambda route: held.append(route))
    button = page.get_by_role("button", name="Spectrogram of vocals")
    button.click()
    until(page, lambda: held)
    button.click()
    with page.expect_event("requestfailed"):
        held[0].abort()
    expect(button).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#player .picture")).to_have_count(0)
    assert len(held) == 1


# What a context has given out last, when it is closed.
ENDS = """
  const [connect, close] = [AudioNode.prototype.connect, AudioContext.prototype.close];
  AudioNode.prototype.connect = function (to, ...more) {
    if (to instanceof AudioDestinationNode) {
      this.context.tap = new AnalyserNode(this.context, { fftSize: 256 });
      connect.call(this, this.context.tap);
    }
    return connect.call(this, to, ...more);
  };
  window.ends = [];
  AudioContext.prototype.close = function () {
    const samples = new Float32Array(256);
    this.tap.getFloatTimeDomainData(samples);
    window.ends.push(Math.max(...samples.map(Math.abs)));
    return close.call(this);
  };
"""


def test_a_song_of_another_rate_does_not_cut_off_the_last(open_page, server, song):
    other = server.separated(clip(1, 1, 22050), "Mono.wav")
    page = open_page(f"{server.url}/docs")
    page.add_init_script(ENDS)
    page.goto(f"{server.url}/#job={song['id']}")
    in_state(page, "paused")
    play(page)
    until(page, lambda: engine(page, "position") > RATE / 4)
    row_of(page, "Mono").locator("[data-action=play]").click()
    expect(page.locator("#player")).to_have_attribute("data-job", other["id"])
    until(page, lambda: page.evaluate("ends.length"))
    assert page.evaluate("ends") == [0]


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
