"""Tools that sign webhooks and send mail."""

import email.policy
import hashlib
import hmac

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from target_server import certificate
from tool_world import World, put_secret
from tool_world import no_world_stays, world  # noqa: F401

pytestmark = pytest.mark.timeout(120)


def test_a_signed_webhook(world):
    put_secret(world, "WEBHOOK_SECRET", "signing key")
    reply = world.call("webhook", "send", {
        "url": f"{world.target.url}/echo", "payload": {"a": 1}}, key="k")
    assert reply.status == 200, reply
    seen = world.target.calls[0]
    expected = hmac.new(b"signing key", seen.body, hashlib.sha256)
    assert seen.headers["x-cronium-signature"] == \
        "sha256=" + expected.hexdigest()
    assert seen.headers["idempotency-key"] == "k"


class Mailbox:
    def __init__(self):
        self.mails, self.refuse = [], None

    async def handle_DATA(self, server, session, envelope):
        if self.refuse:
            return self.refuse
        self.mails.append((envelope, session))
        return "250 taken"


@pytest.fixture
def smtp(tmp_path):
    """An SMTP server with STARTTLS and AUTH; what it took."""
    cert, context = certificate(tmp_path)
    box = Mailbox()

    def authenticate(server, session, envelope, mechanism, data):
        return AuthResult(success=data.login == b"ada" and
                          data.password == b"open sesame", handled=False)

    controller = Controller(box, hostname="127.0.0.1", port=0,
                            tls_context=context, authenticator=authenticate,
                            auth_require_tls=True)
    # Controller wants to know its port beforehand; it connects to it.
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        controller.port = s.getsockname()[1]
    controller.start()
    box.port, box.cert = controller.port, cert
    yield box
    controller.stop()


def mail_world(tmp_path, smtp, **secrets):
    world = World(tmp_path, "--tools-allow", f"127.0.0.1:{smtp.port}",
                  "--tools-ca-file", smtp.cert)
    for name, value in {"SMTP_URL": f"smtp://127.0.0.1:{smtp.port}",
                        "SMTP_FROM": "Ada L\u00f6w <ada@example.org>",
                        **secrets}.items():
        put_secret(world, name, value)
    return world


MAIL = {"to": ["Bob <bob@b.org>", "c@c.org"], "bcc": "hidden@d.org",
        "subject": "Grüße", "text": "Hallo\n.\nWelt", "html": "<b>ä</b>"}


def test_email(tmp_path, smtp):
    world = mail_world(tmp_path, smtp, SMTP_USERNAME="ada",
                       SMTP_PASSWORD="open sesame")
    reply = world.call("email", "send", MAIL, key="k")
    assert reply.status == 200, reply
    (envelope, session), = smtp.mails
    assert session.ssl and session.authenticated
    assert envelope.mail_from == "ada@example.org"
    assert envelope.rcpt_tos == ["bob@b.org", "c@c.org", "hidden@d.org"]
    mail = email.message_from_bytes(envelope.content,
                                    policy=email.policy.default)
    assert mail["subject"] == "Grüße"
    assert mail["from"].addresses[0].display_name == "Ada Löw"
    assert [a.addr_spec for a in mail["to"].addresses] == ["bob@b.org",
                                                           "c@c.org"]
    assert "hidden" not in envelope.content.decode()
    assert mail["date"] and mail["mime-version"] == "1.0"
    text = mail.get_body(("plain",)).get_content()
    assert text.replace("\r\n", "\n").strip() == "Hallo\n.\nWelt"
    assert mail.get_body(("html",)).get_content().strip() == "<b>ä</b>"
    assert reply.json["message_id"] == mail["message-id"]
    # Once.
    again = world.call("email", "send", MAIL, key="k")
    assert again.body == reply.body and len(smtp.mails) == 1
    world.close()


def test_email_that_is_refused(tmp_path, smtp):
    world = mail_world(tmp_path, smtp, SMTP_USERNAME="ada",
                       SMTP_PASSWORD="wrong password")
    reply = world.call("email", "send", MAIL)
    assert reply.status == 424 and reply.code == "tool_failed", reply
    assert "wrong password" not in reply.body.decode()
    put_secret(world, "SMTP_PASSWORD", "open sesame")
    smtp.refuse = "554 no thanks"
    reply = world.call("email", "send", MAIL)
    assert reply.status == 424 and reply.json["upstream_status"] == 554, reply
    assert not smtp.mails
    world.close()


def test_email_headers_cannot_be_injected(tmp_path, smtp):
    world = mail_world(tmp_path, smtp)
    for change in ({"subject": "a\r\nBcc: x@y.org"},
                   {"to": "a@b.org\r\nRCPT TO:<x@y.org>"},
                   {"to": ["a@b.org>\r\nDATA"]},
                   {"reply_to": "a@b.org\nX: y"}):
        reply = world.call("email", "send", {**MAIL, **change})
        assert reply.status == 422, (change, reply)
    assert not smtp.mails
    world.close()
