"""Just enough of CBOR and Protocol Buffers to take apart what is on the wire, independent of any library for it."""

import base64
import gzip
import json


def cbor(data, i):
    """One item at position `i`: its value, and where the next begins."""
    kind, info = data[i] >> 5, data[i] & 31
    i += 1
    if info == 31:
        return cbor_until_break(data, i, kind)
    argument = info
    if info >= 24:
        size = 1 << (info - 24)
        argument = int.from_bytes(data[i : i + size], "big")
        i += size
    if kind in (0, 1):
        return (argument if kind == 0 else -1 - argument), i
    if kind in (2, 3):
        raw = data[i : i + argument]
        return (raw if kind == 2 else raw.decode("utf-8")), i + argument
    if kind == 4:
        items = []
        for _ in range(argument):
            item, i = cbor(data, i)
            items.append(item)
        return items, i
    if kind == 5:
        entries = {}
        for _ in range(argument):
            key, i = cbor(data, i)
            begin = i
            value, i = cbor(data, i)
            entries[key] = value
            entries[f"encoded {key}"] = data[begin:i]
        return entries, i
    if kind == 6:
        return cbor(data, i)
    return argument, i


def cbor_until_break(data, i, kind):
    """An item whose length stands nowhere."""
    items, entries = [], {}
    while data[i] != 0xFF:
        item, next_item = cbor(data, i)
        if kind == 5:
            i = next_item
            value, next_item = cbor(data, i)
            entries[item] = value
            entries[f"encoded {item}"] = data[i:next_item]
        items.append(item)
        i = next_item
    i += 1
    if kind == 5:
        return entries, i
    if kind in (2, 3):
        return (b"" if kind == 2 else "").join(items), i
    return items, i


def payloads(path):
    """Payloads of the blocks of a recording, by the blocks' ids, in the encoding that they are stored in."""
    found = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            request = json.loads(line)
            if request["path"].endswith("insert_block"):
                block, _ = cbor(base64.b64decode(request["body_b64"]), 0)
                found[block["block_id"]] = block["encoded payload"]
    return found


def varint(data, i):
    """A number at position `i`, and where it ends."""
    value = shift = 0
    while True:
        byte = data[i]
        i += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, i


def fields(data):
    """Numbers and values of the fields of a message: numbers, or bytes."""
    i = 0
    while i < len(data):
        tag, i = varint(data, i)
        kind = tag & 7
        if kind == 0:
            value, i = varint(data, i)
        elif kind == 2:
            length, i = varint(data, i)
            value, i = data[i : i + length], i + length
        else:
            size = 8 if kind == 1 else 4
            value, i = data[i : i + size], i + size
        yield tag >> 3, value


def slices(trace):
    """Begins and ends of slices in a Perfetto trace."""
    begins = ends = 0
    for number, packet in fields(trace):
        assert number == 1, "a trace consists of packets"
        for number, event in fields(packet):
            if number == 11:
                kinds = [value for number, value in fields(event) if number == 9]
                begins += kinds == [1]
                ends += kinds == [2]
    return begins, ends


def encoded_varint(value):
    """A number as Protocol Buffers have it."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def field(number, value):
    """A field of a message: bytes, text, or a number."""
    if isinstance(value, int):
        return encoded_varint(number << 3) + encoded_varint(int(value))
    value = value.encode("utf-8") if isinstance(value, str) else value
    return encoded_varint(number << 3 | 2) + encoded_varint(len(value)) + value


def command(name, *message):
    """A FlightSQL command or ticket, in an `Any`."""
    return field(1, f"type.googleapis.com/arrow.flight.protocol.sql.{name}") + field(2, b"".join(message))


def statement(sql):
    """The command of a query."""
    return command("CommandStatementQuery", field(1, sql))


def statement_ticket(sql):
    """A ticket that nobody gave out: the statement itself is its handle."""
    return command("TicketStatementQuery", field(1, sql))
