"""A number of roundings for a reader."""


def roundings(value: float | None) -> str:
    """An error for a reader, with one digit after the point.

    Example:
        >>> roundings(0.72), roundings(2e6), roundings(None)
        ('0.7', '2.0e+06', 'not run')
    """
    if value is None:
        return "not run"
    return f"{value:.1f}" if value < 1e4 else f"{value:.1e}"
