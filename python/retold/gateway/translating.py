"""A request in the client's form to an upstream of another, and its answer back, whole or as a stream."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Protocol

from msgspec import Struct

from retold.errors import UnavailableError, UnsealError
from retold.events import Form
from retold.gateway import anthropic_replies, chat_replies, responses_replies
from retold.gateway.compactions import is_foreign, refusal
from retold.gateway.reply import Broke, Ended, Piece, Reply
from retold.gateway.requests import Ask, messages_of, read_request, write_request
from retold.gateway.responses_replies import Names
from retold.gateway.sse import Splitter


class Reader(Protocol):
    """Read one stream of a provider's."""

    def read(self, text: str) -> Iterator[Piece]:
        """Yield the pieces of one event."""
        ...

    def end(self) -> Iterator[Piece]:
        """Yield what is left when the stream has ended."""
        ...


class Writer(Protocol):
    """Write one stream of the client's."""

    def write(self, piece: Piece) -> bytes:
        """Return the events that say *piece*."""
        ...


class Translation(Struct, frozen=True):
    """Hold one request on its way: what it asks, and how its answer is to be written.

    Attributes:
        reply_id: the answer's id, where the provider gives none that the client's form could have.
        created: when it was asked, in Unix seconds.
    """

    ask: Ask
    client: Form
    upstream: Form
    reply_id: str
    created: int
    with_usage: bool = False

    @property
    def body(self) -> dict[str, Any]:
        """Return the request for the upstream."""
        return write_request(self.ask, self.upstream)

    @property
    def names(self) -> Names:
        """Return how the client knows its tools."""
        return Names(tools={tool.flat_name: tool for tool in self.ask.tools})

    def whole(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the upstream's answer *body* in the client's form.

        Raises:
            UnavailableError: if it is no answer, or says that the provider failed.
        """
        reply = Reply(id=self.reply_id, model=self.ask.model)
        for piece in pieces_of(body, self.upstream):
            reply.add(piece)
        if reply.broke is not None:
            raise UnavailableError(f"the upstream failed: {reply.broke.message}")
        reply.id, reply.model = self.reply_id, reply.model or self.ask.model
        match self.client:
            case "chat":
                return chat_replies.write_whole(reply, created=self.created)
            case "responses":
                return responses_replies.write_whole(reply, self.names, created=self.created)
            case "anthropic":
                return anthropic_replies.write_whole(reply)

    def writer(self) -> Writer:
        """Return what writes the stream for the client."""
        held = {"fallback_id": self.reply_id, "model": self.ask.model}
        match self.client:
            case "chat":
                return chat_replies.Writer(**held, created=self.created, with_usage=self.with_usage)
            case "responses":
                return responses_replies.Writer(self.names, **held, created=self.created)
            case "anthropic":
                return anthropic_replies.Writer(**held)

    async def stream(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the upstream's stream *chunks* in the client's form, each event as soon as it is whole.

        A stream that is no stream, or breaks off, ends with an error in the client's form.
        """
        writer = self.writer()
        ended = False
        try:
            async for pieces in read_stream(chunks, self.upstream):
                ended = ended or any(isinstance(piece, Ended | Broke) for piece in pieces)
                if data := b"".join(map(writer.write, pieces)):
                    yield data
        except UnavailableError as error:
            yield writer.write(Broke(str(error)))
            ended = True
        if not ended:
            yield writer.write(Broke("the upstream broke off in the middle of its answer"))


def translation(body: Mapping[str, Any], *, client: Form, upstream: Form, reply_id: str, created: int) -> Translation:
    """Return the request *body* on its way to *upstream*.

    Raises:
        InputError: if it cannot be carried over.
        Fault: if it holds a compaction that only another provider can read.
    """
    if client == "responses" and is_foreign(messages_of(body, "responses")):
        raise refusal(UnsealError("not ours"))
    options = body.get("stream_options")
    return Translation(
        ask=read_request(body, client),
        client=client,
        upstream=upstream,
        reply_id=reply_id,
        created=created,
        with_usage=isinstance(options, dict) and options.get("include_usage") is True,
    )


def pieces_of(body: Mapping[str, Any], form: Form) -> Iterator[Piece]:
    """Yield the pieces of the whole answer *body* of *form*; raises `UnavailableError` if it is none."""
    match form:
        case "chat":
            return chat_replies.read_whole(body)
        case "responses":
            return responses_replies.read_whole(body)
        case "anthropic":
            return anthropic_replies.read_whole(body)


def reader_of(form: Form) -> Reader:
    """Return what reads a stream of *form*."""
    match form:
        case "chat":
            return chat_replies.Reader()
        case "responses":
            return responses_replies.Reader()
        case "anthropic":
            return anthropic_replies.Reader()


async def read_stream(chunks: AsyncIterator[bytes], form: Form) -> AsyncIterator[list[Piece]]:
    """Yield the pieces of a stream of *form*, those together that came together.

    Raises:
        UnavailableError: if it is no stream of this form.
    """
    splitter, reader = Splitter(), reader_of(form)
    async for data in chunks:
        pieces = [piece for text in splitter.feed(data) for piece in reader.read(text)]
        if pieces:
            yield pieces
    last = [piece for text in splitter.rest() for piece in reader.read(text)]
    if pieces := [*last, *reader.end()]:
        yield pieces


def message_in(body: Mapping[str, Any] | None) -> tuple[str, str]:
    """Return the message and the code of a provider's error *body*, in whatever form; empty where there is none."""
    error = None if body is None else body.get("error", body)
    if isinstance(error, str):
        return error, ""
    if not isinstance(error, dict):
        return "", ""
    message, code = error.get("message"), error.get("code") or error.get("type")
    return message if isinstance(message, str) else "", code if isinstance(code, str) else ""
