"""The tracks of a search, open for as long as it runs, in a form that other processes can take."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from pipelines import datasets
from pipelines.evaluation import song
from pipelines.evaluation.data import choose, find, open_dataset
from pipelines.evaluation.waves import Waves
from pipelines.tracks.split import Split
from pipelines.tracks.track import Clip, Track, in_order
from xumx_jax import files
from xumx_jax.errors import UserError


@dataclass(frozen=True)
class Music:
    """One track: clips of all `sources`, silent where it has none of that name."""

    name: str
    rate: int
    channels: int
    samples: int
    sources: tuple[str, ...]
    clips: tuple[Clip, ...]

    def waves(self) -> Waves:
        """The sources, [source, channel, time]."""
        return Waves(self.clips, self.channels, self.samples)

    def has(self, source: str) -> bool:
        """Whether the track has a source."""
        return bool(self.clips[self.sources.index(source)])


def tracks(options) -> tuple[Split, tuple[Track, ...]]:
    """The data that the command line names, and the tracks chosen from it. Raises UserError.

    Without a data set's name it is the validation split of MUSDB18 if that is in the root, which
    is part of its train/, or else the root's folder of the subset's name.
    """
    name, root = options.dataset, files.expanded(options.root or "")
    folder = options.root and (root / options.subset).is_dir()
    if not name and options.root and not folder and (root / "train").is_dir():
        name = "musdb" if datasets.guess(options.root) == "musdb" else None
    if name:
        given = datasets.parse_options(name, options.dataset_option)
        if options.is_wav:
            given["is_wav"] = True
        data = open_dataset(name, options.root, options.subset, options.targets, given)
    else:
        data = find(options.root, options.subset, options.is_wav)
    return data, choose(data, options.track, options.limit)


def targets(wanted: Sequence[str], data: Split, chosen: Sequence[Track]) -> tuple[str, ...]:
    """The sources to score: those wanted, or else those that most of the tracks have."""
    there = in_order(source for track in chosen for source in track.sources)
    for target in wanted:
        if target not in there:
            raise UserError(f"unknown target {target!r}; {data.root} has {', '.join(there)}")
    return tuple(dict.fromkeys(wanted)) or data.usual(chosen)


@contextmanager
def opened(data: Split, chosen: Sequence[Track], scored: Sequence[str]) -> Iterator[list[Music]]:
    """Open all tracks; STEMS are decoded into a temporary folder (TMPDIR) for as long.

    Raises UserError on a track that cannot be read, that has none of the scored sources or that
    has another sample rate than the first.
    """
    found: list[Music] = []
    with ExitStack() as stack:
        for track in chosen:
            one = stack.enter_context(song.opened(track, data))
            sources = (*scored, *(name for name in data.sources if name not in scored))
            clips = tuple(one.stems.get(name, ()) for name in sources)
            music = Music(track.name, one.rate, one.channels, one.samples, sources, clips)
            if not any(map(music.has, scored)):
                raise UserError(f"{track.path}: none of {', '.join(scored)} in it; leave it out")
            if found and music.rate != found[0].rate:
                raise UserError(
                    f"{track.path}: {music.rate} Hz, but {found[0].name} has {found[0].rate}; a "
                    "search takes tracks of one sample rate"
                )
            found.append(music)
        yield found
