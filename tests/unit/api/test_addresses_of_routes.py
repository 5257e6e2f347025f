"""A path is answered as it is written, or not at all."""


async def test_a_slash_too_many_is_another_path_and_no_redirection(edge):
    answer = await edge.client.get("/api/v1/health/")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
