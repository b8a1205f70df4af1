"""BeatNet around its LSTM, in NumPy: from audio to how likely a beat is at each frame.

The package needs madmom and librosa for this, which no longer build; these are madmom's
definitions with BeatNet's numbers: 50 frames a second, 136 logarithmic bands, their
logarithm and its rise, 272 features.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

RATE, HOP, FRAME = 22_050, 441, 1411
BANDS, LOWEST, HIGHEST, REFERENCE = 24, 30, 17_000, 440
FRAMES_PER_SECOND = RATE / HOP


def features(path: Path) -> np.ndarray:
    """`(T, 272)`: the logarithm of each band, and how much it rose."""
    bands = np.log10(1 + _spectrum(_samples(path)) @ _filters())
    rise = np.maximum(np.diff(bands, axis=0, prepend=bands[:1]), 0)
    return np.hstack([bands, rise]).astype(np.float32)


def before_lstm(weights: Mapping[str, np.ndarray], xs: np.ndarray) -> np.ndarray:
    """`(T, 150)`: a convolution over the bands, the larger of each two, a layer."""
    kernel = weights["conv1.weight"][:, 0]
    windows = np.lib.stride_tricks.sliding_window_view(xs, kernel.shape[1], axis=1)
    ys = np.einsum("tbk,ck->tcb", windows, kernel) + weights["conv1.bias"][:, None]
    ys = np.maximum(ys, 0)[..., : ys.shape[-1] // 2 * 2]
    ys = ys.reshape(*ys.shape[:2], -1, 2).max(-1).reshape(len(xs), -1)
    return ys @ weights["linear0.weight"].T + weights["linear0.bias"]


def beats(weights: Mapping[str, np.ndarray], ys: np.ndarray) -> np.ndarray:
    """Seconds at which a beat or a first beat is likely and a peak."""
    logits = ys @ weights["linear.weight"].T + weights["linear.bias"]
    likely = np.exp(logits - logits.max(-1, keepdims=True))
    beat = (likely[:, :2] / likely.sum(-1, keepdims=True)).sum(-1)
    before, at, after = beat[:-2], beat[1:-1], beat[2:]
    peaks = np.flatnonzero((at > 0.3) & (at >= before) & (at > after)) + 1
    return peaks / FRAMES_PER_SECOND


def _samples(path: Path) -> np.ndarray:
    import soundfile  # pyright: ignore[reportMissingImports]

    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return resample_poly(samples.mean(axis=1), RATE, rate)


def _spectrum(samples: np.ndarray) -> np.ndarray:
    """Magnitudes of frames around every 441st sample, zeros before and after."""
    count = -(-len(samples) // HOP)
    padded = np.pad(samples, (FRAME // 2, FRAME))
    frames = np.stack([padded[k * HOP : k * HOP + FRAME] for k in range(count)])
    return np.abs(np.fft.fft(frames * np.hanning(FRAME))[:, : FRAME // 2])


def _filters() -> np.ndarray:
    """`(705, 136)`: triangles from each band to the next but one, of area 1."""
    places = _places()
    filters = np.zeros((FRAME // 2, len(places) - 2))
    for band in range(len(places) - 2):
        start, middle, end = places[band : band + 3]
        if end - start < 2:
            middle, end = start, start + 1
        up = np.linspace(0, 1, middle - start, endpoint=False)
        down = np.linspace(1, 0, end - middle, endpoint=False)
        filters[start:end, band] = np.concatenate([up, down])
    return filters / filters.sum(axis=0)


def _places() -> np.ndarray:
    """The frequencies of the transform that are nearest to the bands', each once."""
    known = np.arange(FRAME // 2) * RATE / (FRAME // 2 * 2)
    lowest = np.floor(np.log2(LOWEST / REFERENCE) * BANDS)
    highest = np.ceil(np.log2(HIGHEST / REFERENCE) * BANDS)
    wanted = REFERENCE * 2 ** (np.arange(lowest, highest) / BANDS)
    wanted = wanted[(wanted >= LOWEST) & (wanted <= HIGHEST)]
    above = np.clip(known.searchsorted(wanted), 1, len(known) - 1)
    nearer_below = wanted - known[above - 1] < known[above] - wanted
    return np.unique(above - nearer_below)
