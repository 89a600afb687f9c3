from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orchestrator.prepared import Given, Prepared

NAMES = ["ada", "100% sure", "o'hara", "zoë"]


@pytest.fixture
def users(db):
    group = Group.objects.create(name="traders")
    found = [get_user_model().objects.create(username=name) for name in NAMES]
    for one in found[:2]:
        one.groups.add(group)
    return found


def named():
    return get_user_model().objects.filter(username=Given("name")).prefetch_related("groups")


def test_a_prepared_read_answers_what_its_queryset_would_for_each_value(users):
    prepared = Prepared(named)

    for name in NAMES:
        (found,) = prepared.rows(name=name)
        asked = get_user_model().objects.get(username=name)
        assert found == asked
        assert found.__dict__.keys() >= asked.__dict__.keys()
        with CaptureQueriesContext(connection) as queries:
            assert [one.pk for one in found.groups.all()] == [one.pk for one in asked.groups.order_by("pk")]
        assert len(queries) == 1, "what was prefetched is not asked for again"
    assert prepared.rows(name="' OR true --") == []


def test_its_sql_is_made_once(users):
    made = []

    def build():
        made.append(1)
        return named()

    prepared = Prepared(build)
    for name in NAMES:
        prepared.rows(name=name)

    assert made == [1]


def test_a_part_of_it_is_what_the_slice_of_the_queryset_is(users):
    ordered = Prepared(lambda: get_user_model().objects.filter(pk__gte=Given("first")).order_by("pk"))

    assert ordered.between(1, 3, first=users[0].pk) == users[1:3]
    assert ordered.between(3, 9, first=users[0].pk) == users[3:]


def test_values_come_as_the_queryset_says(users):
    plain = Prepared(lambda: get_user_model().objects.filter(username__icontains=Given("part")).values_list("username"))
    named = Prepared(lambda: get_user_model().objects.filter(username=Given("name")).values("username"))

    assert plain.rows(part="100% S") == [("100% sure",)]
    assert plain.rows(part="_") == []
    assert named.rows(name="zoë") == [{"username": "zoë"}]


def test_a_value_that_is_not_told_is_an_error(users):
    with pytest.raises(KeyError):
        Prepared(named).rows(nam="ada")
