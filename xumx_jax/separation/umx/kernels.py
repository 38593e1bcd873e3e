"""A folded UMX or X-UMX on one block of a track, for `separation.umx.offline` and `.live`.

Pure functions, and what puts the blocks' samples together to one inverse transform. Spectra of
stems are made and inverted one source and channel at a time: fresh memory costs more than the
arithmetic done in it.
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from xumx_jax.layers.dense import matmul, operand
from xumx_jax.layers.lstm import halve
from xumx_jax.layers.norm import BatchNorm
from xumx_jax.postfilters import WINDOW_FRAMES
from xumx_jax.transforms.bands import band_of_bin, log_bands, loudness, pool

# Of a block: a window of the post filter, 5.6 s. Four stereo spectra of X-UMX then take less than
# 32 MiB, from where on glibc asks the system for every array anew.
FRAMES = WINDOW_FRAMES


def fold(module, variables) -> dict:
    """Fold scalings and batch normalisation into kernels, and 0.5 into the sigmoid gates' rows.

    encoder  (kernel [channel * bin, source * hidden], shift [source * hidden])
    lstm     one (w_ih, w_hh, bias) a layer, [source, direction, ...] as in the model
    decoder  (kernel [source, 2 * hidden, hidden], shift [source, 1, hidden]), and
             (kernel [source * channel, hidden, bin], shift [source * channel, bin])
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
        lstm.append(tuple(halve(weights[name]) for name in ("w_ih", "w_hh", "bias")))

    gain_0, shift_0 = norm("dec", "norm_0")
    gain_1, shift_1 = norm("dec", "norm_1")
    scale, bins = wide(dec["scale"]), dec["scale"].shape[1]
    kernel = dec["dense_1"]["kernel"] * (gain_1 * scale)[:, None]
    # [source, hidden, channel * bin] -> [source * channel, hidden, bin]
    kernel = kernel.reshape(*kernel.shape[:2], -1, bins).swapaxes(1, 2)
    decoder = (
        (dec["dense_0"]["kernel"] * gain_0[:, None], shift_0[:, None]),
        (
            kernel.reshape(-1, *kernel.shape[2:]),
            (shift_1 * scale + wide(dec["mean"])).reshape(-1, bins),
        ),
    )
    return {"encoder": encoder, "lstm": lstm, "decoder": decoder}


def spectrum(transform, wave: Array) -> Array:
    """Transform [channel, time], edges already in place, into [channel, frame, bin]."""
    frames = (wave.shape[-1] - transform.n_fft) // transform.hop + 1
    return jnp.fft.rfft(transform.cut(wave, frames) * transform.window(np.float32))


def encode(module, encoder, wave: Array, level: Array | None) -> Array:
    """Stage 1: [channel, time] -> [source, frame, hidden], or [1, ...] for X-UMX.

    `level` is that of the whole track, for models with bands.
    """
    kernel, shift = encoder
    size = magnitudes_of(module, wave)
    if module.bands is None:
        x = size[..., : kernel.shape[0] // module.channels] ** module.power
    else:
        x = log_bands(size[None], module.bands, level)[0]
    x = x.swapaxes(0, 1).reshape(x.shape[1], -1)  # [frame, channel * feature]
    y = jnp.tanh(matmul(x, kernel, module.compute) + shift)
    y = y.reshape(len(y), len(module.sources), -1).swapaxes(0, 1)
    return y.mean(0, keepdims=True) if module.bridge else y


def magnitudes_of(module, wave: Array) -> Array:
    """Magnitudes of [channel, time] in as many channels as the model has, [channel, frame, bin]."""
    size = jnp.abs(spectrum(module.transform, wave))
    return size.mean(0, keepdims=True) if module.channels == 1 else size


def band_loudness(module, wave: Array, frames: Array) -> tuple[Array, Array]:
    """The sums of `transforms.bands.loudness` over the first `frames` frames, those that exist."""
    energy = pool(jnp.square(magnitudes_of(module, wave)), module.bands).mean((0, 2))
    energy = energy * (jnp.arange(len(energy)) < frames)
    squared, plain = loudness(energy[:, None])
    return squared[0, 0], plain[0, 0]


def recur(x, state, weights, frames: Array, backward: bool, compute: str = "float32"):
    """Stage 2: one layer, source and direction over one block -> [frame, hidden].

    `x` is what the layer reads, a tuple of [frame, feature] laid side by side. `state` (h, c)
    comes from the block before, in the order of the direction. Of the frames only the first
    `frames` exist. Returns (state, hidden).
    """
    w_ih, w_hh, bias = weights
    x = jnp.concatenate(x, axis=-1)
    z = matmul(x, w_ih, compute) + bias
    inside = operand(compute)  # as in `layers.lstm`, "tf32" leaves the recurrence float32

    def step(count, carry):
        h, c, out = carry
        at = frames - 1 - count if backward else count
        gates = jnp.tanh(z[at] + matmul(h, w_hh, inside))
        i, f, g, o = jnp.split(gates, 4)
        c = (0.5 * f + 0.5) * c + (0.5 * i + 0.5) * g
        h = (0.5 * o + 0.5) * jnp.tanh(c)
        return h, c, lax.dynamic_update_index_in_dim(out, h, at, 0)

    out = jnp.zeros((len(x), len(w_hh)), x.dtype)
    h, c, out = lax.fori_loop(0, frames, step, (*state, out))
    return (h, c), out


def decode(module, decoder, wave, hidden: Array, latent: Array, frames: Array):
    """Stage 3: one block -> (function of a source and channel, counted together; spectrum).

    The function gives what the mask's activation is applied to, [frame, bin or band]. The spectrum
    [channel, frame, bin] is the mixture's. `hidden` and `latent` are [source or 1, frame, hidden],
    and of the frames only the first `frames` exist.
    """
    (kernel_0, shift_0), (kernel_1, shift_1) = decoder
    x = jnp.concatenate([hidden, latent], axis=-1)
    x = jnp.broadcast_to(x, (len(kernel_0), *x.shape[1:]))
    x = jax.nn.relu(matmul(x, kernel_0, module.compute) + shift_0)

    def logits(index):
        y = matmul(x[index // module.channels], kernel_1[index], module.compute)
        return y + shift_1[index]

    spec = spectrum(module.transform, wave)
    # Frames past the end must not enter the Wiener filter's statistics.
    return logits, spec * (jnp.arange(spec.shape[1]) < frames)[:, None]


def masked(module, decoder, wave, hidden, latent, frames) -> tuple[Array, Array]:
    """Arguments as of `decode` -> magnitudes of [source, channel, frame, bin], and the spectrum."""
    logits, spec = decode(module, decoder, wave, hidden, latent, frames)
    mask = lax.map(logits, jnp.arange(len(decoder[1][0])))
    mask = mask.reshape(len(module.sources), module.channels, *mask.shape[1:])
    if module.activation == "relu":
        mask = jax.nn.relu(mask)
    else:
        mask = jax.nn.softmax(jnp.concatenate([mask, jnp.zeros_like(mask[:1])]), axis=0)[:-1]
    if module.bands is not None:
        mask = mask[..., band_of_bin(module.bands, spec.shape[-1])]
    return mask ** (1 / module.power) * jnp.abs(spec), spec


def inverse(transform, spec: Array, weight: Array) -> Array:
    """Frames [frame, bin] -> windowed, overlapped and added, [time].

    `weight` [time] is what the inverse transform of the whole track multiplies by, so that blocks
    need only be added.
    """
    pieces = jnp.fft.irfft(spec, transform.n_fft) * transform.window(np.float32)
    return transform.overlap_add(pieces) * weight


def invert(transform, spec: Array, weight: Array) -> Array:
    """Frames [source, channel, frame, bin] -> [source, channel, time]; see `inverse`."""
    flat = spec.reshape(-1, *spec.shape[2:])
    wave = lax.map(lambda one: inverse(transform, one, weight), flat)
    return wave.reshape(*spec.shape[:2], -1)


def invert_masked(module, decoder, wave, hidden, latent, frames, weight) -> Array:
    """`decode`, a mask of positive values and `invert` in one, never holding all spectra."""
    logits, spec = decode(module, decoder, wave, hidden, latent, frames)

    def one(index):
        stem = jax.nn.relu(logits(index)) * spec[index % module.channels]
        return inverse(module.transform, stem, weight)

    wave = lax.map(one, jnp.arange(len(decoder[1][0])))
    return wave.reshape(len(module.sources), module.channels, -1)


def join(turned) -> Array:
    """Lay the directions of a layer side by side: [frame, hidden] of each -> [frame, hidden]."""
    return jnp.concatenate(turned, axis=-1)


def gather(module, latents) -> Array:
    """Latents [frame, hidden] of every source -> [source, frame, hidden].

    Of X-UMX only their sum is given, and the result is the mean, [1, frame, hidden].
    """
    latent = jnp.stack(latents)
    return latent / len(module.sources) if module.bridge else latent


def filled(values, span):
    """Zero-pad [..., time] to `span`."""
    missing = span - values.shape[-1]
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, missing)]) if missing else values


class BlockInverse:
    """Add up blocks that overlap by less than a window, and leave out the padding."""

    def __init__(self, transform):
        self.hop, self.tail = transform.hop, transform.n_fft - transform.hop
        self.carry, self.at = np.float32(0), -(transform.n_fft // 2)

    def add(self, piece, frames):
        """Add a block [source, channel, time] of `frames` frames, and yield finished samples."""
        kept, tail = frames * self.hop, self.tail
        head, rest = piece[..., :tail] + self.carry, piece[..., tail : kept + tail]
        if kept < tail:
            head, rest = np.concatenate([head, rest], axis=-1), rest[..., :0]
            self.carry, head = head[..., kept:], head[..., :kept]
        else:
            # a copy, so that the whole block is not held for it
            self.carry, rest = rest[..., kept - tail :].copy(), rest[..., : kept - tail]
        yield head
        yield rest

    def trimmed(self, samples, end):
        """Yield the part of the next samples that is not padding; `end` is where the track ends."""
        at, self.at = self.at, self.at + samples.shape[-1]
        samples = samples[..., max(0, -at) :]
        if end is not None:
            samples = samples[..., : max(0, end - max(0, at))]
        if samples.shape[-1]:
            yield samples


def block_weight(transform, first: int, frames: int, total: int | None) -> np.ndarray:
    """The weights of the whole track's inverse for `frames` frames from `first` on.

    `total` is the number of frames of the track, None if its end is further away than a window.
    """
    reach = -(-transform.n_fft // transform.hop)
    before = min(first, reach)
    after = reach if total is None else min(total - first - frames, reach)
    return _weight(transform, before, frames, after)


@lru_cache(maxsize=16)
def _weight(transform, before, frames, after):
    weight = transform.weight(before + frames + after, np)
    return weight[before * transform.hop :][: (frames - 1) * transform.hop + transform.n_fft]
