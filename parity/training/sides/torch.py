"""The side of torch: as one trains there. Imported inside functions, needs torch."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from lstm_jax import LSTMSpec
from parity.arrays import tensor_of
from parity.judge.tensors import Array
from parity.training.recipe import Recipe
from parity.training.work import Moment, Work

_OPTIMIZERS = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


class Model(torch.nn.Module):
    """`nn.LSTM`, then `nn.Linear` on the outputs of the last step.

    With dropout it is a chain of LSTMs of one layer, and the outputs of each are
    multiplied by masks that are given: torch's own would be other draws.
    """

    def __init__(self, work: Work) -> None:
        super().__init__()
        arguments = work.spec.constructor_arguments()
        if not work.dropout:
            self.lstm = torch.nn.LSTM(**arguments, batch_first=True)
        else:
            layers = [
                _layer(work.spec, arguments, k) for k in range(work.spec.num_layers)
            ]
            self.lstm = torch.nn.ModuleList(layers)
        self.fc = torch.nn.Linear(
            work.spec.num_directions * work.spec.output_size, work.ys.shape[-1]
        )

    def forward(self, xs: torch.Tensor, masks: list[torch.Tensor]) -> torch.Tensor:
        """Predict `(B, O)` from `(B, T, I)`."""
        layers = [self.lstm] if isinstance(self.lstm, torch.nn.LSTM) else [*self.lstm]
        out, _ = layers[0](xs)
        for layer, mask in zip(layers[1:], masks, strict=True):
            out, _ = layer(out * mask)
        return self.fc(out[:, -1])


def _layer(spec: LSTMSpec, arguments: dict[str, Any], layer: int) -> torch.nn.LSTM:
    features = spec.num_directions * spec.output_size if layer else spec.input_size
    sizes = {"num_layers": 1, "input_size": features}
    return torch.nn.LSTM(**(arguments | sizes), batch_first=True)


class Trained:
    """A model of torch in one type, with the names of an `LSTMModel`."""

    def __init__(self, work: Work, dtype: str, rows: Array | None = None) -> None:
        self.work, self.dtype = work, dtype
        self.rows = np.arange(work.xs.shape[1]) if rows is None else rows
        self.model = Model(work).to(getattr(torch, dtype))
        held = dict(self.model.named_parameters())
        self.params = {name: held[self._own_name(name)] for name in work.params}
        for name, param in self.params.items():
            _ = param.data.copy_(tensor_of(work.params[name]))

    def _own_name(self, name: str) -> str:
        """The name of a parameter here: a layer of a chain has names of its own."""
        place = LSTMSpec.parse_key(name.removeprefix("lstm."))
        if place is None or not self.work.dropout:
            return name
        return f"lstm.{place.layer}.{place._replace(layer=0)}"

    def loss(self, step: int, masks: str) -> torch.Tensor:
        """The mean of the squared errors of a step; `masks` is JAX's type of them."""
        dropped = self.work.masks(step, masks)
        arrays = self.work.xs[step], self.work.ys[step], *dropped
        ordered = (tensor_of(array[self.rows]) for array in arrays)
        xs, ys, *kept = (tensor.to(getattr(torch, self.dtype)) for tensor in ordered)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "LSTM with projections is not supported")
            return torch.nn.functional.mse_loss(self.model(xs, kept), ys)

    def gradients(
        self, step: int, masks: str, weights: dict[str, Array]
    ) -> tuple[float, dict[str, Array]]:
        """Loss and gradients of a step, at these weights."""
        for name, param in self.params.items():
            _ = param.data.copy_(torch.from_numpy(weights[name]))
        loss = self.loss(step, masks)
        found = torch.autograd.grad(loss, list(self.params.values()))
        named = zip(self.params, found, strict=True)
        return loss.item(), {name: gradient.numpy() for name, gradient in named}

    def weights(self) -> dict[str, Array]:
        """Copies of the weights."""
        return {name: p.detach().numpy().copy() for name, p in self.params.items()}


def train(
    work: Work, recipe: Recipe, dtype: str, masks: str, rows: Array | None = None
) -> Iterator[Moment]:
    """The steps of torch's own optimizer.

    Args:
        work: The model and its batches.
        recipe: The optimizer.
        dtype: Of the weights.
        masks: JAX's type of the masks of dropout.
        rows: The order of the rows of each batch: another one gives the same sums,
            rounded otherwise. None means as they are.
    """
    trained = Trained(work, dtype, rows)
    optimizer = _OPTIMIZERS[recipe.optimizer](
        trained.model.parameters(), lr=recipe.rate, **_options(recipe)
    )
    most = float("inf") if recipe.clip is None else recipe.clip
    for step in range(work.steps):
        optimizer.zero_grad()
        loss = trained.loss(step, masks)
        _ = loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained.model.parameters(), most)
        _ = optimizer.step()
        yield Moment(loss.item(), norm.item(), trained.weights())


def _options(recipe: Recipe) -> dict[str, Any]:
    own: dict[str, Any] = {"momentum": recipe.momentum}
    if recipe.adaptive:
        own = {"betas": (recipe.b1, recipe.b2), "eps": recipe.eps}
    return {"weight_decay": recipe.weight_decay, **own}
