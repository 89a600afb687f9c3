from __future__ import annotations

import pytest

from bots.notifications import addresses

TOKEN = "JHMHI8qBe7bk2ZwO5U711o3dV_js"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (f"tgram://123456789:{TOKEN}/12345", "Telegram at api.telegram.org"),
        (f"discord://4174216298/{TOKEN}", "Discord at discord.com"),
        (f"https://discord.com/api/webhooks/4174216298/{TOKEN}", "Discord at discord.com"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#bots", "Slack at slack.com"),
        ("https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "Slack at slack.com"),
        (f"mailtos://me:{TOKEN}@example.org?smtp=mail.example.org&to=a@example.org", "E-mail at mail.example.org"),
        (f"ntfy://{TOKEN}", "ntfy at ntfy.sh"),
        (f"ntfys://{TOKEN}@ntfy.example.org:8443/topic", "ntfy at ntfy.example.org:8443"),
        (f"pover://{'u' * 30}@{'t' * 30}", "Pushover at pushover.net"),
        (f"gotifys://gotify.example.org/{TOKEN}", "Gotify at gotify.example.org"),
        (f"jsons://example.org/{TOKEN}?+X-Key={TOKEN}", "Webhook at example.org"),
    ],
)
def test_of_an_address_its_service_and_server_are_shown_and_nothing_else(address, shown):
    target = addresses.parse(address)
    assert target.shown == shown
    assert TOKEN not in target.shown
    # No redirect is followed; nothing of the address says how long is waited.
    assert (target.plugin.redirects, target.plugin.verify_certificate) == (False, True)
    assert (target.plugin.socket_connect_timeout, target.plugin.socket_read_timeout) == (5, 10)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("s3cr3t", "address must begin with one of tgram://, "),
        ("file:///etc/passwd?s3cr3t", "address must begin with one of "),
        ("syslog://s3cr3t", "address must begin with one of "),
        ("dbus://s3cr3t", "address must begin with one of "),
        ("macosx://s3cr3t", "address must begin with one of "),
        ("windows://s3cr3t", "address must begin with one of "),
        ("https://example.org/s3cr3t", "address must begin with jsons:// to be a webhook"),
        ("https://[s3cr3t", "address must begin with jsons:// to be a webhook"),
        ("tgram://s3cr3t", "address is not complete: one of Telegram looks like tgram://BOT_TOKEN/CHAT_ID."),
        ("json://", "address is not complete: one of Webhook looks like "),
        ("jsons://s3 cr3t/", "address must not hold spaces"),
        ("jsons://s3\ncr3t/", "address must not hold spaces"),
        ("jsons://example.org/" + "s3cr3t" * 200, "address must be at most 1000 characters long, not 1220."),
        ("jsons://10.0.0.1/s3cr3t", "address must be of a public server"),
        ("jsons://[::1]/s3cr3t", "address must be of a public server"),
        ("mailto://me:s3cr3t@example.org?smtp=127.0.0.1", "address must be of a public server"),
        # What would have it read files, wait for ever, check no certificate or follow wherever an answer leads.
        ("jsons://example.org/?template=/etc/passwd&s3cr3t=1", "address may hold headers such as "),
        ("discord://4174216298/s3cr3t?template=/etc/passwd", "address may hold "),
        ("ntfys://example.org/s3cr3t?attach=file:///etc/passwd", "address may hold "),
        ("mailtos://me:s3cr3t@example.org?pgp=yes&pgppub=/etc/passwd", "address may hold "),
        ("jsons://example.org/s3cr3t?verify=no", "address may hold "),
        ("jsons://example.org/s3cr3t?redirect=yes", "address may hold "),
        ("jsons://example.org/s3cr3t?rto=86400", "address may hold "),
        ("jsons://example.org/s3cr3t?retry=99&wait=99", "address may hold "),
        ("https://discord.com/api/webhooks/417/s3cr3t?Template=x", "address may hold "),
    ],
)
def test_an_address_that_cannot_be_used_is_one_sentence_without_a_word_of_it(address, sentence):
    with pytest.raises(addresses.BrokenAddress) as caught:
        addresses.parse(address)
    assert str(caught.value).startswith(sentence)
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("address", "user", "password", "path"),
    [
        ("jsons://me:a/b//c@example.org/hook", "me", "a/b//c", "/hook"),
        ("jsons://me:a%2Fb@example.org/hook", "me", "a/b", "/hook"),
        ("ntfys://me:a/b@example.org/topic", "me", "a/b", "/topic"),
        ("gotifys://me:a/b@example.org/AbCdEfGhIjKlMnO", "me", "a/b", "/"),
        ("mailtos://me:a/b@example.org?smtp=example.org&to=you@example.org", "me", "a/b", "/"),
        ("mailtos://me:a%2Fb@example.org/you@example.org?smtp=example.org", "me", "a/b", None),
        ("mailtos://example.org/you@example.net?user=me&pass=a/b", "me", "a/b", "/you@example.net"),
        ("mailtos://example.org:465/you@example.net/two@example.net?User=me&Pass=a", "me", "a", None),
    ],
)
def test_a_slash_in_a_password_belongs_to_the_password(address, user, password, path):
    target = addresses.parse(address)
    assert target.host == "example.org"
    assert (target.plugin.user, target.plugin.password) == (user, password)
    assert path is None or (target.plugin.fullpath or "/") == path


@pytest.mark.parametrize(
    "address",
    [
        "jsons://me:12/s3cr3t@example.org/",
        "ntfys://tk/s3cr3t@example.org/bots",
        "jsons://example.org/@s3cr3t",
        "mailtos://me:12/s3cr3t@example.org?user=me&to=you@example.net",
        "mailtos://example.org/s3cr3t@example.net?user=&pass=",
    ],
)
def test_an_address_that_may_mean_two_servers_is_refused(address):
    """The wrong one would be shown a part of the password, and be sent the rest of it."""
    with pytest.raises(addresses.BrokenAddress, match="as %2F and %40") as caught:
        addresses.parse(address)
    assert "s3cr3t" not in str(caught.value)


def test_private_addresses_can_be_allowed(settings):
    settings.ALLOW_LOCAL_NOTIFICATIONS = True
    assert addresses.parse("json://192.168.1.2:8080/").shown == "Webhook at 192.168.1.2:8080"
    with pytest.raises(addresses.BrokenAddress):
        addresses.parse("json://169.254.169.254/latest")


@pytest.mark.parametrize("name", addresses.SERVICES)
def test_every_example_is_an_address(name):
    service = addresses.SERVICES[name]
    filled = service.example.replace("BOT_TOKEN/CHAT_ID", "123456789:abcdefg_hijklmnop/12345").replace(
        "TOKEN_A", "T1JJ3T3L2"
    )
    filled = filled.replace("TOKEN_B", "A1BRTD4JD").replace("TOKEN_C", "TIiajkdnlazkcOXrIdevi7FQ")
    filled = filled.replace("USER_KEY", "u" * 30).replace("APP_TOKEN", "t" * 30)
    assert addresses.parse(filled).service is service
