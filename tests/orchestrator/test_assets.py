from __future__ import annotations

import pytest
from django.contrib.staticfiles import finders

from orchestrator.assets import ASSETS, NODE_MODULES, HashedStorage


@pytest.mark.parametrize("path", ASSETS)
def test_each_asset_is_found_under_its_address(path):
    assert finders.find(path) == str(NODE_MODULES / ASSETS[path])


def test_what_is_not_listed_is_not_found():
    assert finders.find("vendor/tabler.css") is None
    assert finders.find("vendor/package.json", find_all=True) == []


def test_collected_files_refer_to_no_source_map():
    patterns = [rule if isinstance(rule, str) else rule[0] for _, rules in HashedStorage.patterns for rule in rules]
    assert len(patterns) == 2
    assert not [pattern for pattern in patterns if "sourceMappingURL" in pattern]
