"""Rates, channels and blocks at the limits of encoders, which crash beyond them.

They run in a process of their own, since a crash would end the tests.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from xumx_jax import audio
from xumx_jax.audio.formats import stored_rate
from xumx_jax.errors import UserError

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys, warnings
from pathlib import Path
import numpy as np
from xumx_jax import audio
from xumx_jax.audio.formats import CHANNELS, stored_rate
from xumx_jax.errors import UserError

warnings.simplefilter("error")
format, folder = sys.argv[1], Path(sys.argv[2])
RATES = (1, 2, 999, 7999, 8000, 44100, 191999, 200000, 200001, 220500, 655351, 768000)
CASES = [(rate, 2) for rate in RATES]
CASES += [(rate, count) for rate in (1, 768000) for count in (1, 3, 6, 8, 9, 64)]
for rate, channels in CASES:
    time = max(2, rate // 50)
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (channels, time)).astype(np.float32)
    path = folder / f"{rate}-{channels}"
    print(rate, channels, file=sys.stderr, flush=True)  # where it crashes
    try:
        audio.encode(path, wave, rate, format)
    except UserError as error:
        assert channels > CHANNELS[format], error
        assert not path.exists()
        continue
    assert channels <= CHANNELS[format]
    read, stored = audio.decode(path)
    assert stored == stored_rate(format, rate), stored
    assert read.shape[0] == channels
    more = read.shape[1] - -(-time * stored // rate)
    assert more == 0 or 0 < more <= 64 and format in ("mp3", "m4a"), more

# one block of a length that would not fit on a stack, as loud as the gain of 1 allows
path, wave = folder / "long", np.zeros((1, 1 << 22), np.float32)
with audio.StemWriter({"x": path}, 48000, 1, format, gain=1.0) as writer:
    writer.write({"x": wave})
with audio.open_blocks(path) as blocks:
    assert (blocks.rate, blocks.channels) == (48000, 1)
"""


@pytest.mark.slow
@pytest.mark.parametrize("format", audio.FORMATS)
def test_every_signal_is_written_or_refused(tmp_path, format):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, format, tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("format", "rate", "stored"),
    [
        ("ogg", 192000, 192000),
        ("ogg", 220500, 192000),
        ("ogg", 7, 7),
        ("mp3", 220500, 48000),
        ("mp3", 44000, 44100),
        ("m4a", 220500, 96000),
        ("opus", 1, 48000),
        ("flac", 768000, 768000),
        ("wav", 768000, 768000),
    ],
)
def test_rates_go_to_the_next_one_or_down_to_the_highest(format, rate, stored):
    assert stored_rate(format, rate) == stored


REFUSED = [
    ("flac", 1048576, 2, "flac files hold at most 1048575 Hz with 2 channels, and this is 1048576"),
    ("wav", 1 << 31, 2, "wav files hold at most 536870911 Hz with 2 channels"),
    ("wav", 44100, 20000, "wav files cannot hold 20000 channels"),
    ("ogg", 44100, 256, "ogg files cannot hold 256 channels; use wav"),
    ("flac", 44100, 0, "flac files cannot hold 0 channels"),
    *[("mp3", rate, 2, "the sample rate is ") for rate in (0, -1, 44100.5, None, "44100")],
]


@pytest.mark.parametrize(("format", "rate", "channels", "says"), REFUSED)
def test_what_no_file_holds_is_refused_before_any_sample(tmp_path, format, rate, channels, says):
    with pytest.raises(UserError, match=says) as caught:
        audio.StemWriter({"bass": tmp_path / "new" / "bass"}, rate, channels, format)
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())
