"""Fiddle tunes in ABC notation as tokens, and back.

A token is a note or a rest with its octave and its length, or a bar line. A tune
begins with its metre and its mode, and is moved to the notes without accidentals of
its mode. Decorations, grace notes, slurs and ties are left out; of a chord the highest
note is kept. Broken rhythms, triplets and accidentals are written out: a token alone
says its pitch and its length in sixteenths.
"""

import re
from collections.abc import Sequence
from fractions import Fraction

NAMES = ("C", "^C", "D", "^D", "E", "F", "^F", "G", "^G", "A", "^A", "B")
# Where the tonic is in the notes without accidentals.
TONICS = {"major": 0, "dorian": 2, "phrygian": 4, "lydian": 5, "mixolydian": 7}
TONICS |= {"minor": 9}
SHARPS, FLATS = "FCGDAEB", "BEADGCF"
SIXTEENTH = Fraction(1, 16)
# Notes in the time of how many: (3abc is 3 in the time of 2.
TUPLETS = {2: 3, 3: 2, 4: 3, 6: 2}

_KEY = re.compile(r"([A-G])([#b]?) ?(maj|min|m(?!ix)|dor|phr|lyd|mix|)", re.IGNORECASE)
_FIELD = re.compile(r"^[A-Za-z]:(?![|:])|\[[A-Z]:", re.MULTILINE)
_LEFT_OUT = re.compile(r'"[^"]*"|\{[^}]*\}|![^!]*!|%.*|\[\|\](?=[|:])|\\')
_MARKS = re.compile(r"[.~HLMOPSTUvuklrstnip\s`*y)\-]|\((?!\d)")
_BARS = re.compile(
    r"(?:\[\||\|\]|[|:])(?:\s*(?:\[\||\|\]|[|:]))*\s*(?:\[?([12])(?![\d/]))?"
    r"|\[([12])(?![\d/])"
)
_NOTE = re.compile(r"(\^|_|=)?([A-Ga-gzx])([,']*)(\d*)(/*)(\d*)")
_CHORD = re.compile(r"\[([^\]|]*)\](\d*)(/*)(\d*)")
_TUPLET = re.compile(r"\((\d)(?![:\d])")
_BROKEN = re.compile(r"\s*(>+|<+)")
_WRITTEN = re.compile(r"(\^?)([A-Ga-g])([,']*)(\d*)(?:/(\d+))?$")


def read(text: str) -> list[str]:
    """The tokens of a tune: its metre, its mode, its notes and its bar lines.

    Raises:
        ValueError: If the text has what is not read here, such as a change of key.
    """
    text = text.replace("\r", "").replace("=\n", "").replace("=20", " ")
    head, _, body = text.partition("\nK:")
    key, _, body = body.partition("\n")
    fields: dict[str, str] = dict(re.findall(r"^([MLR]): *(\S+)", head, re.MULTILINE))
    tonic, mode, signature = key_of(key)
    metre = fields.get("M", "C")
    metre = {"C": "4/4", "C|": "2/2"}.get(metre, metre)
    usual = "1/16" if length_of_bar(metre) < Fraction(3, 4) else "1/8"
    unit = Fraction(fields.get("L", usual))
    if _FIELD.search(body):
        raise ValueError("read: a field in the midst of a tune is not read.")
    up = (TONICS[mode] - tonic + 6) % 12 - 6
    tokens = _Reader(_LEFT_OUT.sub("", body), unit, signature, up).tokens()
    return [f"M:{metre}", f"K:{mode}", *tokens]


def key_of(text: str) -> tuple[int, str, dict[str, int]]:
    """Of a field such as `Ador`: the tonic, the mode, the accidentals of letters."""
    found = _KEY.match(text.strip())
    if not found or "=" in text:
        raise ValueError(f"key_of: {text!r} is not read.")
    letter, sign, short = found[1].upper(), found[2], found[3].lower()
    names = {"": "major", "maj": "major", "m": "minor", "min": "minor"}
    mode = names.get(short) or next(n for n in TONICS if n.startswith(short))
    tonic = (NAMES.index(letter) + {"#": 1, "b": -1, "": 0}[sign]) % 12
    major = (tonic - TONICS[mode]) % 12
    sharps = (major * 7) % 12  # steps on the circle of fifths
    if sharps > 6:
        return tonic, mode, dict.fromkeys(FLATS[: 12 - sharps], -1)
    return tonic, mode, dict.fromkeys(SHARPS[:sharps], 1)


def length_of_bar(metre: str) -> Fraction:
    """Of a metre such as `6/8`, in whole notes."""
    return Fraction(metre)


def note(pitch: int | None, sixteenths: Fraction) -> str:
    """The token of a MIDI pitch, or of a rest, with a length: `^f'3/2`."""
    length = "" if sixteenths == 1 else str(sixteenths)
    if pitch is None:
        return f"z{length}"
    octave, step = divmod(pitch - 60, 12)
    name = NAMES[step] if octave <= 0 else NAMES[step].lower()
    return name + "," * -min(octave, 0) + "'" * max(octave - 1, 0) + length


def is_note(token: str) -> bool:
    """Whether a token is a note or a rest."""
    return token[0] in "^zABCDEFGabcdefg"


def heard(token: str) -> tuple[int | None, Fraction]:
    """The MIDI pitch of a note, None of a rest, and its length in sixteenths."""
    if token[0] == "z":
        return None, Fraction(token[1:] or 1)
    found = _WRITTEN.match(token)
    if not found:
        raise ValueError(f"heard: {token!r} is no note.")
    letter = found[2]
    octave = found[3].count("'") - found[3].count(",") + letter.islower()
    pitch = 60 + NAMES.index(letter.upper()) + 12 * octave + len(found[1])
    return pitch, Fraction(int(found[4] or 1), int(found[5] or 1))


def written(tokens: Sequence[str], title: str) -> str:
    """A tune as other programs read it: an accidental holds up to the bar line."""
    metre, mode = tokens[0].removeprefix("M:"), tokens[1].removeprefix("K:")
    tonic = NAMES[TONICS[mode]]
    held: set[str] = set()
    body = []
    for token in tokens[2:]:
        name = re.sub(r"[\d/^]", "", token)
        if not is_note(token):
            held = set()
        elif token.startswith("^"):
            held.add(name)
        natural = "=" if name in held and not token.startswith("^") else ""
        held -= {name} if natural else set()
        body.append(natural + token)
    head = f"X:1\nT:{title}\nM:{metre}\nL:1/16\nK:{tonic}{mode[:3]}\n"
    return head + re.sub(r"((?:[^|]*\|){4}\S*) ", r"\1\n", " ".join(body)) + "\n"


class _Reader:
    """Goes through the notes of a tune."""

    def __init__(
        self, text: str, unit: Fraction, signature: dict[str, int], up: int
    ) -> None:
        self.text, self.unit, self.signature, self.up = text, unit, signature, up
        self.at = 0
        self.held: dict[str, int] = {}
        self.found: list[str | tuple[int | None, Fraction]] = []
        self.tuplet, self.left = Fraction(1), 0
        self.broken = Fraction(1)  # of the next note

    def tokens(self) -> list[str]:
        """Bar lines and notes."""
        while self.at < len(self.text):
            self._next()
        made = [t if isinstance(t, str) else note(*t) for t in self.found]
        while made and made[0] == "|":
            made = made[1:]
        return made if not made or "|" in made[-1] else [*made, "|"]

    def _next(self) -> None:
        for pattern, take in (
            (_BARS, self._bar), (_CHORD, self._chord), (_TUPLET, self._begin_tuplet),
            (_NOTE, self._note), (_BROKEN, self._break), (_MARKS, lambda _: None),
        ):  # fmt: skip
            found = pattern.match(self.text, self.at)
            if found:
                take(found)
                self.at = found.end()
                return
        raise ValueError(f"read: {self.text[self.at]!r} is not read.")

    def _bar(self, found: re.Match[str]) -> None:
        self.held = {}
        line = re.sub(r"[\s\[\]12]", "", found[0])
        closes, opens = line.startswith(":"), line.endswith(":") and len(line) > 1
        ending = found[1] or found[2] or ""
        shape = {(True, True): ":|:", (True, False): ":|", (False, True): "|:"}
        token = shape.get((closes, opens), "|") + ending
        if ending and self.found and str(self.found[-1]) in ("|", ":|"):
            token = str(self.found.pop()) + ending
        elif not ending and token == "|" and self.found and "|" in str(self.found[-1]):
            return
        self.found.append(token)

    def _note(self, found: re.Match[str]) -> None:
        self._add(self._pitch(found), _length(*found.groups()[3:]))

    def _chord(self, found: re.Match[str]) -> None:
        notes = [one for one in _NOTE.finditer(found[1]) if one[2] not in "zx"]
        if not notes:
            raise ValueError(f"read: {found[0]!r} is not read.")
        length = _length(*notes[0].groups()[3:]) * _length(*found.groups()[1:])
        self._add(max(self._pitch(one) or 0 for one in notes), length)

    def _pitch(self, found: re.Match[str]) -> int | None:
        sign, letter, octaves = found.groups()[:3]
        if letter in "zx":
            return None
        octave = octaves.count("'") - octaves.count(",") + letter.islower()
        place = f"{letter.upper()}{octave}"
        if sign:
            self.held[place] = {"^": 1, "_": -1, "=": 0}[sign]
        moved = self.held.get(place, self.signature.get(letter.upper(), 0))
        return 60 + NAMES.index(letter.upper()) + 12 * octave + moved + self.up

    def _add(self, pitch: int | None, length: Fraction) -> None:
        if self.left:
            length, self.left = length * self.tuplet, self.left - 1
        length *= self.broken * self.unit / SIXTEENTH
        self.broken = Fraction(1)
        self.found.append((pitch, length))

    def _begin_tuplet(self, found: re.Match[str]) -> None:
        self.left = int(found[1])
        if self.left not in TUPLETS:
            raise ValueError(f"read: {found[0]!r} is not read.")
        self.tuplet = Fraction(TUPLETS[self.left], self.left)

    def _break(self, found: re.Match[str]) -> None:
        shorter = Fraction(1, 2 ** len(found[1]))
        before, self.broken = 2 - shorter, shorter
        if found[1][0] == "<":
            before, self.broken = shorter, before
        if not self.found or isinstance(self.found[-1], str):
            raise ValueError("read: a broken rhythm without a note is not read.")
        pitch, length = self.found[-1]
        self.found[-1] = pitch, length * before


def _length(number: str, slashes: str, divisor: str) -> Fraction:
    below = int(divisor) if divisor else 2 ** len(slashes)
    return Fraction(int(number or 1), below if slashes else 1)
