"""As much of RFC 6455 as a client and an echo need: the handshake's answer and unfragmented frames."""
import base64
import hashlib
import struct


def accept_of(key):
    """RFC 6455 §4.2.2: what the server answers to Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()


def write_frame(opcode, payload, mask):
    """§5.2. A client masks, a server does not."""
    bit = 0x80 if mask else 0
    if len(payload) < 126:
        head = struct.pack("!BB", 0x80 | opcode, bit | len(payload))
    elif len(payload) < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, bit | 126, len(payload))
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, bit | 127, len(payload))
    return head + (mask + masked(payload, mask) if mask else payload)


def masked(payload, mask):
    whole = (mask * (len(payload) // 4 + 1))[:len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")).to_bytes(len(payload), "big")


def read_frame(stream):
    """(opcode, payload), or None at the end."""
    head = stream.read(2)
    if len(head) < 2:
        return None
    length = head[1] & 0x7f
    if length == 126:
        length, = struct.unpack("!H", stream.read(2))
    elif length == 127:
        length, = struct.unpack("!Q", stream.read(8))
    mask = stream.read(4) if head[1] & 0x80 else None
    payload = stream.read(length)
    return head[0] & 0x0f, masked(payload, mask) if mask else payload
