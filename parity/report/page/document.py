"""The page: the verdict first, then the numbers, each LSTM, and how to repeat it."""

from collections.abc import Sequence
from importlib import resources

from parity.machine import environment
from parity.report.page.markup import Markup, concat, element
from parity.report.page.section import section
from parity.report.rows import Findings
from parity.report.summary import Summary, summary
from parity.show import roundings

_MOST_LISTED = 30
_MOST_UNFOLDED = 4
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(reports: Sequence[Findings], problems: Sequence[str], command: str) -> str:
    """The reports as one page that needs no other file.

    Args:
        reports: What was compared.
        problems: A sentence for each LSTM that could not be checked.
        command: What to type to make the page again.

    Returns:
        The HTML. All text that comes from a file is escaped.
    """
    found, unfolded = summary(reports), len(reports) <= _MOST_UNFOLDED
    main = element(
        "main",
        _verdict(found, problems),
        _tiles(found) if reports else None,
        _problems(problems),
        _overview(reports) if len(reports) > 1 else None,
        *(section(r, f"lstm-{k}", unfolded) for k, r in enumerate(reports)),
        _footer(reports, command),
    )
    html = element("html", _head(found), element("body", main), lang="en")
    return f"<!doctype html>\n{html}\n"


def _head(found: Summary) -> Markup:
    style = (
        resources.files("parity.report.page").joinpath("style.css").read_text("utf-8")
    )
    verdict = "same" if found.ok else "not the same"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("title", f"LSTM parity: {verdict}"),
        element("style", Markup(style)),
    )


def _verdict(found: Summary, problems: Sequence[str]) -> Markup:
    kind, sign, words = _verdict_words(found, bool(problems))
    return element(
        "header",
        element("p", "LSTM parity: torch and JAX", class_="kicker"),
        element(
            "h1",
            element("span", sign, class_="sign", aria_hidden="true"),
            words,
            class_=kind,
        ),
    )


def _verdict_words(found: Summary, partial: bool) -> tuple[str, str, str]:
    """Class, sign and sentence of the verdict."""
    count, wrong = f"{found.comparisons:,}", found.comparisons - found.comparisons_ok
    if wrong:
        said = f"Not the same: {wrong} of {count} comparisons are out of the budget."
        return "fail", "✕", said
    if partial:
        right = "LSTM is" if found.lstms == 1 else "LSTMs are"
        said = f"Not all of it was checked: {found.lstms} {right} the same as torch's."
        return "fail", "!", said
    if not found.ok:
        return "fail", "✕", "Nothing was compared."
    whose = "of the LSTM" if found.lstms == 1 else f"of {found.lstms} LSTMs"
    said = f"The same as torch: all {count} comparisons {whose} are within the budget."
    return "pass", "✓", said


def _tiles(found: Summary) -> Markup:
    ratio = f"{found.ratio:.2f}" if found.ratio < 100 else roundings(found.ratio)
    tiles = {
        "LSTMs": _share(found.lstms_ok, found.lstms),
        "comparisons": _share(found.comparisons_ok, found.comparisons),
        "our worst error": roundings(found.worst),
        "torch's worst": roundings(found.torch),
        "ours over torch's": ratio,
    }
    items = (
        element("div", element("dt", name), element("dd", value))
        for name, value in tiles.items()
    )
    said = (
        "An error is how many roundings of the type a result is away from the exact "
        "one, at the worst time step. The exact result is computed in wider numbers, "
        "by code that shares nothing with either side. The last number is the "
        "geometric mean over all comparisons."
    )
    return concat(
        element("dl", *items, class_="tiles"), element("p", said, class_="note")
    )


def _share(right: int, of: int) -> str:
    return f"all {of:,}" if right == of > 1 else f"{right:,} of {of:,}"


def _problems(problems: Sequence[str]) -> Markup | None:
    if not problems:
        return None
    items = (element("li", sentence) for sentence in problems)
    return element(
        "section",
        element("h2", "Could not be checked"),
        element("ul", *items),
        class_="alert",
    )


def _overview(reports: Sequence[Findings]) -> Markup:
    """A line for each report, the wrong ones first."""
    lines = sorted(enumerate(reports), key=lambda pair: pair[1].ok)
    header = ("LSTM", "our worst", "torch's worst", "verdict")
    head = element("tr", *(element("th", name, scope="col") for name in header))
    rows = (_overview_row(report, f"#lstm-{k}") for k, report in lines)
    table = element(
        "table", element("thead", head), element("tbody", *rows), class_="overview"
    )
    table = element("div", table, class_="scroll", tabindex=0)
    title = f"All {len(reports)} checks"
    if len(reports) <= _MOST_LISTED:
        return element("section", element("h2", title), table)
    return element("details", element("summary", title), table)


def _overview_row(report: Findings, link: str) -> Markup:
    error, torch = report.worst_of(("",))
    verdict = ("✓ ok", None) if report.ok else ("✕ FAIL", "fail")
    return element(
        "tr",
        element("th", element("a", report.title, href=link), scope="row"),
        element("td", roundings(error)),
        element("td", roundings(torch)),
        element("td", verdict[0], class_=verdict[1]),
    )


def _command(command: str) -> tuple[Markup, Markup]:
    code = element("pre", element("code", command), tabindex=0)
    return element("h2", "To repeat it"), code


def _footer(reports: Sequence[Findings], command: str) -> Markup:
    """How to repeat it, and where it ran."""
    device = sorted({str(r.facts["device"]) for r in reports if "device" in r.facts})
    facts = environment() | ({"jax device": ", ".join(device)} if device else {})
    items = (
        element("div", element("dt", name), element("dd", value))
        for name, value in facts.items()
    )
    return element(
        "footer",
        *(_command(command) if command else ()),
        element("h2", "Machine and versions"),
        element("dl", *items, class_="facts"),
    )
