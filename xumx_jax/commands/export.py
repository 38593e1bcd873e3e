"""`xumx export`: a model as StableHLO, weights included, for programs without this package."""


def add(commands) -> None:
    """Add the command to the parser's commands."""
    command = commands.add_parser(
        "export",
        help="write a model as StableHLO, to run without this program",
        description="Write a model as StableHLO, weights included: the folder OUT with "
        "model.jax_export (for jax.export), model.stablehlo (for other programs) and about.json. "
        "It separates chunks: [batch, channel, time] -> [batch, source, channel, time].",
    )
    option = command.add_argument
    option("model", metavar="MODEL", help="as for separate --model")
    option("target", metavar="OUT", help="a new folder, or one with an earlier export")
    option(
        "--seconds",
        type=float,
        default=10.0,
        metavar="S",
        help="length of a chunk; default: %(default)g",
    )
    option("--batch", type=int, metavar="N", help="chunks at once; default: any number")
    option(
        "--platforms",
        default="cpu,cuda,tpu",
        metavar="A,B",
        help="any of cpu, cuda, rocm and tpu; default: %(default)s",
    )
    option(
        "--niter",
        type=int,
        default=1,
        metavar="N",
        help="iterations of the Wiener filter; 0: only the masks; default: %(default)s",
    )
    option(
        "--residual",
        action="store_true",
        help="add a source with what remains after the others are removed",
    )
    command.set_defaults(run=run)


def run(options) -> int:
    """Export, and print what was written."""
    from xumx_jax.separation.engine import check_options

    check_options(niter=options.niter, chunk_seconds=options.seconds, batch=options.batch)
    platforms = tuple(name.strip() for name in options.platforms.split(",") if name.strip())
    from xumx_jax.separation.export import export

    about = export(
        options.model,
        options.target,
        seconds=options.seconds,
        batch=options.batch,
        platforms=platforms,
        niter=options.niter,
        residual=options.residual,
    )
    print("\n".join(lines(options.target, about)))
    return 0


def lines(target, about) -> list[str]:
    """Describe an export."""

    def shape(side):
        return f"[{', '.join(map(str, about[side]['shape']))}]"

    lines = [
        f"{target}: {about['model']} ({', '.join(about['sources'])}), {about['rate']} Hz, for "
        f"{', '.join(about['platforms'])}",
        f"  {shape('input')} -> {shape('output')}",
    ]
    lines += [f"  {name}: {file['bytes'] / 1e6:.1f} MB" for name, file in about["files"].items()]
    if licence := about["weights"].get("licence"):
        lines.append(f"  licence: {licence}")
    return lines
