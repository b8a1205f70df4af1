"""The recurrence as JAX primitives, whose programs the kernel of a CPU runs.

`forward_p` gives the outputs, or all that the derivatives need; `linear_p` the tangents
of the outputs, linear in those of what is read; `backward_p` is its transpose, the
gradients. Each has an XLA program. It runs instead of the kernel on other devices, in
exported files, under `vmap`, for derivatives of derivatives, and where `jit` divides
the work among devices: a call of the kernel there would gather the whole batch.

What a primitive reads is flat: the leaves of `(params, steps, states)`, by `tree`. A
`strict` one, of a backend that was asked for by name, refuses an exported file and
arrays that `jit` divides, instead of running XLA's program there.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
from jax.interpreters import ad, batching, mlir

from lstm_jax._types import LayerParams, LSTMState, States, Steps
from lstm_jax.native import calls, programs
from lstm_jax.scan.gates import Gates
from lstm_jax.scan.loop import Loop

forward_p = jax.extend.core.Primitive("lstm_forward")
linear_p = jax.extend.core.Primitive("lstm_linear")
backward_p = jax.extend.core.Primitive("lstm_backward")
KNOWN = 6  # arrays that the derivatives need: h and c after each step, four gates
Leaves = Sequence[Any]


class Fixed(NamedTuple):
    """What is fixed about a primitive's call."""

    loop: Loop
    tree: Any
    strict: bool


def recurrence(
    loop: Loop,
    params: LayerParams,
    steps: Steps,
    states: States,
    *,
    strict: bool,
) -> tuple[Any, LSTMState]:
    """`h` of every step of one direction, and the state after the last.

    Raises:
        NotImplementedError: When it is lowered, if it is strict and the kernel cannot
            be called there.
    """
    leaves, tree = jax.tree.flatten((params, steps, states))
    hs, *final = forward_p.bind(*leaves, fixed=Fixed(loop, tree, strict), keep=False)
    return hs, LSTMState(*final)


# What a primitive computes, from flat to flat: by XLA, and by the kernel.


def _forward(*leaves: Any, fixed: Fixed, keep: bool) -> Leaves:
    read = jax.tree.unflatten(fixed.tree, leaves)
    run = programs.residuals if keep else programs.outputs
    return jax.tree.leaves(run(fixed.loop, *read))


def _native_forward(*leaves: Any, fixed: Fixed, keep: bool) -> Leaves:
    read = jax.tree.unflatten(fixed.tree, leaves)
    hs, final, known = calls.run_forward(fixed.loop, *read, keep=keep)
    return jax.tree.leaves((final, known) if keep else (hs, final))


def _linear(*leaves: Any, fixed: Fixed, wrt: tuple[int, ...]) -> Leaves:
    tree = fixed.tree
    read, known, given = _parted(tree, leaves)
    d_read = [_zeros_of(a) for a in leaves[: tree.num_leaves]]
    for index, tangent in zip(wrt, given, strict=True):
        d_read[index] = tangent
    d_params, d_steps, d_states = jax.tree.unflatten(tree, d_read)
    d_given = d_params, d_steps.xs, d_states
    return jax.tree.leaves(programs.tangents(fixed.loop, read, known, d_given))


def _backward(*leaves: Any, fixed: Fixed, wrt: tuple[int, ...]) -> Leaves:
    count = fixed.tree.num_leaves + KNOWN
    linear = partial(_linear, *leaves[:count], fixed=fixed, wrt=wrt)
    shapes = [jax.typeof(leaves[index]) for index in wrt]
    return jax.linear_transpose(linear, *shapes)(list(leaves[count:]))


def _native_backward(*leaves: Any, fixed: Fixed, wrt: tuple[int, ...]) -> Leaves:
    tree = fixed.tree
    read, known, (d_hs, *d_final) = _parted(tree, leaves)
    of_params, of_steps, of_states = jax.tree.unflatten(tree, [*range(tree.num_leaves)])
    weights = any(index in wrt for index in jax.tree.leaves(of_params))
    asked = calls.Asked(weights=weights, inputs=of_steps.xs in wrt)
    cotangents = d_hs, LSTMState(*d_final)
    found = calls.run_backward(fixed.loop, read, known, cotangents, asked)
    places = jax.tree.leaves((of_params, of_steps.xs, of_states))
    gradients = dict(zip(places, jax.tree.leaves(found), strict=True))
    return [gradients[index] for index in wrt]


def _parted(tree: Any, leaves: Leaves) -> tuple[Any, programs.Known, Leaves]:
    count = tree.num_leaves
    h, c, *gates = leaves[count : count + KNOWN]
    read = jax.tree.unflatten(tree, leaves[:count])
    return read, (LSTMState(h, c), Gates(*gates)), leaves[count + KNOWN :]


def _zeros_of(a: Any) -> Any:
    """The tangent of what is not varied; a mask has none."""
    if jnp.issubdtype(a.dtype, jnp.inexact):
        return jnp.zeros_like(a)
    return np.zeros(a.shape, jax.dtypes.float0)


# Shapes.


def _forward_shapes(*avals: Any, fixed: Fixed, keep: bool) -> list[Any]:
    _, steps, states = jax.tree.unflatten(fixed.tree, avals)
    h, c = states.before
    hs, cs = (_over_time(a, steps.xs.shape[0]) for a in (h, c))
    return [h, c, hs, *[cs] * 5] if keep else [hs, h, c]


def _over_time(aval: Any, steps: Any) -> Any:
    spec = jax.sharding.PartitionSpec(None, *aval.sharding.spec)
    sharding = aval.sharding.update(spec=spec)
    return aval.update(shape=(steps, *aval.shape), sharding=sharding)


def _linear_shapes(*avals: Any, fixed: Fixed, wrt: Any) -> list[Any]:
    del wrt
    read = avals[: fixed.tree.num_leaves]
    return _forward_shapes(*read, fixed=fixed, keep=False)


def _backward_shapes(*avals: Any, fixed: Fixed, wrt: Any) -> list[Any]:
    del fixed
    return [avals[index] for index in wrt]


# Derivatives.


def _forward_jvp(primals: Leaves, tangents: Leaves, **options: Any) -> Any:
    if options.pop("keep"):
        return _jvp_of(_forward, primals, tangents, keep=True, **options)
    h, c, *known = forward_p.bind(*primals, keep=True, **options)
    varied = {k: t for k, t in enumerate(tangents) if not isinstance(t, ad.Zero)}
    options["wrt"] = tuple(varied)
    d_out = linear_p.bind(*primals, *known, *varied.values(), **options)
    return [known[0], h, c], d_out


def _linear_jvp(primals: Leaves, tangents: Leaves, **options: Any) -> Any:
    count = options["fixed"].tree.num_leaves + KNOWN
    if not all(isinstance(t, ad.Zero) for t in tangents[:count]):
        return _jvp_of(_linear, primals, tangents, **options)
    given = [ad.instantiate_zeros(t) for t in tangents[count:]]
    out = linear_p.bind(*primals, **options)
    return out, linear_p.bind(*primals[:count], *given, **options)


def _linear_transpose(cotangents: Leaves, *leaves: Any, **options: Any) -> list[Any]:
    wrt, count = options.pop("wrt"), options["fixed"].tree.num_leaves + KNOWN
    asked = zip(wrt, leaves[count:], strict=True)
    asked = tuple(index for index, leaf in asked if ad.is_undefined_primal(leaf))
    given = map(ad.instantiate_zeros, cotangents)
    found = backward_p.bind(*leaves[:count], *given, wrt=asked, **options)
    gradients = dict(zip(asked, found, strict=True))
    return [*[None] * count, *map(gradients.get, wrt)]


def _backward_jvp(primals: Leaves, tangents: Leaves, **options: Any) -> Any:
    return _jvp_of(_backward, primals, tangents, **options)


def _jvp_of(
    program: Callable[..., Leaves], primals: Leaves, tangents: Leaves, **options: Any
) -> Any:
    varied = {k: t for k, t in enumerate(tangents) if not isinstance(t, ad.Zero)}

    def of_varied(*arrays: Any) -> Leaves:
        leaves = list(primals)
        for index, array in zip(varied, arrays, strict=True):
            leaves[index] = array
        return program(*leaves, **options)

    return jax.jvp(of_varied, [primals[k] for k in varied], [*varied.values()])


# Programs.


def _elsewhere(context: mlir.LoweringRuleContext) -> str | None:
    """Why the kernel cannot be the program there, a clause; None where it can."""
    module = context.module_context
    if module.lowering_parameters.for_export:
        return "an exported program must run where lstm_jax is not installed"
    where = module.axis_context
    inside = isinstance(where, mlir.SPMDAxisContext)  # of shard_map
    if not inside and getattr(where, "num_devices", 1) > 1:
        return "jit divides these arrays among devices: use jax.shard_map"
    return None


def _chosen(
    native: Callable[..., Leaves], xla: Callable[..., Leaves], on_cpu: bool
) -> Callable[..., Any]:
    def rule(context: mlir.LoweringRuleContext, *args: Any, **options: Any) -> Any:
        reason = _elsewhere(context) if on_cpu else "it is a kernel for CPUs"
        if reason and options["fixed"].strict:
            raise NotImplementedError(
                f"backend='native' cannot be called here: {reason}. Use "
                "backend='auto', which runs XLA's program instead."
            )
        program = partial(xla if reason else native, **options)
        return mlir.lower_fun(program, multiple_results=True)(context, *args)

    return rule


def _batched(
    program: Callable[..., Leaves], args: Leaves, axes: Leaves, **options: Any
) -> tuple[Leaves, Leaves]:
    out = jax.vmap(partial(program, **options), in_axes=tuple(axes))(*args)
    return out, [0] * len(out)


def _define(
    primitive: Any,
    shapes: Callable[..., list[Any]],
    jvp: Callable[..., Any],
    xla: Callable[..., Leaves],
    native: Callable[..., Leaves] | None,
) -> None:
    primitive.multiple_results = True
    primitive.def_impl(xla)  # outside of `jit`: where JAX looks for a NaN, step by step
    primitive.def_abstract_eval(shapes)
    ad.primitive_jvps[primitive] = jvp
    batching.primitive_batchers[primitive] = partial(_batched, xla)
    if native is None:
        mlir.register_lowering(primitive, mlir.lower_fun(xla, multiple_results=True))
        return
    mlir.register_lowering(primitive, _chosen(native, xla, on_cpu=False))
    mlir.register_lowering(primitive, _chosen(native, xla, on_cpu=True), platform="cpu")


_define(forward_p, _forward_shapes, _forward_jvp, _forward, _native_forward)
_define(linear_p, _linear_shapes, _linear_jvp, _linear, None)
_define(backward_p, _backward_shapes, _backward_jvp, _backward, _native_backward)
ad.primitive_transposes[linear_p] = _linear_transpose
