"""The same model, trained by lstm_jax and by torch: one step of Adam for each batch."""

from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import parity
from examples.published.task import Task
from lstm_jax import LSTMModel
from lstm_jax.train import Batch, cross_entropy, squared_error


class Learner(Protocol):
    """A model that learns."""

    def step(self, batch: Batch) -> float:
        """Change the weights by one batch; the loss before."""
        ...

    def outputs(self, batch: Batch) -> np.ndarray:
        """What the model predicts."""
        ...


class Ours:
    """`LSTMModel` and optax."""

    def __init__(self, task: Task, model: LSTMModel) -> None:
        loss = cross_entropy if task.score == "accuracy" else squared_error
        clip = optax.clip_by_global_norm(task.clip)
        rate = optax.cosine_decay_schedule(task.rate, task.steps)
        optimizer = optax.chain(clip, optax.adam(rate))
        graph, self.params = nnx.split(model)
        self.state = optimizer.init(self.params)

        def run(params: Any, batch: Batch) -> jax.Array:
            return nnx.merge(graph, params)(batch.xs, lengths=batch.lengths)

        def objective(params: Any, batch: Batch) -> jax.Array:
            return loss(run(params, batch), jnp.asarray(batch.ys)).mean()

        def update(params: Any, state: Any, batch: Batch) -> Any:
            value, gradients = jax.value_and_grad(objective)(params, batch)
            changes, state = optimizer.update(gradients, state)
            return optax.apply_updates(params, changes), state, value

        self._run, self._update = jax.jit(run), jax.jit(update)

    def step(self, batch: Batch) -> float:
        """Change the weights by one batch; the loss before."""
        self.params, self.state, loss = self._update(self.params, self.state, batch)
        return float(loss)

    def outputs(self, batch: Batch) -> np.ndarray:
        """What the model predicts."""
        return np.asarray(self._run(self.params, batch))


class Torchs:
    """The same model as a module of torch, by `parity.to_torch`, and torch's Adam."""

    def __init__(self, task: Task, model: LSTMModel) -> None:
        import torch

        self.torch, self.task, self.steps = torch, task, 0
        self.model = parity.to_torch(model)
        self.optimizer = torch.optim.Adam(self.model.parameters(), task.rate)
        functions = torch.nn.functional
        classes = task.score == "accuracy"
        self.loss = functions.cross_entropy if classes else functions.mse_loss

    def step(self, batch: Batch) -> float:
        """Change the weights by one batch; the loss before."""
        ys = self.torch.from_numpy(batch.ys)
        ys = ys if ys.is_floating_point() else ys.long()
        self.optimizer.zero_grad()
        loss = self.loss(self._run(batch), ys)
        _ = loss.backward()
        parameters = self.model.parameters()
        _ = self.torch.nn.utils.clip_grad_norm_(parameters, self.task.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = self.task.rate_at(self.steps)
        _ = self.optimizer.step()
        self.steps += 1
        return float(loss.detach())

    def outputs(self, batch: Batch) -> np.ndarray:
        """What the model predicts."""
        with self.torch.no_grad():
            return self._run(batch).numpy()

    def _run(self, batch: Batch) -> Any:
        lengths = batch.lengths
        lengths = None if lengths is None else self.torch.from_numpy(lengths).long()
        return self.model(self.torch.from_numpy(batch.xs), lengths)


LEARNERS: dict[str, type[Learner]] = {"lstm_jax": Ours, "torch": Torchs}
