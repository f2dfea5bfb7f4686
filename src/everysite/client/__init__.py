"""The tracker at a distance: for agents and the command line, and for other people's programs (`everysite.connect`).

Owns: what other rooms import of the client. Must not know: how a verb is carried out, how the doors are built.
"""

from everysite.client.connection import Client
from everysite.client.join import Join, decode_join, encode_join

__all__ = ["Client", "Join", "decode_join", "encode_join"]
