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
from jax import Array, lax

from xumx_jax.layers.lstm import PRECISION
from xumx_jax.layers.norm import BatchNorm
from xumx_jax.models.umx import UMX
from xumx_jax.wiener import wiener

BLOCK_FRAMES = 256  # also the window of the Wiener filter's statistics: 6 s
THREADS = 4


def can_stage(module) -> bool:
    """Whether `module` is a UMX whose features need no statistics of the whole excerpt."""
    return isinstance(module, UMX) and module.bands is None


def fold(module, variables) -> dict:
    """Fold scalings and batch normalisation into kernels, and 0.5 into the sigmoid gates' rows.

    encoder  (kernel [channel * bin, source * hidden], shift [source * hidden])
    lstm     one (w_ih, w_hh, bias) a layer, [source, direction, ...] as in the model
    decoder  two (kernel [source, in, out], shift [source, 1, out])
    """
    params, stats = jax.tree.map(
        lambda leaf: np.asarray(leaf, np.float32), (variables["params"], variables["batch_stats"])
    )

    def norm(side, name):
        weight, running = params[side][name], stats[side][name]
        gain = weight["scale"] / np.sqrt(running["var"] + BatchNorm.epsilon)
        return gain, weight["bias"] - running["mean"] * gain

    def wide(values):  # [source, bin] -> [source, channel * bin]
        return np.tile(values, (1, module.channels))

    enc, dec = params["enc"], params["dec"]
    gain, shift = norm("enc", "norm")
    kernel = enc["dense"]["kernel"] * wide(enc["scale"])[:, :, None] * gain[:, None]
    shift = np.einsum("si,sih->sh", wide(enc["mean"]), kernel) + shift
    # [source, channel * bin, hidden] -> [channel * bin, source * hidden]
    encoder = (kernel.transpose(1, 0, 2).reshape(kernel.shape[1], -1), shift.ravel())

    lstm = []
    for layer in range(module.layers):
        weights = params[f"lstm_{layer}"]
        # sigmoid(x) = 0.5 + 0.5 tanh(0.5 x): one tanh does all four gates i, f, g, o
        half = np.repeat(np.float32([0.5, 0.5, 1, 0.5]), weights["w_hh"].shape[2])
        lstm.append(tuple(weights[name] * half for name in ("w_ih", "w_hh", "bias")))

    gain_0, shift_0 = norm("dec", "norm_0")
    gain_1, shift_1 = norm("dec", "norm_1")
    scale = wide(dec["scale"])
    decoder = (
        (dec["dense_0"]["kernel"] * gain_0[:, None], shift_0[:, None]),
        (
            dec["dense_1"]["kernel"] * (gain_1 * scale)[:, None],
            (shift_1 * scale + wide(dec["mean"]))[:, None],
        ),
    )
    return {"encoder": encoder, "lstm": lstm, "decoder": decoder}


def spectrum(transform, wave: Array) -> Array:
    """Transform [channel, time], edges already in place, into [channel, frame, bin]."""
    frames = (wave.shape[-1] - transform.n_fft) // transform.hop + 1
    return jnp.fft.rfft(transform._cut(wave, frames) * transform._window(np.float32))


def encode(module, encoder, wave: Array) -> Array:
    """Stage 1: [channel, time] -> [source, frame, hidden], or [1, ...] for X-UMX."""
    kernel, shift = encoder
    size = jnp.abs(spectrum(module.transform, wave))
    if module.channels == 1:
        size = size.mean(0, keepdims=True)
    x = size[..., : kernel.shape[0] // module.channels] ** module.power
    x = x.swapaxes(0, 1).reshape(x.shape[1], -1)  # [frame, channel * bin]
    y = jnp.tanh(jnp.matmul(x, kernel, precision=PRECISION) + shift)
    y = y.reshape(len(y), len(module.sources), -1).swapaxes(0, 1)
    return y.mean(0, keepdims=True) if module.bridge else y


def recur(x, state, weights, frames: Array, backward: bool):
    """Stage 2: one layer, source and direction over one block -> [frame, hidden].

    `x` is what the layer reads, a tuple of [frame, feature] laid side by side. `state` (h, c)
    comes from the block before, in the order of the direction. Of the frames only the first
    `frames` exist; the others leave the state as it is. Returns (state, hidden).
    """
    w_ih, w_hh, bias = weights
    x = jnp.concatenate(x, axis=-1)
    z = jnp.matmul(x, w_ih, precision=PRECISION) + bias
    exists = jnp.arange(len(x)) < frames

    def step(carry, inputs):
        h, c = carry
        z_t, e = inputs
        gates = jnp.tanh(z_t + jnp.matmul(h, w_hh, precision=PRECISION))
        i, f, g, o = jnp.split(gates, 4)
        c_new = (0.5 * f + 0.5) * c + (0.5 * i + 0.5) * g
        h_new = (0.5 * o + 0.5) * jnp.tanh(c_new)
        return (jnp.where(e, h_new, h), jnp.where(e, c_new, c)), h_new

    return lax.scan(step, state, (z, exists), reverse=backward)


def decode(module, decoder, hidden: Array, latent: Array) -> Array:
    """Map features and latents [source or 1, frame, hidden] to [source, channel, frame, bin]."""
    (kernel_0, shift_0), (kernel_1, shift_1) = decoder
    x = jnp.concatenate([hidden, latent], axis=-1)
    x = jnp.broadcast_to(x, (len(kernel_0), *x.shape[1:]))
    x = jax.nn.relu(jnp.matmul(x, kernel_0, precision=PRECISION) + shift_0)
    y = jnp.matmul(x, kernel_1, precision=PRECISION) + shift_1
    y = y.reshape(*y.shape[:2], module.channels, -1).swapaxes(1, 2)
    if module.activation == "relu":
        return jax.nn.relu(y)
    return jax.nn.softmax(jnp.concatenate([y, jnp.zeros_like(y[:1])]), axis=0)[:-1]


def render(
    module, post, decoder, wave: Array, hidden: Array, latent: Array, frames: Array
) -> Array:
    """Stage 3: one block -> windowed frames overlapped and added, [source, channel, time]."""
    transform = module.transform
    spec = spectrum(transform, wave)
    # Frames past the end must not enter the Wiener filter's statistics.
    spec = spec * (jnp.arange(spec.shape[1]) < frames)[:, None]
    size = jnp.abs(spec)
    mask = decode(module, decoder, hidden, latent)
    stems = wiener(mask ** (1 / module.power) * size, spec, **post, frame_axis=-2)
    pieces = jnp.fft.irfft(stems, transform.n_fft) * transform._window(np.float32)
    return transform._overlap_add(pieces)


class WholeTrack:
    """`(mix [channel, time], progress) -> [source, channel, time]`, with a folded UMX."""

    def __init__(self, module, variables, niter=1, softmask=False, alpha=1.0, residual=False):
        self.module, self.transform = module, module.transform
        self.outputs = len(module.sources) + residual
        post = dict(iterations=niter, softmask=softmask, alpha=alpha, residual=residual)
        weights = jax.tree.map(jnp.asarray, fold(module, variables))
        self._encoder, self._decoder = weights["encoder"], weights["decoder"]
        # [source][layer][direction] -> (w_ih, w_hh, bias)
        self._lstm = [
            [
                [tuple(w[source, turn] for w in layer) for turn in range(layer[0].shape[1])]
                for layer in weights["lstm"]
            ]
            for source in range(len(module.sources))
        ]
        self._encode = jax.jit(partial(encode, module))
        self._recur = jax.jit(recur, static_argnames="backward")
        self._gather = jax.jit(partial(gather, module.bridge))
        self._render = jax.jit(partial(render, module, post))

    def __call__(self, mix: np.ndarray, progress=lambda done: None) -> np.ndarray:
        """Separate float32 [channel, time], every sample kept; `progress` gets the part done."""
        transform, length = self.transform, mix.shape[1]
        n_fft, hop = transform.n_fft, transform.hop
        frames = transform.frames(length)
        # Blocks of equal size, so that none is too short for the Wiener filter's statistics.
        count = -(-frames // BLOCK_FRAMES)
        edges = [frames * block // count for block in range(count + 1)]
        sizes = np.diff(edges)
        span = (BLOCK_FRAMES - 1) * hop + n_fft
        padded = np.pad(mix, ((0, 0), (n_fft // 2, n_fft // 2)), mode="reflect")
        total = edges[-2] * hop + span
        padded = np.pad(padded, ((0, 0), (0, max(0, total - padded.shape[1]))))
        waves = [padded[:, edge * hop :][:, :span] for edge in edges[:-1]]

        stems = np.zeros((self.outputs, mix.shape[0], total), np.float32)
        with _pool() as pool:
            hidden = []
            for block in pool.map(lambda wave: self._encode(self._encoder, wave), waves):
                hidden.append(block)
                progress(0.2 * len(hidden) / count)
            latents = []
            for latent in pool.map(partial(self._latents, hidden, sizes), range(len(self._lstm))):
                latents.append(latent)
                progress(0.2 + 0.3 * len(latents) / len(self._lstm))

            def finish(block):
                latent = self._gather([latent[block] for latent in latents])
                return np.asarray(
                    self._render(self._decoder, waves[block], hidden[block], latent, sizes[block])
                )

            for block, piece in enumerate(pool.map(finish, range(count))):
                stems[..., edges[block] * hop :][..., :span] += piece
                progress(0.5 + 0.5 * (block + 1) / count)
        weight = np.asarray(transform._weight(frames))[n_fft // 2 :][:length]
        return stems[..., n_fft // 2 :][..., :length] * weight

    def _latents(self, hidden, sizes, source):
        """Run the LSTMs of one source -> per block, per direction [frame, hidden]."""
        blocks = [(block[0 if len(block) == 1 else source],) for block in hidden]
        for layer in self._lstm[source]:
            turned = []
            for turn, weights in enumerate(layer):
                zero = jnp.zeros_like(weights[1][:, 0])
                state, out = (zero, zero), [None] * len(blocks)
                for at in range(len(blocks))[:: -1 if turn else 1]:
                    state, out[at] = self._recur(
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


def gather(bridge: bool, latents) -> Array:
    """Join directions and sources: [source][direction] of [frame, hidden] -> [source or 1, ...]."""
    latent = jnp.stack([jnp.concatenate(turned, axis=-1) for turned in latents])
    return latent.mean(0, keepdims=True) if bridge else latent


def host_threads() -> int:
    """How many threads feed the device: some on a CPU, one elsewhere."""
    if jax.default_backend() != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(THREADS, cores))
