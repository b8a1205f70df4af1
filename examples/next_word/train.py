"""Shakespeare's next word and next character, beside models that count.

The works that are scored are held out whole: Hamlet, As You Like It and Henry V.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from examples import kneser_ney, language
from examples.form import MODEL, Example, Outcome, Size
from examples.next_word import data, picture
from examples.next_word.picture import Measured, Sizes
from lstm_jax import train
from lstm_jax.model import LSTMModel

PERPLEXITY, BITS, MIXED = "word perplexity", "bits a character", ", mixture"
STREAMS, CHUNK, RATE = 32, 32, 5e-3
PIECE = 4096  # tokens of the held-out works that are read in one go
TEMPERATURE = 0.7
# Words and characters of the n-grams. On the validation works the longest are the best
# of those that were tried, up to 5 words and 8 characters.
ORDERS = ((2, 2), (3, 6), (5, 8))


# What is trained: features of a token, of the cell and of the output (0: as the cell),
# steps of `STREAMS * CHUNK` tokens, and tokens of the sample. The long run reads every
# training token once.
WORDS: dict[Size, Sizes] = {
    "fast": Sizes(16, 16, 0, steps=60, drawn=20),
    "usual": Sizes(128, 256, 128, steps=600, drawn=120),
    "long": Sizes(128, 256, 128, steps=1110, drawn=120),
}
CHARACTERS: dict[Size, Sizes] = {
    "fast": Sizes(16, 16, 0, steps=60, drawn=80),
    "usual": Sizes(32, 256, 0, steps=900, drawn=400),
    "long": Sizes(32, 256, 0, steps=4153, drawn=400),
}


def run(size: Size, seed: int) -> Outcome:
    """Train and score both levels."""
    texts, orders = data.works(), tuple(zip(*ORDERS, strict=True))
    held = 4096 if size == "fast" else None
    parts = data.parts(texts, data.words, data.text_of, 5000, held)
    words = measured(WORDS[size], parts, orders[0], seed)
    parts = data.parts(texts, list, "".join, 1000, held)
    characters = measured(CHARACTERS[size], parts, orders[1], seed)
    rows = {
        MODEL: {
            PERPLEXITY: perplexity(words.model),
            PERPLEXITY + MIXED: perplexity(words.mixture),
            BITS: float(characters.model.mean()),
            BITS + MIXED: float(characters.mixture.mean()),
        }
    }
    for i, (one, other) in enumerate(ORDERS):
        rows[f"Kneser-Ney, {one} words, {other} characters"] = {
            PERPLEXITY: perplexity(words.counted[i]),
            BITS: float(characters.counted[i].mean()),
        }
    return Outcome(rows, words.losses, (words, characters))


def perplexity(bits: np.ndarray) -> float:
    """Of tokens with so many bits each: as many equally likely ones have as many."""
    return float(2 ** bits.mean())


def measured(
    sizes: Sizes, parts: data.Parts, orders: Sequence[int], seed: int
) -> Measured:
    """Train and count on the training works, and predict the others."""
    model, losses = fitted(sizes, parts, seed)
    valid, test = (
        language.bits_of(model, np.concatenate(works), PIECE)
        for works in (parts.valid, parts.test)
    )
    fit = partial(kneser_ney.fit, parts.train, size=len(parts.vocabulary))
    counts = [fit(order) for order in orders]
    counted = [[c.bits(work) for work in parts.test] for c in counts]
    best = np.concatenate([counts[-1].bits(work) for work in parts.valid])
    weight = language.best_weight(valid, best)
    return Measured(
        model=test,
        counted=[np.concatenate(each) for each in counted],
        mixture=language.mixed(weight, test, np.concatenate(counted[-1])),
        seen=np.concatenate([counts[-1].seen(work) for work in parts.test]),
        parts=parts,
        weight=weight,
        losses=losses,
        sample=sampled(model, sizes.drawn, parts, seed),
    )


def fitted(
    sizes: Sizes, parts: data.Parts, seed: int
) -> tuple[LSTMModel, tuple[float, float]]:
    """A trained model, and its loss on the first batch before and after."""
    size, rng = len(parts.vocabulary), np.random.default_rng(seed)
    text = np.concatenate([parts.train[i] for i in rng.permutation(len(parts.train))])
    steps = (len(text) - 1) // STREAMS
    cut = steps * STREAMS
    xs, ys = (text[i : cut + i].reshape(STREAMS, steps) for i in (0, 1))
    options: Any = {"num_embeddings": size, "proj_size": sizes.projection}
    options |= {"outputs": "all", "forget_bias": 1.0, "rngs": nnx.Rngs(seed)}
    model = LSTMModel(sizes.embedding, sizes.hidden, size, **options)
    batches = train.streams(xs, ys, chunk=CHUNK)
    how: Any = {"loss": "cross_entropy", "rate": RATE, "steps": sizes.steps}
    made = train.fit(model, batches, seed=seed, **how).model
    first = xs[:, :CHUNK], ys[:, :CHUNK]
    before, after = (language.bits(one, *first).mean() for one in (model, made))
    return made, (float(before * np.log(2)), float(after * np.log(2)))


def sampled(model: LSTMModel, length: int, parts: data.Parts, seed: int) -> str:
    """A text that the model makes, without unknown tokens."""

    def pick(p: np.ndarray) -> np.ndarray:
        p[:, 0] = 0
        return language.tempered(p, TEMPERATURE)

    rng = np.random.default_rng(seed)
    step = language.stepping(model)
    (drawn,) = language.sample(step, [parts.end], length, rng, pick)
    return parts.text(drawn)


def draw(outcome: Outcome, folder: Path) -> None:
    """The picture, and the samples."""
    words, characters = outcome.kept
    picture.draw(words, characters, folder / "where.png")
    text = f"{words.sample}\n\n----\n\n{characters.sample}\n"
    _ = (folder / "sample.txt").write_text(text, encoding="utf-8")
    print(text)
    for name, one in (("words", words), ("characters", characters)):
        print(f"{name}: the LSTM has {one.weight:.2f} of the mixture")


EXAMPLE = Example(
    Path(__file__).parent, str(__doc__), PERPLEXITY, "lowest", run, draw, long=True
)

if __name__ == "__main__":
    _ = EXAMPLE.main()
