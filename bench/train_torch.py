"""The other side of `make bench-train`: asteroid's X-UMX, one optimizer step at a time.

    python bench/train_torch.py FOLDER LOSS [PRECISION STEPS]

Makes random full-size weights as FOLDER/weights.pth if they are not there. The loss is not in
asteroid's package; here it is twice: "products" gets all groups of sources from one matrix of inner
products, as ours does, "groups" sums and compares group by group, as the published programs do.
With a PRECISION (float32, tf32 or bfloat16) it runs on the GPU, STEPS steps a run.
"""

import sys
import time
from itertools import combinations
from pathlib import Path

BEGIN = time.perf_counter()

import asteroid_xumx  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from worker import serve  # noqa: E402

SOURCES = ["bass", "drums", "vocals", "other"]
GROUPS = [g for size in range(1, len(SOURCES)) for g in combinations(range(len(SOURCES)), size)]
MCOEF, TRIM, EPSILON = 10.0, 200, 1e-10
RATE, DECAY = 1e-3, 1e-5


def cosine(a, b):
    """[..., time] twice -> [...]."""
    return ratio((a * b).sum(-1), (a * a).sum(-1), (b * b).sum(-1))


def ratio(product, one, other):
    length = (one + EPSILON).sqrt() * (other + EPSILON).sqrt()
    return product / (length + EPSILON)


def by_groups(est_size, ref_size, est, ref, mix):
    """[source, ...] magnitudes, [source, batch, channel, time] waveforms -> (mse, sdr)."""
    mse = sdr = 0.0
    for group in GROUPS:
        group = list(group)
        mse = mse + (est_size[group].sum(0) - ref_size[group].sum(0)).square().mean()
        e, r = est[group].sum(0), ref[group].sum(0)
        signal, noise = r.square().sum(-1), (mix - r).square().sum(-1)
        alpha = signal / (signal + noise + EPSILON)
        both = alpha * cosine(e, r) + (1 - alpha) * cosine(mix - e, mix - r)
        sdr = sdr + 1 - both.mean()
    return mse / len(GROUPS), sdr / len(GROUPS)


def by_products(est_size, ref_size, est, ref, mix):
    """As `by_groups`, from sums of squares of errors and from inner products of signals."""
    rows = torch.zeros(len(GROUPS), len(SOURCES), device=est.device)
    for row, group in zip(rows, GROUPS, strict=True):
        row[list(group)] = 1
    # A product of 4 rows as long as this would lose three digits; all pairs weigh the same.
    own, cross = (rows[:, 0] * rows.T).mean(1)[:2].tolist()
    error = est_size - ref_size
    mse = (own - cross) * error.square().sum(0).mean() + cross * error.sum(0).square().mean()

    rest = [(mix - est.sum(0))[None], (mix - ref.sum(0))[None]]
    signals = torch.cat([est, rest[0], ref, rest[1]]).permute(1, 2, 0, 3).contiguous()
    products = signals @ signals.mT  # [batch, channel, signal, signal]
    one, none = rows.new_ones(len(rows), 1), rows.new_zeros(len(rows), len(SOURCES) + 1)
    inside, outside = torch.cat([rows, 0 * one], 1), torch.cat([1 - rows, one], 1)
    est_in, est_out = torch.cat([inside, none], 1), torch.cat([outside, none], 1)
    ref_in, ref_out = torch.cat([none, inside], 1), torch.cat([none, outside], 1)

    def inner(a, b):
        return ((a @ products) * b).sum(-1)

    def agree(a, b):
        return ratio(inner(a, b), inner(a, a), inner(b, b))

    signal, noise = inner(ref_in, ref_in), inner(ref_out, ref_out)
    alpha = signal / (signal + noise + EPSILON)
    both = alpha * agree(est_in, ref_in) + (1 - alpha) * agree(est_out, ref_out)
    return mse, 1 - both.mean()


LOSSES = {"products": by_products, "groups": by_groups}


def objective(model, loss, stems):
    """[batch, source, channel, time] -> the multi-domain combination loss of one training batch."""
    mix = stems.sum(1)
    est_size, est = model(mix)
    window = model.encoder[0].window
    ref = torch.stft(stems.flatten(0, 2), model.in_chan, model.n_hop, window=window,
                     return_complex=True)  # fmt: skip
    # [batch * source * channel, bin, frame] -> [source, frame, batch, channel, bin]
    ref_size = ref.abs().unflatten(0, stems.shape[:3]).permute(1, 4, 0, 2, 3)
    part = slice(TRIM, est.shape[-1] - TRIM)
    waves = est[..., part], stems.transpose(0, 1)[..., part], mix[..., part]
    mse, sdr = loss(est_size, ref_size, *waves)
    return mse + MCOEF * sdr


def load(folder: Path) -> torch.nn.Module:
    """Make the model, in training mode, with the weights of FOLDER/weights.pth."""
    return asteroid_xumx.published_size(folder).train()


def device_mib() -> float:
    """The most memory held on the device, in MiB; 0 without one."""
    return torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0


def main(folder: Path, loss: str, precision: str | None = None, steps: str = "1") -> None:
    imported = time.perf_counter() - BEGIN
    device = "cuda" if precision else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    model = load(folder).to(device)
    parameters = [p for p in model.parameters() if p.requires_grad]
    # the fused form is PyTorch's fastest
    adam = torch.optim.Adam(parameters, lr=RATE, weight_decay=DECAY, fused=True)
    stems = torch.from_numpy(np.load(folder / "stems.npy")).to(device)
    rounded = torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16")

    def run():
        for _ in range(int(steps)):
            adam.zero_grad()
            with rounded:
                value = objective(model, LOSSES[loss], stems)
            value.backward()
            adam.step()
        return value.detach().cpu().numpy()

    loaded = time.perf_counter() - BEGIN
    facts = {"imported": imported, "loaded": loaded, "version": torch.__version__}
    serve(run, device_mib=device_mib, **facts)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
