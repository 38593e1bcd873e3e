"""Files with damaged headers, decoded as the server decodes uploads: `make fuzz`.

    python tests/fuzzing.py --files 100000

Many files go through one child, which is started again when one of them has ended it; the file is
then known, and kept. A decoder that crashes or hangs is no fault of ours as long as the server
survives it. What must never happen is that this process fails, or loses memory, descriptors or
children; then the exit status is 1.
"""

import argparse
import io
import json
import random
import struct
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from encoded import encode_av  # noqa: E402

from xumx_jax.errors import collected  # noqa: E402
from xumx_jax.web import child, decoding  # noqa: E402
from xumx_jax.web.decoder import ERROR  # noqa: E402

# {suffix: codec}
_ENCODED = {
    **{".wav": "adpcm_ms", ".w64": "pcm_s16le", ".aiff": "pcm_s16be", ".au": "pcm_s16be"},
    **{".caf": "alac", ".flac": "flac", ".opus": "libopus", ".mp2": "mp2", ".mp3": "libmp3lame"},
    **{".m4a": "alac", ".mp4": "aac", ".mov": "pcm_s16le", ".3gp": "aac", ".mka": "aac"},
    **{".webm": "libopus", ".avi": "libmp3lame", ".asf": "libmp3lame", ".flv": "libmp3lame"},
    **{".ts": "aac", ".mpg": "mp2", ".vob": "ac3", ".aac": "aac", ".latm": "aac", ".ac3": "ac3"},
    **{".eac3": "eac3", ".wv": "wavpack", ".tta": "tta", ".voc": "pcm_s16le", ".sox": "pcm_s32le"},
    **{".sf": "pcm_s16le", ".rm": "ac3", ".swf": "libmp3lame", ".nut": "libmp3lame", ".wtv": "mp2"},
    **{".sbc": "sbc", ".ast": "pcm_s16be_planar", ".apm": "adpcm_ima_apm", ".adx": "adpcm_adx"},
    **{".spdif": "ac3", ".ismv": "aac"},
}
# {suffix: how files begin that nothing here can write}
_BEGIN = {
    ".ape": b"MAC \x96\x0f\0\0" + bytes(68),
    ".tak": b"tBaK\x01\x0f\0\0",
    ".dsf": b"DSD " + struct.pack("<QQQ", 28, 9000, 0) + b"fmt " + struct.pack("<Q", 52),
    ".dff": b"FRM8" + struct.pack(">Q", 9000) + b"DSD FVER" + struct.pack(">QI", 4, 1 << 24),
    ".mpc": b"MPCKSH" + bytes(16),
    ".mp+": b"MP+\x07" + bytes(24),
    ".amr": b"#!AMR\n",
    ".shn": b"ajkg\x02",
    ".dts": b"\x7f\xfe\x80\x01\xfc\x3c",
    ".mlp": b"\0\0\0\0\xf8\x72\x6f\xbb",
    ".oma": b"EA3\x01\0\x60\xff\xff",
    ".qcp": b"RIFF\0\x10\0\0QLCMfmt ",
    ".mxf": bytes.fromhex("060e2b34020501010d01020101020400"),
    ".vqf": b"TWIN97012000",
    ".mid": b"MThd\0\0\0\6",
}
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
# Decode the files that stdin lists, one after the other, as `decoder` does its only one.
MANY = """
import json, os, sys
from xumx_jax.web import decoder
settings = json.loads(sys.argv[1])
paths = [json.loads(line) for line in open(0)]
decoder.restrict(settings["memory_bytes"], settings["cpu_seconds"])
out = os.fdopen(os.dup(1), "wb", buffering=0)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
for path in paths:
    with open(path, "rb", buffering=0) as file:
        file.name = decoder.NAME + os.path.splitext(path)[1]
        decoder.send_file(out, file, True)
"""


def whole_files(folder) -> dict[str, bytes]:
    """{suffix: a short file, or how one begins} of every container."""
    found = {}
    tone = np.float32([np.sin(np.arange(4000) / 9) / 2] * 2)
    for suffix, codec in _ENCODED.items():
        path = Path(folder, "x" + suffix)
        encode_av(path, tone, 48000 if codec == "libopus" else 44100, codec)
        found[suffix] = path.read_bytes()
        path.unlink()
    file = io.BytesIO()
    soundfile.write(file, tone.T, 44100, format="OGG")
    rng = random.Random(0)
    begun = {suffix: begin + rng.randbytes(3000) for suffix, begin in _BEGIN.items()}
    return {**found, ".ogg": file.getvalue(), **begun}


def mutated(whole: dict[str, bytes], seed: int, index: int) -> tuple[str, bytes]:
    """The `index`th damaged file of a seed: its suffix, and what is in it."""
    rng = random.Random(f"{seed}/{index}")
    suffix = list(whole)[index % len(whole)]
    data = bytearray(whole[suffix])
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        head = min(len(data), rng.choice((16, 64, 256, 1024)))
        at = rng.randrange(head) if head else 0
        match rng.randrange(6):
            case 0:  # a byte
                data[at : at + 1] = rng.randbytes(1)
            case 1:  # a number
                order = rng.choice(("<I", ">I", "<Q", ">Q", "<H", ">H"))
                number = struct.pack(
                    order, rng.choice(_NUMBERS) % (1 << 8 * struct.calcsize(order))
                )
                data[at : at + len(number)] = number
            case 2:  # something is missing
                del data[at : at + rng.randrange(1, 64)]
            case 3:  # something is there twice
                data[at:at] = data[at : at + rng.randrange(1, 256)]
            case 4:  # cut off
                del data[rng.randrange(len(data) + 1) :]
            case _:  # the beginning of another container
                other = whole[rng.choice(list(whole))]
                data[: min(at + 4, 64)] = other[: min(at + 4, 64)]
    return suffix, bytes(data)


@dataclass
class Outcome:
    """What became of the files: how many of each kind, and those that ended a child."""

    counts: Counter = field(default_factory=Counter)
    ended: list[Path] = field(default_factory=list)


class _Child(child.Child):
    kind = None  # of the last frame

    def frame(self):
        self.kind, data = super().frame()
        return self.kind, data


def decode_many(paths, limits: decoding.Limits) -> Outcome:
    """Decode every file in children, and read what they send as the server does."""
    outcome, rest = Outcome(), list(paths)
    while rest:
        rest = rest[_decode_some(rest, limits, outcome) :]
    return outcome


def _decode_some(paths, limits, outcome) -> int:
    """Decode until a child must be ended -> how many files that were."""
    settings = {"memory_bytes": limits.memory_bytes, "cpu_seconds": limits.cpu_seconds}
    usual, child.PROGRAM = child.PROGRAM, ("-c", MANY)
    try:
        with tempfile.TemporaryFile() as listed:
            listed.writelines(json.dumps(str(path)).encode() + b"\n" for path in paths)
            listed.seek(0)
            process = _Child(listed, settings, limits.wait_seconds, limits.silent_seconds)
    finally:
        child.PROGRAM = usual
    try:
        for done, path in enumerate(paths, 1):
            name = "track" + path.suffix
            reader = decoding._Reader(process, "label" + path.suffix, name, limits.max_seconds)
            try:
                with collected(lambda line: None):
                    for _ in reader.stream():
                        pass
            except decoding.Refused as error:
                text = str(error)
                assert text.startswith("label") and text.isprintable() and len(text) < 400, text
                ended = error.code == "took_too_long" or text.endswith(decoding._BROKEN)
                outcome.counts["ended the decoder" if ended else error.code] += 1
                if ended:
                    outcome.ended.append(path)
                if ended or process.kind != ERROR:  # it sends on, if it can
                    return done
            else:
                outcome.counts["decoded"] += 1
        return len(paths)
    finally:
        process.close()


def fuzz(files: int, seed: int, folder: Path, seconds: float | None = None) -> Outcome:
    """Decode so many damaged files, in batches, for so many seconds; those that ended a child stay.

    In `folder` they are called by seed and number.
    """
    limits = decoding.Limits(60, cpu_seconds=300, wait_seconds=600, silent_seconds=10)
    whole, total, begin = whole_files(folder), Outcome(), time.monotonic()
    for first in range(0, files, 500):
        paths = []
        for index in range(first, min(files, first + 500)):
            suffix, data = mutated(whole, seed, index)
            paths.append(folder / f"{seed}-{index}{suffix}")
            paths[-1].write_bytes(data)
        outcome = decode_many(paths, limits)
        total.counts += outcome.counts
        total.ended += outcome.ended
        for path in set(paths) - set(outcome.ended):
            path.unlink()
        if seconds is not None and time.monotonic() - begin > seconds:
            break
    return total


def descriptors(process="self") -> list[str]:
    """What a process has open, as far as it is known here."""
    folder = Path("/proc", str(process), "fd")
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def children(process="self") -> list[str]:
    """The children of a process, those among them that have ended and were not waited for."""
    found = []
    for path in Path("/proc", str(process), "task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            found += path.read_text().split()
    return sorted(found)


def resident() -> float:
    """The memory of this process in MB, 0 if it is not known here."""
    path = Path("/proc/self/status")
    return int(path.read_text().split("VmRSS:")[1].split()[0]) / 1024 if path.exists() else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description="decode files with damaged headers")
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument(
        "--out", type=Path, default=Path("build/fuzz"), help="for what ends a child"
    )
    options = parser.parse_args()
    options.out = options.out.absolute()  # children are in another folder
    options.out.mkdir(parents=True, exist_ok=True)
    print(f"seed {options.seed}", flush=True)
    fuzz(500, options.seed + 1, options.out)  # memory that is needed once
    before, held = resident(), (descriptors(), children())
    outcome = fuzz(options.files, options.seed, options.out)
    grown, lost = resident() - before, (descriptors(), children()) != held
    for path in outcome.ended:
        print(f"ended the decoder: {path}")
    print(f"{dict(outcome.counts)}; {grown:.0f} MB more memory")
    if lost:
        print(f"descriptors or children were lost: {held} became {(descriptors(), children())}")
    if not outcome.counts["decoded"]:
        print("not one file was decoded: the children are broken, not the files")
    return int(grown > 100 or lost or not outcome.counts["decoded"])


if __name__ == "__main__":
    sys.exit(main())
