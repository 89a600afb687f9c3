"""Static files that come out of npm packages, file by file: nothing else of a package is ever published."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.finders import BaseFinder
from django.core.checks import CheckMessage, Error
from django.core.files.storage import FileSystemStorage
from whitenoise.storage import CompressedManifestStaticFilesStorage

from orchestrator.home import PROJECT

NODE_MODULES = PROJECT / "node_modules"
# Address below /static/ -> file below node_modules/.
ASSETS = {
    "vendor/tabler.min.css": "@tabler/core/dist/css/tabler.min.css",
    "vendor/lightweight-charts.js": "lightweight-charts/dist/lightweight-charts.standalone.production.js",
}


class NodeModulesFinder(BaseFinder):
    """Finds the files of ASSETS."""

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        missing = [source for source in ASSETS.values() if not (NODE_MODULES / source).is_file()]
        if not missing:
            return []
        return [
            Error(
                f"{len(missing)} asset files are missing, the first is node_modules/{missing[0]}.",
                hint="Run `make setup`, which runs `npm ci --ignore-scripts`.",
                id="orchestrator.E001",
            )
        ]

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        source = NODE_MODULES / ASSETS[path] if path in ASSETS else None
        found = str(source) if source and source.is_file() else None
        if find_all:
            return [found] if found else []
        # Not None: Django would count that as a match.
        return found or []

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterable[Any]:
        for target, source in ASSETS.items():
            storage = _RenamedStorage(target, NODE_MODULES / source)
            yield target, storage


class _RenamedStorage(FileSystemStorage):
    """A storage of one file that lies elsewhere under another name."""

    def __init__(self, target: str, source: Path) -> None:
        super().__init__(location=str(source.parent))
        self._names = {target: source.name}

    def path(self, name: str) -> str:
        return super().path(self._names.get(name, name))


class HashedStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Files under names with their digest, compressed. Source maps are left out: megabytes for a debugger alone."""

    patterns = tuple(
        (
            extension,
            tuple(rule for rule in rules if "sourceMappingURL" not in (rule if isinstance(rule, str) else rule[0])),
        )
        for extension, rules in CompressedManifestStaticFilesStorage.patterns
    )
    # Modules import one another by their hashed names. Of our own files alone: Django's pattern takes words in the
    # comments of other packages for imports.
    support_js_module_import_aggregation = True
    _js_module_import_aggregation_patterns = (
        "js/*.js",
        CompressedManifestStaticFilesStorage._js_module_import_aggregation_patterns[1],
    )
