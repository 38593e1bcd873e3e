"""`--device`: where JAX computes, settled before it starts."""

from xumx_jax.errors import UserError

# {what is asked for: JAX's names of it, each with the CPU beside it, to be tried in this order}
PLATFORMS = {
    "cpu": ("cpu",),
    "gpu": ("cuda,cpu", "rocm,cpu"),
    "tpu": ("tpu,cpu",),
}
CHOICES = ("auto", *PLATFORMS)


def add(group) -> None:
    """Add the option to a parser or a group of one."""
    group.add_argument(
        "--device",
        default="auto",
        choices=CHOICES,
        help="where to compute; auto (default) takes the fastest that is there",
    )


def choose(device: str) -> None:
    """Let JAX compute there; only `auto`, which is JAX's own choice, may fall back to the CPU.

    Raises UserError if there is no such device, or JAX has been started on another already.
    """
    if device == "auto":
        return
    import jax

    before, reasons = jax.config.jax_platforms, []
    for platforms in PLATFORMS[device]:
        jax.config.update("jax_platforms", platforms)
        try:
            if jax.default_backend() == device:
                return
        except (RuntimeError, AssertionError) as error:
            reasons += str(error).splitlines()[:1]
    jax.config.update("jax_platforms", before)
    reason = f" ({'; '.join(reasons)})" if reasons else ""
    extra = "" if device == "cpu" else ", or JAX for it ('.[cuda12]', '.[cuda13]' or '.[tpu]')"
    raise UserError(
        f"--device {device}: JAX finds no {device.upper()} here{reason}; "
        f"wanted --device auto{extra}"
    )
