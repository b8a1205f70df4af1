"""Which processes the environment tells of, and JAX's last words in one sentence."""

import subprocess
import sys

import jax
import pytest

from lstm_jax.cli import translating
from lstm_jax.cli.processes import JAX, Processes, devices_of, read_processes

GIVEN = dict(zip(JAX, ("node1:1234", "3", "2"), strict=True))
# As `srun --ntasks=4` sets them, without those that nobody reads.
SLURM = {
    "SLURM_JOB_ID": "77",
    "SLURM_STEP_NODELIST": "node[1-2]",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
}
OPEN_MPI = {
    "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://node1:34911",
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_RANK": "1",
}
ARGUMENTS = {
    "coordinator_address": "node1:1234",
    "num_processes": 3,
    "process_id": 2,
}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        (GIVEN, Processes(3, 2, ARGUMENTS)),
        (SLURM, Processes(4, 3, {})),
        (OPEN_MPI, Processes(2, 1, {})),
        (SLURM | GIVEN, Processes(3, 2, ARGUMENTS)),
        (SLURM | {JAX[0]: "node1:1234"}, Processes(4, 3, {})),
        (SLURM | {"JAX_LOCAL_DEVICE_IDS": "0,1"}, Processes(4, 3, {})),
        (GIVEN | {JAX[1]: "1", JAX[2]: "0"}, None),
        (SLURM | {"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, None),
        # A batch file that does not call srun is one process.
        ({k: v for k, v in SLURM.items() if "STEP" not in k}, None),
        ({"OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"}, None),
    ],
)
def test_the_environment_tells_of_processes(
    environment: dict[str, str], expected: Processes | None
) -> None:
    assert read_processes("train", environment) == expected


REFUSED = [
    (
        {JAX[0]: "node1:1234"},
        (
            "JAX_NUM_PROCESSES and JAX_PROCESS_ID must be set where others of "
            "JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES, JAX_PROCESS_ID are: the "
            "processes find each other by all three. Set them, or unset the others for "
            "one process."
        ),
    ),
    (
        GIVEN | {JAX[2]: "3"},
        (
            "JAX_PROCESS_ID=3 must be below JAX_NUM_PROCESSES=3: "
            "processes are counted from 0. Set it to the number of this process."
        ),
    ),
    (
        GIVEN | {JAX[1]: "two"},
        (
            "JAX_NUM_PROCESSES=two must be a whole number from 0 up. Set it to one, or "
            "unset it."
        ),
    ),
    (
        GIVEN | {JAX[1]: "0", JAX[2]: "0"},
        (
            "JAX_NUM_PROCESSES=0 must be 1 or more: it counts the processes. Set it to "
            "how many there are, or unset JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES, "
            "JAX_PROCESS_ID for one process."
        ),
    ),
    *(
        (
            GIVEN | {JAX[0]: address},
            (
                f"JAX_COORDINATOR_ADDRESS={address} must have a port, 1 to 65535, as "
                "node1:1234: process 0 listens there. Use one that is free."
            ),
        )
        for address in ("node1", "node1:", ":1234", "node1:abc", "node1:65536")
    ),
    (
        SLURM | {"JAX_LOCAL_DEVICE_IDS": "gpu0"},
        (
            "JAX_LOCAL_DEVICE_IDS=gpu0 must be numbers of devices, as 0,1,2,3: this "
            "process takes these of its machine. Set it so, or unset it for all."
        ),
    ),
    (
        {"OMPI_COMM_WORLD_SIZE": "2"},
        (
            "Open MPI must be of version 4 or before: JAX finds the processes of no "
            "other. Set JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID "
            "(to $OMPI_COMM_WORLD_RANK) in each process."
        ),
    ),
]


@pytest.mark.parametrize(("environment", "sentence"), REFUSED)
def test_what_tells_of_them_in_part_is_refused(
    environment: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ValueError, match="train") as caught:
        _ = read_processes("train", environment)
    assert str(caught.value) == f"train: {sentence}"


def test_devices_of_the_command() -> None:
    assert devices_of("train", None) is None
    assert devices_of("train", 2) == jax.devices()[:2]
    with pytest.raises(ValueError, match="train") as caught:
        _ = devices_of("train", 3)
    assert str(caught.value) == (
        "train: --devices 3 must be 1 to 2, as many as JAX finds here. Use --devices 2."
    )


FATAL = (
    "F1127 07:22:35.2 26832 client.h:80] Terminating process because the JAX "
    "distributed service detected fatal errors. This most likely ...: {}\n\nRPC: {}\n"
)
POLLED = (
    "E1127 07:22:35.2 26832 coordination_service_agent.cc:289] Polled an error\n"
    "1\nThe tasks have crashed.\n"
)
PORT = "E1127 07:38:22.4 29787 add_port.cc:83] Failed to add port to server: none\n"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("", ""),
        ("[Gloo] Rank 0 is connected to 1 peer ranks.\na line\n", "a line\n"),
        (POLLED + FATAL.format("UNAVAILABLE", "PollForError"), "lost\n"),
        (translating.SAID.decode() + FATAL.format("UNAVAILABLE", ""), "lost\n"),
        (FATAL.format("DEADLINE_EXCEEDED", "RegisterTask"), "late\n"),
        (PORT + "Segmentation fault\n", "busy\n"),
        (POLLED + "E1127 07:22:35.2 1 other.cc:1] an error\n  of two lines\n", None),
    ],
)
def test_the_last_words_of_jax_are_one_sentence(
    said: str, expected: str | None
) -> None:
    """What is not known passes, but for the lines that belong to what is dropped."""
    program = [sys.executable, "-I", "-S", translating.__file__, "late", "lost", "busy"]
    ended = subprocess.run(
        program, input=said, capture_output=True, text=True, timeout=60, check=True
    )
    passed = said.partition("crashed.\n")[2]
    assert (ended.stdout, ended.stderr) == (
        "",
        passed if expected is None else expected,
    )
