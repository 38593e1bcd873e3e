"""One track after another through the same Separator: decode, separate, write, tell."""

import os
import sys
import time
import warnings
from pathlib import Path

import jax
import numpy as np
from tqdm import tqdm

from xumx_jax import audio
from xumx_jax.commands.console import say
from xumx_jax.commands.stems import choose, heard, make, null_error_db
from xumx_jax.errors import UserError


class Batch:
    """What all tracks share. Raises UserError on stems that the model does not have."""

    def __init__(self, separator, options):
        self.separator, self.options = separator, options
        self.chosen = choose(separator.sources, options.stems, options.two_stems, options.mix)

    def run(self, track, entry: dict) -> str:
        """Separate one track, fill its entry of the report and return its summary."""
        options = self.options
        paths = {name: track.folder / f"{name}.{options.format}" for name in self.chosen}
        if options.out == "-":
            entry["outputs"] = dict.fromkeys(paths, "stdout")
        else:
            entry["outputs"] = {name: str(path) for name, path in paths.items()}
        if options.skip_existing and all(_is_there(path) for path in paths.values()):
            entry["status"] = "skipped"
            return f"{track.label}: skipped, its stems are in {track.folder}"
        if options.out != "-":
            _check_place(track.folder)
        with warnings.catch_warnings(record=True) as caught:
            warnings.filterwarnings("always", category=UserWarning, module="xumx_jax")
            try:
                line = self._separate(track, paths, entry)
            finally:
                entry["warnings"] = [self._tell(warning, track) for warning in caught]
        entry["status"] = "done"
        return line

    def _separate(self, track, paths, entry) -> str:
        options, clock = self.options, _Clock()
        mix, rate = audio.decode(
            track.path, options.start, options.duration, options.allow_truncated
        )
        entry |= {"rate": rate, "channels": mix.shape[0], "samples": mix.shape[1]}
        entry["seconds"] = seconds = mix.shape[1] / rate
        if options.rate == "model":
            mix, rate = self._at_model(mix, rate)
        decode_seconds = clock.lap()
        with tqdm(
            total=100,
            desc=Path(track.label).name,
            unit="%",
            leave=False,
            disable=None,
            file=sys.stderr,
        ) as bar:
            separated = self.separator(mix, rate, lambda done, eta: bar.update(100 * done - bar.n))
        separate_seconds = clock.lap()
        mixture = heard(mix, len(next(iter(separated.values()))))
        stems = make(self.chosen, separated, mixture)
        for name, stem in stems.items():
            if stem.shape[1] != mix.shape[1]:
                raise AssertionError(f"{name} has {stem.shape[1]} samples of {mix.shape[1]}")
        gain = self._write(stems, paths, rate, audio.read_tags(track.path))
        null = null_error_db(mixture, separated)
        entry |= {
            "stems_rate": rate,
            "stems_samples": mix.shape[1],
            "peak": {name: float(np.abs(stem).max(initial=0)) for name, stem in stems.items()},
            "gain": gain,
            "null_error_db": null,
            "timings": {
                "decode": round(decode_seconds, 3),
                "separate": round(separate_seconds, 3),
                "encode": round(clock.lap(), 3),
            },
        }
        null = "silent" if null is None else f"{null:.1f} dB"
        return (
            f"{track.label}: {seconds:.1f} s separated in {separate_seconds:.2f} s "
            f"({seconds / separate_seconds:.1f} x real time), stems against mix {null}\n"
            + "\n".join(f"  {path}" for path in entry["outputs"].values())
        )

    def _at_model(self, mix, rate):
        """Resample a mixture to the model's rate; one bad sample would spread over all."""
        bad = mix.size - np.count_nonzero(np.isfinite(mix))
        if bad:
            warnings.warn(f"{bad} samples are NaN or infinite and were replaced by 0", stacklevel=2)
            mix = heard(mix, len(mix))
        wanted = self.separator.model.sample_rate
        return audio.resample(mix, rate, wanted), wanted

    def _write(self, stems, paths, rate, tags) -> float:
        options = self.options
        if options.out == "-":
            ((name, stem),) = stems.items()
            file = sys.stdout.buffer
            try:
                return audio.write_stdout(file, stem, rate, options.bits, tags.of_stem(name))
            except UserError:
                # Python would complain once more when it flushes at its end.
                os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
                raise
        waves = {paths[name]: stem for name, stem in stems.items()}
        return audio.encode_all(waves, rate, options.format, options.bits, options.bitrate, tags)

    def _tell(self, warning, track) -> str:
        message = str(warning.message).replace(str(track.path), track.label)
        say("warning", message if track.label in message else f"{track.label}: {message}")
        return message


def describe(name, info) -> tuple[str, str]:
    """One line about model and device, and the device."""
    licence = f", licence: {info['licence']}" if info.get("licence") else ""
    devices = jax.local_devices()
    count = f"{len(devices)} x " if len(devices) > 1 else ""
    device = f"{count}{devices[0].device_kind}"
    return f"model {name or info['path']}{licence}; device {device}", device


def _check_place(folder):
    """Raise UserError if no folder can be made there, before anything is computed for it."""
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    if not nearest.is_dir():
        raise UserError(f"{folder}: cannot be written: {nearest} is not a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(f"{folder}: cannot be written: {nearest} is read-only")


def _is_there(path) -> bool:
    return path.is_file() and path.stat().st_size > 0


class _Clock:
    def __init__(self):
        self.at = time.perf_counter()

    def lap(self) -> float:
        before, self.at = self.at, time.perf_counter()
        return self.at - before
