"""A command in several processes: who asks for it, and how they begin and end."""

import atexit
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax

from lstm_jax.cli.translating import say_lost, translate
from lstm_jax.train.loop.devices import LostError

# How long a process waits for the others, in seconds; JAX takes up to ten more.
SECONDS = 50
HEARTBEAT = 30  # seconds without a sign of life after which a process is taken for dead
JAX = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
LOCAL = "JAX_LOCAL_DEVICE_IDS"
# What JAX asks for to know of SLURM's tasks, and of Open MPI's up to version 4.
SLURM = (
    *("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID"),
    "SLURM_LOCALID",
)
OPEN_MPI = ("OMPI_MCA_orte_hnp_uri", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK")


@dataclass(frozen=True)
class Processes:
    """Processes that run one command together.

    Attributes:
        count: How many there are.
        number: Of this one, from 0.
        arguments: Of `jax.distributed.initialize`; none where JAX finds them.
    """

    count: int
    number: int
    arguments: dict[str, Any]


def read_processes(command: str, environment: Mapping[str, str]) -> Processes | None:
    """The processes that the environment tells of; None where there is one.

    Raises:
        ValueError: If it tells of them in part, or as JAX does not understand.
    """
    _check_local(command, environment)
    if any(name in environment for name in JAX[1:]):
        return _of_jax(command, environment)
    for names, *places in ((SLURM, 2, 3), (OPEN_MPI, 1, 2)):
        if all(name in environment for name in names):
            of, this = (_number(command, environment, names[k]) for k in places)
            return _several(Processes(of, this, {}))
    if environment.get(OPEN_MPI[1], "1") != "1":
        raise ValueError(
            f"{command}: Open MPI must be of version 4 or before: JAX finds the "
            f"processes of no other. Set {', '.join(JAX[:2])} and {JAX[2]} (to "
            "$OMPI_COMM_WORLD_RANK) in each process."
        )
    if JAX[0] in environment:
        return _of_jax(command, environment)
    return None


def _check_local(command: str, environment: Mapping[str, str]) -> None:
    given = environment.get(LOCAL)
    if given and not all(part.strip().isdecimal() for part in given.split(",")):
        raise ValueError(
            f"{command}: {LOCAL}={given} must be numbers of devices, as 0,1,2,3: this "
            "process takes these of its machine. Set it so, or unset it for all."
        )


def _of_jax(command: str, environment: Mapping[str, str]) -> Processes | None:
    missing = [name for name in JAX if not environment.get(name)]
    if missing:
        raise ValueError(
            f"{command}: {' and '.join(missing)} must be set where others of "
            f"{', '.join(JAX)} are: the processes find each other by all three. Set "
            "them, or unset the others for one process."
        )
    count, number = (_number(command, environment, name) for name in JAX[1:])
    if not count:
        raise ValueError(
            f"{command}: {JAX[1]}=0 must be 1 or more: it counts the processes. Set it "
            f"to how many there are, or unset {', '.join(JAX)} for one process."
        )
    if number >= count:
        raise ValueError(
            f"{command}: {JAX[2]}={number} must be below {JAX[1]}={count}: processes "
            "are counted from 0. Set it to the number of this process."
        )
    host, _, port = environment[JAX[0]].rpartition(":")
    if not (host and port.isdecimal() and 0 < int(port) < 2**16):
        raise ValueError(
            f"{command}: {JAX[0]}={environment[JAX[0]]} must have a port, 1 to 65535, "
            "as node1:1234: process 0 listens there. Use one that is free."
        )
    names = ("coordinator_address", "num_processes", "process_id")
    values: Any = environment[JAX[0]], count, number
    given: dict[str, Any] = dict(zip(names, values, strict=True))
    return _several(Processes(count, number, given))


def _number(command: str, environment: Mapping[str, str], name: str) -> int:
    if not environment[name].isdecimal():
        raise ValueError(
            f"{command}: {name}={environment[name]} must be a whole number from 0 up. "
            "Set it to one, or unset it."
        )
    return int(environment[name])


def _several(found: Processes) -> Processes | None:
    return found if found.count > 1 else None


@contextmanager
def together(command: str, go_on: str) -> Iterator[bool]:
    """Begin and end with the other processes, where the environment tells of some.

    Args:
        command: Its name, "train" or "resume".
        go_on: The line that goes on with the run.

    Yields:
        Whether this process writes and prints.
    """
    found = read_processes(command, os.environ)
    if found is None:
        yield True
        return
    translate(_sentences(command, go_on, found.count))
    # The run itself ends at SIGTERM, with a checkpoint.
    jax.config.update("jax_enable_preemption_service", False)
    _initialize(found.arguments)
    try:
        yield found.number == 0
    except LostError:
        say_lost()
        _leave(2)
    except Exception:
        _ = atexit.register(_leave, 2)  # once the error is printed
        raise
    except SystemExit:  # of all processes, after the same step
        jax.distributed.shutdown()
        raise
    jax.distributed.shutdown()


def _initialize(arguments: dict[str, Any]) -> None:
    try:
        jax.distributed.initialize(
            **arguments,
            initialization_timeout=SECONDS,
            heartbeat_timeout_seconds=HEARTBEAT,
            shutdown_timeout_seconds=SECONDS,
        )
    except RuntimeError as error:
        if "Failed to start RPC server" in str(error):  # C++ has printed why
            _leave(2)
        raise


def devices_of(command: str, count: int | None) -> Any:
    """The first devices of this machine; None where no number was asked for.

    Raises:
        ValueError: If there are not so many, or there are several processes.
    """
    if count is None:
        return None
    if jax.process_count() > 1:
        raise ValueError(
            f"{command}: --devices {count} must be left out: there are several "
            "processes, and all of their devices share each batch."
        )
    found = jax.devices()
    if not 1 <= count <= len(found):
        raise ValueError(
            f"{command}: --devices {count} must be 1 to {len(found)}, as many as JAX "
            f"finds here. Use --devices {len(found)}."
        )
    return found[:count]


def _sentences(command: str, go_on: str, count: int) -> list[str]:
    where = f"python -m lstm_jax: {command}: "
    late = (
        f"all {count} processes must start within {SECONDS} s: one has not come, or "
        "the first is not reached. Start all of them, each with a number of its own, "
        "and with the first one's address."
    )
    begun = command == "resume"
    again = (
        "Go" if begun else "Where no run was begun, start all of them again; else go"
    )
    lost = (
        f"all {count} processes must run to the end: another one has ended, or is not "
        f"reached. {again} on, in any number of processes, with: {go_on}"
    )
    busy = (
        "the port of the first process must be free: another program listens there. "
        f"Set {JAX[0]} to another port."
    )
    return [where + sentence for sentence in (late, lost, busy)]


def _leave(code: int) -> None:
    """End this process at once, so that the others hear of it."""
    for stream in (sys.stdout, sys.stderr):
        _ = stream.flush()
    os._exit(code)
