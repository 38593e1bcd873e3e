"""Songs of recordings: which kinds there are, what is in them, what is said of missing ones."""

from collections import Counter

import numpy as np
import pytest

from pipelines.songs import (
    SOURCES,
    __main__,
    arrange,
    effects,
    kinds,
    material,
    placing,
    render,
    score,
    stacks,
)


def test_what_is_missing_is_one_line(stock, tmp_path, capsys):
    command = [str(tmp_path / "out"), "--material", str(stock.root), "--engine", "plain"]
    assert __main__.main(command) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "pastabass from https://" in line
    assert "--without-missing" in line and "emilyguitar" not in line
    assert __main__.main([str(tmp_path / "out"), "--material", str(tmp_path / "none")]) == 2
    assert __main__.main([str(tmp_path / "out"), "--without-missing"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all(line.startswith("songs: error: --") for line in lines)
    assert not (tmp_path / "out").exists()


def test_kinds_come_as_often_as_the_table_says(stock):
    count = 600
    drawn = [kinds.draw(seed, stock) for seed in range(count)]
    centres = Counter(centre for centre, _ in drawn)
    for name, kind in kinds.CENTRES.items():
        assert abs(centres[name] / count - kind.share) < 4 * np.sqrt(kind.share / count), name
    traits = Counter(name for _, names in drawn for name in names)
    for name, kind in kinds.TRAITS.items():
        # Some are dropped where they exclude each other.
        assert 0.5 * kind.share < traits[name] / count < 1.4 * kind.share, name
    assert kinds.draw(7, stock) == kinds.draw(7, stock)
    assert sum(kind.share for kind in kinds.CENTRES.values()) == pytest.approx(1.0)


def test_a_third_of_the_songs_lacks_a_part(stock):
    plans = [arrange.arrange(seed, 12.0, stock) for seed in range(60)]
    lacking = Counter()
    for plan in plans:
        there = {part.source for part in plan.parts if part.notes}
        there |= {take.source for take in plan.takes}
        there |= {"drums"} if plan.kit["notes"] or plan.kit.get("loop") else set()
        there |= {"vocals"} if plan.singing else set()
        lacking.update(set(SOURCES) - there)
        lacking["some"] += bool(set(SOURCES) - there)
    assert 0.3 < lacking["some"] / len(plans) < 0.75, lacking
    assert lacking["vocals"] >= 10 and lacking["drums"] >= 3


def test_without_recordings_songs_have_lines_and_no_guests(tmp_path):
    drawn = [kinds.draw(seed, material.Stock(tmp_path)) for seed in range(100)]
    assert not {"guest", "album"} & {centre for centre, _ in drawn}
    assert {"line", "stack"} <= {centre for centre, _ in drawn}


def plans_of(centre, stock, seconds=12.0):
    seeds = [seed for seed in range(80) if kinds.draw(seed, stock)[0] == centre][:4]
    return [arrange.arrange(seed, seconds, stock) for seed in seeds]


def test_a_centre_is_what_carries_the_middle(stock):
    for plan in plans_of("line", stock):
        middle = [part for part in plan.parts if part.role.startswith("line ")]
        assert len(middle) == 1 and abs(middle[0].pan) < 0.3 and not plan.singing
    for plan in plans_of("both", stock):
        assert plan.singing and any(part.role.startswith("line ") for part in plan.parts)
    for plan in plans_of("stack", stock):
        others = [plan.levels_db[s] for s in SOURCES if s != "vocals"]
        assert plan.levels_db["vocals"] < np.mean(others) - 1
    for plan in plans_of("guest", stock):
        assert plan.takes[0].source == "vocals"
        assert 132 * 2 ** (-5 / 12) - 0.1 < plan.clock.tempo < 132 * 2 ** (3 / 12) + 0.1
    for plan in plans_of("track", stock):
        assert [take.source for take in plan.takes] == ["other"]
    for plan in plans_of("album", stock):
        assert {take.source for take in plan.takes} == {"vocals", "drums", "other"}
        assert {part.source for part in plan.parts} <= {"bass", "other"}


def test_plans_of_recordings_are_decided_by_the_seed(stock):
    first, again = (arrange.arrange(11, 12.0, stock) for _ in range(2))
    assert first == again


def test_held_out_recordings_make_songs_of_their_own(stock):
    held = stock._replace(held=True)
    for seed in range(30):
        plan = arrange.arrange(seed, 12.0, held)
        assert not any("hydrogen" in str(path) for take in plan.takes for path in take.paths)
        # Of Caesium, the second half is for reports alone.
        assert all(take.until <= 6.1 for take in plan.takes if take.source == "vocals")


def test_every_treatment_of_voices_is_a_chain_of_known_effects(stock):
    known = {*effects.PEDALS, *effects.OWN}
    for name in placing.VOICES:
        chain = placing.voice(np.random.default_rng(0), name, stock)
        assert chain and {effect for effect, *_ in chain} <= known, name


def test_stacks_have_three_to_eight_voices():
    rng = np.random.default_rng(0)
    sections = [score.Section("chorus", 0, 4, SOURCES, 1.0)]
    chords = [score.Chord(4.0 * bar, 4, 0, (0, 4, 7)) for bar in range(4)]
    sizes = {len(stacks.stack(rng, sections, chords, [0, 2, 4, 5, 7, 9, 11], 100.0))
             for _ in range(30)}  # fmt: skip
    assert sizes <= set(range(3, 9)) and len(sizes) > 2


@pytest.mark.slow
def test_every_kind_of_song_is_rendered(stock):
    seen = set()
    for seed in range(150):
        centre, traits = kinds.draw(seed, stock)
        if {centre, *traits} <= seen:
            continue
        seen |= {centre, *traits}
        song = render(seed, 8000, 3.0, "plain", stock=stock)
        assert song.stems.shape == (4, 2, 24000) and np.isfinite(song.stems).all()
        assert 0.5 <= np.abs(song.stems.sum(0)).max() <= 0.951, seed
        assert song.description["kind"]["centre"] == centre
    assert set(kinds.CENTRES) <= seen and set(kinds.TRAITS) <= seen
    again = render(3, 8000, 3.0, "plain", stock=stock)
    np.testing.assert_array_equal(again.stems, render(3, 8000, 3.0, "plain", stock=stock).stems)
