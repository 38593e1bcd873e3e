"""Divide and Remaster v2: the music, effects and speech of films, mixed from other data sets.

Petermann, Wichern, Wang and Le Roux, "The Cocktail Fork Problem" (ICASSP 2022). `pipelines.films`
makes more of the same layout.
"""

from pipelines.datasets.named_stems import folder_of, tracks_of
from pipelines.tracks.opening import say
from pipelines.tracks.split import Request, Split

FOLDERS = {"train": "tr", "valid": "cv", "test": "tt"}
SOURCES = ("music", "sfx", "speech")
LAYOUT = "tr|cv|tt/<id>/{mix,music,sfx,speech}.wav"


def open_dnr(
    root, request: Request, *, include_val: bool = False, max_skipped: float = 0.1
) -> Split | None:
    """Open Divide and Remaster v2: ROOT/{tr,cv,tt}/<id>/{mix,music,sfx,speech}.wav.

    `include_val` adds cv/ to the training tracks. It validates all the same, as in the recipes of
    AIMLESS, but then on tracks that were trained on.
    """
    if request.split not in FOLDERS:
        return None
    root = request.root(root)
    folder = folder_of(root, FOLDERS[request.split], request, LAYOUT)
    if folder is None:
        return None
    names = {source: source for source in SOURCES}
    tracks = tracks_of(folder, names, "mix")
    if include_val and request.split == "train":
        more = folder_of(root, FOLDERS["valid"], request, LAYOUT)
        tracks += tracks_of(more, names, "mix")
    elif include_val and request.training:
        say(f"{folder}: validation is on tracks that are trained on too (include_val)")
    return Split(
        root, folder, request.split, "dnr", tracks, SOURCES,
        need_mixture=True, max_skipped=max_skipped, hint=LAYOUT,
    )  # fmt: skip
