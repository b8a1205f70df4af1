"""Fiddle tunes, note by note, beside a model that counts.

The tunes of Ryan's Mammoth Collection, 1883, each mode in one key. What the models make
is judged, too: does a tune end, does every bar add up, and how much of it is copied?
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from examples import kneser_ney, language
from examples.form import MODEL, Example, Outcome, Size
from examples.melody import abc_notation, midi, picture, tunes
from lstm_jax import train
from lstm_jax.model import LSTMModel

BITS, MIXED = "bits a token", "bits a token, mixture"
WHOLE, COPIED = "whole tunes, %", "longest copied run, notes"
ORDERS = (2, 5, 7)  # the last is the best on the validation tunes
HELD_OUT, COUNTED = "tunes held out", "Kneser-Ney, {} tokens"
NUCLEUS, LONGEST = 0.9, 400
LANES, CHUNK, RATE = 32, 32, 1e-2


def run(size: Size, seed: int) -> Outcome:
    """Train and count, score the tunes held out, and make new ones."""
    fast, parts = size == "fast", tunes.parts()
    vocabulary = tunes.vocabulary_of(parts.train)
    train_, valid, test = (
        tunes.numbered(some[:64] if fast else some, vocabulary)
        for some in (parts.train, parts.valid, parts.test)
    )
    model, losses = fitted(train_, valid, len(vocabulary), fast, seed)
    bits = {MODEL: bits_of(model, test)}
    rows: dict[str, dict[str, float]] = {MODEL: {}}
    steps = {MODEL: language.stepping(model)}
    count, longest = (2, 40) if fast else (32, LONGEST)
    counts = [kneser_ney.fit(train_, order, len(vocabulary)) for order in ORDERS]
    for counted in counts:
        name = COUNTED.format(counted.order)
        bits[name] = np.concatenate([counted.bits(tune) for tune in test])
        steps[name] = counted.step
    best = np.concatenate([counts[-1].bits(tune) for tune in valid])
    weight = language.best_weight(bits_of(model, valid), best)
    mixture = language.mixed(weight, bits[MODEL], bits[COUNTED.format(ORDERS[-1])])
    known, made = tunes.text_of_notes(parts.train), {HELD_OUT: parts.test}
    for name, step in steps.items():
        rows[name] = {BITS: float(bits[name].mean())}
        made[name] = sampled(step, vocabulary, (count, longest), seed)
    rows[MODEL][MIXED] = float(mixture.mean())
    for name, some in made.items():
        rows[name] = rows.get(name, {}) | judged(some, known)
    return Outcome(rows, losses, (made, weight))


def fitted(
    tunes_: Sequence[np.ndarray],
    valid: Sequence[np.ndarray],
    size: int,
    fast: bool,
    seed: int,
) -> tuple[LSTMModel, tuple[float, float]]:
    """A trained model, and its loss in the first epoch and in the last."""
    order = np.random.default_rng(seed).permutation(len(tunes_))
    hidden, epochs = (16, 2) if fast else (160, 8)
    options: Any = {"num_embeddings": size, "outputs": "all"}
    options |= {"forget_bias": 1.0, "rngs": nnx.Rngs(seed)}
    model = LSTMModel(64, hidden, size, **options)
    how: Any = {"loss": "cross_entropy", "rate": RATE, "epochs": epochs}
    made = train.fit(
        model,
        batches([tunes_[number] for number in order]),
        validation=batches(valid),
        patience=4,
        seed=seed,
        **how,
    )
    first, *_, last = made.history["loss"]
    return made.model, (float(first), float(last))


def batches(some: Sequence[np.ndarray]) -> train.Streams:
    """Each tune is a stream: it begins with the state of zeros, after an end."""
    xs = [np.roll(tune, 1) for tune in some]
    return train.streams(xs, some, chunk=CHUNK, lanes=LANES)


def bits_of(model: LSTMModel, some: Sequence[np.ndarray]) -> np.ndarray:
    """Bits of each token of some tunes, one tune after the other."""
    longest = max(map(len, some))
    ys = np.stack([np.pad(tune, (0, longest - len(tune))) for tune in some])
    xs = np.pad(ys[:, :-1], ((0, 0), (1, 0)))
    found = language.bits(model, xs, ys)
    return np.concatenate([row[: len(t)] for row, t in zip(found, some, strict=True)])


def sampled(
    step: language.Step, vocabulary: Sequence[str], shape: tuple[int, int], seed: int
) -> list[list[str]]:
    """So many new tunes of so many tokens at most; one that has no end is empty."""

    def pick(p: np.ndarray) -> np.ndarray:
        p[:, tunes.UNKNOWN] = 0
        return language.nucleus(p, NUCLEUS)

    rng, first = np.random.default_rng(seed), [tunes.END] * shape[0]
    drawn = language.sample(step, first, shape[1], rng, pick, tunes.END)
    return [tunes.tune_of(numbers, vocabulary) for numbers in drawn]


def judged(some: Sequence[Sequence[str]], training: str) -> dict[str, float]:
    """The share of whole tunes, and the longest run that half of them have copied."""
    whole = 100 * float(np.mean([tunes.adds_up(tune) for tune in some]))
    runs = [tunes.copied(tune, training) for tune in some if tune]
    return {WHOLE: whole, COPIED: float(np.median(runs or [0]))}


def draw(outcome: Outcome, folder: Path) -> None:
    """The first whole tune of each; where none is whole, the first at all."""
    made, weight = outcome.kept
    names = {MODEL: "LSTM", COUNTED.format(5): "Kneser-Ney", HELD_OUT: "held out"}
    some = {name: list(filter(tunes.playable, made[name])) for name in names}
    shown = {
        called: max(some[name], key=tunes.adds_up)  # the first of the best
        for name, called in names.items()
        if some[name]
    }
    picture.draw(shown, folder / "rolls.png")
    sound = folder / "sound"
    sound.mkdir(exist_ok=True)
    for name, tune in shown.items():
        stem = name.lower().replace(" ", "_").replace("-", "_")
        midi.write(tune, sound / f"{stem}.mid")
        midi.write_sound(tune, sound / f"{stem}.mp3")
        text = abc_notation.written(tune, name)
        _ = (sound / f"{stem}.abc").write_text(text, encoding="utf-8")
        print(text)
    print(f"the LSTM has {weight:.2f} of the mixture")


EXAMPLE = Example(Path(__file__).parent, str(__doc__), BITS, "lowest", run, draw)

if __name__ == "__main__":
    _ = EXAMPLE.main()
