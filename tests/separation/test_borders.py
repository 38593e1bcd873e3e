"""What borders cost the bundled model: segments against the whole track, at the defaults."""

import numpy as np
import pytest
from shared_files import folder

from xumx_jax import assets, audio
from xumx_jax.separation.separator import Separator
from xumx_jax.separation.umx import offline
from xumx_jax.weights.load import load_module

CLIP = assets.DEMO_CLIP
SECONDS = 75


def music(rate, seconds):
    """Stereo of so many seconds: real tracks where there are any, and the bundled clip."""
    files = [CLIP, *sorted(folder().glob("*.mp3"))]
    clips = [audio.resample(*audio.decode(file), rate) for file in files]
    clips = [np.broadcast_to(clip[:2], (2, clip.shape[1])) for clip in clips]
    clips += [0.7 * clip[::-1, ::-1] for clip in clips]  # backwards, and the channels exchanged
    once = np.concatenate(clips, axis=1)
    times = -(-int(seconds * rate) // once.shape[1])
    return np.concatenate([once] * times, axis=1)[:, : int(seconds * rate)]


@pytest.mark.slow
@pytest.mark.parametrize("niter", [0, 1])
def test_borders_are_30_db_below_every_stem(niter):
    module, variables, _ = load_module("demo")
    mix = music(module.sample_rate, SECONDS)
    whole = Separator(module, variables, niter=niter)(mix, module.sample_rate)
    separator = Separator(module, variables, niter=niter)
    engine = separator.engine
    engine.segment = engine._whole_blocks(SECONDS / 2)  # one border, with the usual context
    for name, stem in separator(mix, module.sample_rate).items():
        wrong = np.square(stem - whole[name]).sum()
        # by default there is one border in so many times this music
        usual = np.square(whole[name]).sum() * offline.SEGMENT_SECONDS / SECONDS
        assert 0 < wrong < 1e-3 * usual, name
