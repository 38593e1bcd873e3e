"""Options that several commands share: how a model is applied, and on which device."""

from typing import Any

from xumx_jax.runtime import DEVICES


def add_separation(group) -> None:
    """Add the options of a `Separator` to a parser or a group of one."""
    option = group.add_argument
    option(
        "--niter",
        type=int,
        default=1,
        metavar="N",
        help="iterations of the Wiener filter; 0 is faster and lets more through; "
        "default: %(default)s",
    )
    option("--softmask", action="store_true", help="start from ratio masks")
    option("--alpha", type=float, default=1.0, metavar="A", help="exponent of the ratio masks")
    option("--logit", type=float, metavar="T", help="sharpen the ratio masks around T, such as 0.5")
    option("--wiener-frames", type=int, metavar="N", help="what the Wiener filter sees at a time")
    option("--residual", action="store_true", help="add a stem for what the model leaves")
    option(
        "--shifts",
        type=int,
        default=0,
        metavar="N",
        help="average over N random shifts in time, N times the work; default: none",
    )
    option("--seed", type=int, default=0, metavar="S", help="of the shifts; default: %(default)s")
    option(
        "--chunk-seconds",
        type=float,
        metavar="S",
        help="cut the track into chunks; default: 300, so that shorter tracks have no borders; "
        "with --overlap 0 each chunk is separated like a track of its own",
    )
    option(
        "--overlap",
        type=float,
        metavar="R",
        help="what chunks share with their neighbours, 0 <= R < 1, beside --chunk-seconds or "
        "--batch; default: 0.25",
    )
    option(
        "--batch",
        type=int,
        metavar="N",
        help="run N chunks (of 10 s) at once, spread over the devices, and cross-fade them",
    )


def separator_options(options) -> dict:
    """What was given, as arguments of a Separator. Raises UserError on what makes no sense."""
    from xumx_jax.separation.options import check_options

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
    check_options(**made)
    return {**made, "residual": options.residual}


def add_device(group) -> None:
    """Add `--device` to a parser or a group of one; `runtime.choose_device` takes its value."""
    group.add_argument(
        "--device",
        default="auto",
        choices=DEVICES,
        help="where to compute; auto (default) takes the fastest that is there",
    )
