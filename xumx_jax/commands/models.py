"""`xumx models`: which models have names, and which of them are in the cache."""


def add(commands) -> None:
    """Add the command to the parser's commands."""
    command = commands.add_parser(
        "models",
        help="list the models that have names, or download them",
        description="List the models that --model knows by name: their scores (mean SDR in dB on "
        "MUSDB18's test songs, as their authors report), stems and licences, and which are in the "
        "cache and so work offline.",
    )
    command.add_argument(
        "--download",
        action="append",
        default=[],
        metavar="NAME",
        help="download into the cache instead of listing; may be given several times",
    )
    command.set_defaults(run=run)


def run(options) -> int:
    """List the models, or download those named."""
    from xumx_jax.weights import zoo

    for name in options.download:
        path = zoo.find(name)
        print(f"{name}: {path}")
        if name in zoo.PUBLISHED:
            print(f"  licence: {zoo.PUBLISHED[name].licence}")
    if not options.download:
        print("\n".join(table()))
    return 0


def table() -> list[str]:
    """Lines that describe each model."""
    from xumx_jax import assets, runtime
    from xumx_jax.weights import zoo

    lines = [f"models by name; cache: {runtime.cache_folder()}"]
    width = max(map(len, zoo.names()))
    for name, model in zoo.PUBLISHED.items():
        mean = "       " if model.mean is None else f"{model.mean:.2f} dB"
        there = "cached" if zoo.cached(name).exists() else ""
        lines.append(f"  {name:{width}} {mean}  {there:7} {model.what}")
        rule = f"; combined by the rule {model.combine}" if model.combine else ""
        lines.append(f"  {'':{width}} {', '.join(model.sources)}{rule}")
        lines.append(f"  {'':{width}} licence: {model.licence}")
    what = "the small model that comes with this program"
    lines.append(f"  {assets.DEMO:{width}}          bundled {what}")
    return lines
