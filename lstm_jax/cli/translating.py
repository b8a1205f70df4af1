"""What JAX says as it ends a process, in one sentence.

Where another process is gone, the service of `jax.distributed` ends this one from C++:
with a long text, and past Python. So a program of its own reads what C++ prints. It
needs the standard library only.
"""

import os
import re
import subprocess
import sys

LATE, LOST, BUSY = range(3)
FATAL = b"the JAX distributed service detected fatal errors"
WAITING = b"RegisterTask"  # what is called as the processes find each other
NO_PORT = b"Failed to add port to server"
# That Gloo is connected; and what comes with the last words, before or after them.
DROPPED = (b"[Gloo] Rank", b"coordination_service")
BEGINS = re.compile(rb"[IWEF]\d{4} ")  # a message of C++, of one line or more
SAID = b"lstm_jax: another process is lost\n"


def translate(sentences: list[str]) -> None:
    """Read what C++ prints here, and print the sentences in place of its last words.

    Args:
        sentences: For processes that do not come, one that is lost, and a port that is
            not free.
    """
    program = [sys.executable, "-I", "-S", __file__, *sentences]
    reading, writing = os.pipe()
    _ = subprocess.Popen(program, stdin=reading, start_new_session=True)
    os.close(reading)
    _ = sys.stdout.flush()
    # Python goes on to print where it did, and C++ prints to the program.
    sys.stdout = _of_python(1, sys.stdout)
    sys.stderr = _of_python(2, sys.stderr)
    for number in (1, 2):
        _ = os.dup2(writing, number)
    os.close(writing)


def _of_python(number: int, stream: object) -> object:
    return os.fdopen(
        os.dup(number),
        "w",
        buffering=1,
        encoding=getattr(stream, "encoding", "utf-8"),
        errors=getattr(stream, "errors", "backslashreplace"),
    )


def say_lost() -> None:
    """Have the sentence of a lost process printed, once, whoever has found it."""
    _ = os.write(2, SAID)


def main(sentences: list[str]) -> None:
    """Print each line of the standard input but those that a sentence stands for."""
    lines = iter(sys.stdin.buffer.readline, b"")
    dropping = False
    for line in lines:
        if line == SAID or FATAL in line or NO_PORT in line:
            rest = line + b"".join(lines)
            which = BUSY if NO_PORT in line else LATE if WAITING in rest else LOST
            print(sentences[which], file=sys.stderr)  # noqa: T201
        elif any(known in line for known in DROPPED):
            dropping = BEGINS.match(line) is not None
        elif BEGINS.match(line) or not dropping:
            dropping = False
            _ = sys.stderr.buffer.write(line)
            _ = sys.stderr.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
