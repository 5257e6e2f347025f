"""What a caller may send: the request table of POST /generate, validated strictly before anything else happens.

Unknown keys, NaN, numbers as text and booleans as numbers are refused; everything here answers 400 INVALID_INPUT.
`config` is made from the definitions of `composition.request.EditOptions`; here stands only how their types are sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    create_model,
    model_validator,
)
from pydantic_core import PydanticKnownError

from api.examples import EXAMPLE_REQUEST
from api.multipart import Upload
from api.references import Reference, ReferenceImage, images_of
from api.wire_types import BlankIsAbsent, Flag, Image, Integer, Number, Video
from composition.controls import CONTROLS
from composition.images import Box
from composition.marks import Point
from composition.request import (
    MAX_CANDIDATES,
    MAX_EDITS,
    MAX_REFERENCES,
    MAX_SEED,
    MAX_VIEWS,
    MIN_VIEWS,
    OF_EACH_EDIT,
    OPTIONS,
    ControlType,
    Option,
    RefineMask,
    ResponseFormat,
    VideoOutput,
)

T = TypeVar("T")

MAX_PROMPT_CHARS = 1000
MAX_URL_CHARS = 8192
MAX_SESSION_CHARS = 64


def _without_repetition(types: list[str] | None) -> list[str] | None:
    return list(dict.fromkeys(types)) if types else None


def _or_none(collection: T | None) -> T | None:
    return collection or None


def _known_labels(points: list[list[float]] | None) -> list[list[float]] | None:
    if any(len(point) == 3 and point[2] not in (0, 1) for point in points or ()):
        raise ValueError("a point's label must be 1 (on the thing) or 0 (not on it)")
    return points or None


def _with_area(box: list[float] | None) -> list[float] | None:
    if box is not None and not (box[0] < box[2] and box[1] < box[3]):
        raise ValueError("must be [x0, y0, x1, y1] with x0 < x1 and y0 < y1")
    return box


def _that_can_be_segmented(config: GenerateConfig) -> GenerateConfig:
    """What is said of points holds whatever is sent beside them."""
    if config.points and config.box is None:
        if config.refine_mask is RefineMask.OFF:
            raise ValueError("points are segmented by SAM, which refine_mask off switches off: send a box beside them")
        if all(len(point) == 3 and point[2] == 0 for point in config.points):
            raise ValueError("points need at least one of label 1, or a box")
    return config


def _with_steps_to_act_in(config: GenerateConfig) -> GenerateConfig:
    """A window of the steps that is empty would switch off what another option asks for."""
    for kind in ("ip_adapter", "control_guidance"):
        if not getattr(config, f"{kind}_start") < getattr(config, f"{kind}_end"):
            raise ValueError(f"{kind}_start must be below {kind}_end")
    return config


def _required_without_edits(value: object, info: ValidationInfo) -> object:
    """Only where the edits are there or wrong by themselves may a prompt be absent."""
    if value is None and info.data.get("edits", ()) is None:
        raise PydanticKnownError("missing")
    return value


def _http_url(url: str) -> str:
    if not url.lower().startswith(("http://", "https://")):
        raise ValueError("must be an http or https URL")
    return url


if TYPE_CHECKING:
    ControlName = str
else:
    ControlName = Literal[tuple(CONTROLS)]
Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_PROMPT_CHARS)]
LoraName = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Coordinate = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0.0)]
LoraWeight = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-2.0, le=2.0)]


_WIRE_TYPES: Mapping[Any, Any] = {
    bool: Flag,
    int: Integer,
    float: Number,
    str: Annotated[str, StringConstraints(strip_whitespace=True)],
    tuple[ControlType, ...]: list[ControlName],
    tuple[Point, ...]: list[Annotated[list[Coordinate], Field(min_length=2, max_length=3)]],
    Box: Annotated[list[Coordinate], Field(min_length=4, max_length=4)],
    Mapping[str, float]: dict[LoraName, LoraWeight],
}
"""How values of a type are sent, strictly; a choice (an enum) is sent as it is."""
_MEANINGS: Mapping[str, Any] = {
    "control_types": AfterValidator(_without_repetition),
    "target": BlankIsAbsent,
    "model": BlankIsAbsent,
    "points": AfterValidator(_known_labels),
    "box": AfterValidator(_with_area),
    "loras": AfterValidator(_or_none),
}
"""What a valid value comes to, for the options where several values mean the same."""


def _wire_field(option: Option) -> tuple[Any, Any]:
    sent = _WIRE_TYPES.get(option.type, option.type)
    annotation = sent | None if option.default is None else sent
    parts = [Field(description=option.description, **option.bounds)]
    parts += [_MEANINGS[option.name]] if option.name in _MEANINGS else []
    return Annotated[annotation, *parts], option.default


if TYPE_CHECKING:

    class GenerateConfig(BaseModel):
        """Has a field for every option of `composition.request.OPTIONS`."""

        def __getattr__(self, option: str) -> Any: ...

else:
    GenerateConfig = create_model(
        "GenerateConfig",
        __config__=ConfigDict(extra="forbid", frozen=True),
        __doc__="How the edit is made; every field may be left out.",
        __module__=__name__,
        __validators__={
            "that_can_be_segmented": model_validator(mode="after")(_that_can_be_segmented),
            "with_steps_to_act_in": model_validator(mode="after")(_with_steps_to_act_in),
        },
        **{name: _wire_field(option) for name, option in OPTIONS.items()},
    )


References = Annotated[
    list[Reference] | None,
    Field(
        max_length=MAX_REFERENCES,
        description="Images whose look is taken over; those of one part and one weight all together.",
    ),
    AfterValidator(_or_none),
]
OneReference = Annotated[
    Image | None,
    Field(description="An image whose look is taken over; several as `reference_images`."),
    BlankIsAbsent,
]
CallbackUrl = Annotated[
    Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_URL_CHARS), AfterValidator(_http_url)]
    | None,
    Field(description="Webhook that is told when the job ends; only for the asynchronous endpoints."),
    BlankIsAbsent,
]
Session = Annotated[
    Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_SESSION_CHARS, pattern=r"^[!-~]+$")] | None,
    Field(
        description="A name of your own choosing for a line of requests of which only the newest is wanted: "
        "those that came before and have not ended end with SUPERSEDED."
    ),
    BlankIsAbsent,
]
MaskImage = Annotated[
    Image | None,
    Field(description="White = repaint (see config.mask_mode), same size as the base image; overrides detection."),
    BlankIsAbsent,
]


def _of_one_edit(option: Option) -> tuple[Any, Any]:
    """The field of one of several edits: absent, it is as `config` has it."""
    return _wire_field(replace(option, default=None))


class _SeveralEdits(BaseModel):
    """What each of several edits has beside its own options."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: Prompt
    negative_prompt: Annotated[Prompt | None, BlankIsAbsent] = None
    mask_image: MaskImage = None
    reference_images: References = None


if TYPE_CHECKING:

    class RegionEdit(_SeveralEdits):
        """Has a field for every option of `composition.request.OF_EACH_EDIT`."""

        def __getattr__(self, option: str) -> Any: ...

else:
    RegionEdit = create_model(
        "RegionEdit",
        __base__=_SeveralEdits,
        __doc__="One of several edits of a photo; what it leaves out is as `config` has it for all of them.",
        __module__=__name__,
        **{name: _of_one_edit(OPTIONS[name]) for name in OF_EACH_EDIT},
    )


def _check_no_marks(config: GenerateConfig, who_takes: str) -> None:
    """`who_takes` begins what is said instead: "views take"."""
    for name in ("points", "box"):
        if getattr(config, name) is not None:
            raise ValueError(f"config.{name} is of one photograph: {who_takes} config.target")


def _check_no_parts(references: Sequence[Reference] | None, who_has: str) -> None:
    if any(isinstance(one, ReferenceImage) and one.part is not None for one in references or ()):
        raise ValueError(f"reference_images.for is of one photograph: {who_has} none")


def _with_references(
    named: Mapping[str, str | Upload], request: ViewsRequest | VideoRequest
) -> Mapping[str, str | Upload]:
    one = {} if request.reference_image is None else {"reference_image": request.reference_image}
    return {**named, **one, **images_of(request.reference_images, "")}


def _check_given_once(request: GenerateRequest | ViewsRequest | VideoRequest) -> None:
    if request.reference_image is not None and request.reference_images is not None:
        raise ValueError("reference_image and reference_images are the same thing: send one of them")


class _JobRequest(BaseModel):
    """A request for a job: one candidate of one edit, unless a kind of request says otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def candidates(self) -> int:
        """How many results there are of each photograph."""
        return 1

    @property
    def each_edit(self) -> Sequence[RegionEdit]:
        """Of several edits of one photograph each; of a single one nothing."""
        return ()


class GenerateRequest(_JobRequest):
    """One edit: a photo, a sentence and, optionally, a reference image. Or several of one photo, as `edits`."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE_REQUEST})

    base_image: Image
    edits: Annotated[
        list[RegionEdit] | None,
        Field(
            max_length=MAX_EDITS,
            description="Several edits in one pass, later ones over earlier ones where they overlap; in the place of "
            "`prompt`, `negative_prompt`, `mask_image` and the references.",
        ),
        AfterValidator(_or_none),
    ] = None
    prompt: Annotated[
        Prompt | None,
        Field(validate_default=True, description="What is to be done; required unless there are `edits`."),
        BeforeValidator(_required_without_edits),
    ] = None
    reference_image: OneReference = None
    reference_images: References = None
    mask_image: MaskImage = None
    negative_prompt: Annotated[Prompt | None, BlankIsAbsent] = None
    callback_url: CallbackUrl = None
    session: Session = None
    n: Annotated[
        int,
        Field(
            strict=True,
            ge=1,
            le=MAX_CANDIDATES,
            description="So many candidates, of the seeds seed, seed + 1 ...: `result.images` beside `result.image`.",
        ),
    ] = 1
    response_format: Annotated[
        ResponseFormat,
        Field(
            description="json: the image in base64; url: `result.image_url` in its place; binary: the image file as "
            "the body, what else there is to say in headers (not for /generate/async)."
        ),
    ] = ResponseFormat.JSON
    config: GenerateConfig = GenerateConfig()

    @model_validator(mode="after")
    def _with_references_given_once(self) -> Self:
        _check_given_once(self)
        return self

    @model_validator(mode="after")
    def _with_regions_said_once(self) -> Self:
        if self.edits is None:
            return self
        for name in OF_ONE_EDIT:
            if getattr(self, name) is not None:
                raise ValueError(f"{name} is of one edit: with edits, each has its own")
        for name in ("target", "points", "box"):
            if getattr(self.config, name) is not None:
                raise ValueError(
                    f"config.{name} says where one edit is: with edits, each has its own target or mask_image"
                )
        return self

    @property
    def images(self) -> Mapping[str, str | Upload]:
        """Every image by the name that an error calls it: base_image, reference_images.0 ..., edits.0.mask_image."""
        named: dict[str, str | Upload | None] = {name: getattr(self, name) for name in IMAGE_FIELDS}
        named |= images_of(self.reference_images, "")
        for number, edit in enumerate(self.each_edit):
            named[f"edits.{number}.mask_image"] = edit.mask_image
            named |= images_of(edit.reference_images, f"edits.{number}.")
        return {name: image for name, image in named.items() if image is not None}

    @property
    def photographs(self) -> tuple[str, ...]:
        """The names of those of `images` that are edited."""
        return ("base_image",)

    @property
    def candidates(self) -> int:
        """How many results there are of each photograph."""
        return self.n

    @property
    def each_edit(self) -> Sequence[RegionEdit]:
        """Of several edits of one photograph each; of a single one nothing."""
        return self.edits or ()

    @model_validator(mode="after")
    def _that_can_be_delivered(self) -> Self:
        if self.response_format is ResponseFormat.BINARY:
            if self.n > 1:
                raise ValueError("response_format binary is one image: n must be 1")
            if self.config.return_mask:
                raise ValueError("response_format binary is the image alone: config.return_mask must be false")
        if self.config.seed is not None and self.config.seed + self.n - 1 > MAX_SEED:
            raise ValueError(
                f"the last of n candidates has the seed config.seed + n - 1, which may be at most {MAX_SEED}"
            )
        return self


class ViewsRequest(_JobRequest):
    """One edit of several photographs of one thing, which gets one look in all of them."""

    base_images: Annotated[
        list[Image],
        Field(
            min_length=MIN_VIEWS,
            max_length=MAX_VIEWS,
            description="The photographs; each keeps its size, and every pixel outside its own mask.",
        ),
    ]
    prompt: Annotated[Prompt, Field(description="What is to be done, in all of them.")]
    reference_image: OneReference = None
    reference_images: References = None
    negative_prompt: Annotated[Prompt | None, BlankIsAbsent] = None
    callback_url: CallbackUrl = None
    session: Session = None
    response_format: Annotated[
        Literal[ResponseFormat.JSON, ResponseFormat.URL],
        Field(description="json: the images in base64; url: `result.image_urls` in their place."),
    ] = ResponseFormat.JSON
    config: GenerateConfig = GenerateConfig()

    @model_validator(mode="after")
    def _with_references_given_once(self) -> Self:
        _check_given_once(self)
        return self

    @model_validator(mode="after")
    def _with_nothing_of_one_photo(self) -> Self:
        _check_no_marks(self.config, "views take")
        if self.config.return_mask:
            raise ValueError("config.return_mask is of one photograph: views have none")
        _check_no_parts(self.reference_images, "views have")
        return self

    @property
    def images(self) -> Mapping[str, str | Upload]:
        """As those of a `GenerateRequest`: base_images.0 ..., reference_image."""
        return _with_references({f"base_images.{place}": image for place, image in enumerate(self.base_images)}, self)

    @property
    def photographs(self) -> tuple[str, ...]:
        """The names of those of `images` that are edited."""
        return tuple(f"base_images.{place}" for place in range(len(self.base_images)))


class VideoRequest(_JobRequest):
    """One edit of a clip: the same in every frame that shows the thing."""

    video: Annotated[Video, Field(description="The clip. MP4 and WebM need the service's extra `video`.")]
    prompt: Annotated[Prompt, Field(description="What is to be done, in all frames.")]
    reference_image: OneReference = None
    reference_images: References = None
    negative_prompt: Annotated[Prompt | None, BlankIsAbsent] = None
    callback_url: CallbackUrl = None
    output: Annotated[
        VideoOutput | None,
        Field(description="The file that it becomes; png_sequence is a zip of the frames. Absent: as the clip is."),
        BlankIsAbsent,
    ] = None
    response_format: Annotated[
        Literal[ResponseFormat.URL, ResponseFormat.JSON],
        Field(description="url: `result.video_url`; json: `result.video`, the file in base64."),
    ] = ResponseFormat.URL
    config: GenerateConfig = GenerateConfig()

    @model_validator(mode="after")
    def _with_references_given_once(self) -> Self:
        _check_given_once(self)
        return self

    @model_validator(mode="after")
    def _with_nothing_of_one_photo(self) -> Self:
        _check_no_marks(self.config, "a video takes")
        for name, instead in (("output_format", "a video has `output`"), ("oversize", "a video is not reduced")):
            if getattr(self.config, name) != OPTIONS[name].default:
                raise ValueError(f"config.{name} is of photographs: {instead}")
        for name in ("return_mask", "embed_metadata"):
            if getattr(self.config, name):
                raise ValueError(f"config.{name} is of photographs: a video has none")
        _check_no_parts(self.reference_images, "a video has")
        return self

    @property
    def images(self) -> Mapping[str, str | Upload]:
        """Every file by the name that an error calls it: video, reference_image ..."""
        return _with_references({"video": self.video}, self)

    @property
    def photographs(self) -> tuple[str, ...]:
        """The name of that of `images` that is edited."""
        return ("video",)

    @property
    def session(self) -> str | None:
        """It is in no line of requests."""
        return None


OF_ONE_EDIT = ("prompt", "negative_prompt", "mask_image", "reference_image", "reference_images")
"""The fields of a request that `edits` takes the place of."""
IMAGE_FIELDS = ("base_image", "reference_image", "mask_image")
"""The fields of a request that are images."""
CLIP_FIELD = "video"
FILE_FIELDS = (*IMAGE_FIELDS, CLIP_FIELD)
"""Those that in a form may be files."""
IMAGE_LISTS = ("base_images", "reference_images")
"""The fields that are several: in a form each is a part of that name."""
