"""Where and how a benchmark runs."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every runner of a benchmark is given alike.

    `cores` is the number of cores that a runner's process may use (all on a GPU);
    `precision` that of float32 products, "highest" or "default" (TF32 on a GPU that
    has it); `seconds` the least time of a sample.
    """

    device: str = "cpu"
    cores: int = 1
    precision: str = "highest"
    seconds: float = 0.1

    @property
    def tf32(self) -> bool:
        """Whether float32 products may be TF32's."""
        return self.device == "gpu" and self.precision != "highest"
