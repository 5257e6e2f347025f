"""What a machine has, as facts that a test can make up."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Card:
    """A GPU as its driver describes it.

    Attributes:
        total_bytes, free_bytes: of its memory; other programs hold the difference.
        capability: CUDA compute capability, (8, 6) for an RTX 3060.
    """

    name: str
    total_bytes: int
    free_bytes: int
    capability: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What was found.

    Attributes:
        cards: those that this process may use, in the order of their bus addresses.
        driver: NVIDIA's driver version, "580.65.06"; None without one.
        cuda_fault: why the cards cannot be used, in words; None when they can, or when there is none.
        torch_cuda: CUDA version that torch is built for, None for a build without.
        compiler: the C compiler that torch.compile needs, None when there is none or Python's headers lack.
        onnx_providers: those of the installed onnxruntime.
    """

    cards: tuple[Card, ...] = ()
    driver: str | None = None
    cuda_fault: str | None = None
    torch_cuda: str | None = None
    cores: int = 1
    memory_bytes: int = 0
    disk_free_bytes: int = 0
    compiler: str | None = None
    onnx_providers: tuple[str, ...] = ()

    @property
    def usable_cards(self) -> tuple[Card, ...]:
        return () if self.cuda_fault else self.cards


LEAST_DRIVERS = {12: 525, 13: 580}
"""Major version of CUDA -> first branch of the Linux driver that runs it (NVIDIA, CUDA toolkit release notes)."""
LEAST_CAPABILITIES = {12: (5, 0), 13: (7, 5)}
"""Major version of CUDA -> oldest cards that its compilers still build for (the same notes)."""


def find_cuda_fault(cards: tuple[Card, ...], driver: str | None, torch_cuda: str | None) -> str | None:
    """Why cards that are there cannot be used by this torch, with what mends it; None when nothing speaks against."""
    if not cards:
        return None
    if torch_cuda is None:
        return "torch is built without CUDA: install the build that requirements.lock names"
    major = int(torch_cuda.split(".")[0])
    least = LEAST_DRIVERS.get(major)
    branch = (driver or "").split(".")[0]
    if least and branch.isdecimal() and int(branch) < least:
        return f"driver {driver} is too old for CUDA {torch_cuda}: install NVIDIA driver {least} or newer"
    oldest = LEAST_CAPABILITIES.get(major)
    if oldest and all(card.capability < oldest for card in cards):
        have = ".".join(str(number) for number in cards[0].capability)
        want = ".".join(str(number) for number in oldest)
        return f"{cards[0].name} has compute capability {have}; torch for CUDA {torch_cuda} needs {want} or newer"
    return None
