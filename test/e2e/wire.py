"""The messages of transfer/README.md, share keys and proofs, and what a share is made of: bencode, the
manifest, Merkle trees. Written from that page (and BEP 52, which it names) alone."""

import hashlib
import hmac
import struct

BLOCK = 16_384
IGNORED_FROM = 0x80

# Fields: struct's letters; D DHT key, P proof, * the rest as bytes.
RUN = "HIHH", ("ch", "piece", "block", "count")
HASHES = "HBIH", ("ch", "kind", "first", "count")
MESSAGES = {
    0x00: ("choke", "", ()),
    0x01: ("unchoke", "", ()),
    0x02: ("interested", "H", ("ch",)),
    0x03: ("not_interested", "H", ("ch",)),
    0x04: ("have", "HI", ("ch", "piece")),
    0x05: ("bitfield", "HI*", ("ch", "first", "data")),
    0x06: ("request", *RUN),
    0x07: ("piece", "HIH*", ("ch", "piece", "block", "data")),
    0x08: ("cancel", *RUN),
    0x0d: ("suggest", "HI", ("ch", "piece")),
    0x0e: ("have_all", "H", ("ch",)),
    0x0f: ("have_none", "H", ("ch",)),
    0x10: ("reject", *RUN),
    0x15: ("hash_request", *HASHES),
    0x16: ("hashes", HASHES[0] + "*", (*HASHES[1], "data")),
    0x17: ("hash_reject", *HASHES),
    0x20: ("share_open", "HDPB", ("ch", "key", "proof", "flags")),
    0x21: ("share_close", "DB", ("key", "reason")),
    0x22: ("manifest_have", "H", ("ch",)),
    0x23: ("manifest_request", "HII", ("ch", "offset", "size")),
    0x24: ("manifest_data", "HII*", ("ch", "total", "offset", "data")),
    0x25: ("have_blocks", *RUN),
    0x30: ("pex", "H*", ("ch", "data")),
    0x31: ("ping", "Q", ("nonce",)),
    0x32: ("pong", "Q", ("nonce",)),
    0x33: ("close", "B", ("reason",)),
}
TYPES = {name: number for number, (name, _, _) in MESSAGES.items()}


class Message(dict):
    """A message: its name, and its fields by theirs: m.name, m["ch"], m.ch."""

    def __init__(self, name, /, **fields):
        super().__init__(fields)
        self.name = name

    def __getattr__(self, field):
        try:
            return self[field]
        except KeyError:
            raise AttributeError(field) from None

    def __repr__(self):
        shown = {name: value.hex()[:24] if isinstance(value, bytes) else value for name, value in self.items()}
        return f"{self.name}{shown}"


def struct_of(letters):
    """The fixed part of a message as a struct, and whether the rest follows it."""
    return struct.Struct(">" + letters.rstrip("*").replace("D", "20s").replace("P", "32s")), letters.endswith("*")


def encode(name, /, **fields):
    number = TYPES[name]
    _, letters, names = MESSAGES[number]
    fixed, has_rest = struct_of(letters)
    values = [fields.pop(name) for name in names]
    if fields:
        raise TypeError(f"{name} has no {list(fields)}")
    rest = bytes(values.pop()) if has_rest else b""
    return bytes([number]) + fixed.pack(*values) + rest


def decode(data):
    if data and data[0] >= IGNORED_FROM:
        return Message("ignored", type=data[0], data=data[1:])
    if not data or data[0] not in MESSAGES:
        raise ValueError(f"no such message: {data[:8].hex()}")
    name, letters, names = MESSAGES[data[0]]
    fixed, has_rest = struct_of(letters)
    if len(data) - 1 < fixed.size or (len(data) - 1 > fixed.size and not has_rest):
        raise ValueError(f"{name} of {len(data)} bytes")
    values = [*fixed.unpack(data[1:1 + fixed.size])]
    if has_rest:
        values.append(data[1 + fixed.size:])
    return Message(name, **dict(zip(names, values)))


def dht_key(share_id):
    return hashlib.sha256(b"peernet/1 share" + share_id).digest()[:20]


def proof(share_id, role, handshake_hash):
    return hmac.digest(share_id, b"peernet/1 proof" + bytes([role]) + handshake_hash, "sha256")


# --- what a share is made of

def bencode(value):
    """Dictionaries are sorted: canonical as long as the keys are bytes."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"


def bdecode(data):
    """Integers, strings and dictionaries: there are no lists in a manifest."""
    value, end = bdecode_at(data, 0)
    if end != len(data):
        raise ValueError("something after the value")
    return value


def bdecode_at(data, at):
    if data[at:at + 1] == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1:end]), end + 1
    if data[at:at + 1] == b"d":
        found, at = {}, at + 1
        while data[at:at + 1] != b"e":
            key, at = bdecode_at(data, at)
            found[key], at = bdecode_at(data, at)
        return found, at + 1
    colon = data.index(b":", at)
    size = int(data[at:colon])
    return data[colon + 1:colon + 1 + size], colon + 1 + size


def sha256(data):
    return hashlib.sha256(data).digest()


def leaves_of(data):
    return [sha256(data[at:at + BLOCK]) for at in range(0, len(data), BLOCK)]


def layer_above(nodes, padding):
    """One level up; gives also what pads that level."""
    nodes = nodes + [padding] * (len(nodes) % 2)
    return [sha256(nodes[at] + nodes[at + 1]) for at in range(0, len(nodes), 2)], sha256(padding + padding)


def climb(nodes, height, padding=bytes(32)):
    """The layer `height` levels above; the missing right part of the tree is of zero leaves."""
    for _ in range(height):
        nodes, padding = layer_above(nodes, padding)
    return nodes, padding


def root_of(nodes, padding=bytes(32)):
    while len(nodes) > 1:
        nodes, padding = layer_above(nodes, padding)
    return nodes[0]


class File:
    """One file of a share: its place among the pieces, its root and its part of the piece layers."""

    def __init__(self, path, length, root, first_piece, piece_length):
        self.path, self.length, self.root, self.first_piece = path, length, root, first_piece
        self.pieces = -(-length // piece_length)


class Share:
    """A share as its manifest tells it. Raises ValueError where that is not what the page says."""

    def __init__(self, manifest):
        self.manifest, self.id = manifest, sha256(manifest)
        info = bdecode(manifest)
        if sorted(info) != [b"file tree", b"meta version", b"name", b"piece length"] or info[b"meta version"] != 2:
            raise ValueError(f"keys of the manifest: {sorted(info)}")
        self.name, self.piece_length = info[b"name"], info[b"piece length"]
        self.height = (self.piece_length // BLOCK).bit_length() - 1
        self.files, self.pieces = [], 0
        self.walk(info[b"file tree"], ())
        self.nodes_count = sum(file.pieces for file in self.files if file.pieces > 1)

    def walk(self, tree, path):
        for name in sorted(tree):
            if name == b"":
                file = File(path, tree[name][b"length"], tree[name].get(b"pieces root"), self.pieces, self.piece_length)
                self.files.append(file)
                self.pieces += file.pieces
            else:
                self.walk(tree[name], (*path, name))

    def file_of(self, piece):
        return next(file for file in self.files if file.first_piece <= piece < file.first_piece + file.pieces)

    def piece_size(self, piece):
        file = self.file_of(piece)
        return min(self.piece_length, file.length - (piece - file.first_piece) * self.piece_length)

    def blocks(self, piece):
        return -(-self.piece_size(piece) // BLOCK)

    def block_size(self, piece, block):
        return min(BLOCK, self.piece_size(piece) - block * BLOCK)

    def node_of(self, piece, layers):
        """What the leaves of this piece must come to: (hash, levels above the leaves or None for a root)."""
        at = 0
        for file in self.files:
            if file.first_piece <= piece < file.first_piece + file.pieces:
                if file.pieces == 1:
                    return file.root, None
                return layers[at + piece - file.first_piece], self.height
            at += file.pieces if file.pieces > 1 else 0
        raise IndexError(piece)

    def check_layers(self, layers):
        """layers: the list of all nodes. Whether each file's come to its root."""
        at, padding = 0, climb([], self.height)[1]
        for file in self.files:
            if file.pieces > 1:
                if root_of(layers[at:at + file.pieces], padding) != file.root:
                    return False
                at += file.pieces
        return at == len(layers)

    def check_leaves(self, piece, leaves, layers):
        node, height = self.node_of(piece, layers)
        got = root_of(leaves) if height is None else climb(leaves, height)[0][0]
        return len(leaves) == self.blocks(piece) and got == node


def tree_entry(data):
    return {b"": {b"length": len(data), **({b"pieces root": root_of(leaves_of(data))} if data else {})}}


def manifest_of(name, tree, piece_length=65_536):
    """tree: bytes (one file) or nested dicts of names to bytes. Checks nothing: names may be hostile."""
    def entries(part):
        return tree_entry(part) if isinstance(part, bytes) else {key: entries(part[key]) for key in part}

    return bencode({b"file tree": {name: tree_entry(tree)} if isinstance(tree, bytes) else entries(tree),
                    b"meta version": 2, b"name": name, b"piece length": piece_length})


def pieces_of(tree, piece_length=65_536):
    """The content piece by piece, and the piece layers."""
    pieces, layers = [], []

    def walk(part):
        if isinstance(part, bytes):
            mine = [part[at:at + piece_length] for at in range(0, len(part), piece_length)]
            height = (piece_length // BLOCK).bit_length() - 1
            pieces.extend(mine)
            layers.extend(climb(leaves_of(part), height)[0] if len(mine) > 1 else [])
        else:
            for key in sorted(part):
                walk(part[key])

    walk(tree)
    return pieces, layers
