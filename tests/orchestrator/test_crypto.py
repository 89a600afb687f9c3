from __future__ import annotations

import pytest

from orchestrator import crypto

SECRET = "tgram://123:geheim/42"


def test_what_is_sealed_shows_nothing_and_opens_for_its_purpose_alone():
    sealed = crypto.seal(SECRET, "channels")
    assert "geheim" not in sealed
    assert sealed != crypto.seal(SECRET, "channels")
    assert crypto.unseal(sealed, "channels") == SECRET
    with pytest.raises(crypto.Unreadable):
        crypto.unseal(sealed, "credentials")


def test_an_old_key_opens_while_it_is_a_fallback_and_sealing_anew_frees_from_it(settings):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the old one", []
    sealed = crypto.seal(SECRET, "channels")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the new one", ["the old one"]
    assert crypto.unseal(sealed, "channels") == SECRET
    fresh = crypto.seal_anew(sealed, "channels")
    settings.SECRET_KEY_FALLBACKS = []
    assert crypto.unseal(fresh, "channels") == SECRET
    for opens in (crypto.unseal, crypto.seal_anew):
        with pytest.raises(crypto.Unreadable):
            opens(sealed, "channels")


@pytest.mark.parametrize("damaged", ["", "gAAAA", "ü", "x" * 120])
def test_a_damaged_seal_is_told(damaged):
    with pytest.raises(crypto.Unreadable):
        crypto.unseal(damaged, "channels")
