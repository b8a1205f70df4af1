"""Results of a benchmark, made by hand."""

from parity.bench.results import store

KEY = {
    "case": "article",
    "mode": "forward",
    "dtype": "float32",
    "device": "cpu",
    "cores": 1,
    "precision": "highest",
}
RUN = {
    "kind": "run",
    "environment": {"processor": "A processor", "jax": "1.2", "date": "a day"},
    "commit": "abc",
    "settings": {"seconds": 0.1},
    "product_rate": 1e9,
}


def lines(seconds, *, done=True, **key):
    """A measurement: for each runner its samples, or why it has none."""
    yield {"kind": "work", **KEY, **key, "flops": 4_000_000}
    for runner, found in seconds.items():
        if isinstance(found, str):
            yield {"kind": "skipped", "runner": runner, "reason": found}
            continue
        facts = {"compile_seconds": 0.5, "temp_bytes": 3e6, "peak_bytes": 2e6}
        yield {"kind": "prepared", "runner": runner, "error": 1.0, **facts}
        for k, value in enumerate(found):
            yield {"kind": "sample", "runner": runner, "round": k, "seconds": value}
    if done:
        yield {"kind": "done"}


def stored(path, *many):
    for line in [RUN, *(line for some in many for line in some)]:
        store.append(path, line)
    return path


def measurements(*many):
    return store.measurements([RUN, *(line for some in many for line in some)])
