"""Training: from arrays, tables or streams to a model that PyTorch loads.

It needs the extra `train`: pandas, optax, Orbax and matplotlib.
"""

from lstm_jax.train.batch import Arrays as Arrays, Batch as Batch, Rows as Rows
from lstm_jax.train.chunks import Streams as Streams, streams as streams
from lstm_jax.train.fitting import fit as fit, resume as resume
from lstm_jax.train.losses import (
    cross_entropy as cross_entropy,
    pinball as pinball,
    squared_error as squared_error,
)
from lstm_jax.train.optimizers import (
    clip_grad_norm as clip_grad_norm,
    torch_optimizer as torch_optimizer,
)
from lstm_jax.train.predicting import model_for as model_for
from lstm_jax.train.run import Run as Run, load as load, section_of as section_of
from lstm_jax.train.scores import Scores as Scores, score as score
from lstm_jax.train.starting import start_from as start_from
from lstm_jax.train.table.dataset import Dataset as Dataset, windows as windows
from lstm_jax.train.table.files.reading import Table as Table, read_csv as read_csv
from lstm_jax.train.table.recipe import Recipe as Recipe
from lstm_jax.train.table.standardizer import Standardizer as Standardizer
from lstm_jax.train.table.windows import Windows as Windows
