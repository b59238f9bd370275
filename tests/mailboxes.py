"""What a mail server on this machine takes."""

from __future__ import annotations

import email
import email.policy


class Mailbox:
    """What a mail server took; ``refuse`` makes it refuse everything with this reply."""

    def __init__(self):
        self.mails = []
        self.recipients = []
        self.refuse = ""

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.recipients.append(envelope.rcpt_tos)
        self.mails.append(
            email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        )
        return "250 OK"
