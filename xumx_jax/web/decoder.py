"""The child process that decodes what strangers send: `python -m xumx_jax.web.decoder SETTINGS`.

Decoders are native code that was not written for hostile files, so they run where little can come
of it: with limits on memory, processor time and files that the process sets for itself before it
imports any of them, without environment, and with nothing open but the file, as stdin, and a pipe,
as stdout. It never starts JAX. `child` and `decoding` are the other end.

SETTINGS is JSON: the suffix of the file's name, whether its tags are wanted, and the limits. What
goes through the pipe are frames: a byte that tells the kind, four that count those that follow
(little-endian), and these:

    cover      the picture among the tags, as it is in the file; before the header
    header     JSON: rate, channels, length, estimate, tags (text), mime
    block      float32 [channel, time], little-endian; all but the last have BLOCK_SAMPLES
    warning    a line
    end        nothing
    error      JSON: code and line
"""

import json
import os
import struct
import sys

HEADER, COVER, BLOCK, WARNING, END, ERROR = b"hcbweE"
KINDS = {HEADER, COVER, BLOCK, WARNING, END, ERROR}
BLOCK_SAMPLES = 1 << 16
NAME = "track"  # of the file in messages, before its suffix
_MOST_TEXT = 1 << 17  # characters of a tag; longer ones than half of it reach no stem
MOST_COVER = 1 << 24  # bytes; no format of the stems holds as many
_FILES = 64  # that may be open, libraries among them while they are imported


def main() -> int:
    settings = json.loads(sys.argv[1])
    restrict(settings["memory_bytes"], settings["cpu_seconds"])
    # what native code prints must not come between frames
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    file = open(0, "rb", buffering=0, closefd=False)
    file.name = NAME + settings["suffix"]
    try:
        send_file(out, file, settings["tags"])
    except BrokenPipeError:  # nobody reads on
        return 1
    return 0


def restrict(memory_bytes, cpu_seconds) -> None:
    """Limit what this process may use from now on; not on Windows, which has no such limits."""
    try:
        import resource
    except ImportError:
        return
    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: _FILES,
        resource.RLIMIT_CORE: 0,
    }
    for kind, wanted in limits.items():
        _, most = resource.getrlimit(kind)
        value = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        # at the soft limit of time comes SIGXCPU, which tells why; at the hard one SIGKILL
        hard = value + 1 if kind == resource.RLIMIT_CPU and value != most else value
        try:
            resource.setrlimit(kind, (value, hard))
        except (ValueError, OSError):  # macOS takes no limit of memory
            continue


def send_file(out, file, tags) -> None:
    """Decode an open file and send what there is; whatever goes wrong becomes a frame."""
    from xumx_jax.audio.decode import open_blocks
    from xumx_jax.errors import CutOff, UserError, collected

    try:
        with collected(lambda line: send(out, WARNING, line.encode(errors="replace"))):
            with open_blocks(file, tags=tags) as stream:
                send_stream(out, stream)
    except CutOff as error:
        _send_error(out, "cut_off", str(error).removesuffix(CutOff.HINT))
    except UserError as error:
        _send_error(out, "not_audio", str(error))
    except BrokenPipeError:
        raise
    except BaseException as error:  # what no file should cause, yet it must not end in silence
        _send_error(out, "not_audio", f"{file.name}: cannot be decoded ({type(error).__name__})")


def send_stream(out, stream) -> None:
    """Send an `AudioStream`."""
    import numpy as np

    header = {
        "rate": stream.rate,
        "channels": stream.channels,
        "length": stream.length,
        "estimate": stream.estimate,
        "tags": {name: value[:_MOST_TEXT] for name, value in stream.tags.text.items()},
        "mime": stream.tags.mime,
    }
    if stream.tags.cover:
        send(out, COVER, stream.tags.cover[:MOST_COVER])
    send(out, HEADER, json.dumps(header, ensure_ascii=False).encode())
    full, filled = np.empty((stream.channels, BLOCK_SAMPLES), "<f4"), 0
    for block in stream:
        at = 0
        while at < block.shape[1]:
            some = min(BLOCK_SAMPLES - filled, block.shape[1] - at)
            full[:, filled : filled + some] = block[:, at : at + some]
            at, filled = at + some, filled + some
            if filled == BLOCK_SAMPLES:
                send(out, BLOCK, full.tobytes())
                filled = 0
    if filled:
        send(out, BLOCK, full[:, :filled].tobytes())
    send(out, END, b"")


def _send_error(out, code, line):
    send(out, ERROR, json.dumps({"code": code, "line": line}).encode())


def send(out, kind, payload) -> None:
    """Write one frame to an unbuffered file, whose single writes may be short."""
    data = memoryview(struct.pack("<BI", kind, len(payload)) + payload)
    while data:
        data = data[out.write(data) :]


if __name__ == "__main__":
    sys.exit(main())
