"""An analyzer that answers what the test planted, and counts its calls."""

from __future__ import annotations

from composition.decision import ReferenceKind
from composition.images import Detection


class FakeAnalyzer:
    def __init__(self, *, objects=(), reference=None, prompt_structural=0.0, known=True):
        self.objects: tuple[Detection, ...] = tuple(objects)
        self.reference: dict[ReferenceKind, float] = reference or {}
        self.prompt_structural = prompt_structural
        self.known = known
        self.kinds = 0
        self.calls: list[str] = []
        self.prompts: list[str] = []
        self.likes: list = []

    async def detect_objects(self, image, *, like=None):
        self.calls.append("objects")
        self.likes.append(like)
        return self.objects

    async def knows(self, image):
        self.kinds += 1
        return self.known

    async def classify_reference(self, image):
        self.calls.append("reference")
        return self.reference

    async def classify_prompt(self, prompt):
        self.calls.append("prompt")
        self.prompts.append(prompt)
        return self.prompt_structural
