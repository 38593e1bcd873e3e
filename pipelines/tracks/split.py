"""One split of a data set: its tracks, by name and by file, and the request that opens it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipelines.tracks import folders
from pipelines.tracks.names import ACCOMPANIMENT, VOCALS
from pipelines.tracks.scene import Scene
from pipelines.tracks.track import Clip, Track, in_order
from xumx_jax import files
from xumx_jax.errors import UserError


@dataclass(frozen=True)
class Request:
    """What a split is opened for; a data set uses the fields that it needs.

    split     train, valid or test; evaluation may name any subset of the data
    targets   of the model; in evaluation those that were asked for, usually none
    rate      of the model in Hz; None: that of the files
    channels  of the batches, or 2
    seconds   length of mixes that are drawn rather than found
    training  False: for evaluation, which reads ROOT/<split> and no substitute for it
    """

    split: str
    targets: tuple[str, ...] = ()
    rate: int | None = None
    channels: int = 2
    seconds: float = 10.0
    training: bool = True

    def root(self, root) -> Path:
        """The root as a path. Raises UserError if none was given or it is not a folder."""
        if not root:
            option = "--config.data.root" if self.training else "--root"
            raise UserError(f"no data: give its folder, {option}=FOLDER")
        root = files.expanded(root)
        if self.training and not root.is_dir():
            raise UserError(f"{root}: not a folder; wanted the root of a data set")
        return root

    def folder(self, root: Path) -> Path | None:
        """The folder of the split; if missing, None for training, UserError for evaluation."""
        if self.training:
            return folders.split_for_training(root, self.split)
        return folders.split_for_evaluation(root, self.split)

    def option(self, dataset: str, name: str) -> str:
        """How an option of a data set is written on the command line."""
        return f"--config.data.{dataset}.{name}" if self.training else f"--dataset-option {name}"


@dataclass(frozen=True)
class Split:
    """The tracks of one split, before any of them is opened.

    root, folder   of the data set, and of the split in it
    subset         its name
    kind           its name in reports: the data set, or its form
    tracks         in order
    known          sources that add up to a mixture, in the order of the data set; if not given,
                   those that tracks have
    clips          {source: its clips}, instead of tracks, if sources do not belong together
    names          of the first source's clips in that case
    need_mixture   tracks without their own mixture cannot be trained on
    max_skipped    share of tracks that training may leave out
    skipped        (name, reason) of what was already left out
    cache          the folder for decoded STEMS
    hint           what the folder should hold
    identity       what identifies the data, if it is not names, sizes and times of files
    scene          how the excerpts of an example of `clips` lie, if that is drawn together
    """

    root: Path
    folder: Path
    subset: str
    kind: str
    tracks: tuple[Track, ...] = ()
    known: tuple[str, ...] = ()
    clips: Mapping[str, tuple[Clip, ...]] | None = None
    names: tuple[str, ...] = ()
    need_mixture: bool = False
    max_skipped: float = 0.1
    skipped: tuple[tuple[str, str], ...] = ()
    cache: Path | None = None
    hint: str = "folders of stems"
    identity: str = ""
    scene: Scene | None = None

    @cached_property
    def counts(self) -> Counter:
        """The number of tracks that have each source."""
        return Counter(source for track in self.tracks for source in track.sources)

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that any track has, in the order of columns."""
        return in_order(self.counts)

    @property
    def common(self) -> tuple[str, ...]:
        """The sources that more than half of the tracks have: every track should have them."""
        return tuple(name for name in self.sources if 2 * self.counts[name] > len(self.tracks))

    def usual(self, tracks: Sequence[Track]) -> tuple[str, ...]:
        """The sources that more than half of these tracks have, or else all that any of them has.

        What a track or two have besides is no reason to miss it in the others.
        """
        counts = Counter(source for track in tracks for source in track.sources)
        usual = [name for name, count in counts.items() if 2 * count > len(tracks)]
        return in_order(usual or counts)

    @property
    def targets(self) -> tuple[str, ...]:
        """Every target that can be scored: sources, and "accompaniment", everything but vocals."""
        if VOCALS in self.sources and len(self.sources) > 1:
            return tuple(dict.fromkeys([*self.sources, ACCOMPANIMENT]))
        return self.sources

    def parts(self, track: Track, target: str) -> tuple[str, ...]:
        """The sources that add up to a target of a track."""
        if target in self.sources or target != ACCOMPANIMENT:
            return (target,)
        common = self.common
        every = [*common, *(name for name in track.sources if name not in common)]
        return tuple(name for name in every if name != VOCALS)

    def known_for(self, targets: Iterable[str]) -> tuple[str, ...]:
        """The sources that tracks should have: `known`, or else judged by what they do have.

        The latter are those that more than half of the tracks have, and targets that any has.
        """
        if self.known:
            return self.known
        enough = len(self.tracks) / 2
        return tuple(
            sorted(name for name, count in self.counts.items() if count > enough or name in targets)
        )
