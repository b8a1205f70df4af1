"""The frameworks: a row for each. Add one by a file beside this one, and a row here."""

from parity.frameworks.cells import of_cell
from parity.frameworks.framework import Framework, Library
from parity.frameworks.kinds import cudnn, equinox, flax, haiku, keras, mlx, torch
from parity.frameworks.layers import layers_of, params_of
from parity.frameworks.layouts import LAYOUTS, Layout

_FLAX, _JAX = Library("flax"), Library("jax")
_ROWS = (
    Framework(
        name="torch",
        layout=LAYOUTS["torch"],
        library=Library("torch", "'lstm-jax[parity]'"),
        store=params_of,
        load=layers_of,
        run=torch.run_module,
        differentiate=torch.differentiate,
    ),
    *(
        of_cell(f"linen {kind}", flax.FLAX, _FLAX, flax.linen_cell(kind))
        for kind in ("LSTMCell", "OptimizedLSTMCell")
    ),
    of_cell("nnx LSTMCell", flax.FLAX, _FLAX, flax.nnx_cell("LSTMCell")),
    of_cell(
        "nnx OptimizedLSTMCell",
        flax.NNX_OPTIMIZED,
        _FLAX,
        flax.nnx_cell("OptimizedLSTMCell"),
    ),
    of_cell("haiku", haiku.HAIKU, haiku.LIBRARY, haiku.CELL),
    of_cell("equinox", equinox.EQUINOX, equinox.LIBRARY, equinox.CELL),
    of_cell("keras", keras.KERAS, Library("keras"), keras.CELL),
    Framework(
        name="mlx",
        layout=mlx.MLX,
        library=mlx.LIBRARY,
        store=mlx.store,
        load=mlx.load,
        run=mlx.run,
        differentiate=mlx.differentiate,
    ),
    Framework(
        name="cudnn",
        layout=cudnn.CUDNN,
        library=_JAX,
        store=cudnn.store,
        load=cudnn.load,
        run=cudnn.run_kernel,
    ),
)
FRAMEWORKS = {row.name: row for row in _ROWS}


def layouts() -> list[Layout]:
    """Every layout that is known, each once: also of frameworks that have no row."""
    of_rows = {row.layout.name: row.layout for row in FRAMEWORKS.values()}
    return [*(LAYOUTS | of_rows).values()]
