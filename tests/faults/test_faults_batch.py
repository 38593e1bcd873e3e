"""Two writers of one folder, and a device without memory; the list is in test_faults.py."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from jax.errors import JaxRuntimeError
from separating import RATE, SOURCES, noise, stems_in, write

from xumx_jax import audio
from xumx_jax.separation.chunk_runner import ChunkRunner
from xumx_jax.separation.umx import offline

ROOT = Path(__file__).parents[2]
LENGTHS = {1: 3000, 2: 5000}

# Write stems full of its own number whenever a line comes.
WRITER = f"""
import sys
import numpy as np
from pathlib import Path
from xumx_jax import audio
number, length = int(sys.argv[1]), {LENGTHS}[int(sys.argv[1])]
paths = {{name: Path("out", "song", name + ".wav") for name in {SOURCES}}}
wave = np.full((2, length), number / 4, np.float32)
print("ready", flush=True)
for line in sys.stdin:
    with audio.StemWriter(paths, {RATE}, 2, "wav", "32f") as writer:
        writer.write(dict.fromkeys(paths, wave))
    print("written", flush=True)
"""


def test_row_27_one_folder_of_stems(tmp_path):
    """Each time the stems are all of one process, and whole."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(number)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in LENGTHS
    ]
    ends = set()
    try:
        assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
        for turn in range(60):
            for process in processes[:: 1 if turn % 2 else -1]:
                process.stdin.write("go\n")
                process.stdin.flush()
            assert [process.stdout.readline() for process in processes] == ["written\n"] * 2
            stems = [audio.decode(tmp_path / "out" / "song" / f"{name}.wav")[0] for name in SOURCES]
            owners = {round(float(stem[0, 0]) * 4) for stem in stems}
            assert len(owners) == 1, turn
            (owner,) = owners
            assert {stem.shape for stem in stems} == {(2, LENGTHS[owner])}
            ends.add(owner)
    finally:
        for process in processes:
            process.stdin.close()
            process.wait(60)
            process.stdout.close()
    assert stems_in(tmp_path) == [f"out/song/{name}.wav" for name in SOURCES]


@pytest.fixture
def run(run_separate):
    return run_separate


@pytest.mark.slow
def test_row_28_out_of_memory(run, monkeypatch, tmp_path):
    """Smaller steps give the same stems; where there are none, the next track comes."""
    write("song.wav", noise(9000))
    chosen = ("song.wav", "--stems", "bass", "--bits", "32f", "--overlap", 0, "--chunk-seconds", 3)
    assert run(*chosen, "--out", "enough")[::2] == (0, "")
    usual, asked = ChunkRunner.run, []

    def short(self, *arguments, **more):
        asked.append(arguments)
        if len(asked) == 1:
            raise JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")
        return usual(self, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(ChunkRunner, "run", short)
        status, _, err = run(*chosen, "--out", "short")
    said = (
        "xumx: warning: song.wav: the device has too little memory: continuing with chunks of 1.50"
    )
    assert status == 0 and err.startswith(said) and err.count("\n") == 1
    wanted, found = (audio.decode(f"{out}/song/bass.wav")[0] for out in ("enough", "short"))
    np.testing.assert_allclose(found, wanted, atol=1e-6)

    def never(*_, **__):
        raise JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")

    write("other.wav", noise(400))
    with monkeypatch.context() as patch:
        patch.setattr(offline, "_encode", never)
        status, _, err = run("song.wav", "other.wav", "--out", "never")
    errors = [line for line in err.splitlines() if line.startswith("xumx: error: ")]
    assert status == 1 and len(errors) == 2
    assert all("too little memory even for" in line and "--device cpu" in line for line in errors)
    assert not (tmp_path / "work" / "never").exists()
