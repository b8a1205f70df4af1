"""A script of a dozen lines that shows a failure."""

import inspect
import textwrap
from importlib import import_module
from typing import Any

import numpy as np

import lstm_jax
from parity.judge.tensors import Run
from parity.report.report import Report
from parity.verify.conditions import Conditions
from parity.verify.reduced.trial import Params, Trial


def script_of(trial: Trial, conditions: Conditions, report: Report) -> str:
    """The script; it prints the report that it was made from."""
    run = conditions.run
    imports, defined, name = _of_run(run)
    plain = trial.right is None and trial.xs is None and trial.ours is None
    body = [f"params = {_weights(trial)}"]
    options = _options(trial, conditions)
    if trial.ours is not None:
        body.append(f"ours = {_arrays(trial.ours)}")
        options = {"params": "ours", **options}
    if trial.xs is not None:
        body.append(f"xs = {_array(trial.xs)}")
        options["xs"] = "xs"
    if run is not lstm_jax.lstm:
        options = {"run": name, **options}
    listed = ", ".join(["params", *(f"{k}={v}" for k, v in options.items())])
    needed = ["import jax", "import lstm_jax"] if trial.right is None else []
    needed += [] if plain else ["import numpy as np"]
    head = [*imports, *needed, "import parity"]
    lines = [_said(report), "", *sorted(head, key=_by_kind), *defined, ""]
    return "\n".join([*lines, *body, f"print(parity.check({listed}))", ""])


def _by_kind(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line


def _said(report: Report) -> str:
    words = textwrap.fill(" ".join(report.messages()), 84)
    quotes = chr(34) * 3
    return f"{quotes}{words.replace(chr(92), '/').replace(quotes, chr(39) * 3)}{quotes}"


def _weights(trial: Trial) -> str:
    if trial.right is not None:
        return _arrays(trial.right)
    sizes = trial.case.spec.constructor_arguments()
    first = [str(sizes.pop(name)) for name in ("input_size", "hidden_size")]
    usual = inspect.signature(lstm_jax.init_params).parameters
    others = [f"{k}={v!r}" for k, v in sizes.items() if usual[k].default != v]
    return f"lstm_jax.init_params(jax.random.key(0), {', '.join(first + others)})"


def _arrays(params: Params) -> str:
    lines = (f"    {name!r}: {_array(array)}," for name, array in params.items())
    return "\n".join(["{", *lines, "}"])


def _array(array: Any) -> str:
    """The numbers, so that they are read back bit for bit."""
    wide = np.asarray(array).astype(np.float64)
    return f"np.array({wide.tolist()})"


def _options(trial: Trial, conditions: Conditions) -> dict[str, str]:
    """What differs from the defaults of `check`."""
    case = trial.case
    batch = case.batch[0] if len(case.batch) == 1 else case.batch
    options: dict[str, Any] = {"steps": case.steps, "batch": batch}
    if trial.xs is not None:
        options = {}
    names = ("lengths", "resets", "reset_state")
    options |= {name: True for name in names if getattr(case, name)}
    usual = {"dtype": "float32", "seed": 0}
    options |= {k: getattr(case, k) for k, v in usual.items() if getattr(case, k) != v}
    if conditions.precision != "highest":
        options["precision"] = conditions.precision
    if conditions.device is not None:
        options["device"] = conditions.device.platform
    return {name: repr(value) for name, value in options.items()}


def _of_run(run: Run) -> tuple[list[str], list[str], str]:
    """How the script gets the function: its imports, its source, its name."""
    if run is lstm_jax.lstm:
        return [], [], ""
    module, name = getattr(run, "__module__", ""), getattr(run, "__qualname__", "")
    if module != "__main__" and _is_there(module, name, run):
        return [f"from {module} import {name}"], [], name
    source = _source(run)
    if source and name.isidentifier():
        return [], ["", "", *source, ""], name
    missing = "# Put the function that was checked here: run(params, xs, state)."
    return [], ["", missing], "run"


def _is_there(module: str, name: str, run: Run) -> bool:
    """Whether the function can be imported by its name."""
    return name.isidentifier() and getattr(import_module(module), name, None) is run


def _source(run: Run) -> list[str]:
    try:
        return textwrap.dedent(inspect.getsource(run)).rstrip().splitlines()
    except (OSError, TypeError):
        return []
