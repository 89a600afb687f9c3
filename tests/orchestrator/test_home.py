from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from orchestrator import env, home


@pytest.fixture(autouse=True)
def own_home(monkeypatch, tmp_path):
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "home"))


def test_all_who_race_for_a_private_file_read_the_same_complete_content():
    made = [f"{number}" * 10_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda content: home.private_file("secret", content), made))
    assert len(set(read)) == 1
    assert read[0] in made
    assert [path.name for path in home.home().iterdir()] == ["secret"]


def test_private_files_are_readable_by_their_owner_alone():
    home.private_file("secret", "x")
    home.write_private(home.home() / "note", "y")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.home().iterdir()}
    assert modes == {"secret": 0o600, "note": 0o600}


def test_a_replaced_file_keeps_its_mode_and_has_the_new_content():
    path = home.folder() / "note"
    home.write_private(path, "old")
    home.write_private(path, "new")
    assert path.read_text() == "new"


def test_a_home_that_cannot_be_made_is_one_sentence(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "file/home"))
    with pytest.raises(env.EnvError, match=r"^ORCHESTRATOR_HOME .* cannot be written to: Not a directory\.$"):
        home.folder()
