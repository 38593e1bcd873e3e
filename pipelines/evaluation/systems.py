"""What can be evaluated: models, oracles and baselines, another program's estimates."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.evaluation import estimates
from pipelines.evaluation.messages import show_warning
from pipelines.evaluation.song import Song
from pipelines.tracks import folders
from pipelines.tracks.names import ACCOMPANIMENT, VOCALS
from pipelines.tracks.split import Split
from pipelines.tracks.track import Track, in_order
from xumx_jax import audio, files
from xumx_jax.audio import AudioStream
from xumx_jax.commands.options import parse_models
from xumx_jax.errors import UserError
from xumx_jax.separation.selection import Factors, make
from xumx_jax.weights import pointer
from xumx_jax.weights.bag import MEAN

INSTRUMENTAL = "instrumental"  # what many models call the accompaniment

# (song, {target: file}, check) -> None: write float32 WAV files; `check` may raise, to stop
Write = Callable[[Song, dict[str, Path], Callable[[], None]], None]


@dataclass(frozen=True)
class System:
    """One row of the report.

    label     its name in the report, and of its folders
    name      its name on the command line
    options   of its separator
    targets   on which it is scored
    digest    SHA-256 of its weights; empty for existing estimates
    write     makes the estimates of a song; None for existing ones, which are in `folder`
    """

    label: str
    name: str
    options: dict
    targets: tuple[str, ...]
    digest: str = ""
    write: Write | None = None
    folder: Path | None = None

    def place(self, data: Split, track: Track) -> Path:
        """The folder of a track's estimates, for a system with existing estimates."""
        return estimates.place(self.folder, data.subset, track.name)

    def digest_of(self, data: Split, track: Track) -> str:
        """SHA-256 of what makes a track's estimates, or of existing estimates.

        Raises UserError naming missing estimates.
        """
        if self.write is not None:
            return self.digest
        found = estimates.find(
            self.place(data, track), self.targets, lambda target: data.parts(track, target)
        )
        return files.digest_of(
            f"{target} {[files.digest(path) for path in paths]}\n"
            for target, paths in found.items()
        )


def is_oracle(name: str) -> bool:
    """Return whether a name is that of an oracle or a baseline."""
    from xumx_jax.evaluation.oracles import ORACLES

    return name in ORACLES


def label_of(name: str) -> tuple[str, str]:
    """Split "LABEL=NAME"; the default label is the name, or the last part of a path."""
    label, equals, rest = name.partition("=")
    if equals and label and not any(mark in label for mark in "/."):
        return label, rest
    if is_oracle(name):
        return name, name
    path = Path(name)
    stem = path.name if path.is_dir() else path.stem
    return files.safe_name(stem, path.resolve().name), name


def oracle(label: str, name: str, data: Split, targets: Sequence[str], tracks=()) -> System:
    """Make an oracle, which gets the true sources, or a baseline.

    By default it is scored on the sources that `tracks` (none: all) usually have, as far as it has
    a rule for them.
    """
    from xumx_jax.evaluation.oracles import ORACLES, RULES

    function, rules = ORACLES[name], RULES.get(name)
    usual = data.usual(tracks or data.tracks)
    known = data.targets
    if rules:
        known = tuple(target for target in known if target in (*rules, ACCOMPANIMENT))
        usual = tuple(source for source in usual if source in rules)
        if not set(targets or usual) or not set(targets) <= set(known):
            unknown = [target for target in targets or data.sources if target not in known]
            raise UserError(f"{name}: no rule for {', '.join(unknown)}; wanted {', '.join(rules)}")

    def write(song, paths, check):
        sources, mix = rules or tuple(song.stems), song.mix()
        # rules use the mixture alone
        truth = np.broadcast_to(0.0, (len(rules), *mix.shape)) if rules else song.waves(sources)
        found = function(mix, truth, song.rate, sources)
        stems = dict(zip(sources, np.asarray(found), strict=True))
        made = make(sums(paths, sources), stems, mix)
        audio.encode_all({paths[name]: wave for name, wave in made.items()}, song.rate, bits="32f")

    chosen = _chosen(targets, known, usual, data.root)
    return System(label, name, {}, chosen, f"oracle {name}", write)


def parse_system(texts: Sequence[str]) -> tuple[str, str, list[tuple[str, float]]]:
    """Parse the values of `--model` -> (label, name, [(name or path, weight)]).

    The label is the first one given, else the names joined by "+". Raises UserError.
    """
    split = [label_of(text) for text in texts]
    labels = [label for (label, rest), text in zip(split, texts, strict=True) if rest != text]
    given = [rest for _, rest in split]
    models = parse_models(given)
    for name, _ in models:
        if len(models) > 1 and is_oracle(name):
            raise UserError(f"{name}: only models can be averaged; use --compare for it")
    usual = "+".join(label_of(name)[0] for name, _ in models)
    return labels[0] if labels else usual, " ".join(given), models


def model(
    label: str,
    name: str,
    models: Sequence[tuple[str, float]],
    data: Split,
    targets: Sequence[str],
    options: dict,
    tracks: Sequence[Track] = (),
    combine: str | None = None,
) -> System:
    """Load one or several models, by name or path. Raises UserError with one line."""
    from xumx_jax.separation.file import separate_file
    from xumx_jax.separation.separator import separator_of
    from xumx_jax.weights.load import load_bag

    bag = load_bag(models, combine)
    separator = separator_of(bag, **options)
    digest = _digest(bag)
    there = {source for track in tracks or data.tracks for source in track.sources}
    there |= set(data.targets) - set(data.sources)
    own = set(bag.sources)
    if INSTRUMENTAL in own - there:  # the same under the data's name
        own = own - {INSTRUMENTAL} | {ACCOMPANIMENT}
    pair = {VOCALS, ACCOMPANIMENT}  # of which one gives the other
    more = pair if VOCALS in own or own <= pair else set()
    known = (own | set(separator.sources) | more) & there
    missing = own - known
    if missing and not targets:
        fewer = f", or --targets {' '.join(in_order(own & known))}" if own & known else ""
        raise UserError(
            f"{data.root}: no track has {', '.join(in_order(missing))}, which {name} separates; "
            f"use tracks with {', '.join(in_order(own))}{fewer}"
        )

    def write(song, paths, check):
        mix = song.mix()
        separate_file(
            separator,
            AudioStream(song.rate, len(mix), mix.shape[1], iter([mix])),
            paths,
            aggregate=sums(paths, separator.sources, separator.residual_gain),
            bits="32f",
            label=song.track.name,
            on_progress=lambda fraction, eta: check(),
            on_warning=show_warning,
        )

    return System(label, name, options, _chosen(targets, known, own, name), digest, write)


def _digest(bag) -> str:
    """SHA-256 of all members' weights and, if there are several, of how they are averaged."""
    from flax.traverse_util import flatten_dict

    from xumx_jax.weights import safetensors

    found = []
    for member in bag.members:
        path = Path(member.info["path"])
        if path.is_file() and not pointer.is_pointer(path):
            found.append(files.digest(path))
        else:
            found.append(safetensors.tensors_digest(flatten_dict(member.variables, sep="/")))
    if len(found) == 1:
        return found[0]
    rule = {} if bag.combine == MEAN else {"combine": bag.combine}
    return files.digest_of_value({"members": found, "weights": bag.weights.tolist(), **rule})


def folder(label: str, path: Path, data: Split, tracks, targets: Sequence[str]) -> System:
    """Use another program's estimates: PATH/<subset>/<track>/<target>.wav."""
    path = files.expanded(path)
    if not path.is_dir():
        raise UserError(f"{path}: no such folder of estimates")
    found = {
        target
        for track in tracks
        for target in data.targets
        if folders.find_stem(estimates.place(path, data.subset, track.name), target)
    }
    if not found:
        raise UserError(
            f"{path}: no estimates; wanted {data.subset}/<track>/<target>.wav with the tracks of "
            f"{data.root} and targets of {', '.join(data.targets)}"
        )
    known = found | ({ACCOMPANIMENT} & set(data.targets) if VOCALS in found else set())
    usual = found & {*data.usual(tracks), ACCOMPANIMENT} or found
    return System(label, str(path), {}, _chosen(targets, known, usual, path), folder=path)


def sums(targets: Iterable[str], sources: Sequence[str], gain: float = 1.0) -> dict[str, Factors]:
    """What each target is made from -> {target: {source: factor}}, where None is the mixture.

    The accompaniment of a system without one is the sum of its stems except vocals or, for a system
    with only vocals, the mixture minus the vocals, times `gain`; and vocals of a system with only
    the instrumental are the other way round.
    """
    made: dict[str, Factors] = {}
    for target in targets:
        others = [name for name in sources if name != VOCALS]
        if target in sources or target not in (ACCOMPANIMENT, VOCALS):
            made[target] = {target: 1}
        elif others and target == ACCOMPANIMENT:
            made[target] = dict.fromkeys(others, 1)
        else:
            (only,) = sources
            made[target] = {None: 1, only: -gain}
    return made


def _chosen(targets: Sequence[str], known, default, who) -> tuple[str, ...]:
    """The targets that were asked for, or else `default`. Raises UserError for an unknown one."""
    for target in targets:
        if target not in known:
            raise UserError(f"unknown target {target!r}; {who} has {', '.join(in_order(known))}")
    return in_order(targets or default)
