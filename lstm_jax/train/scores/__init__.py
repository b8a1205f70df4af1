"""What a run is worth: its scores, and the baselines that they stand beside."""

from lstm_jax.train.scores.baselines import (
    Baseline as Baseline,
    fit_baselines as fit_baselines,
    losses as losses,
)
from lstm_jax.train.scores.table import Scores as Scores, score as score
