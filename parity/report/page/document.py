"""The page: the verdict first, then the numbers, each LSTM, and how to repeat it."""

from collections.abc import Sequence
from importlib import resources

from parity.machine import environment
from parity.report.decision import decision
from parity.report.page.markup import Markup, concat, element
from parity.report.page.section import SIGNS, section
from parity.report.rows import FAIL, NOTHING, Findings
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
        _decision(reports),
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
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("title", f"LSTM parity: {found.verdict}"),
        element("style", Markup(style)),
    )


def _verdict(found: Summary, problems: Sequence[str]) -> Markup:
    kind, sign, words = _verdict_words(found, bool(problems))
    return element(
        "header",
        element("p", "LSTM parity", class_="kicker"),
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
    if found.verdict == FAIL:
        said = f"Not the same: {wrong} of {count} comparisons are out of the budget."
        return "fail", "✕", said
    if partial:
        right = "LSTM is" if found.lstms_ok == 1 else "LSTMs are"
        same = "the same as torch's" if found.same_as_torch else "equal to the oracle's"
        said = f"Not all of it was checked: {found.lstms_ok} {right} {same}."
        return "fail", "!", said
    if found.verdict == NOTHING:
        why = (
            "no number depends on the weights"
            if found.lstms
            else "nothing was compared"
        )
        return "fail", "!", f"Nothing to tell: {why}."
    whose = "of the LSTM" if found.lstms == 1 else f"of {found.lstms} LSTMs"
    equal = "The same as torch" if found.same_as_torch else "Equal to the exact oracle"
    untold = f"; {found.untold()}" if found.lstms_untold else ""
    said = f"{equal}: all {count} comparisons {whose} are within the budget{untold}."
    return "pass", "✓", said


def _decision(reports: Sequence[Findings]) -> Markup | None:
    """What ran, how far JAX is from torch in plain numbers, the size, the file."""
    items = (
        element("div", element("dt", name), element("dd", words))
        for name, words in decision(reports).items()
    )
    return element("dl", *items, class_="facts") if reports else None


def _tiles(found: Summary) -> Markup:
    tiles = {
        "LSTMs": _share(found.lstms_ok, found.lstms),
        "comparisons": _share(found.comparisons_ok, found.comparisons),
    }
    worst = {"our worst error": found.worst, "torch's worst": found.torch}
    tiles |= {name: roundings(v) for name, v in worst.items() if v is not None}
    if found.ratio is not None:
        ratio = f"{found.ratio:.2f}" if found.ratio < 100 else roundings(found.ratio)
        tiles["ours over torch's"] = ratio
    items = (
        element("div", element("dt", name), element("dd", value))
        for name, value in tiles.items()
    )
    said = (
        "An error is how many roundings of the type a result is away from the exact "
        "one, at the worst time step. The exact result is computed in wider numbers, "
        "by code that shares nothing with either side."
    )
    if found.ratio is not None:
        said += " The last number is the geometric mean over all comparisons."
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
    torch = any("torch" in report.sides for report in reports)
    header = ("LSTM", "our worst", *["torch's worst"] * torch, "verdict")
    head = element("tr", *(element("th", name, scope="col") for name in header))
    rows = (_overview_row(report, f"#lstm-{k}", torch) for k, report in lines)
    table = element(
        "table", element("thead", head), element("tbody", *rows), class_="overview"
    )
    table = element("div", table, class_="scroll", tabindex=0)
    title = f"All {len(reports)} checks"
    if len(reports) <= _MOST_LISTED:
        return element("section", element("h2", title), table)
    return element("details", element("summary", title), table)


def _overview_row(report: Findings, link: str, torch: bool) -> Markup:
    ours, own = report.worst_of(("",))
    cells = [roundings(ours), *[roundings(own)] * torch]
    kind = None if report.ok else "fail"
    return element(
        "tr",
        element("th", element("a", report.title, href=link), scope="row"),
        *(element("td", cell) for cell in cells),
        element("td", SIGNS[report.verdict], class_=kind),
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
