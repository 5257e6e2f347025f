"""What an image file says of itself: nothing, or how it was made and that a model has made a part of it."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image as PillowImage

from api.codec import PillowCodec
from api.provenance import DIGITAL_SOURCE_TYPE
from composition.images import Box
from composition.jobs import EditOfPayload, EditPayload
from composition.marks import Point
from composition.provenance import parameters_of
from composition.request import Crop, EditOptions, OutputFormat
from tests.unit.api.images import gradient

CODEC = PillowCodec(max_side_px=2048)
PARAMETERS = {"prompt": 'a <b>blue</b> & "old" car \u00fc\u4e2d\ud800\x00\ufffe ]]>', "seed": 7}
FORMATS = list(OutputFormat)
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
COMMENT = "{http://ns.adobe.com/exif/1.0/}UserComment"


def opened(parameters, output_format: OutputFormat) -> PillowImage.Image:
    data, _ = CODEC.encode(gradient(), output_format, parameters)
    image = PillowImage.open(io.BytesIO(data))
    image.load()
    return image


def packet(image: PillowImage.Image) -> ElementTree.Element:
    root = ElementTree.fromstring(image.info["xmp"])  # noqa: S314  our own
    (description,) = root.iter(f"{RDF}Description")
    return description


@pytest.mark.parametrize("output_format", FORMATS)
def test_every_format_says_that_a_model_has_made_a_part_of_it(output_format: OutputFormat):
    description = packet(opened(PARAMETERS, output_format))
    assert description.findtext(IPTC) == DIGITAL_SOURCE_TYPE
    assert DIGITAL_SOURCE_TYPE == (
        "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
    )


@pytest.mark.parametrize("output_format", FORMATS)
def test_every_format_has_the_parameters_whatever_characters_are_in_them(output_format: OutputFormat):
    (comment,) = packet(opened(PARAMETERS, output_format)).iter(f"{RDF}li")
    assert json.loads(comment.text) == PARAMETERS


def test_a_png_has_the_parameters_as_text_too():
    assert json.loads(opened(PARAMETERS, OutputFormat.PNG).text["parameters"]) == PARAMETERS


@pytest.mark.parametrize("output_format", FORMATS)
def test_the_pixels_are_those_of_the_file_without_it(output_format: OutputFormat):
    assert np.array_equal(np.asarray(opened(PARAMETERS, output_format)), np.asarray(opened(None, output_format)))


@pytest.mark.parametrize("output_format", FORMATS)
def test_without_parameters_nothing_is_written(output_format: OutputFormat):
    image = opened(None, output_format)
    assert image.info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density", "loop", "background"} | {
        "duration",
        "timestamp",
    }
    data, _ = CODEC.encode(gradient(), output_format)
    assert b"xmp" not in data.lower()
    assert b"iTXt" not in data


@pytest.mark.parametrize("output_format", FORMATS)
def test_what_was_written_does_not_keep_the_image_from_being_edited_again(output_format: OutputFormat):
    data, _ = CODEC.encode(gradient(), output_format, PARAMETERS)
    assert CODEC.decode(data).shape == (256, 256, 3)


def test_the_longest_request_fits_into_a_jpeg():
    longest = {"prompt": "\U0001f697" * 1000, "negative_prompt": "&" * 1000, "config": {"points": [[9.5, 9.5, 1]] * 32}}
    (comment,) = packet(opened(longest, OutputFormat.JPEG)).iter(f"{RDF}li")
    assert json.loads(comment.text) == longest


ACCOUNT = {
    "pipeline_used": "simple",
    "models_used": ["sam", "sd-inpainting"],
    "metadata": {"routing": {"generation_prompt": "a blue car"}},
}


def test_the_parameters_are_the_words_the_seed_and_the_options_that_were_chosen():
    options = EditOptions(
        seed=7,
        points=(Point(1.0, 2.0),),
        box=Box(x0=0.0, y0=0.0, x1=9.0, y1=9.0),
        crop=Crop.OFF,
        output_format=OutputFormat.JPEG,
        return_mask=True,
        embed_metadata=True,
    )
    payload = EditPayload(
        prompt="blue car",
        negative_prompt="rust",
        base_key="secret-base",
        reference_keys=("secret-reference",),
        mask_key="secret-mask",
        options=options,
    )
    parameters = json.loads(json.dumps(parameters_of(payload, ACCOUNT, 9)))
    assert parameters == {
        "prompt": "blue car",
        "negative_prompt": "rust",
        "generation_prompt": "a blue car",
        "seed": 9,
        "pipeline": "simple",
        "models": ["sam", "sd-inpainting"],
        "config": {"points": [[1.0, 2.0, 1]], "box": {"x0": 0.0, "y0": 0.0, "x1": 9.0, "y1": 9.0}, "crop": "off"},
    }


def test_of_several_edits_each_is_told_without_its_images():
    edits = (
        EditOfPayload(prompt="red car", mask_key="secret", options={"blend": 0.5}),
        EditOfPayload(prompt="a tree", negative_prompt="leaves", reference_keys=("secret",)),
    )
    parameters = parameters_of(EditPayload(prompt="", base_key="b", edits=edits), ACCOUNT, 3)
    assert "prompt" not in parameters
    assert parameters["edits"] == [
        {"prompt": "red car", "blend": 0.5},
        {"prompt": "a tree", "negative_prompt": "leaves"},
    ]


def test_what_was_left_to_the_service_is_left_out_but_seed_zero_is_a_seed():
    parameters = parameters_of(EditPayload(prompt="blue car", base_key="b"), ACCOUNT, 0)
    assert parameters.keys() == {"prompt", "generation_prompt", "seed", "pipeline", "models"}
    assert parameters["seed"] == 0
