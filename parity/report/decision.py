"""What someone who decides looks at first: sides, difference, size and file."""

from collections.abc import Sequence

from lstm_jax.terminal import printable
from parity.report.rows import Findings, Row

OUTPUTS = ("ys", "h_n", "c_n", "predictions")


def decision(reports: Sequence[Findings]) -> dict[str, str]:
    """Names and sentences for the top of a report; what is not known is left out."""
    found = {
        "compared": _compared(reports),
        "JAX when it was saved": _then(reports),
        "largest difference to torch": _differences(reports),
        "parameters": _parameters(reports),
        "file": "; ".join(_files(reports)),
    }
    return {name: words for name, words in found.items() if words}


def without_torch(reports: Sequence[Findings]) -> str:
    """Where torch did not run, and why; empty where it ran in all."""
    ran = [report for report in reports if report.rows]
    lacking = [report for report in ran if report.without_torch]
    reasons = "; ".join(dict.fromkeys(report.without_torch for report in lacking))
    if not lacking or len(lacking) == len(ran):
        return reasons
    return f"in {len(lacking)} of {len(ran)} checks {reasons}"


def _compared(reports: Sequence[Findings]) -> str:
    sides = {side for report in reports for side in report.sides}
    if not sides:
        return ""
    both = "JAX and torch, each with the exact oracle"
    words = both if "torch" in sides else "JAX with the exact oracle"
    saved = {str(report.facts.get("saved", "")) for report in reports} - {""}
    if saved:
        beside = ", beside torch's numbers" * ("torch" in sides)
        made = "; ".join(sorted(saved))
        words = f"JAX with exact values of a file{beside}, saved by {made}"
    ran = [str(r.facts["runtime"]) for r in reports if "runtime" in r.facts]
    own = (f"the file's own, {one}" for one in dict.fromkeys(ran))
    parts = (words, *own, without_torch(reports))
    return "; ".join(filter(None, parts))


def _then(reports: Sequence[Findings]) -> str:
    """How far JAX's numbers are from those it gave where the file was saved."""
    far = [r.facts["saved_jax"] for r in reports if "saved_jax" in r.facts]
    if not far:
        return ""
    if not any(far):
        return "the same numbers"
    same = f"the same in {far.count(0)} of {len(far)} checks"
    return f"other by up to {max(far):.2g}; {same}"


def _differences(reports: Sequence[Findings]) -> str:
    """The largest differences in each type that was checked."""
    by_type: dict[str, list[Row]] = {}
    for report in reports:
        rows = [row for row in report.rows if row.difference is not None]
        by_type.setdefault(str(report.facts.get("dtype", "")), []).extend(rows)
    words = {dtype: _of_rows(rows) for dtype, rows in by_type.items() if rows}
    if len(words) == 1:
        return next(iter(words.values()))
    return "; ".join(f"{dtype}: {said}" for dtype, said in words.items())


def _of_rows(rows: list[Row]) -> str:
    groups = {"outputs": [row for row in rows if row.tensor in OUTPUTS]}
    groups["gradients"] = [row for row in rows if row.tensor not in OUTPUTS]
    return ", ".join(_largest(name, some) for name, some in groups.items() if some)


def _largest(name: str, rows: list[Row]) -> str:
    far = max(row.difference or 0.0 for row in rows)
    return f"{far:.2g} in {name} of up to {max(row.largest for row in rows):.2g}"


def _parameters(reports: Sequence[Findings]) -> str:
    """How many there are, each LSTM counted once."""
    counts = {name_of(r): r.facts["parameters"] for r in reports if _has_count(r)}
    if not counts:
        return ""
    total = f"{sum(counts.values()):,}"
    return total if len(counts) == 1 else f"{total} in {len(counts)} LSTMs"


def _has_count(report: Findings) -> bool:
    return "parameters" in report.facts


def name_of(report: Findings) -> str:
    """Which LSTM it is: several reports may be of the same one."""
    return str(report.facts.get("lstm", report.title))


def _files(reports: Sequence[Findings]) -> list[str]:
    """Each file once, with its digest."""
    facts = [report.facts for report in reports if "file" in report.facts]
    digests = {str(one["file"]): one.get("sha256", {}) for one in facts}
    return [_file(name, found) for name, found in digests.items()]


def _file(name: str, digests: dict[str, str]) -> str:
    if list(digests) == [name]:
        return f"{printable(name)}, SHA-256 {digests[name]}"
    parts = (f"{printable(part)} SHA-256 {digest}" for part, digest in digests.items())
    return f"{printable(name)}: {', '.join(parts)}" if digests else printable(name)
