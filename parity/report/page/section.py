"""One LSTM of the page: what is wrong with it, its errors drawn, and its table."""

import math
from collections.abc import Iterator, Sequence

from lstm_jax import LSTMSpec
from parity.report.curves import Mismatch
from parity.report.page import axes, charts
from parity.report.page.markup import Markup, concat, element
from parity.report.rows import FAIL, NOTHING, OK, Findings, Row
from parity.show import roundings

SIGNS = {OK: "✓ ok", FAIL: "✕ FAIL", NOTHING: "! nothing to tell"}
_STATES_AFTER = ("h_n", "c_n")


def section(report: Findings, name: str, unfolded: bool = False) -> Markup:
    """The section of an LSTM; folded if nothing is wrong, unless `unfolded`."""
    wrong = "" if report.ok else " fail"
    badge = element("span", SIGNS[report.verdict], class_=f"badge{wrong}")
    head = element("h2", report.title, " ", badge)
    content = concat(
        _sizes(report),
        None if report.ok else _failure(report),
        element("h3", "Errors, in roundings."),
        _legend(report),
        element("div", *_drawings(report), class_="drawings"),
        _table(report),
    )
    if report.ok:
        shown = "" if unfolded else None
        summary = element("summary", head)
        return element("details", summary, content, id=name, open=shown)
    return element("section", head, content, id=name, class_="lstm")


def _sizes(report: Findings) -> Markup | None:
    """Sizes, type and masks in a line."""
    facts = report.facts
    if "hidden_size" not in facts:
        return None
    parts = [f"{facts['input_size']} features to {facts['hidden_size']}"]
    parts += [f"projected to {facts['proj_size']}"] * bool(facts["proj_size"])
    parts += [_plural(facts["num_layers"], "layer")]
    parts += ["both directions"] * facts["bidirectional"]
    parts += ["no bias"] * (not facts["bias"])
    batch = " x ".join(map(str, facts["batch"])) or "none"
    parts += [_plural(facts["steps"], "time step"), f"batch {batch}", facts["dtype"]]
    parts += [name.replace("_", " ") for name in ("lengths", "resets") if facts[name]]
    parts += [f"seed {facts['seed']}", f"products at {facts['precision']!r}"]
    return element("p", ", ".join(parts), class_="note")


def _plural(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _failure(report: Findings) -> Markup:
    """The advice first, then the worst numbers, then the curves of the first place."""
    advice = (element("p", sentence, class_="advice") for sentence in report.advice)
    known = len(report.messages()) - len(report.advice)
    said = (element("p", sentence) for sentence in report.messages()[:known])
    alert = element("div", *advice, *said, class_="alert")
    found = report.mismatch
    return concat(alert, None if found is None else _mismatch(found))


def _mismatch(found: Mismatch) -> Markup:
    panels = (
        _figure(name, drawing, small=len(found.curves) > 1)
        for name, drawing in charts.curves(found)
    )
    legend = element(
        "p",
        element("span", "as it is", class_="of given"),
        element("span", "as it should be", class_="of right"),
        class_="legend",
    )
    title = element("h3", f"{found.title}.")
    return concat(title, legend, element("div", *panels, class_="drawings"))


def _figure(caption: str, drawing: Markup, small: bool = False) -> Markup:
    return element(
        "figure",
        element("figcaption", caption),
        drawing,
        class_="small" if small else None,
    )


def _drawings(report: Findings) -> Iterator[Markup]:
    """Errors over time and over layers, of the tensors that have such an axis."""
    steps = int(report.facts.get("steps", 0))
    rows = {row.tensor: row for row in report.worst()}
    for name in ("ys", "d_xs"):
        row = rows.get(name)
        if row is not None and row.profile and steps:
            yield _figure(f"{name} over time", charts.over_time(row, steps))
    names = _layer_names(report)
    series = _series(report, len(names))
    if series:
        caption = concat("Over layers: ", *_keys(list(series)))
        drawing = charts.over_layers(names, series, report.rows[0])
        yield element("figure", element("figcaption", caption), drawing)


def _keys(names: Sequence[str]) -> Iterator[Markup]:
    for k, name in enumerate(names):
        yield element("span", charts.mark(k), name, class_="series")


def _layer_names(report: Findings) -> list[str]:
    """A short name for each layer and direction, in the order of a state's rows."""
    layers = int(report.facts.get("num_layers", 0))
    ends = ("", "r") if report.facts.get("bidirectional") else ("",)
    return [f"{layer}{end}" for layer in range(layers) for end in ends]


def _series(report: Findings, rows: int) -> dict[str, list[tuple[float, float | None]]]:
    """Pairs of errors, ours and torch's, for each layer and direction."""
    series: dict[str, list[tuple[float, float | None]]] = {}
    for row in report.rows:
        if row.tensor in _STATES_AFTER and len(row.profile) == rows > 0:
            torch = row.torch_profile or [None] * rows
            series[row.tensor] = list(zip(row.profile, torch, strict=True))
    weights = _errors_of_parameters(report, rows)
    if series and weights:
        series["weights and biases"] = weights
    return series


def _errors_of_parameters(
    report: Findings, rows: int
) -> list[tuple[float, float | None]]:
    """The worst error among the parameters of each layer and direction."""
    directions = 2 if report.facts.get("bidirectional") else 1
    ours, torch = [math.nan] * rows, [math.nan] * rows
    for row in report.rows:
        key = LSTMSpec.parse_key(row.tensor.removeprefix("d_"))
        at = key.layer * directions + key.direction if key else rows
        if at < rows:
            ours[at] = _larger(ours[at], row.error)
            torch[at] = _larger(torch[at], row.torch)
    if any(map(math.isnan, ours)):
        return []
    return [(a, None if math.isnan(b) else b) for a, b in zip(ours, torch, strict=True)]


def _larger(held: float, value: float | None) -> float:
    if value is None:
        return held
    return value if math.isnan(held) else max(held, value)


def _legend(report: Findings) -> Markup:
    torch = element("span", "torch", class_="of torch")
    return element(
        "p",
        element("span", "ours", class_="of ours"),
        torch if "torch" in report.sides else None,
        element("span", "budget", class_="of budget"),
        class_="legend",
    )


def _table(report: Findings) -> Markup:
    """Each tensor at its worst; torch's column is there if torch ran."""
    rows, torch = report.worst(), "torch" in report.sides
    header = {"tensor": None, "gradient of": "word spare", "verdict": "word"}
    header |= {"error": None, "torch": None, "budget": "spare", "logarithmic": "log"}
    if not torch:
        del header["torch"]
    head = (element("th", n, scope="col", class_=kind) for n, kind in header.items())
    budget = max((row.budget for row in rows), default=1.0)
    errors = [v for row in rows for v in (row.error, row.torch) if v is not None]
    scale = axes.errors(errors, budget, 0, 160)
    body = (_table_row(row, scale, torch) for row in rows)
    table = element(
        "table", element("thead", element("tr", *head)), element("tbody", *body)
    )
    return element("div", table, class_="scroll", tabindex=0)


def _table_row(row: Row, scale: axes.Scale, torch: bool) -> Markup:
    return element(
        "tr",
        element("th", row.tensor, scope="row"),
        element("td", row.cotangents, class_="word spare"),
        element("td", SIGNS[OK if row.ok else FAIL], class_="word verdict"),
        element("td", roundings(row.error)),
        element("td", roundings(row.torch)) if torch else None,
        element("td", f"{row.budget:g}", class_="spare"),
        element("td", charts.bar(row, scale), class_="log"),
        class_=None if row.ok else "fail",
    )
