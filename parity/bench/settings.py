"""Where and how a benchmark runs."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What all runners of a benchmark are given.

    `cores` is the number of cores that a runner's process may use (all on a GPU);
    `precision` that of float32 products, "highest" or "default" (TF32 on a GPU that
    has it); `seconds` how long a sample takes at least.
    """

    device: str = "cpu"
    cores: int = 1
    precision: str = "highest"
    seconds: float = 0.1

    @property
    def tf32(self) -> bool:
        """Whether float32 products may be computed in TF32."""
        return self.device == "gpu" and self.precision != "highest"
