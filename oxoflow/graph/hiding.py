"""Keep keys of models and passwords of forms out of all that an execution tells.

Owns the walk through a JSON value; the forms in which a secret may be spelled are those of
`engine/masking`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from oxoflow.engine.masking import Mask

SHORTEST = 8  # characters: what is shorter is a word such as EMPTY that stands for no key
SAID_BACK = 4  # in the words of the very server that got the key, where a chance hit is unlikely


MOST, LONGEST = 20, 256  # passwords of one execution that are kept in mind, and their length


def mask_of(keys: Iterable[str | None], shortest: int = SHORTEST) -> Mask:
    """The mask for these keys; it is false when there is nothing to hide."""
    return Mask(key for key in keys if key and len(key) >= shortest)


def hidden(value: Any, mask: Mask) -> Any:
    """A JSON value without the keys, in texts and in names; itself when there is no key."""
    if not mask:
        return value
    whole = [value]
    todo: list[tuple[Any, Any]] = [(whole, 0)]
    while todo:
        holder, place = todo.pop()
        item = holder[place]
        if isinstance(item, str):
            holder[place] = mask.text(item)
        elif isinstance(item, dict):
            holder[place] = made = {mask.text(name): each for name, each in item.items()}
            todo += [(made, name) for name in made]
        elif isinstance(item, list | tuple):
            holder[place] = copied = list(item)
            todo += [(copied, at) for at in range(len(copied))]
    return whole[0]
