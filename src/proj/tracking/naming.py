"""Run ids, and names that people can say to each other."""

from __future__ import annotations

import os

_ADJECTIVES = """
able agile amber apt arctic bold brave brief bright brisk calm candid careful clever cosmic crisp
curious daring deep deft eager early easy exact fair fancy fast fine firm fleet fond frank free
fresh gentle glad golden good grand great green handy happy hardy honest humble ideal jolly jovial
keen kind large lasting lively loyal lucid lucky lunar mellow merry mighty mild modest neat nimble
noble open patient placid plain polite prime proud pure quick quiet rapid rare ready regal rich
robust rosy royal serene sharp shiny silent silver simple sincere sleek smart smooth snowy social
solar solid sound spry stable steady still strong sturdy subtle sunny sure swift tender tidy tough
true upbeat valiant vast vivid warm wise witty young
"""
_NOUNS = """
acorn alder anchor apple arrow aspen badger bamboo basin beacon bear beaver birch bison bloom
boulder brook canyon cedar cliff clover cloud comet coral cove crane creek crow daisy dawn deer
delta dove dune eagle elk elm falcon fern finch fjord forest fox garden glacier glade grove gull
harbor hare hawk hazel heron hill island ivy jay juniper kestrel lagoon lake lark laurel leaf lemur
lily linden lynx maple marten meadow meteor moon moss moth mountain oak ocean olive orchid osprey
otter owl panda peak pebble pine planet plum pond poplar prairie puffin quail raven reef ridge river
robin rowan sage salmon seal sky sparrow spring spruce star stone storm stream summit swan thistle
tide tiger trout tulip valley violet walnut wave willow wolf wren
"""


def new_run_id() -> str:
    """Return a random (version 4) UUID as 32 hexadecimal digits."""
    # uuid.uuid4().hex without importing uuid, which takes longer than a whole transaction.
    raw = bytearray(os.urandom(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    return raw.hex()


def new_run_name() -> str:
    """Return a name such as `brisk-otter-417`; names need not be unique."""
    number = int.from_bytes(os.urandom(8), "big")
    words = []
    for kind in (_ADJECTIVES.split(), _NOUNS.split()):
        number, chosen = divmod(number, len(kind))
        words.append(kind[chosen])
    return f"{'-'.join(words)}-{number % 1000}"
