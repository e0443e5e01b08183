"""A filter that lets the kernel drop reports about routes that nobody asked for.

Where routing daemons change thousands of routes in a second, nothing of that reaches the process,
as long as it lies outside of the plan. The filter is a program for the classic BPF machine, which
needs no right: see socket(7), SO_ATTACH_FILTER, and the kernel's
Documentation/networking/filter.rst. It only has to keep most of the noise out: what it lets through
is looked at again.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from collections.abc import Iterable

from pyipam.host import netlink
from pyipam.space.block import Block

_SO_ATTACH_FILTER = 26
# The kernel takes 4,096 instructions, of which a block needs twelve.
_MAX_BLOCKS = 100

# Instructions: class, size and mode, as in linux/bpf_common.h.
_LOAD_BYTE = 0x30
_LOAD_WORD = 0x20
_LOAD_WORD_AT_X = 0x40
_LOAD_NUMBER = 0x00
_LOAD_X_NUMBER = 0x01
_LOAD_SLOT = 0x60
_STORE_SLOT = 0x02
_COPY_TO_X = 0x07
_SUBTRACT_X = 0x1C
_XOR = 0xA4
_SHIFT_RIGHT_BY_X = 0x7C
_JUMP = 0x05
_JUMP_IF_EQUAL = 0x15
_JUMP_IF_AT_LEAST = 0x35
_JUMP_IF_ANY_BIT = 0x45
_RETURN = 0x06
# A word loaded from here is where the attribute is whose number is in X, looked for behind A.
_FIND_ATTRIBUTE = 0xFFFFF00C

_DESTINATION = 1
# Where things are in a message, behind the 16 bytes of netlink's own header. Numbers are in the
# order of the machine, and the lowest byte of them is enough.
_LOWEST = 0 if sys.byteorder == "little" else 1
_TYPE = 4 + _LOWEST
_FAMILY = 16
_LENGTH = 17
_TABLE = 20
_LINK_FLAGS = 24 + 3 * _LOWEST
_ATTRIBUTES = 28

# An operation, how many instructions are skipped if a comparison holds or fails, and a number.
_Instruction = tuple[int, int, int, int]
_DROP: _Instruction = (_RETURN, 0, 0, 0)
_ACCEPT: _Instruction = (_RETURN, 0, 0, 0xFFFFFFFF)


def attach(reports: socket.socket, blocks: Iterable[Block]) -> None:
    """Have the kernel report of routes only those that overlap the blocks, besides whatever else
    may end one.

    Raises OSError where the kernel takes no filter; then it reports everything.
    """
    program = _program(tuple(blocks))
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: how many instructions, and where they are.
    header = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    reports.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, header)


def _program(blocks: tuple[Block, ...]) -> list[_Instruction]:
    ipv4, ipv6 = _overlap_any(blocks, 4), _overlap_any(blocks, 6)
    return [
        (_LOAD_BYTE, 0, 0, _TYPE),
        *_if_equal(netlink.DELETE_LINK, _ACCEPT),
        *_if_equal(netlink.DELETE_ADDRESS, _ACCEPT),
        *_if_equal(netlink.NEW_RULE, _ACCEPT),
        *_if_equal(netlink.DELETE_RULE, _ACCEPT),
        # Of the other reports about a link, those that it is down.
        (_JUMP_IF_EQUAL, 0, 4, netlink.NEW_LINK),
        (_LOAD_BYTE, 0, 0, _LINK_FLAGS),
        (_JUMP_IF_ANY_BIT, 0, 1, netlink.IS_UP),
        _DROP,
        _ACCEPT,
        (_JUMP_IF_EQUAL, 2, 0, netlink.NEW_ROUTE),
        (_JUMP_IF_EQUAL, 1, 0, netlink.DELETE_ROUTE),
        _DROP,
        (_LOAD_BYTE, 0, 0, _TABLE),
        *_if_equal(netlink.LOCAL_TABLE, _DROP),
        # A default route has no destination.
        (_LOAD_X_NUMBER, 0, 0, _DESTINATION),
        (_LOAD_NUMBER, 0, 0, _ATTRIBUTES),
        (_LOAD_WORD, 0, 0, _FIND_ATTRIBUTE),
        *_if_equal(0, _DROP),
        (_COPY_TO_X, 0, 0, 0),
        (_LOAD_WORD_AT_X, 0, 0, 4),
        (_STORE_SLOT, 0, 0, 0),
        (_LOAD_BYTE, 0, 0, _FAMILY),
        (_JUMP_IF_EQUAL, 1, 0, socket.AF_INET),
        (_JUMP, 0, 0, len(ipv4) + 1),
        *ipv4,
        _DROP,
        *ipv6,
        _DROP,
    ]


def _if_equal(number: int, then: _Instruction) -> list[_Instruction]:
    return [(_JUMP_IF_EQUAL, 0, 1, number), then]


def _overlap_any(blocks: tuple[Block, ...], version: int) -> list[_Instruction]:
    """Accept a destination, whose first 32 bits are in the slot, that overlaps a block as far as
    those bits tell."""
    found = {
        (block.start >> (block.width - 32), min(block.length, 32))
        for block in blocks
        if block.version == version
    }
    if len(found) > _MAX_BLOCKS or any(not length for _, length in found):
        return [_ACCEPT]
    return [instruction for bits, length in sorted(found) for instruction in _overlap(bits, length)]


def _overlap(bits: int, length: int) -> list[_Instruction]:
    return [
        # The shorter one of the two prefix lengths says how many bits have to agree.
        (_LOAD_BYTE, 0, 0, _LENGTH),
        (_JUMP_IF_AT_LEAST, 0, 1, length),
        (_LOAD_NUMBER, 0, 0, length),
        (_COPY_TO_X, 0, 0, 0),
        (_LOAD_NUMBER, 0, 0, 32),
        (_SUBTRACT_X, 0, 0, 0),
        (_COPY_TO_X, 0, 0, 0),
        (_LOAD_SLOT, 0, 0, 0),
        (_XOR, 0, 0, bits),
        (_SHIFT_RIGHT_BY_X, 0, 0, 0),
        *_if_equal(0, _ACCEPT),
    ]
