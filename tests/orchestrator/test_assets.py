from __future__ import annotations

import os

import pytest
from django.contrib.staticfiles import finders

from orchestrator.assets import ASSETS, NODE_MODULES, HashedStorage
from orchestrator.management.commands import prepare


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


def test_files_that_were_only_touched_are_not_collected_again(tmp_path, settings):
    settings.STATICFILES_DIRS = [tmp_path]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    file = tmp_path / "app.css"
    file.write_text("a {}")
    before = prepare._static_digest()
    os.utime(file, (1, 1))
    assert prepare._static_digest() == before
    file.write_text("b {}")
    assert prepare._static_digest() != before
