"""Separate arrays with a model: any length, rate and channel count in, the same out."""

import warnings
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from xumx_jax.audio import resample
from xumx_jax.errors import UserError
from xumx_jax.separation import chunks, staged
from xumx_jax.separation.options import FILTERS, check_options
from xumx_jax.wiener import wiener

CHUNK_SECONDS = 10.0  # for models that cannot take the whole track in stages


def separate_chunk(
    module, variables, mix: Array, *, niter=1, window_frames=None, **options
) -> Array:
    """Separate one chunk: [channel, time] -> [source, channel, time], every sample kept.

    The model's masks give magnitudes; `wiener`, with its `options`, turns them into spectra,
    `window_frames` at a time.
    """
    transform = module.transform
    spec = transform.forward(mix)
    size = jnp.abs(spec)
    masks = module.apply(variables, size[None], method="masks")[0]
    masks = masks ** (1 / getattr(module, "power", 1))  # of magnitudes, whatever the model masks
    filter = partial(wiener, iterations=niter, **options)
    spec = in_windows(filter, masks * size, spec, window_frames)
    return transform.inverse(spec, mix.shape[-1])


def in_windows(filter, magnitudes: Array, mix: Array, frames: int | None) -> Array:
    """Apply `filter` to every `frames` frames for themselves; the last window may be shorter."""
    total = mix.shape[-1]
    if frames is None or frames >= total:
        return filter(magnitudes, mix)
    whole = total - total % frames

    def cut(x):  # [..., frame] -> [window, ..., frame]
        return jnp.moveaxis(x[..., :whole].reshape(*x.shape[:-1], -1, frames), -2, 0)

    # one after the other, and compiled once
    done = lax.map(lambda pair: filter(*pair), (cut(magnitudes), cut(mix)))
    parts = [jnp.moveaxis(done, 0, -2).reshape(*done.shape[1:-1], whole)]
    if whole < total:
        parts.append(filter(magnitudes[..., whole:], mix[..., whole:]))
    return jnp.concatenate(parts, axis=-1)


class Separator:
    """A model with its weights and how to apply it: arrays in, arrays out.

    niter, softmask, alpha, logit, residual   as in `wiener`; `residual` adds a stem of that name
    filter          whose Wiener filter, a key of FILTERS; None: as the model's original has it,
                    Open-Unmix's for Open-Unmix, norbert's for the others
    wiener_frames   frames that it sees at a time; None: as the original
    chunk_seconds   None takes the whole track at once where the model can be run in stages
                    (`separation.staged`: the result has no borders, memory does not grow with
                    the spectrogram), else chunks of 10 s
    overlap         what neighbouring chunks share, cross-faded; 0 butts them, each with its own
                    edges and statistics and the last one shorter: the original programs' protocol
    batch           chunks run at once; None: one a device

    `separator(mix [channel, time], rate)` gives {name: float32 [channel, time]} at the same rate,
    length and channel count. Raises UserError on options that make no sense.
    """

    def __init__(
        self,
        module,
        variables,
        *,
        niter: int = 1,
        softmask: bool = False,
        alpha: float = 1.0,
        logit: float | None = None,
        residual: bool = False,
        filter: str | None = None,
        wiener_frames: int | None = None,
        chunk_seconds: float | None = None,
        overlap: float = 0.25,
        batch: int | None = None,
    ):
        check_options(
            niter=niter,
            softmask=softmask,
            alpha=alpha,
            logit=logit,
            chunk_seconds=chunk_seconds,
            overlap=overlap,
            batch=batch,
            filter=filter,
            wiener_frames=wiener_frames,
        )
        if niter and len(module.sources) == 1 and not residual:
            raise UserError(
                f"the model has one source, {module.sources[0]}: the Wiener filter needs another "
                "to weigh it against; wanted a residual, or niter 0"
            )
        self.model, self.variables = module, variables
        self.sources = tuple(module.sources) + ("residual",) * residual
        self.overlap = overlap
        if filter is None:
            usual = "norbert" if getattr(module, "bridge", True) else "openunmix"
            filter = getattr(module, "filter", None) or usual
        rules, usual_frames = FILTERS[filter]
        self._post = dict(
            niter=niter, softmask=softmask, alpha=alpha, logit=logit, residual=residual
        )
        self._post |= {"window_frames": wiener_frames or usual_frames, **rules}
        self._whole = None
        if chunk_seconds is None and staged.can_stage(module):
            self._whole = staged.WholeTrack(module, variables, **self._post)
        self.chunk = max(1, round(module.sample_rate * (chunk_seconds or CHUNK_SECONDS)))
        self._devices, self._placed = jax.local_devices(), None
        self.batch = batch or len(self._devices)

    def __call__(self, mix, rate: int, progress=None) -> dict[str, np.ndarray]:
        """Separate [channel, time] at `rate` hertz -> {name: [channel, time]}.

        `progress(done)` is called with the part done, rising to 1. Mono input to a stereo model
        gives mono stems; of more than two channels the front pair is separated. Warns about
        that, about samples that are not finite (taken as 0) and about empty input.
        """
        mix = np.asarray(mix, np.float32)
        if mix.ndim != 2 or not mix.shape[0]:
            raise UserError(f"the mixture has shape {mix.shape}; wanted [channel, time]")
        if rate < 1:
            raise UserError(f"the sample rate is {rate}; wanted at least 1 hertz")
        mix, channels = self._tidy(mix)
        length = mix.shape[1]
        if length:
            at_model = resample(mix, rate, self.model.sample_rate)
            separate = self._chunked if self._whole is None else self._whole
            stems = separate(at_model, progress or (lambda done: None))
        else:
            stems = np.zeros((len(self.sources), mix.shape[0], 0), np.float32)
        if stems.shape[1] > channels:
            stems = stems.mean(axis=1, keepdims=True)
        return {
            name: resample(stem, self.model.sample_rate, rate, length)
            for name, stem in zip(self.sources, stems, strict=True)
        }

    def _tidy(self, mix):
        """Make the mixture finite and as wide as the model -> (mix, channels of the stems)."""
        if not mix.shape[1]:
            warnings.warn("the mixture has no samples: the stems are empty", stacklevel=3)
        bad = mix.size - np.count_nonzero(np.isfinite(mix))
        if bad:
            warnings.warn(f"{bad} samples are NaN or infinite and were replaced by 0", stacklevel=3)
            mix = np.where(np.isfinite(mix), mix, np.float32(0))
        if mix.shape[0] > 2:
            warnings.warn(
                f"the mixture has {mix.shape[0]} channels: the front pair (the first two) is "
                "separated into stereo stems",
                stacklevel=3,
            )
            mix = mix[:2]
        channels = mix.shape[0]
        if channels == 1 and self.model.channels == 2:
            mix = np.repeat(mix, 2, axis=0)
        return mix, channels

    def _chunked(self, mix, progress):
        """Separate [channel, time] in chunks -> [source, channel, time]."""
        length, chunk = mix.shape[1], self.chunk
        if self.overlap:
            chunk = self._bucket(length)
        at = chunks.starts(length, chunk, self.overlap)
        pieces = self._pieces(mix, at, chunk, progress)
        if self.overlap:
            return chunks.overlap_add(pieces, at, length, chunks.triangle(chunk))
        return np.concatenate(list(pieces), axis=-1)

    def _bucket(self, length):
        """The chunk length for a track: short ones share a few smaller shapes."""
        size = max(self.model.n_fft, self.model.hop)
        while size < length:
            size *= 2
        return min(size, self.chunk)

    def _pieces(self, mix, at, chunk, progress):
        """Yield the separated chunks in order, each [source, channel, time]."""
        run, everywhere, each = compile_chunks(
            self.model, tuple(self._devices), tuple(self._post.items())
        )
        if self._placed is None:
            self._placed = everywhere(self.variables)
        done = 0
        while done < len(at):
            cut = [mix[:, s : s + chunk] for s in at[done : done + self.batch]]
            if self.overlap:
                # A short track is padded with silence to the common shape.
                cut = [np.pad(c, ((0, 0), (0, chunk - c.shape[1]))) for c in cut]
            elif len(cut) > 1 and cut[-1].shape != cut[0].shape:
                cut = cut[:-1]  # the last, shorter chunk has a shape of its own
            count = len(cut)
            rows = self.batch if len(at) > self.batch else count
            rows = -(-rows // len(self._devices)) * len(self._devices)
            stacked = np.stack(cut + [np.zeros_like(cut[0])] * (rows - count))
            yield from np.asarray(run(self._placed, each(stacked)))[:count]
            done += count
            progress(done / len(at))


@lru_cache(maxsize=8)
def compile_chunks(module, devices: tuple, post: tuple):
    """The function `(variables, mix [chunk, channel, time])` and how to place its arguments.

    Chunks are spread over the devices. Compiled once a model, however many Separators share it.
    """
    one = partial(separate_chunk, module, **dict(post))

    def batched(variables, mix):
        return jax.vmap(partial(one, variables))(mix)

    if len(devices) == 1:
        on_device = partial(jax.device_put, device=devices[0])
        return jax.jit(batched), on_device, on_device
    # jit alone would gather all chunks on every device at the FFTs.
    mesh = Mesh(np.array(devices), ("chunk",))
    spread = jax.shard_map(
        batched, mesh=mesh, in_specs=(P(), P("chunk")), out_specs=P("chunk"), check_vma=False
    )
    everywhere = partial(jax.device_put, device=NamedSharding(mesh, P()))
    each = partial(jax.device_put, device=NamedSharding(mesh, P("chunk")))
    return jax.jit(spread), everywhere, each
