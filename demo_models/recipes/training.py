"""A training run: carries a recipe out in steps, and survives being killed at any of them.

Every step draws its randomness from the step number, so a run that was killed and resumed from its last checkpoint
takes the same steps as one that was not.
"""

import json
import math
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import send_to_device
from diffusers.training_utils import EMAModel
from torch import nn
from torch.utils.data import DataLoader, Dataset

from demo_models.recipes.attention import ExplicitAttention
from demo_models.recipes.workdir import pause_file, weights_folder, workdir

_LOG_EVERY_STEPS: Final = 50
_CHECKPOINTS_KEPT: Final = 2
_PAUSE_POLL_S: Final = 2.0
_DRAWN_AHEAD: Final = 4
"""Batches that each process draws while the GPU works."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a component is trained.

    Attributes:
        minutes: Training time that the recipe asks for, in minutes of one core.
        batch: Examples of a step.
        learning_rate: Peak of the cosine.
        warmup_steps: Steps of linear rise.
        weight_decay: Of AdamW.
        ema_decay: Of the averaged weights, which are the ones that are scored and kept.
        bf16: Whether the forward pass runs under bfloat16 autocast.
        save_every_s: Processor seconds between checkpoints.
    """

    minutes: float
    batch: int
    learning_rate: float
    warmup_steps: int = 50
    weight_decay: float = 0.01
    ema_decay: float = 0.998
    bf16: bool = True
    save_every_s: float = 150.0


class Recipe(Protocol):
    """What is learnt, from what, and how it is judged."""

    @property
    def name(self) -> str:
        """The component's name."""

    @property
    def settings(self) -> Settings:
        """How it is trained."""

    def build(self) -> nn.Module:
        """Returns the module; ``forward(**batch)`` gives a dict of scalar tensors, of which ``loss`` is minimised."""

    def batch(self, rng: np.random.Generator) -> Mapping[str, Any]:
        """Draws one batch."""

    def score(self, module: nn.Module) -> Mapping[str, float]:
        """Judges the module on held-out scenes."""

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes the trained parts in the layout that ``from_pretrained`` reads."""


@dataclass(kw_only=True)
class Progress:
    """How far a run has come; a part of its checkpoints."""

    step: int = 0
    seconds: float = 0.0

    def state_dict(self) -> dict[str, float]:
        """Returns the fields."""
        return {"step": self.step, "seconds": self.seconds}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Sets the fields."""
        self.step, self.seconds = int(state["step"]), float(state["seconds"])


class DrawnBatches(Dataset[Mapping[str, Any]]):
    """A recipe's batches by the number of their step, which decides all that is drawn for them."""

    def __init__(self, recipe: Recipe) -> None:
        """Takes what draws them."""
        self._recipe = recipe

    def __getitem__(self, step: int) -> Mapping[str, Any]:
        """Returns a step's batch; leaves the random numbers of torch where they are after drawing it."""
        torch.manual_seed(step)
        return self._recipe.batch(np.random.default_rng([7, step]))


@dataclass(kw_only=True)
class TrainingRun:
    """One component's training.

    Attributes:
        recipe: What to train.
        minutes: Processor time that the checkpoint shall have had in all, earlier runs included: what other programs
            take does not count. On a GPU time as the clock shows it.
        threads: Processor cores to use.
        device: "cpu" or "cuda".
        drawing: Processes that draw batches beside the training; 0: it draws them itself.
        judged: Whether the weights are scored at the end, on the processor.
    """

    recipe: Recipe
    minutes: float
    threads: int = 1
    device: str = "cpu"
    drawing: int = 0
    judged: bool = True
    progress: Progress = field(default_factory=Progress)
    _stopping: bool = False

    @property
    def folder(self) -> Path:
        """Where the run keeps its checkpoints and its log."""
        return workdir() / "runs" / self.recipe.name

    def train(self) -> bool:
        """Trains until the minutes are used up. Returns whether they are: False when it was asked to stop before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(self.threads)
        torch.manual_seed(0)
        settings = self.recipe.settings
        accelerator = Accelerator(cpu=self.device == "cpu", mixed_precision="bf16" if settings.bf16 else "no")
        module = self.recipe.build().to(self.device)
        trainable = [p for p in module.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(
            trainable, lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=settings.weight_decay, foreach=True
        )
        module, optimizer = accelerator.prepare(module, optimizer)
        average = EMAModel(trainable, decay=settings.ema_decay, foreach=True)
        accelerator.register_for_checkpointing(average, self.progress)
        self._resume(accelerator)
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        finished = self._steps(accelerator, module, optimizer, average, trainable)
        average.copy_to(trainable)
        self._judge(accelerator.unwrap_model(module).cpu())
        return finished

    def _steps(
        self,
        accelerator: Accelerator,
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        average: EMAModel,
        trainable: list[nn.Parameter],
    ) -> bool:
        saved_at, recent = self.progress.seconds, []
        batches = self._batches()
        while not self._stopping and self.progress.seconds < self.minutes * 60:
            if pause_file().exists():
                self._wait(accelerator)
            started = self._clock()
            for group in optimizer.param_groups:
                group["lr"] = self._learning_rate()
            torch.manual_seed(self.progress.step)
            batch = send_to_device(next(batches), self.device, non_blocking=True)
            with ExplicitAttention() if self.device == "cpu" else torch.device(self.device):
                losses = module(**batch)
            optimizer.zero_grad()
            accelerator.backward(losses["loss"])
            accelerator.clip_grad_norm_(trainable, 1.0)
            optimizer.step()
            average.step(trainable)
            self.progress.step += 1
            self.progress.seconds += self._clock() - started
            recent.append({name: value.detach() for name, value in losses.items()})
            if self.progress.step % _LOG_EVERY_STEPS == 0 or self.progress.step in (3, 20):
                names = list(dict.fromkeys(name for row in recent for name in row))
                self._log(
                    {name: float(torch.stack([row[name] for row in recent if name in row]).mean()) for name in names}
                )
                recent = []
            if self.progress.seconds - saved_at > self.recipe.settings.save_every_s:
                self._checkpoint(accelerator)
                saved_at = self.progress.seconds
        self._checkpoint(accelerator)
        return not self._stopping

    def _clock(self) -> float:
        return time.process_time() if self.device == "cpu" else time.perf_counter()

    def _batches(self) -> Iterator[Mapping[str, Any]]:
        drawn = DrawnBatches(self.recipe)
        steps = range(self.progress.step, sys.maxsize)
        if not self.drawing:
            return (drawn[step] for step in steps)
        return iter(
            DataLoader(
                drawn,
                batch_size=None,
                sampler=steps,
                num_workers=self.drawing,
                prefetch_factor=_DRAWN_AHEAD,
                pin_memory=self.device != "cpu",
            )
        )

    def _wait(self, accelerator: Accelerator) -> None:
        self._checkpoint(accelerator)  # a pause may end with the machine being switched off
        while pause_file().exists() and not self._stopping:
            time.sleep(_PAUSE_POLL_S)

    def _learning_rate(self) -> float:
        settings = self.recipe.settings
        share = min(1.0, self.progress.seconds / (self.minutes * 60))
        cosine = 0.5 * (1 + math.cos(math.pi * share))
        warmth = min(1.0, (self.progress.step + 1) / settings.warmup_steps)
        return settings.learning_rate * warmth * (0.02 + 0.98 * cosine)

    def _judge(self, module: nn.Module) -> None:
        module.eval()
        scores: Mapping[str, float] = {}
        if self.judged:
            with torch.no_grad():
                scores = self.recipe.score(module)
            self._log({f"score/{name}": value for name, value in scores.items()})
        target = weights_folder(self.recipe.name)
        building = target.with_name(f".{target.name}.new")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        with torch.no_grad():
            self.recipe.save(module, building)
        record = {"minutes": round(self.progress.seconds / 60, 1), "steps": self.progress.step, "scores": dict(scores)}
        (building / "training.json").write_text(json.dumps(record, indent=2))
        shutil.rmtree(target, ignore_errors=True)
        building.rename(target)

    def _checkpoints(self) -> list[Path]:
        return sorted(self.folder.glob("step-*"))

    def _checkpoint(self, accelerator: Accelerator) -> None:
        target = self.folder / f"step-{self.progress.step:08d}"
        if target.exists():
            return
        building = self.folder / ".saving"
        shutil.rmtree(building, ignore_errors=True)
        accelerator.save_state(str(building))
        building.rename(target)
        for old in self._checkpoints()[:-_CHECKPOINTS_KEPT]:
            shutil.rmtree(old)

    def _resume(self, accelerator: Accelerator) -> None:
        if found := self._checkpoints():
            accelerator.load_state(str(found[-1]))

    def _log(self, values: Mapping[str, float]) -> None:
        row = {"step": self.progress.step, "minutes": round(self.progress.seconds / 60, 2)}
        row |= {name: float(f"{value:.5g}") for name, value in values.items()}
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(row) + "\n")
        print(self.recipe.name, json.dumps(row), flush=True)

    def _ask_to_stop(self, signum: int, frame: FrameType | None) -> None:
        del signum, frame
        self._stopping = True
