"""LoRAs and embeddings: a set of them is a model of its own, over the same weights.

A set is made beside the denoising, when a request is encoded: the UNet and the text encoders are copied as structures
over the numbers of the plain model, and the copy takes the adapters, by the calls that anybody makes on a
stock pipeline. So nothing that is in use is ever changed: plain requests, and the compiled UNet, never notice; going
from one set to another costs nothing; and a set gives what `load_lora_weights` and `set_adapters` give, bit for bit.
Requests with different sets never share a forward. Where fusing is asked for, the adapters are added to copies of the
weights under them (`fuse_lora`) and taken off: equal but for rounding, with no more to compute than the plain model.
"""

from __future__ import annotations

import copy
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from torch import nn

from composition.errors import InvalidInput
from composition.few_steps import FEW_STEPS
from composition.lora import LoraKind, LoraUse
from composition.request import Speed
from runners.diffusion.engine.counters import Counters
from runners.diffusion.families.stable_diffusion.components import Components, ordinary_tensors
from runners.diffusion.families.stable_diffusion.text import PromptEncoder
from runners.errors import is_device_lost, is_out_of_memory

logger = logging.getLogger(__name__)

SetKey: TypeAlias = tuple[tuple[str, float, str | None], ...]
"""Of each file, in the order of their names: digest, weight, token. Empty for the plain model."""

_SPEED_FILE: Final = "pytorch_lora_weights.safetensors"
_PEFT_PREFIX: Final = "base_model.model."
_LEAST_RANK: Final = 16
_TEXT_ENCODERS: Final = {"text_encoder": "tokenizer", "text_encoder_2": "tokenizer_2"}


@dataclass(frozen=True, kw_only=True, eq=False)
class LoraSet:
    """A set that is ready.

    Attributes:
        unet: takes the place of the plain one.
        text: takes the place of the plain encoders.
        text_key: what the encoding of a prompt depends on beside the prompt; "" where that is nothing.
        names: as responses report them.
        notes: what the caller should know.
        size_bytes: of what the set has and the plain model has not.
    """

    key: SetKey
    unet: Any
    text: PromptEncoder
    text_key: str = ""
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    size_bytes: int = 0


class LoraSets:
    """Makes sets, and keeps those used last within a limit of bytes; one that is larger is kept until the next one.

    Where blocks are `compiled`, sets are made such that they share what is. `get` is called by one thread at a time,
    the rest by any.
    """

    def __init__(
        self,
        components: Components,
        counters: Counters,
        *,
        max_bytes: int,
        fused: bool = False,
        compiled: bool = False,
    ) -> None:
        self._parts, self._counters, self._max_bytes = components, counters, max_bytes
        self._fused, self._compiled = fused, compiled
        self._speeds = components.paths.speed_loras
        self._sets: OrderedDict[SetKey, LoraSet] = OrderedDict()
        self._lock = threading.Lock()
        self.loads = 0
        self.plain = LoraSet(key=(), unet=components.unet, text=components.text)

    @property
    def loaded(self) -> tuple[str, ...]:
        """Those of the service that are in memory; what users call theirs is nobody else's business."""
        with self._lock:
            held = {name for one in self._sets.values() for name in one.names}
        return tuple(few.role for few in FEW_STEPS.values() if few.role in held)

    def stats(self) -> Mapping[str, int]:
        """How many sets are held, and their bytes."""
        with self._lock:
            return {"sets": len(self._sets), "bytes": sum(one.size_bytes for one in self._sets.values())}

    def check(self, loras: Sequence[LoraUse], speed: Speed) -> None:
        """Raises: InvalidInput: this profile has no weights for the speed."""
        self._wanted(loras, speed)

    def get(self, loras: Sequence[LoraUse], speed: Speed = Speed.NORMAL) -> LoraSet:
        """The set that a request asks for, made when it is not there.

        Raises: InvalidInput: one does not fit the model, or its file is gone.
        """
        wanted = self._wanted(loras, speed)
        key = tuple((lora.sha256, lora.weight, lora.token) for lora in wanted)
        if not key:
            return self.plain
        with self._lock:
            if key in self._sets:
                self._sets.move_to_end(key)
                return self._sets[key]
        with ordinary_tensors():
            made = _make(self._parts, key, wanted, fused=self._fused, compiled=self._compiled)
        self._counters.add("lora_sets_made")
        self._counters.add("lora_files_read", len(wanted))
        with self._lock:
            self.loads += len(wanted)
            self._sets[key] = made
            while len(self._sets) > 1 and sum(one.size_bytes for one in self._sets.values()) > self._max_bytes:
                self._sets.popitem(last=False)
                self._counters.add("lora_sets_dropped")
        return made

    def drop_all(self) -> None:
        """Forget every set; one that a request still uses goes with the request."""
        with self._lock:
            self._counters.add("lora_sets_dropped", len(self._sets))
            self._sets.clear()

    def _wanted(self, loras: Sequence[LoraUse], speed: Speed) -> list[LoraUse]:
        wanted = list(loras)
        if speed in FEW_STEPS:
            place, role = self._speeds.get(speed), FEW_STEPS[speed].role
            if place is None:
                raise InvalidInput(f"speed {speed} is not available with this model profile: it has no {role}")
            path = place if place.is_file() else place / _SPEED_FILE
            wanted.append(LoraUse(name=role, weight=1.0, path=str(path), sha256=role))
        return sorted(wanted, key=lambda lora: lora.name)


def _make(parts: Components, key: SetKey, wanted: Sequence[LoraUse], *, fused: bool, compiled: bool) -> LoraSet:
    pipe = _own_pipeline(parts.pipe)
    notes: list[str] = []
    adapters = {f"lora{number}": lora for number, lora in enumerate(wanted) if lora.kind is LoraKind.LORA}
    for adapter, lora in adapters.items():
        with _fitting(lora):
            _load_lora(pipe, adapter, lora)
        notes += _check_placed(pipe, adapter, lora)
    if adapters:
        pipe.set_adapters(list(adapters), [lora.weight for lora in adapters.values()])
    embeddings = [lora for lora in wanted if lora.kind is LoraKind.EMBEDDING]
    if embeddings:
        _own_vocabulary(pipe)
    for lora in embeddings:
        with _fitting(lora):
            _load_embedding(pipe, lora)
    encoders = _text_encoders(pipe)
    changes_text = bool(embeddings) or any(_layers_of(encoder) for encoder in encoders.values())
    if fused and adapters:
        _fuse(pipe)
    if compiled:
        _make_alike(pipe.unet, parts.unet)
    own = _own_bytes([pipe.unet, *encoders.values()], [parts.unet, *_text_encoders(parts.pipe).values()])
    return LoraSet(
        key=key,
        unet=pipe.unet,
        text=parts.kind.encoder(pipe, parts.device) if changes_text else parts.text,
        text_key=repr(key) if changes_text else "",
        names=tuple(lora.name for lora in wanted),
        notes=tuple(notes),
        size_bytes=own,
    )


def _own_pipeline(pipe: Any) -> Any:
    """A stock pipeline whose UNet and text encoders are structures of their own, over the numbers of `pipe`'s."""
    own = copy.copy(pipe)
    own.unet = _own_structure(pipe.unet)
    for name, encoder in _text_encoders(pipe).items():
        setattr(own, name, _own_structure(encoder))
        tokenizer = _TEXT_ENCODERS[name]
        setattr(own, tokenizer, copy.deepcopy(getattr(pipe, tokenizer)))
    return own


def _own_structure(module: nn.Module) -> nn.Module:
    """A copy whose parameters are its own and whose numbers are the module's.

    PEFT marks the parameters under an adapter as needing no gradient. Nothing is trained here, but by it torch chooses
    how it multiplies, and so the last bits: the plain model's parameters must stay as they were loaded.
    """
    shared: dict[int, Any] = {id(buffer): buffer for buffer in module.buffers()}
    for parameter in module.parameters():
        shared[id(parameter)] = nn.Parameter(parameter.detach(), requires_grad=parameter.requires_grad)
    return copy.deepcopy(module, shared)


def _own_vocabulary(pipe: Any) -> None:
    """A copy of every encoder's word vectors: adding to them replaces the data of the parameter that holds them."""
    for encoder in _text_encoders(pipe).values():
        words: Any = encoder.get_input_embeddings()  # type: ignore[operator]
        words.weight = nn.Parameter(words.weight.detach().clone(), requires_grad=False)


def _text_encoders(pipe: Any) -> dict[str, nn.Module]:
    return {name: encoder for name in _TEXT_ENCODERS if (encoder := getattr(pipe, name, None)) is not None}


def _load_lora(pipe: Any, adapter: str, lora: LoraUse) -> None:
    """By the stock call; a file in PEFT's own layout is given the prefixes that it looks for."""
    from safetensors import safe_open

    path = Path(lora.path)
    with safe_open(path, "pt") as file:
        names = list(file.keys())
        if not any(name.startswith(_PEFT_PREFIX) for name in names):
            pipe.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name=adapter, local_files_only=True)
            return
        state = {_with_part(name): file.get_tensor(name) for name in names}
    pipe.load_lora_weights(state, adapter_name=adapter)


def _with_part(name: str) -> str:
    """PEFT saves one model's adapter as "base_model.model.LAYER.lora_A.weight", without saying whose it is."""
    layer = name.removeprefix(_PEFT_PREFIX).replace(".default.weight", ".weight")
    if layer.startswith(("unet.", "text_encoder.", "text_encoder_2.")):
        return layer
    return f"text_encoder.{layer}" if layer.startswith("text_model.") else f"unet.{layer}"


def _load_embedding(pipe: Any, lora: LoraUse) -> None:
    """By the stock call, into every text encoder that the file has vectors for."""
    from safetensors.torch import load_file

    assert lora.token is not None
    state = load_file(lora.path)
    if state.keys() == {"clip_l", "clip_g"}:
        for name, encoder, tokenizer in (
            ("clip_l", pipe.text_encoder, pipe.tokenizer),
            ("clip_g", pipe.text_encoder_2, pipe.tokenizer_2),
        ):
            pipe.load_textual_inversion(state[name], token=lora.token, text_encoder=encoder, tokenizer=tokenizer)
        return
    pipe.load_textual_inversion(state, token=lora.token)


@contextmanager
def _fitting(lora: LoraUse) -> Iterator[None]:
    """What diffusers and PEFT say of a file that is for another model. Raises: InvalidInput."""
    try:
        yield
    except FileNotFoundError as error:
        raise InvalidInput(f"config.loras: {lora.name} was deleted", details={"field": "config.loras"}) from error
    except Exception as error:
        if is_out_of_memory(error) or is_device_lost(error):
            raise
        logger.warning("LoRA %s (SHA-256 %s) does not fit: %s", lora.name, lora.sha256, error)
        raise _unfit(lora) from error


def _unfit(lora: LoraUse) -> InvalidInput:
    return InvalidInput(
        f"config.loras: {lora.name} does not fit the model that is served: its layers have other shapes or are missing",
        details={"field": "config.loras"},
    )


def _check_placed(pipe: Any, adapter: str, lora: LoraUse) -> list[str]:
    """A note where some of a file's layers have found no place. Raises: InvalidInput: none has."""
    placed = sum(len(_layers_of(model, adapter)) for model in (pipe.unet, *_text_encoders(pipe).values()))
    if placed == 0:
        raise _unfit(lora)
    if lora.modules is None or placed >= lora.modules:
        return []
    left = lora.modules - placed
    return [f"LoRA {lora.name}: {left} of its {lora.modules} layers are not in the model that is served and do not act"]


def _fuse(pipe: Any) -> None:
    """Add the adapters to copies of the weights that they are on, and take them off."""
    changed = {name: _layers_of(model) for name, model in {"unet": pipe.unet, **_text_encoders(pipe)}.items()}
    for layers in changed.values():
        for layer in layers:
            base = layer.get_base_layer()
            base.weight = nn.Parameter(base.weight.detach().clone(), requires_grad=False)
    pipe.fuse_lora(components=[name for name, layers in changed.items() if layers])
    pipe.unload_lora_weights()


def _make_alike(unet: nn.Module, plain: nn.Module) -> None:
    """Have sets differ in numbers, not in shapes or settings: what is compiled for one then serves the next.

    By PEFT's preparation for compiled models: strengths become tensors, and matrices are filled with zeros up to a rank
    that many have. What has no adapter on it is like the plain model's, and shares with that.
    """
    from peft.utils.hotswap import prepare_model_for_compiled_hotswap

    layers = _layers_of(unet)
    if layers:
        rank = max(rank for layer in layers for rank in layer.r.values())
        padded = max(_LEAST_RANK, 1 << (rank - 1).bit_length())
        prepare_model_for_compiled_hotswap(unet, target_rank=padded)
        for layer in layers:
            layer.r = dict.fromkeys(layer.r, padded)
            layer.lora_alpha = dict.fromkeys(layer.lora_alpha, padded)
    unet.requires_grad_(next(plain.parameters()).requires_grad).eval()


def _layers_of(model: nn.Module, adapter: str | None = None) -> list[Any]:
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers: Iterable[Any] = (module for module in model.modules() if isinstance(module, BaseTunerLayer))
    return [layer for layer in layers if adapter is None or adapter in layer.lora_A]


def _own_bytes(models: Sequence[nn.Module], plain: Sequence[nn.Module]) -> int:
    shared = {parameter.data_ptr() for model in plain for parameter in model.parameters()}
    own = {p.data_ptr(): p.untyped_storage().nbytes() for model in models for p in model.parameters()}
    return sum(size for pointer, size in own.items() if pointer not in shared)
