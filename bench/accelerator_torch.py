"""PyTorch's side of `accelerator.py`, one model and one task: see there for its command line."""

import time

BEGIN = time.perf_counter()

import asteroid_xumx  # noqa: E402  which puts an empty torchaudio in place
import torch  # noqa: E402
from accelerator import ROWS, arguments_of_side, music, steps_of  # noqa: E402
from openunmix.model import OpenUnmix, Separator  # noqa: E402
from train_torch import DECAY, LOSSES, RATE, SOURCES, device_mib, objective  # noqa: E402
from worker import serve  # noqa: E402

SAMPLE_RATE = 44_100
FULL = {"n_fft": 4096, "n_hop": 1024, "hidden_size": 512, "bins": 1487}
QUICK = {"n_fft": 512, "n_hop": 128, "hidden_size": 8, "bins": 186}


class XUMX:
    """asteroid's X-UMX with the multi-domain combination loss."""

    def __init__(self, n_fft, n_hop, hidden_size, bins):
        asteroid_xumx.x_umx._ISTFT.forward = asteroid_xumx.istft_fast
        self.model = asteroid_xumx.build(
            sources=SOURCES,
            in_chan=n_fft,
            window_length=n_fft,
            n_hop=n_hop,
            hidden_size=hidden_size,
            max_bin=bins,
        )
        asteroid_xumx.randomise(self.model, seed=1, offset=0.0)

    def separate(self, mix):
        return self.model(mix)[1]

    def loss(self, stems):
        return objective(self.model, LOSSES["products"], stems)


class UMX:
    """Open-Unmix, all four targets, each with the squared error of its magnitudes."""

    def __init__(self, n_fft, n_hop, hidden_size, bins):
        size = {"nb_bins": n_fft // 2 + 1, "hidden_size": hidden_size, "max_bin": bins}
        models = {source: OpenUnmix(**size) for source in SOURCES}
        for seed, model in enumerate(models.values()):
            asteroid_xumx.randomise(model, seed, offset=0.0)
        self.model = Separator(
            models, niter=0, sample_rate=SAMPLE_RATE, n_fft=n_fft, n_hop=n_hop, nb_channels=2
        )

    def separate(self, mix):
        return self.model(mix)

    def loss(self, stems):
        def magnitudes(wave):
            return self.model.complexnorm(self.model.stft(wave.contiguous()))

        mixture = magnitudes(stems.sum(1))
        errors = [
            torch.nn.functional.mse_loss(model(mixture), magnitudes(stems[:, source]))
            for source, model in enumerate(self.model.target_models.values())
        ]
        return sum(errors) / len(errors)


MODELS = {"xumx": XUMX, "umx": UMX}


def separating(net, size, device):
    net.model.eval()
    track = torch.from_numpy(music("separate", SAMPLE_RATE, size))[None]

    def run():
        with torch.no_grad():
            net.separate(track.to(device)).cpu().numpy()

    return run


def training(net, size, device):
    net.model.train()
    for parameter in net.model.parameters():  # Open-Unmix's Separator freezes them
        parameter.requires_grad_(parameter.is_floating_point())
    weights = [p for name, p in net.model.named_parameters() if not name.endswith("window")]
    adam = torch.optim.Adam(weights, lr=RATE, weight_decay=DECAY, fused=True)
    stems = torch.from_numpy(music("train", SAMPLE_RATE, size)).to(device)

    def run():
        for _ in range(steps_of("train", size)):
            adam.zero_grad()
            value = net.loss(stems)
            value.backward()
            adam.step()
        if not value.detach().cpu().isfinite():
            raise SystemExit("the loss is not finite")

    return run


def main() -> None:
    name, task, _, quick, size = arguments_of_side()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net = MODELS[ROWS[name].torch](**(QUICK if quick else FULL))
    net.model.to(device)
    run = {"separate": separating, "train": training}[task](net, size, device)
    named = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    facts = {"device": named, "version": torch.__version__}
    serve(run, device_mib=device_mib, prepared=time.perf_counter() - BEGIN, **facts)


if __name__ == "__main__":
    main()
