"""Fiddle tunes: ABC notation, bars, MIDI and sound."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples import packages
from examples.melody import abc_notation as abc, midi, tunes
from tests.given import ROOT

FOLDER = ROOT / "examples" / "melody"

HEAD = "X:1\nT:A Tune -- Reel\nM:2/4\nL:1/16\nK:{}\n"


def notes(body: str, key: str = "C") -> list[str]:
    return abc.read(HEAD.format(key) + body)[2:]


def test_a_tune_is_its_metre_its_mode_its_notes_and_its_bar_lines() -> None:
    text = HEAD.format("D") + "A2|.d2(fd) ceAc|dAfd z4:|"
    expected = "M:2/4 K:major G2 | c2 e c B d G B | c G e c z4 :|"
    assert abc.read(text) == expected.split()


@pytest.mark.parametrize(
    ("key", "mode", "up"),
    [("C", "major", 0), ("Am", "minor", 0), ("Bb", "major", 2), ("F#m", "minor", 3),
     ("Ador", "dorian", 5), ("Dmix", "mixolydian", 5), ("Glydian", "lydian", -2),
     ("EM", "minor", 5), ("AMin", "minor", 0)],
)  # fmt: skip
def test_every_key_of_a_mode_is_the_same(key: str, mode: str, up: int) -> None:
    tonic, found, signature = abc.key_of(key)
    assert found == mode
    assert (abc.TONICS[mode] - tonic - up) % 12 == 0
    found = abc.read(HEAD.format(key) + "CDEFGAB|")[2:]
    assert not any(token.startswith("^") for token in found)
    assert len(signature) <= 6


def test_lengths_broken_rhythms_and_triplets_are_written_out() -> None:
    assert notes("c4d/e//f3/2|") == ["c4", "d1/2", "e1/4", "f3/2", "|"]
    assert notes("c>d e<f g2>>a2|") == (
        ["c3/2", "d1/2", "e1/2", "f3/2", "g7/2", "a1/2", "|"]
    )
    assert notes("(3cde f (3(gab)|") == (
        ["c2/3", "d2/3", "e2/3", "f", "g2/3", "a2/3", "b2/3", "|"]
    )
    assert abc.read("X:1\nM:C|\nK:C\nc|")[:3] == ["M:2/2", "K:major", "c2"]


def test_an_accidental_holds_up_to_the_bar_line() -> None:
    found = ["^f", "^f", "F", "f", "|", "f", "^a", "|"]
    assert notes("^ffF=f|f_b|") == found
    assert notes("cBc|", "F") == ["G", "F", "G", "|"]


def test_octaves_are_commas_and_apostrophes() -> None:
    found = notes("C,Cc'c|")
    assert found == ["C,", "C", "c'", "c", "|"]
    pitches = [48, 60, 84, 72]
    assert [abc.heard(token)[0] for token in found[:-1]] == pitches
    assert [abc.note(p, Fraction(1)) for p in pitches] == found[:-1]


def test_what_is_not_the_melody_is_left_out() -> None:
    assert notes('v"4"{ag}T.c ([eg]2-[e2g2])uf~k"_D.C."[|]|') == (
        ["c", "g2", "g2", "f", "|"]
    )
    assert notes("cd \\\nef=20|=\ng|") == ["c", "d", "e", "f", "|", "g", "|"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [("|:c|d:|", "|: c | d :|"), ("c::d:||:e||", "c :|: d :|: e |"),
     ("c|1d:|2e|]", "c |1 d :|2 e |"), ("c|[1 d:|[2 e|]", "c |1 d :|2 e |"),
     ("c|2 d", "c |2 d |"), ("c|\n|d|", "c | d |")],
)  # fmt: skip
def test_bar_lines(body: str, expected: str) -> None:
    assert notes(body) == expected.split()


@pytest.mark.parametrize("body", ["K:G\nc|", "[M:3/4]c|", "(7cdefgab|", "c&d|", ">c|"])
def test_what_is_not_understood_is_not_read(body: str) -> None:
    with pytest.raises(ValueError, match="is not read"):
        _ = notes("c|\n" + body)


def test_a_written_tune_reads_the_same() -> None:
    made = notes("^FF=F|z3/2_B/c'4|:D,>d|1(3ABc:|2d|]")
    tune = ["M:2/4", "K:major", *made]
    text = abc.written(tune, "again")
    assert "^F ^F =F |" in text
    assert abc.read(text) == tune


EIGHT = "c8|" * 8


@pytest.mark.parametrize(
    ("body", "whole"),
    [(EIGHT, True), ("c8|" * 7, False), (EIGHT + "c7|", False), (EIGHT + "c9|", False),
     ("c2|" + EIGHT + "c6|", True), ("c2|" + EIGHT + "c7|", False),
     ("c2|" + EIGHT + "c6:|c2|" + EIGHT + "c6:|", True),
     (EIGHT + "c4:|c4|" + EIGHT, True), (EIGHT + "c3|c5|" + EIGHT, True),
     (EIGHT + "c7|c8|c8|", False), ("c2|" + EIGHT + "|1c6:|2c8|]", True),
     ("c9|" + EIGHT, False), (EIGHT + "(3c2d2e2 c4|", True)],
)  # fmt: skip
def test_a_tune_is_whole_where_every_bar_adds_up(body: str, whole: bool) -> None:
    assert tunes.adds_up(abc.read(HEAD.format("C") + body)) == whole


def test_a_tune_can_be_played_with_a_head_and_a_note() -> None:
    head = ["M:2/4", "K:major"]
    assert tunes.playable([*head, "c", "|"])
    for tune in ([], head, [*head, "|"], ["c", *head, "|"], [*head, "c", "<unk>"]):
        assert not tunes.playable(tune)


def test_a_tune_is_whole_only_with_its_head_and_its_end() -> None:
    tune = abc.read(HEAD.format("C") + EIGHT)
    assert tunes.adds_up(tune)
    assert not tunes.adds_up([])
    assert not tunes.adds_up(tune[1:])
    assert not tunes.adds_up([tune[1], tune[0], *tune[2:]])
    assert not tunes.adds_up(tune[:-1])
    assert not tunes.adds_up([*tune, "<unk>"])
    assert not tunes.adds_up([*tune, "M:2/4"])


@pytest.mark.parametrize(
    ("body", "heard"),
    [("c|d|", "cd"), ("c|d:|e|", "cdcde"), ("c:|:d:|", "ccdd"), ("c::d:|", "ccdd"),
     ("|:c|1d:|2e|f|", "cdcef"), ("a|:c:|d|", "accd"), ("c|1d:|2e||:f:|", "cdceff")],
)  # fmt: skip
def test_repeats_are_played_twice(body: str, heard: str) -> None:
    assert "".join(tunes.played(abc.read(HEAD.format("C") + body))) == heard


def test_the_longest_copied_run_is_within_one_tune() -> None:
    known = tunes.text_of_notes([["c", "d", "|", "e2"], ["f", "g"]])
    assert tunes.copied(["a", "d", "|", "|", "e2", "f"], known) == 2
    assert tunes.copied(["c", "d", "e2"], known) == 3
    assert tunes.copied(["e", "d2"], known) == 0
    assert tunes.copied([], known) == 0


@pytest.fixture(scope="module")
def parts() -> tunes.Parts:
    return tunes.parts()


def test_the_tunes_are_split_by_title(parts: Any) -> None:
    assert parts.files == 1059
    sizes = [len(some) for some in (parts.train, parts.valid, parts.test)]
    assert sizes == [778, 95, 99]
    every = [tuple(t) for some in (parts.train, parts.valid, parts.test) for t in some]
    assert len(set(every)) == len(every)
    assert tunes.title_of("X:1\nT: T:The Fox, The -- Reel\n") == "the fox"
    one, other = "T:FOX-HUNTER'S -- JIG\n", "T:Fox-Hunter's -- Reel\n"
    assert tunes.title_of(one) == tunes.title_of(other)


def test_nineteen_of_twenty_real_tunes_add_up(parts: Any) -> None:
    whole = [tunes.adds_up(tune) for tune in parts.train]
    assert 0.94 < np.mean(whole) < 0.96


def test_tokens_and_numbers(parts: Any) -> None:
    vocabulary = tunes.vocabulary_of([["c", "d"], ["d", "c", "e"]])
    assert vocabulary == ("<end>", "<unk>", "c", "d")
    (numbers,) = tunes.numbered([["d", "e"]], vocabulary)
    assert numbers.tolist() == [3, tunes.UNKNOWN, tunes.END]
    assert tunes.tune_of(np.array([3, 2, 0, 3, 0]), vocabulary) == ["d", "c"]
    assert tunes.tune_of(np.array([3, 2]), vocabulary) == []
    assert 250 < len(tunes.vocabulary_of(parts.train)) < 300


def test_a_midi_file_has_the_notes_the_key_and_the_bars(
    parts: Any, tmp_path: Path
) -> None:
    tune = next(t for t in parts.test if tunes.adds_up(t) and t[0] == "M:2/4")
    midi.write(tune, tmp_path / "tune.mid")
    found = midi.read(tmp_path / "tune.mid")
    played = [abc.heard(token) for token in tunes.played(tune)]
    assert len(found) == len([p for p, _ in played if p is not None])
    begins, now = [], Fraction(0)
    for pitch, length in played:
        if pitch is not None:
            begins.append((pitch, now, length))
        now += length
    assert found == begins
    scale = {0, 2, 4, 5, 7, 9, 11}
    in_key = [pitch % 12 in scale for pitch, _, _ in found]
    assert np.mean(in_key) > 0.9
    whole_bars = now / (16 * abc.length_of_bar("2/4"))
    assert whole_bars.denominator == 1
    assert whole_bars >= 16


def test_a_midi_file_says_its_instrument_and_tempo(tmp_path: Path) -> None:
    midi.write(abc.read(HEAD.format("C") + "c4z4|"), tmp_path / "tune.mid")
    (track,) = packages.imported("mido").MidiFile(tmp_path / "tune.mid").tracks
    found = {message.type: message for message in track}
    assert found["program_change"].program == midi.FIDDLE
    assert found["set_tempo"].tempo == 600_000  # two beats of 0.6 s in two quarters
    assert found["time_signature"].numerator == 2


def test_a_note_sounds_at_its_pitch() -> None:
    samples = midi.sound(["M:2/2", "K:major", "a32", "|"])[: midi.RATE]
    assert np.abs(samples).max() <= 0.8
    loudest = np.abs(np.fft.rfft(samples)).argmax()
    assert loudest == 880  # one second: hertz


def test_a_missing_package_is_told_with_its_cure(monkeypatch: Any) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    with pytest.raises(SystemExit, match=r"--no-deps music21` in the clone"):
        _ = tunes.parts()


def test_the_readme_shows_the_recorded_sample() -> None:
    sample = (FOLDER / "sound" / "lstm.abc").read_text("utf-8")
    assert f"```\n{sample}```" in (FOLDER / "README.md").read_text("utf-8")
