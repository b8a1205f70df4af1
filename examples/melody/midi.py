"""A tune as a MIDI file, and as sound."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from examples.melody import abc_notation as abc, tunes
from examples.packages import imported

FIDDLE = 40  # the violin of General MIDI, counted from 0
TICKS = 480  # of a quarter
BEAT = 0.6  # seconds; a bar has two beats, one of 9/8 three and one of 12/8 four
RATE = 16_000  # samples a second
SECONDS = 20


def seconds_of_whole(tune: Sequence[str]) -> float:
    """How long a whole note is."""
    metre = tune[0].removeprefix("M:")
    beats = {"9/8": 3, "12/8": 4}.get(metre, 2)
    return BEAT * beats / float(abc.length_of_bar(metre))


def write(tune: Sequence[str], path: Path) -> None:
    """Write a tune as a MIDI file, its repeats played out."""
    mido = imported("mido")
    track = mido.MidiTrack()
    upper, lower = map(int, tune[0].removeprefix("M:").split("/"))
    metre = {"numerator": upper, "denominator": lower}
    track.append(mido.MetaMessage("time_signature", **metre, time=0))
    tempo = round(seconds_of_whole(tune) / 4 * 1e6)
    track.append(mido.MetaMessage("set_tempo", tempo=tempo, time=0))
    track.append(mido.Message("program_change", program=FIDDLE, time=0))
    now, written = Fraction(0), 0
    for token in tunes.played(tune):
        pitch, sixteenths = abc.heard(token)
        begin, now = now, now + sixteenths * TICKS / 4
        if pitch is None:
            continue
        for kind, at in (("note_on", begin), ("note_off", now)):
            velocity = 80 if kind == "note_on" else 0
            event = {"note": pitch, "velocity": velocity}
            track.append(mido.Message(kind, **event, time=round(at) - written))
            written = round(at)
    made = mido.MidiFile(ticks_per_beat=TICKS)
    made.tracks.append(track)
    made.save(path)


def read(path: Path) -> list[tuple[int, Fraction, Fraction]]:
    """The notes of a MIDI file of one track: pitch, begin and length in sixteenths."""
    (track,) = imported("mido").MidiFile(path).tracks
    now, begun, found = 0, {}, []
    for message in track:
        now += message.time
        if message.type == "note_on":
            begun[message.note] = now
        elif message.type == "note_off":
            begin = begun.pop(message.note)
            ticks = (Fraction(4 * t, TICKS) for t in (begin, now - begin))
            found.append((message.note, *ticks))
    return found


def sound(tune: Sequence[str]) -> np.ndarray:
    """The first 20 seconds of a tune, `RATE` samples a second between -1 and 1.

    A note is a few harmonics that begin quickly and fade. Music without a player's
    hand: no loudness, no bow, no swing.
    """
    whole = seconds_of_whole(tune)
    samples, now = np.zeros(RATE * SECONDS), 0.0
    for token in tunes.played(tune):
        pitch, sixteenths = abc.heard(token)
        seconds = float(sixteenths) / 16 * whole
        begin, now = round(now * RATE), now + seconds
        if begin >= len(samples):
            break
        if pitch is not None:
            wave = _note(pitch, seconds)[: len(samples) - begin]
            samples[begin : begin + len(wave)] += wave
    end = np.linspace(1, 0, RATE)  # the last second fades
    samples[-RATE:] *= end
    return samples / max(np.abs(samples).max(), 1e-9) * 0.8


def write_sound(tune: Sequence[str], path: Path) -> None:
    """Write the first 20 seconds of a tune as an MP3 file."""
    imported("soundfile").write(path, sound(tune), RATE, format="MP3")


def _note(pitch: int, seconds: float) -> np.ndarray:
    t = np.arange(round((seconds + 0.1) * RATE)) / RATE
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    harmonics = [k for k in range(1, 8) if k * frequency < RATE / 2]
    wave = sum(np.sin(2 * np.pi * k * frequency * t) / k**1.5 for k in harmonics)
    return (
        wave
        * np.minimum(t / 0.01, 1)
        * np.exp(-3 * t)
        * np.minimum((t[-1] - t) / 0.1, 1)
    )
