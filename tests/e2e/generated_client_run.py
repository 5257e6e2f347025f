"""What a user of a generated client writes; run beside the package `edits`, with the service's URL as its argument."""

from __future__ import annotations

import base64
import io
import json
import sys
import time

from edits import Client
from edits.api.edits import (
    analyze_api_v1_analyze_post,
    generate_api_v1_generate_post,
    generate_async_api_v1_generate_async_post,
)
from edits.api.jobs import (
    cancel_job_api_v1_jobs_job_id_delete,
    job_image_api_v1_jobs_job_id_image_get,
    status_api_v1_status_job_id_get,
)
from edits.api.openai import edit_image_v1_images_edits_post
from edits.models import ErrorResponse, GenerateForm, GenerateRequest, GenerateResponse, ImageEdit, JobStatus
from edits.models import OpenAiImagesResponse as ImagesResponse
from edits.types import File
from PIL import Image

url, example = sys.argv[1], json.loads(sys.argv[2])
quick = GenerateRequest.from_dict({**example, "config": {"num_inference_steps": 1, "seed": 7}})
slow = GenerateRequest.from_dict({**example, "config": {"num_inference_steps": 100}})
with Client(base_url=url, timeout=120) as client:
    edited = generate_api_v1_generate_post.sync(client=client, body=quick)
    assert isinstance(edited, GenerateResponse), edited
    assert edited.result.metadata["seed_used"] == 7

    photo = base64.b64decode(example["base_image"].partition(",")[2])
    form = GenerateForm(base_image=File(io.BytesIO(photo), "photo.png"), prompt="blue car", config=quick.config)
    assert isinstance(generate_api_v1_generate_post.sync(client=client, body=form), GenerateResponse)
    wanted = ImageEdit(image=File(io.BytesIO(photo), "photo.png"), prompt="blue car", seed=7)
    answer = edit_image_v1_images_edits_post.sync(client=client, body=wanted)
    assert isinstance(answer, ImagesResponse), answer
    clicked = {"points": [[128, 128], [5, 5, 0]], "box": [64, 64, 192, 192], "num_inference_steps": 1, "seed": 7}
    several = GenerateRequest.from_dict({**example, "n": 2, "response_format": "url", "config": clicked})
    candidates = generate_api_v1_generate_post.sync(client=client, body=several).result
    assert candidates.metadata["seeds"] == [7, 8]
    job_id = candidates.image_url.split("/")[-2]
    files = [
        job_image_api_v1_jobs_job_id_image_get.sync(job_id, client=client, index=index).payload.read()
        for index in range(2)
    ]
    assert files[0] != files[1]
    assert len(candidates.image_urls) == 2

    analysis = analyze_api_v1_analyze_post.sync(client=client, body=quick)
    assert analysis.result.mask

    job_id = generate_async_api_v1_generate_async_post.sync(client=client, body=quick).job_id
    while (job := status_api_v1_status_job_id_get.sync(job_id, client=client)).status in ("pending", "processing"):
        time.sleep(0.05)
    assert job.status is JobStatus.COMPLETED, job
    image = job_image_api_v1_jobs_job_id_image_get.sync(job_id, client=client)
    assert Image.open(io.BytesIO(image.payload.read())).size == (256, 256)

    leaving = generate_async_api_v1_generate_async_post.sync(client=client, body=slow).job_id
    assert cancel_job_api_v1_jobs_job_id_delete.sync(leaving, client=client).status is JobStatus.CANCELLED

    unknown = status_api_v1_status_job_id_get.sync("2f4c7b0e-8d3a-4a58-9a2e-5d0c6f2b1e77", client=client)
    assert isinstance(unknown, ErrorResponse)
    assert unknown.error.code == "NOT_FOUND"
print("done")
