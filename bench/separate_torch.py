"""The other side of `make bench-separate`: asteroid's X-UMX on a whole track, from file to files.

    python bench/separate_torch.py FOLDER OUT NITER

With NITER 1 Open-Unmix's Wiener filter follows, in windows of 300 frames, as Open-Unmix's own
Separator applies it. A `worker.serve` in an environment without our process's memory: imports
neither JAX nor ours. Makes random full-size weights and saves them as FOLDER/weights.pth if they
are not there.
"""

import sys
import time
from pathlib import Path

BEGIN = time.perf_counter()

import asteroid_xumx  # noqa: E402
import soundfile  # noqa: E402
import torch  # noqa: E402
from openunmix.filtering import wiener  # noqa: E402
from openunmix.transforms import make_filterbanks  # noqa: E402
from worker import serve  # noqa: E402

WINDOW = 300  # frames


def filtered(mix, magnitudes, niter: int):
    """Mixture [1, channel, time], magnitudes [source, frame, 1, channel, bin] -> waves.

    Waves are [1, source, channel, time].
    """
    forward, inverse = make_filterbanks(n_fft=4096, n_hop=1024, center=True)
    spec = forward(mix)[0].permute(2, 1, 0, 3)  # [frame, bin, channel, re and im]
    magnitudes = magnitudes[:, :, 0].permute(1, 3, 2, 0)  # [frame, bin, channel, source]
    stems = torch.empty(*spec.shape, magnitudes.shape[-1])
    for first in range(0, len(spec), WINDOW):
        part = slice(first, first + WINDOW)
        stems[part] = wiener(magnitudes[part], spec[part], niter)
    return inverse(stems.permute(4, 2, 1, 0, 3).contiguous()[None], length=mix.shape[-1])


def main(folder: Path, out: Path, niter: int) -> None:
    imported = time.perf_counter() - BEGIN
    begin = time.perf_counter()
    asteroid_xumx.published_size(folder)
    loading = time.perf_counter() - begin

    def separate():
        model = asteroid_xumx.published_size(folder)
        wave, rate = soundfile.read(folder / "mix.wav", dtype="float32")
        mix = torch.from_numpy(wave.T.copy())[None]
        with torch.no_grad():
            if niter:
                model._return_time_signals = False
                stems = filtered(mix, model(mix)[0], niter)[0]
            else:
                stems = model(mix)[1][:, 0]
        (out / "mix").mkdir(parents=True, exist_ok=True)
        for name, stem in zip(model.sources, stems.numpy(), strict=True):
            soundfile.write(out / "mix" / f"{name}.wav", stem.T, rate, subtype="FLOAT")

    serve(separate, imported=imported, loading=loading, version=torch.__version__)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
