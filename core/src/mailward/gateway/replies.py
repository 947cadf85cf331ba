"""What clients are told, each reply once (RFC 5321 section 4.2, RFC 3463)."""

from __future__ import annotations

from functools import lru_cache

from mailward.values.reply import Reply

BAD_SYNTAX = Reply(500, "5.5.2", "Syntax error")
TOO_LONG = Reply(500, "5.5.2", "Command line too long")
UNKNOWN_COMMAND = Reply(500, "5.5.1", "Command not recognised")
NOT_IMPLEMENTED = Reply(502, "5.5.1", "Command not implemented")
NO_ARGUMENT = Reply(501, "5.5.4", "This command takes no argument")
HELO_FIRST = Reply(503, "5.5.1", "Say hello first")
MAIL_FIRST = Reply(503, "5.5.1", "Send MAIL first")
RCPT_FIRST = Reply(503, "5.5.1", "Send RCPT first")
NESTED_MAIL = Reply(503, "5.5.1", "A message is being sent already; RSET ends it")
NOT_WITHIN_MAIL = Reply(503, "5.5.1", "Not while a message is being sent; RSET ends it")
MIXED_CONTENT = Reply(503, "5.5.1", "A message comes by DATA or by BDAT, not by both")
NEEDS_NAME = Reply(501, "5.5.4", "Say who you are: EHLO name")
NO_RECIPIENT = Reply(501, "5.1.3", "A recipient is needed")
SIZE_TOO_LARGE = Reply(552, "5.3.4", "Message is larger than this server accepts")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients, send the others in another message")
TOO_MANY_MESSAGES = Reply(421, "4.7.0", "Too many messages in one connection")
TOO_MUCH_CONTENT = Reply(421, "4.7.0", "Too much content in one connection")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors")
TOO_MUCH_JUNK = Reply(421, "4.7.0", "Too many commands that send no mail")
TOO_MANY_CONNECTIONS = Reply(421, "4.7.0", "Too many connections, try again later")
SHUTTING_DOWN = Reply(421, "4.3.2", "Shutting down, try again later")
TOOK_TOO_LONG = Reply(421, "4.4.2", "Took too long")
TOO_SLOW = Reply(421, "4.4.2", "Content comes too slowly")
NEEDS_SMTPUTF8 = Reply(553, "5.6.7", "An address that is not ASCII needs SMTPUTF8")
CANNOT_VERIFY = Reply(252, "2.5.0", "Cannot verify; send the message and see")
VERIFY_WHOM = Reply(501, "5.5.4", "Whom?")
TALKED_EARLY = Reply(503, "5.5.0", "Content came before it was asked for")
GREETED_EARLY = Reply(554, "5.5.0", "Commands came before the greeting")
GREETED_EARLY_FOR_NOW = Reply(421, "4.5.0", "Commands came before the greeting")
NO_SMTP = Reply(421, "4.5.0", "This is a mail server")
NO_CLIENT_NAME = Reply(554, "5.7.25", "Your address has no host name")
CLIENT_NAME_UNKNOWN = Reply(421, "4.4.3", "The name of your host cannot be looked up now, try again later")
NO_SENDER_DOMAIN = Reply(550, "5.1.8", "The domain of the sender receives no mail")
SENDER_DOMAIN_UNKNOWN = Reply(451, "4.4.3", "The domain of the sender cannot be looked up now, try again later")
NOT_TRUSTED = Reply(550, "5.7.0", "Not allowed from here")
CHUNK_TAKEN = "octets received"
TLS_GO_AHEAD = Reply(220, "2.0.0", "Ready to start TLS")
TLS_FIRST = Reply(530, "5.7.0", "STARTTLS must come first")
TLS_BEGUN = Reply(503, "5.5.1", "TLS has begun already")
TLS_UNAVAILABLE = Reply(454, "4.7.0", "TLS is not available now")
LOGIN_FIRST = Reply(530, "5.7.0", "Log in first")
LOGGED_IN = Reply(235, "2.7.0", "Logged in")
ALREADY_LOGGED_IN = Reply(503, "5.5.1", "You are logged in already")
LOGIN_FAILED = Reply(535, "5.7.8", "User name or password is wrong")
LOGIN_BROKEN_OFF = Reply(501, "5.7.0", "Log-in broken off")
LOGIN_UNREADABLE = Reply(501, "5.5.2", "That is not base64")
LOGIN_UNKNOWN_WAY = Reply(504, "5.5.4", "That way to log in is not known here")
LOGIN_NEEDS_TLS = Reply(538, "5.7.11", "Logging in needs TLS")
LOGIN_UNAVAILABLE = Reply(454, "4.7.0", "Logging in is not possible now, try again later")
TOO_MANY_LOGINS = Reply(421, "4.7.0", "Too many failed log-ins, try again later")
GO_AHEAD = Reply(354, "", "Start mail input; end with <CRLF>.<CRLF>")
BYE = Reply(221, "2.0.0", "Bye")


class Leave(Exception):
    """Ends the conversation after a last reply; without one the connection is cut."""

    def __init__(self, reply: Reply | None) -> None:
        self.reply = reply
        super().__init__()


@lru_cache(256)
def wire(reply: Reply) -> bytes:
    """The bytes of a reply as they are sent."""
    return f"{reply}\r\n".encode()
