"""The page's player as tests use it: a song opened in a Chromium, and what is heard of it."""

import re
import time

from playwright.sync_api import expect

# Taps what goes to the loudspeakers: `heard()` is the largest sample of the last 50 ms.
TAP = """
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (to, ...more) {
    if (to instanceof AudioDestinationNode) {
      const taps = [0, 1].map(() => new AnalyserNode(this.context, { fftSize: 2048 }));
      const split = new ChannelSplitterNode(this.context, { numberOfOutputs: 2 });
      const wide = new GainNode(this.context, { channelCount: 2, channelCountMode: "explicit" });
      connect.call(this, wide);
      connect.call(wide, split);
      taps.forEach((tap, side) => connect.call(split, tap, side));
      globalThis.heard = () => taps.map((tap) => {
        const samples = new Float32Array(tap.fftSize);
        tap.getFloatTimeDomainData(samples);
        return Math.max(...samples.map(Math.abs));
      });
    }
    return connect.call(this, to, ...more);
  };
"""


def opened(open_page, server, job, words="", *, tap=False, **options):
    """A page with this job in the player, as a link with these words opens it."""
    address = f"{server.url}/#job={job['id']}{words and '&'}{words}"
    page = open_page(f"{server.url}/docs" if tap else address, **options)
    if tap:
        page.add_init_script(TAP)
        page.goto(address)
    in_state(page, "paused")
    return page


def in_state(page, *states):
    """Wait until the player is in one of these states."""
    expect(page.locator("#player")).to_have_attribute("data-state", re.compile("|".join(states)))


def engine(page, what):
    """The value of something of the engine: `engine(page, "position")`."""
    return page.evaluate(f"document.querySelector('#player').engine.{what}")


def until(page, condition, seconds=10):
    """Wait until what a function of no arguments says of a page is true -> what it says."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        page.wait_for_timeout(20)
    return found


def play(page):
    """Press the button, and wait until it sounds."""
    page.locator("#player .play").click()
    in_state(page, "playing")


def row(page, stem):
    return page.locator(f"#player [data-stem={stem}]")


def press(page, *keys):
    """Press keys while nothing has the focus."""
    page.evaluate("document.activeElement.blur()")
    for key in keys:
        page.keyboard.press(key)


def silent(page):
    """The stems that are shown as not heard."""
    found = page.locator("#player [data-silent]")
    return sorted(found.evaluate_all("rows => rows.map((row) => row.dataset.stem)"))


def slide(locator, value):
    """Move a slider, as who drags it does."""
    locator.evaluate(
        """(slider, value) => {
          slider.value = value;
          slider.dispatchEvent(new Event("input", { bubbles: true }));
          slider.dispatchEvent(new Event("change", { bubbles: true }));
        }""",
        str(value),
    )
