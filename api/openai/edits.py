"""The form of POST /v1/images/edits: OpenAI's parameters -> **our request**.

What the service cannot honour is refused by its name: a parameter it does not have, or a value that it cannot give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from api.errors import from_validation
from api.multipart import Form, Upload
from api.openai.errors import UnknownModel
from api.schemas import GenerateRequest, Prompt
from composition.errors import InvalidInput
from composition.request import MAX_CANDIDATES, MAX_REFERENCES, MAX_SEED, RANDOM_SEED, MaskMode, OutputFormat

MODEL: Final = "image-composition"
MAX_IMAGES: Final = 1 + MAX_REFERENCES
"""The photo and the references."""
MAX_PARTIAL_IMAGES: Final = 3

Quality = Literal["auto", "low", "medium", "high", "standard"]
_STEPS: Final[Mapping[Quality, int]] = {"low": 12, "high": 50}
"""Denoising steps; the others take the service's default."""

_IMAGES: Final = ("image", "image[]")
_FILE: Final = {"type": "string", "format": "binary"}
_FILES: Final = {"type": "array", "items": _FILE, "maxItems": MAX_IMAGES}
_Name = Annotated[str, StringConstraints(max_length=512)]


class ImageEdit(BaseModel):
    """OpenAI's parameters, as far as they can be honoured; each is text in the form."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: Prompt
    model: Annotated[str, Field(description=f"`{MODEL}`, the only one.")] = MODEL
    n: Annotated[
        int, Field(ge=1, le=MAX_CANDIDATES, description="So many candidates, of the seeds seed, seed + 1 ...")
    ] = 1
    size: Annotated[
        str,
        StringConstraints(pattern=r"^(auto|[1-9]\d{0,4}x[1-9]\d{0,4})$"),
        Field(description="auto, or the photo's own WIDTHxHEIGHT: an edit has the resolution of its photo."),
    ] = "auto"
    quality: Annotated[
        Quality, Field(description="low: 12 denoising steps, high: 50; the others: the service's default.")
    ] = "auto"
    output_format: OutputFormat = OutputFormat.PNG
    output_compression: Annotated[
        int | None, Field(ge=0, le=100, description="Quality of jpeg and webp; of the latter 100 is lossless.")
    ] = None
    response_format: Annotated[Literal["b64_json"], Field(description="Images come in base64.")] = "b64_json"
    background: Annotated[Literal["auto", "opaque"], Field(description="Edits are opaque.")] = "auto"
    input_fidelity: Annotated[
        Literal["high"] | None, Field(description="Outside the mask the photo is kept as it is.")
    ] = None
    stream: Annotated[bool, Field(description="Answer with server-sent events.")] = False
    partial_images: Annotated[
        int, Field(ge=0, le=MAX_PARTIAL_IMAGES, description="Only with stream, and with `generation.previews`.")
    ] = 0
    seed: Annotated[
        int | None, Field(ge=RANDOM_SEED, le=MAX_SEED, description="-1 or absent: random. Not one of OpenAI's.")
    ] = None
    user: Annotated[_Name | None, Field(description="Accepted; the API key owns the job.")] = None
    safety_identifier: Annotated[_Name | None, Field(description="Accepted and given back.")] = None

    def to_request(self, images: Sequence[Upload], mask: Upload | None) -> GenerateRequest:
        """The same edit as our request. Args: `images` is the photo, then the references."""
        config: dict[str, Any] = {"output_format": self.output_format}
        if self.output_compression is not None and not self._is_lossless:
            config["output_quality"] = max(1, self.output_compression)
        if mask is not None:
            config["mask_mode"] = MaskMode.ALPHA
        if self.seed is not None:
            config["seed"] = self.seed
        if self.quality in _STEPS:
            config["num_inference_steps"] = _STEPS[self.quality]
        photo, *references = images
        files = {"base_image": photo, "reference_images": references, "mask_image": mask}
        return GenerateRequest.model_validate({**files, "prompt": self.prompt, "n": self.n, "config": config})

    @property
    def _is_lossless(self) -> bool:
        return self.output_format is not OutputFormat.JPEG and self.output_compression in (None, 100)


TEXTS: Final = frozenset(ImageEdit.model_fields)
FILES: Final = frozenset({*_IMAGES, "mask"})
"""The names that a form's parts may have."""


def read_edit(form: Form) -> tuple[ImageEdit, GenerateRequest]:
    """Raises: InvalidInput, UnknownModel."""
    images = _files(form, "image") + _files(form, "image[]")
    if not images:
        raise about("image", "Field required")
    if len(images) > MAX_IMAGES:
        raise about("image", f"at most {MAX_IMAGES} are taken: the photo, then {MAX_REFERENCES} references")
    single = {name: values for name, values in form.items() if name not in _IMAGES}
    for name, values in single.items():
        if len(values) > 1:
            raise about(name, f"is given {len(values)} times")
    texts = {name: text for name in TEXTS for text in single.get(name, ()) if isinstance(text, str) and text.strip()}
    try:
        edit = ImageEdit.model_validate(texts)
        request = edit.to_request(images, next(iter(_files(form, "mask")), None))
    except ValidationError as error:
        raise from_validation(error.errors()) from error
    if edit.model != MODEL:
        raise UnknownModel(edit.model)
    if edit.output_format is OutputFormat.PNG and edit.output_compression not in (None, 100):
        raise about("output_compression", "png is lossless: 100, or output_format jpeg or webp")
    if edit.partial_images and not edit.stream:
        raise about("partial_images", "needs stream")
    return edit, request


def _files(form: Form, name: str) -> tuple[Upload, ...]:
    uploads = tuple(value for value in form.get(name, ()) if isinstance(value, Upload))
    if len(uploads) != len(form.get(name, ())):
        raise about(name, "must be a file")
    return uploads


def about(field: str, message: str) -> InvalidInput:
    """What is wrong with a parameter."""
    return InvalidInput(f"{field}: {message}", details={"field": field})


def _form_schema() -> dict[str, Any]:
    """Of the form, for the OpenAPI document."""
    schema = ImageEdit.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions = schema.pop("$defs", {})
    texts = {name: _resolved(part, definitions) for name, part in schema["properties"].items()}
    files = {
        "image": {
            "anyOf": [_FILE, _FILES],
            "description": "The photo; in a list, references after it. `image[]` is the same.",
        },
        "mask": {**_FILE, "description": "Of the photo's size: what is transparent is repainted."},
    }
    return {**schema, "properties": {**files, **texts}, "required": ["image", "prompt"]}


def _resolved(part: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """A reference to what is not in the document is replaced by what it names."""
    name = part.pop("$ref", "").rpartition("/")[2]
    return {**definitions.get(name, {}), **part}


FORM_SCHEMA: Final = _form_schema()
