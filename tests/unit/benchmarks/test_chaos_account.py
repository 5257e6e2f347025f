"""What a chaos run must see, each planted by hand."""

import base64
from dataclasses import replace

import pytest

from benchmarks.chaos_account import Account, Watched, mark_bytes
from benchmarks.chaos_journal import BEGUN, DONE, STOPPED, Journal, Mark

FIRST = Mark(job_id="a", attempt=1, worker=1, nonce="11")
SECOND = Mark(job_id="a", attempt=2, worker=2, nonce="22")


def result_of(mark, *, image_of=None):
    image = base64.b64encode(b"pixels" + mark_bytes(image_of or mark)).decode()
    return {"image": image, "metadata": {"mark": mark.as_document()}}


def completed(mark, **changes):
    return {"status": "completed", "attempt": mark.attempt, "progress": 1.0, "result": result_of(mark)} | changes


def webhook(mark):
    return {"type": "job.completed", "data": {"job_id": "a", "attempt": mark.attempt, "result": result_of(mark)}}


@pytest.fixture
def account():
    return Account(jobs={"a": Watched(number=0)})


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path)
    for mark in (FIRST, SECOND):
        journal.note(BEGUN, mark)
        journal.note(DONE, mark)
    return journal


def test_one_result_of_the_attempt_that_counts_is_right_though_another_finished_too(account, journal):
    account.look("a", completed(SECOND))
    account.look("a", completed(SECOND))
    account.streamed("a", [{"status": "processing", "attempt": 2}, {"status": "completed", "attempt": 2}])
    account.called_back("w", webhook(SECOND), accepted=False)
    account.called_back("w", webhook(SECOND), accepted=True)
    account.close(journal)
    assert (account.wrong, account.in_vain, account.once("a")) == ([], 1, True)


def test_the_result_of_an_overtaken_attempt_is_wrong(account):
    account.look("a", completed(FIRST, attempt=2))
    assert account.wrong == ["job 0 was completed by attempt 2 with the result of 1"]


def test_a_result_that_is_replaced_by_another_attempt_s_is_wrong(account):
    account.look("a", completed(SECOND))
    account.look("a", completed(replace(SECOND, nonce="33")))
    assert account.wrong == ["job 0 has two results"]


def test_a_result_that_goes_away_is_wrong(account):
    account.look("a", completed(SECOND))
    account.look("a", {"status": "processing", "attempt": 3, "progress": 0.1, "result": None})
    assert account.wrong == ["job 0 went from completed to processing"]


def test_the_image_of_one_attempt_with_the_account_of_another_is_wrong(account):
    account.look("a", completed(SECOND, result=result_of(SECOND, image_of=FIRST)))
    assert account.wrong == ["job 0 has the account of one attempt and the image of another"]


def test_another_job_s_result_is_wrong(account):
    account.look("a", completed(replace(SECOND, job_id="b")))
    assert account.wrong == ["job 0 shows the result of another job"]


def test_a_second_completion_in_the_stream_is_wrong(account):
    account.look("a", completed(SECOND))
    account.streamed("a", [{"status": "completed", "attempt": 1}, {"status": "completed", "attempt": 2}])
    assert account.wrong == ["job 0 completed 2 times"]


def test_a_stream_that_names_another_attempt_is_wrong(account):
    account.look("a", completed(SECOND))
    account.streamed("a", [{"status": "completed", "attempt": 1}])
    assert account.wrong == ["job 0's stream names attempt 1, not 2"]


def test_a_second_webhook_of_another_attempt_is_wrong(account, journal):
    account.look("a", completed(SECOND))
    account.called_back("w", webhook(SECOND), accepted=True)
    account.called_back("w", webhook(FIRST), accepted=False)
    account.close(journal)
    assert account.wrong == ["job a has webhooks that say different things"]


def test_a_second_webhook_under_another_id_is_wrong(account, journal):
    account.look("a", completed(SECOND))
    account.called_back("w", webhook(SECOND), accepted=True)
    account.called_back("v", webhook(SECOND), accepted=True)
    account.close(journal)
    assert account.wrong == ["job a has callbacks of 2 ids"]
    assert not account.once("a")


def test_a_webhook_that_tells_of_another_attempt_than_the_visible_one_is_wrong(account, journal):
    account.look("a", completed(SECOND))
    account.called_back("w", webhook(FIRST), accepted=True)
    account.close(journal)
    assert account.wrong == ["job 0: the webhook tells of another attempt than the one that is visible"]


def test_a_result_of_an_attempt_that_never_finished_is_wrong(account, tmp_path):
    journal = Journal(tmp_path)
    journal.note(BEGUN, SECOND)
    account.look("a", completed(SECOND))
    account.close(journal)
    assert "job 0 shows the result of an attempt that did not finish" in account.wrong


@pytest.mark.parametrize("end", [DONE, STOPPED])
def test_an_attempt_lives_until_it_ends(tmp_path, end):
    journal, mark = Journal(tmp_path), Mark.new("a", 1)
    journal.note(BEGUN, mark)
    assert journal.alive("a")
    journal.note(end, mark)
    assert not journal.alive("a")
