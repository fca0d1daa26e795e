"""What an agent gives, checked before it is recorded: a log that nothing is deleted from keeps a mistake for ever.

The codec refuses a value that is not of its field's type; what lies in a text is checked here.
"""

from retold.errors import InputError
from retold.events import Item, Message, ToolResult
from retold.formats.json_text import read_json


def check_item(item: Item) -> None:
    """Check that what *item* holds as JSON text, its own and its parts' `body` and `extra`, is a JSON object.

    Raises:
        InputError: naming the field; nothing of the text is in the message.
    """
    kind = type(item).__name__
    content = item.content if isinstance(item, Message | ToolResult) else ()
    parts = [(f"content[{at}]", part) for at, part in enumerate(content)] if isinstance(content, list | tuple) else []
    for where, held in (("", item), *((f"{path}.", part) for path, part in parts)):
        for name in ("body", "extra"):
            _check_object(getattr(held, name, None), what=f"{where}{name} of {kind}")


def _check_object(text: object, *, what: str) -> None:
    if isinstance(text, str) and not isinstance(read_json(text, what=what), dict):
        raise InputError(f"expected a JSON object in {what}, got another kind of JSON")
