"""Pictures of a run: its losses, and what it predicts beside the truth.

matplotlib is imported inside the functions. The same numbers give the same file.
"""

from lstm_jax.train.pictures.losses import curve as curve
from lstm_jax.train.pictures.series import prediction as prediction
