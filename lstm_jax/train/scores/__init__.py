"""What a run is worth: its scores, and the baselines that they stand beside."""

from lstm_jax.train.scores.baselines import (
    Baseline as Baseline,
    baseline_losses as baseline_losses,
    fit_baselines as fit_baselines,
)
from lstm_jax.train.scores.table import (
    Scores as Scores,
    check_quantiles as check_quantiles,
    score as score,
)
