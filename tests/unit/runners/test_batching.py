import threading
from contextlib import contextmanager

import pytest

from composition.errors import InvalidInput, ModelError, OutOfMemory
from runners.batching import BatchDesk
from runners.remote import Parcel


def parcels(*contents):
    return [Parcel(content) for content in contents]


def contents(answers):
    return [answer.content for answer in answers]


def code(answer):
    return answer.content.code


def test_every_item_gets_its_own_result_in_order():
    answers = BatchDesk().answer(
        "count", parcels(1, 2, 3), lambda items: [item * 10 for item in items], doing="counting"
    )

    assert contents(answers) == [10, 20, 30]


def test_items_that_differ_in_what_they_group_by_do_not_share_a_forward():
    forwards = []

    def forward(items):
        forwards.append(list(items))
        return items

    answers = BatchDesk().answer("count", parcels("aa", "b", "cc", "d"), forward, doing="grouping", group_by=len)

    assert forwards == [["aa", "cc"], ["b", "d"]]
    assert contents(answers) == ["aa", "b", "cc", "d"]


def test_one_items_error_leaves_the_others_unharmed():
    def forward(items):
        if "bad" in items:
            raise RuntimeError("some private text of the framework")
        return [item.upper() for item in items]

    first, second, third = BatchDesk().answer("count", parcels("a", "bad", "c"), forward, doing="shouting")

    assert first.unwrap() == "A"
    assert third.unwrap() == "C"
    with pytest.raises(ModelError) as caught:
        second.unwrap()
    assert "private" not in caught.value.message


def test_an_item_that_cannot_be_grouped_is_refused_alone():
    def group_by(item):
        if item < 0:
            raise InvalidInput("must not be negative", details={"item": item})
        return

    good, bad = BatchDesk().answer("count", parcels(1, -1), lambda items: items, doing="counting", group_by=group_by)

    assert good.unwrap() == 1
    with pytest.raises(InvalidInput) as caught:
        bad.unwrap()
    assert caught.value.details == {"item": -1}


def test_a_batch_too_large_for_the_memory_is_tried_item_by_item_after_making_room():
    sizes, relieved = [], []

    def forward(items):
        sizes.append(len(items))
        if len(items) > 1:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return items

    answers = BatchDesk().answer(
        "count", parcels(1, 2, 3), forward, doing="counting", make_room=lambda: relieved.append(len(sizes))
    )

    assert contents(answers) == [1, 2, 3]
    assert sizes == [3, 1, 1, 1]
    assert relieved == [1]


def test_an_item_too_large_for_the_memory_is_tried_once_more_after_making_room():
    relieved = []

    def forward(items):
        if not relieved:
            raise MemoryError
        return items

    assert contents(
        BatchDesk().answer("count", parcels(1), forward, doing="counting", make_room=lambda: relieved.append(1))
    ) == [1]


def test_an_item_that_never_fits_is_out_of_memory():
    def forward(items):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    (answer,) = BatchDesk().answer("count", parcels(1), forward, doing="counting")

    with pytest.raises(OutOfMemory):
        answer.unwrap()


def test_a_model_that_gives_too_few_results_fails_the_items_not_their_order():
    answers = BatchDesk().answer("count", parcels(1, 2), lambda items: items[:-1], doing="counting")

    assert [code(answer) for answer in answers] == ["MODEL_ERROR", "MODEL_ERROR"]


def test_batches_items_and_forwards_are_counted_per_method():
    desk = BatchDesk()
    desk.answer("detect", parcels("a", "b", "cc"), lambda items: items, doing="looking", group_by=len)
    desk.answer("detect", parcels("a"), lambda items: items, doing="looking")
    desk.answer("segment", parcels("a", "b"), lambda items: items, doing="drawing")

    assert desk.counts() == {
        "detect": {"batches": 2, "items": 4, "forwards": 3},
        "segment": {"batches": 1, "items": 2, "forwards": 1},
    }


def test_only_one_batch_is_answered_at_a_time():
    desk, running, most = BatchDesk(), [], []

    def forward(items):
        running.append(1)
        most.append(len(running))
        running.pop()
        return items

    def run():
        for _ in range(200):
            desk.answer("detect", parcels(1), forward, doing="looking")

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert max(most) == 1
    assert desk.counts()["detect"]["batches"] == 800


def test_no_more_items_than_fit_share_a_forward_and_answers_keep_their_order():
    sizes = []

    def forward(items):
        sizes.append(len(items))
        return [item * 10 for item in items]

    answers = BatchDesk(most_together=2).answer("count", parcels(1, 2, 3, 4, 5), forward, doing="counting")
    assert [answer.unwrap() for answer in answers] == [10, 20, 30, 40, 50]
    assert sizes == [2, 2, 1]


def test_a_visitor_is_there_while_it_works_and_what_is_unused_is_given_back_after_each_batch():
    told = []

    class Visits:
        @contextmanager
        def on_device(self, *modules):
            told.append(("arrives", *modules))
            yield
            told.append("leaves")

    desk = BatchDesk(Visits(), give_back=lambda: told.append("gives back"))
    desk.answer("count", parcels(1), lambda items: told.append("works") or items, doing="counting", module="sam")
    assert told == [("arrives", "sam"), "works", "leaves", "gives back"]
    desk.answer("count", parcels(1), lambda items: items, doing="counting")
    assert told[4:] == ["gives back"], "what never visits stays where it is"
