"""Damage to valid files: blind (bytes) and informed (what each format's readers trip over)."""

import io
import json
import random
import zipfile

BYTES = bytes([0, 1, 0x1F, 0x7F, 0x80, 0xE9, 0xFE, 0xFF])
NUMBERS = (
    "0",
    "-1",
    "1e39",
    "1e400",
    ".nan",
    ".inf",
    "9" * 30,
    "9" * 5000,
    "18446744073709551616",
    "null",
    "0x10",
    "1_0",
)
TEXTS = (
    "[" * 20_000, "{" * 3000, "[a]", "{x: 1}", "''", "~", "yes", "\x00", "é", "\ud7ff", "../../etc/passwd", "a" * 300,
    "&b [*b]", "<<: {a: 1}", "!!python/object:os.system {}", "? [1, 2]", "a" * 20_000, "%", "\u202e", "1:1:1:1:1.5",
)  # fmt: skip
HEAD = 64
"""Bytes at the beginning that hold most formats' headers; a third of blind damage goes there."""


def mutated(content: bytes, name: str, chance: random.Random) -> bytes:
    """``content`` with one to three damages, of kinds that suit a file called ``name``."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        kinds = [_bytes, _bytes, _cut, _repeat, _swap]
        ending = name.rpartition(".")[2]
        if ending in ("yaml", "json", "jsonl", "csv", "txt"):
            kinds += [_token, _token, _token, _line]
        if ending in ("npz", "ckpt", "pt", "tar"):
            kinds += [_member, _member]
        if ending == "safetensors":
            kinds += [_header, _header, _header]
        content = chance.choice(kinds)(content, chance) or content
    return content


def _place(content: bytes, chance: random.Random) -> int:
    return chance.randrange(min(HEAD, len(content)) if chance.random() < 0.33 else len(content)) if content else 0


def _bytes(content: bytes, chance: random.Random) -> bytes:
    held = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4, 16)) if held else 0):
        at = _place(content, chance)
        held[at] = chance.choice(BYTES) if chance.random() < 0.5 else held[at] ^ (1 << chance.randrange(8))
    return bytes(held)


def _cut(content: bytes, chance: random.Random) -> bytes:
    first, last = sorted((_place(content, chance), _place(content, chance)))
    return content[:first] if chance.random() < 0.5 else content[:first] + content[last:]


def _repeat(content: bytes, chance: random.Random) -> bytes:
    first, last = sorted((_place(content, chance), _place(content, chance)))
    return (
        content[:last] + content[first:last] * chance.choice((1, 2, 20)) + content[last:] if last < 1 << 16 else content
    )


def _swap(content: bytes, chance: random.Random) -> bytes:
    first, last = sorted((_place(content, chance), _place(content, chance)))
    return content[last:] + content[first:last] + content[:first]


def _odd(chance: random.Random) -> bytes:
    return chance.choice(NUMBERS + TEXTS).encode("utf-8", "surrogatepass")


def _token(content: bytes, chance: random.Random) -> bytes:
    words = content.split(b" ")
    at = chance.randrange(len(words))
    words[at] = _odd(chance) + (b"\n" if b"\n" in words[at] else b"")
    return b" ".join(words)


def _line(content: bytes, chance: random.Random) -> bytes:
    lines = content.split(b"\n")
    first, second = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[first], lines[second] = lines[second], chance.choice((lines[first], lines[second], _odd(chance)))
    return b"\n".join(lines)


def _member(content: bytes, chance: random.Random) -> bytes:
    """Damage to what an archive holds; packed anew, so that its checksums are right."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            held = {item.filename: archive.read(item) for item in archive.infolist()}
    except Exception:
        return content
    if not held:  # after an earlier damage
        return content
    name = chance.choice(sorted(held))
    match chance.randrange(5):
        case 0:
            del held[name]
        case 1:
            held[name.removesuffix(".npy") if name.endswith(".npy") else name + "x"] = held.pop(name)
        case _:
            held[name] = chance.choice((_bytes, _bytes, _cut, _swap))(held[name], chance)
    packed = io.BytesIO()
    method = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    with zipfile.ZipFile(packed, "w", method) as archive:
        for key, value in held.items():
            archive.writestr(key, value)
    return packed.getvalue()


def _header(content: bytes, chance: random.Random) -> bytes:
    """Damage to the header of a safetensors file: a tensor's shape or type, or a piece of the metadata."""
    size = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + size])
        key = chance.choice(sorted(header))
        inner = header[key]
        if chance.random() < 0.2:
            del header[key]
        elif key == "__metadata__" and inner:
            name = chance.choice(sorted(inner))
            if chance.random() < 0.3:
                del inner[name]
            else:
                text = _token(inner[name].replace(",", " , ").encode(), chance).decode("utf-8", "replace")
                inner[name] = text.replace(" , ", ",")
        else:
            name = chance.choice(sorted(inner))
            inner[name] = chance.choice(([], [2**40], [-1], "F8_E4M3", "I32", "F64", None, [0, 0], [1, 2, 3]))
        text = json.dumps(header, ensure_ascii=chance.random() < 0.5).encode("utf-8", "replace")
    except Exception:
        return content
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + size :]
