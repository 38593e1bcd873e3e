"""Options that several commands share: which models, how they are applied, and on which device."""

import os
import re
from math import isfinite
from typing import Any

from xumx_jax.errors import UserError
from xumx_jax.runtime import DEVICES
from xumx_jax.separation.engine import COMPUTE
from xumx_jax.weights.tasks import QUALITIES, TASKS, USUAL_QUALITY, USUAL_TASK, model_for

TOKEN = "XUMX_TOKEN"  # the variable with the token of a server
RUNNERS = ("local", "ray")  # where work is done; what does it is another matter
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.I)


def add_model(group, default: bool = True, more: str = "") -> None:
    """Add `--model` to a parser or to one of its groups; `more` is appended to its help."""
    usual = "default: x-umx, or demo if that cannot be downloaded. " if default else ""
    group.add_argument(
        "--model",
        action="append",
        metavar="NAME|PATH[:W]",
        help="a name of `xumx models` (downloaded once), demo (bundled), or a path: .safetensors, "
        f".h5, .pth, .th, .yaml or a folder; {usual}If given several times, the models' stems are "
        f"averaged, with weights if given: a:0.7{more}",
    )
    group.add_argument(
        "--combine",
        metavar="RULE",
        help="how several models are used together: mean, or cdx, for models of mono and models "
        "of one source (an unknown name lists all); default: mean, or that of a bag's folder",
    )


def add_wish(group) -> None:
    """Add `--task` and `--quality`, which choose the model, to a parser or to one of its groups."""
    group.add_argument(
        "--task",
        choices=tuple(TASKS),
        help=f"what you want, instead of --model; default with --quality: {USUAL_TASK}",
    )
    group.add_argument(
        "--quality",
        choices=QUALITIES,
        help="fast, good or best, instead of --model: `xumx models` says which model that is, and "
        f"how long it takes; default with --task: {USUAL_QUALITY}",
    )


def wished(options) -> list[str]:
    """The values of `--model`, or the one model that `--task` and `--quality` stand for.

    Raises UserError if both are given, and where no model may be chosen unasked.
    """
    if options.task is None and options.quality is None:
        return options.model
    if options.model:
        raise UserError("--model names the model itself; leave out --task and --quality")
    return [model_for(options.task or USUAL_TASK, options.quality or USUAL_QUALITY)]


def parse_models(given) -> list[tuple[str | None, float]]:
    """Parse what was given -> (name or path, weight) each; nothing means the default model.

    A path that exists is taken whole, with any colon. Raises UserError on a weight that is not
    positive.
    """
    return [_parse(text) for text in given] if given else [(None, 1.0)]


def _parse(text):
    text = os.path.expanduser(text)  # shells leave ~ as it is in --model=~/weights
    name, colon, tail = text.rpartition(":")
    if not (colon and name and _NUMBER.fullmatch(tail)) or os.path.exists(text):
        return text, 1.0
    weight = float(tail)
    if not (isfinite(weight) and weight > 0):
        raise UserError(f"--model {text}: the weight is {tail}; wanted a positive number")
    return name, weight


def load(given, options: dict, combine: str | None = None):
    """Load what `parse_models` found -> (separator, what is known about each model).

    `options` are the Separator's, `combine` as for `weights.bag.joined`. Raises UserError.
    """
    from xumx_jax.separation.separator import separator_of
    from xumx_jax.weights.bag import joined
    from xumx_jax.weights.load import load_bag

    bags = [load_bag(name) for name, _ in given]
    infos = []
    for (name, weight), bag in zip(given, bags, strict=True):
        first = bag.members[0]
        if name is None:
            name = _name_of_default("fallback" in first.info)
        more = {"model": first.name, "args": first.args, "name": name, "weight": weight}
        infos.append({**first.info, **more})
    whole = joined(bags, [weight for _, weight in given], combine)
    return separator_of(whole, **options), infos


def _name_of_default(fallback: bool) -> str:
    from xumx_jax import assets
    from xumx_jax.weights import zoo  # the bundled model needs none of what others publish

    return assets.DEMO if fallback else zoo.DEFAULT


def describe(infos) -> tuple[str, str]:
    """One line about the models and the device, and the device."""
    import jax

    several = len(infos) > 1
    models = [
        f"{info['name'] or info['path']}"
        + (f" x {info['weight']:g}" if several else "")
        + (f", licence: {info['licence']}" if info.get("licence") else "")
        for info in infos
    ]
    devices = jax.local_devices()
    count = f"{len(devices)} x " if len(devices) > 1 else ""
    device = f"{count}{devices[0].device_kind}"
    return f"model{'s' * several} {'; '.join(models)}; device {device}", device


def add_separation(group) -> None:
    """Add the options of a `Separator` to a parser or to one of its groups."""
    option = group.add_argument
    option(
        "--niter",
        type=int,
        default=1,
        metavar="N",
        help="iterations of the Wiener filter; 0 is faster, with more interference; "
        "default: %(default)s",
    )
    option("--softmask", action="store_true", help="start from ratio masks")
    option("--alpha", type=float, default=1.0, metavar="A", help="exponent of the ratio masks")
    option("--logit", type=float, metavar="T", help="sharpen the ratio masks around T, such as 0.5")
    option("--wiener-frames", type=int, metavar="N", help="frames that the filter takes at a time")
    option(
        "--post-filter",
        metavar="F",
        help="post filter, such as complex, which keeps the estimates' phase (an unknown name "
        "lists all); default: that of the model's original program, if it has one",
    )
    option(
        "--residual",
        action="store_true",
        help="add a stem with what remains after the others are removed; of models of one source "
        "under its usual name, such as instrumental beside vocals",
    )
    option(
        "--shifts",
        type=int,
        default=0,
        metavar="N",
        help="average over N random shifts in time, at N times the work; default: none",
    )
    option(
        "--seed", type=int, default=0, metavar="S", help="seed of --shifts; default: %(default)s"
    )
    option(
        "--chunk-seconds",
        type=float,
        metavar="S",
        help="cut the track into chunks; default: what the model is made for (X-UMX: 300, so that "
        "shorter tracks have no borders; 10 with --post-filter complex); with --overlap 0 each "
        "chunk is separated as if it were a whole track",
    )
    option(
        "--overlap",
        type=float,
        metavar="R",
        help="share of a chunk that overlaps the next, 0 <= R < 1; X-UMX, Open-Unmix and "
        "xumx-sliCQ need --chunk-seconds, --batch or --protocol as well; default: 0.25, or that "
        "of the protocol",
    )
    option(
        "--protocol",
        metavar="P",
        help="cut and blend chunks as another program does: demucs, msst, audio-separator, "
        "or original, which is the one that the model was made for; default: our own way",
    )
    option(
        "--transition-power",
        type=float,
        default=1.0,
        metavar="P",
        help="exponent of Demucs' weights: larger ones make shorter transitions; "
        "default: %(default)s",
    )
    option(
        "--mid-side",
        action="store_true",
        help="models for mono: separate stereo as left and right and as mid and side, and average",
    )
    option(
        "--denoise",
        action="store_true",
        help="separate the mixture with its sign turned as well, and average: what a network adds "
        "whatever it hears is gone, at twice the work",
    )
    option(
        "--batch",
        type=int,
        metavar="N",
        help="run N chunks at once, spread over the devices, and cross-fade them",
    )
    option(
        "--compute",
        default="float32",
        choices=COMPUTE,
        help="precision of matrix products: tf32 and bfloat16 are faster on some GPUs and TPUs, "
        "and less exact; default: %(default)s",
    )


def separator_options(options) -> dict:
    """The options as arguments of a Separator. Raises UserError on values that make no sense."""
    from xumx_jax.separation.engine import check_options

    made: dict[str, Any] = dict(
        niter=options.niter,
        softmask=options.softmask,
        alpha=options.alpha,
        logit=options.logit,
        wiener_frames=options.wiener_frames,
        chunk_seconds=options.chunk_seconds,
        overlap=options.overlap,
        batch=options.batch,
        shifts=options.shifts,
        seed=options.seed,
    )
    # Only where they are given, so that reports and protocols stay the same where they are not.
    if options.post_filter is not None:
        made["post_filter"] = options.post_filter
    if options.compute != COMPUTE[0]:
        made["compute"] = options.compute
    if options.protocol is not None:
        made["protocol"] = options.protocol
    if options.transition_power != 1:
        made["transition_power"] = options.transition_power
    check_options(**made)
    if options.mid_side:
        made["mid_side"] = True
    if options.denoise:
        made["denoise"] = True
    return {**made, "residual": options.residual}


def add_runner(group, what: str) -> None:
    """Add `--runner` and what Ray needs to a parser; `what` is done there."""
    option = group.add_argument
    option(
        "--runner",
        default=RUNNERS[0],
        choices=RUNNERS,
        help=f"where {what}: here, or on a Ray cluster; default: %(default)s",
    )
    option(
        "--address",
        metavar="HOST:PORT",
        help="of the cluster's head, or auto for one on this machine; default: Ray is started here",
    )
    option(
        "--worker-cores",
        type=int,
        metavar="N",
        help="CPU cores of each worker of the cluster; default: a GPU's share of its machine, or "
        "4 without a GPU",
    )


def check_runner(options) -> None:
    """Raise UserError on options of one runner that were given with the other."""
    if options.runner == RUNNERS[0]:
        for name in ("address", "worker_cores"):
            if getattr(options, name) is not None:
                raise UserError(f"--{name.replace('_', '-')} is for --runner ray; give both")
    elif options.jobs != 1:
        raise UserError(f"--jobs {options.jobs} is for --runner local; Ray starts its own workers")


def add_device(group) -> None:
    """Add `--device` to a parser or to one of its groups; see `runtime.choose_device`."""
    group.add_argument(
        "--device",
        default="auto",
        choices=DEVICES,
        help="where to compute; auto (default) takes the fastest device available",
    )
