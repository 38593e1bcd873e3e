"""Run UMX and X-UMX over a whole track in stages, exactly and with flat memory.

Nothing as long as the track is held but the audio and one small feature vector a frame:

    1. block by block: transform, encoder                       -> features
    2. block by block, in both directions: the LSTMs, states carried -> latents
    3. block by block: transform again, decoder, mask, Wiener, inverse, overlap-add

so there are no borders at all. All blocks have one shape: every length of track runs the same
compiled code. Batch normalisation and scalings are folded into the kernels once. On a CPU blocks
and sources run from several host threads, because one scan is one core's work and XLA runs the
scans of one program one after another.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from xumx_jax.models.umx import UMX
from xumx_jax.separation import blocks
from xumx_jax.wiener import wiener

# Also the window of the Wiener filter's statistics where none is given: 5.6 s. Four stereo spectra
# of X-UMX then take less than 32 MiB, from where on glibc asks the system for every array anew.
BLOCK_FRAMES = 240
THREADS = 4
POST = ("iterations", "softmask", "alpha", "logit", "residual", "difference", "epsilon")


def can_stage(module) -> bool:
    """Whether `module` is a UMX whose features need no statistics of the whole excerpt."""
    return isinstance(module, UMX) and module.bands is None


# Compiled once a model, however many Separators share it.
_encode = jax.jit(blocks.encode, static_argnums=0)
_recur = jax.jit(blocks.recur, static_argnames="backward")
_gather = jax.jit(blocks.gather, static_argnums=0)
_masked = jax.jit(blocks.masked, static_argnums=0)
_wiener = jax.jit(wiener, static_argnames=(*POST, "frame_axis"))
_invert = jax.jit(blocks.invert, static_argnums=0)
_invert_masked = jax.jit(blocks.invert_masked, static_argnums=0)


class WholeTrack:
    """`(mix [channel, time], progress) -> [source, channel, time]`, with a folded UMX.

    `options` are those of `wiener`, `window_frames` is how many frames it sees at a time: None
    divides the track into equal parts of at most BLOCK_FRAMES.
    """

    def __init__(self, module, variables, niter=1, residual=False, window_frames=None, **options):
        self.module, self.transform = module, module.transform
        self.outputs = len(module.sources) + residual
        # without statistics there is nothing that a window could change
        self.window_frames = window_frames if niter or residual else None
        self._post = {"iterations": niter, "residual": residual, **options}
        plain = not (niter or options.get("softmask") or residual)
        self._masks_alone = plain and module.activation == "relu" and module.power == 1
        weights = jax.tree.map(jnp.asarray, blocks.fold(module, variables))
        self._encoder, self._decoder = weights["encoder"], weights["decoder"]
        # [source][layer][direction] -> (w_ih, w_hh, bias)
        self._lstm = [
            [
                [tuple(w[source, turn] for w in layer) for turn in range(layer[0].shape[1])]
                for layer in weights["lstm"]
            ]
            for source in range(len(module.sources))
        ]

    def __call__(self, mix: np.ndarray, progress=lambda done: None) -> np.ndarray:
        """Separate float32 [channel, time], every sample kept; `progress` gets the part done."""
        transform, length = self.transform, mix.shape[1]
        n_fft, hop = transform.n_fft, transform.hop
        frames = transform.frames(length)
        most = self.window_frames or BLOCK_FRAMES
        count = -(-frames // most)
        if self.window_frames:
            edges = [min(most * block, frames) for block in range(count + 1)]
        else:  # equal blocks, so that none is too short for the Wiener filter's statistics
            edges = [frames * block // count for block in range(count + 1)]
        sizes = np.diff(edges)
        span = (most - 1) * hop + n_fft
        half = n_fft // 2
        padded = np.pad(mix, ((0, 0), (half, half)), mode="reflect")
        weight = np.asarray(transform.weight(frames))

        def cut(values, block):  # the samples that a block's frames cover
            piece = values[..., edges[block] * hop :][..., :span]
            missing = span - piece.shape[-1]
            return np.pad(piece, [(0, 0)] * (piece.ndim - 1) + [(0, missing)]) if missing else piece

        stems = np.zeros((self.outputs, *mix.shape), np.float32)
        with _pool() as pool:
            hidden = []
            encoded = pool.map(
                lambda block: _encode(self.module, self._encoder, cut(padded, block)), range(count)
            )
            for block in encoded:
                hidden.append(block)
                progress(0.2 * len(hidden) / count)
            latents = []
            for latent in pool.map(partial(self._latents, hidden, sizes), range(len(self._lstm))):
                latents.append(latent)
                progress(0.2 + 0.3 * len(latents) / len(self._lstm))

            def finish(block):
                latent = _gather(self.module.bridge, [latent[block] for latent in latents])
                return np.asarray(
                    self._render(
                        cut(padded, block), hidden[block], latent, sizes[block], cut(weight, block)
                    )
                )

            for block, piece in enumerate(pool.map(finish, range(count))):
                # The first and last half window of the padded track are not part of the result.
                first = edges[block] * hop - half
                stop = min(first + span, length)
                stems[..., max(first, 0) : stop] += piece[..., max(-first, 0) : stop - first]
                progress(0.5 + 0.5 * (block + 1) / count)
        return stems

    def _render(self, wave, hidden, latent, frames, weight):
        """Stage 3 -> [source, channel, time]."""
        inputs = self.module, self._decoder, wave, hidden, latent, frames
        if self._masks_alone and len(wave) == self.module.channels:
            return _invert_masked(*inputs, weight)
        stems = _wiener(*_masked(*inputs), **self._post, frame_axis=-2)
        return _invert(self.transform, stems, weight)

    def _latents(self, hidden, sizes, source):
        """Run the LSTMs of one source -> per block, per direction [frame, hidden]."""
        blocks = [(block[0 if len(block) == 1 else source],) for block in hidden]
        for layer in self._lstm[source]:
            turned = []
            for turn, weights in enumerate(layer):
                zero = jnp.zeros_like(weights[1][:, 0])
                state, out = (zero, zero), [None] * len(blocks)
                for at in range(len(blocks))[:: -1 if turn else 1]:
                    state, out[at] = _recur(
                        blocks[at], state, weights, sizes[at], backward=bool(turn)
                    )
                turned.append(out)
            blocks = list(zip(*turned, strict=True))
        return jax.block_until_ready(blocks)


@contextmanager
def _pool():
    """Threads that drop what they have not begun when the caller is interrupted."""
    pool = ThreadPoolExecutor(host_threads())
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def host_threads() -> int:
    """How many threads feed the device: some on a CPU, one elsewhere."""
    if jax.default_backend() != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(THREADS, cores))
