"""2,000 files with damaged headers, over all containers: nothing is lost, and every one is told."""

import gc
import signal
import sys

import fuzzing
import pytest

from xumx_jax.web import decoding

SEED = 20261130


@pytest.mark.slow
def test_damaged_headers_cost_nothing(tmp_path):
    fuzzing.fuzz(100, SEED + 1, tmp_path)  # what is needed once
    gc.collect()
    before, memory = held(), fuzzing.resident()
    outcome = fuzzing.fuzz(2000, SEED, tmp_path)
    print(f"seed {SEED}: {outcome.counts}, {[path.name for path in outcome.ended]}")
    assert outcome.counts.total() == 2000
    assert min(outcome.counts[kind] for kind in ("decoded", "not_audio", "cut_off")) > 10
    gc.collect()
    assert held() == before
    assert fuzzing.resident() - memory < 50
    assert set(tmp_path.iterdir()) == set(outcome.ended)


@pytest.mark.slow
def test_a_file_that_ends_the_decoder_is_known(tmp_path, monkeypatch):
    """A crash and a hang among good files, which are decoded all the same."""
    whole = fuzzing.whole_files(tmp_path)
    paths = [tmp_path / name for name in ("1.mp3", "2.crash", "3.flac", "4.hang", "5.wav")]
    for path in paths:
        path.write_bytes(whole.get(path.suffix, b""))
    harm = f"""
    if path.endswith(".crash"): os.kill(os.getpid(), {int(signal.SIGSEGV)})
    if path.endswith(".hang"): decoder.os.read(os.pipe()[0], 1)
"""
    head, loop = fuzzing.MANY.split("    with open(path", 1)
    monkeypatch.setattr(fuzzing, "MANY", head + harm.lstrip("\n") + "    with open(path" + loop)
    limits = decoding.Limits(60, cpu_seconds=60, wait_seconds=60, silent_seconds=3)
    outcome = fuzzing.decode_many(paths, limits)
    assert outcome.ended == [paths[1], paths[3]]
    assert outcome.counts == {"decoded": 3, "ended the decoder": 2}


@pytest.mark.slow
def test_the_program_behind_make_fuzz_decodes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["fuzzing", "--files", "60", "--seed", "7"])
    assert fuzzing.main() == 0
    assert "'decoded': " in capsys.readouterr().out and (tmp_path / "build" / "fuzz").is_dir()


def test_a_damaged_file_is_known_by_seed_and_number(tmp_path):
    whole = fuzzing.whole_files(tmp_path)
    made = [fuzzing.mutated(whole, SEED, index) for index in range(len(whole))]
    assert made == [fuzzing.mutated(whole, SEED, index) for index in range(len(whole))]
    assert made != [fuzzing.mutated(whole, SEED + 1, index) for index in range(len(whole))]
    assert [suffix for suffix, _ in made] == list(whole)
    assert sum(data != whole[suffix] for suffix, data in made) > len(whole) // 2


def held():
    return fuzzing.descriptors(), fuzzing.children()
