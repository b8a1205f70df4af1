"""The runtime of a file itself beside JAX and torch: Keras, or onnxruntime."""

from collections.abc import Callable
from dataclasses import replace

from parity.convert.found import Found
from parity.convert.keras.runtime import groups_at, keras_here, run_groups
from parity.convert.onnx.contents import stack_at
from parity.convert.onnx.runtime import run_nodes, runs_here, version
from parity.files.read import Contents
from parity.frameworks.framework import Outputs
from parity.judge.cases import Problem
from parity.judge.tensors import OUTPUTS, flatten_batch
from parity.report.report import Report
from parity.report.rows import Row
from parity.verify.compared import Compared

# What a runtime gives, and its version; None where it does not run this LSTM.
Run = Callable[[Contents, str, Problem], tuple[Outputs, str] | None]


def _run_keras(
    contents: Contents, prefix: str, problem: Problem
) -> tuple[Outputs, str] | None:
    groups = groups_at(contents, prefix)
    keras = keras_here() if groups else None
    if keras is None:
        return None
    made = run_groups(groups, problem.xs, *(problem.state or ()))
    return made, f"{keras.__version__} on {keras.backend.backend()}"


def _run_onnx(
    contents: Contents, prefix: str, problem: Problem
) -> tuple[Outputs, str] | None:
    nodes = stack_at(contents, prefix)
    if not nodes or not runs_here(nodes):
        return None
    made = run_nodes(nodes, problem.xs, *(problem.state or ()))
    return Outputs(*made), version()


# By the name of a format: the runtime, and what runs its files.
RUNTIMES: dict[str, tuple[str, Run]] = {
    "h5": ("Keras", _run_keras),
    "keras": ("Keras", _run_keras),
    "onnx": ("onnxruntime", _run_onnx),
}


def with_runtime(
    report: Report, contents: Contents, one: Found, compared: Compared
) -> Report:
    """The report with rows of the file's own runtime, where there is one here.

    What the file holds runs as it is, on the inputs and the state of the comparison,
    and is judged by the same exact values.
    """
    case = compared.case
    name, run = RUNTIMES.get(contents.format.name, ("", None))
    if run is None or case.dtype != "float32":
        return report
    try:
        made = run(contents, one.prefix, _with_one_batch_axis(compared.problem))
    except ImportError as error:
        not_run = {"runtime": f"{name}, did not run: {error}"}
        return replace(report, facts=report.facts | not_run)
    if made is None:
        return report
    outputs, its_version = made
    rows = list(report.rows)
    for tensor, value in zip(OUTPUTS, outputs, strict=True):
        exact = compared.exact[tensor, ""]
        found = case.distance(tensor, value.reshape(exact.value.shape), exact)
        rows.append(Row(f"{name} {tensor}", "", found, None, case.budget))
    facts = report.facts | {"runtime": f"{name} {its_version}"}
    return replace(report, rows=rows, facts=facts)


def _with_one_batch_axis(problem: Problem) -> Problem:
    axes = problem.xs.ndim - 2
    state = tuple(flatten_batch(a, axes) for a in problem.state or ())
    return problem._replace(xs=flatten_batch(problem.xs, axes), state=state)
