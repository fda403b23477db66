"""A PeerNet peer for the tests, written from transfer/README.md alone: a connection in both roles, a
fetcher of single things, and a seed that tells whatever lies a test wants. Loopback only."""

import base64
import random
import socket
import struct
import threading
import time

import noise
import wire
from noise import INITIATOR, RESPONDER, Refused

# Between what a peer must do at once and what a busy machine with two cores takes for it.
PATIENCE = 30
# A daemon computes at most 200 handshakes a second, and closes what is more without a word.
HANDSHAKE_PAUSE = 1 / 120


class Closed(Exception):
    """The other side has closed the connection."""


def read_exactly(sock, size):
    data = b""
    while len(data) < size:
        try:
            part = sock.recv(size - len(data))
        except (ConnectionResetError, BrokenPipeError):
            part = b""
        if not part:
            raise Closed(f"after {len(data)} of {size} bytes")
        data += part
    return data


def read_frame(sock, size_max):
    size = struct.unpack(">H", read_exactly(sock, 2))[0]
    if size > size_max:
        raise Refused(f"a frame of {size} bytes")
    return read_exactly(sock, size)


def connect(port, source=None, pause=HANDSHAKE_PAUSE):
    """A TCP connection to a daemon on loopback. source: an address of our own, 127.x.y.z."""
    time.sleep(pause)
    sock = socket.socket()
    sock.settimeout(PATIENCE)
    sock.bind((source or "127.0.0.1", 0))
    sock.connect(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def bytes_until_closed(sock, seconds=PATIENCE):
    """Everything that still comes; TimeoutError if the other side does not close."""
    sock.settimeout(seconds)
    data = b""
    try:
        while part := sock.recv(65_536):
            data += part
    except ConnectionResetError:
        pass
    return data


class Peer:
    """One connection after its handshake. Channels: ours are chosen here, theirs come in share_open."""

    def __init__(self, sock, role, identity=None, port=0, **handshake):
        self.sock = sock
        self.role = role
        self.identity = identity or noise.Identity()
        self.lock = threading.Lock()
        self.heard = []
        sock.settimeout(PATIENCE)
        shake = noise.Handshake(role, self.identity, port, **handshake)
        for number in range(3):
            if number % 2 == role:
                sock.sendall(noise.frame(shake.write()))
            else:
                shake.read(read_frame(sock, noise.HANDSHAKE_FRAME_MAX))
        self.handshake = shake
        self.sealer, self.opener = shake.split()

    @staticmethod
    def dial(port, source=None, **options):
        return Peer(connect(port, source), INITIATOR, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send_plain(self, *plains):
        """Messages as bytes, right or wrong; several go out together."""
        with self.lock:
            data = b"".join(noise.frame(self.sealer.seal(plain)) for plain in plains)
            try:
                self.sock.sendall(data)
            except (ConnectionResetError, BrokenPipeError):
                raise Closed("while sending") from None

    def send(self, name, /, **fields):
        self.send_plain(wire.encode(name, **fields))

    def receive(self, seconds=PATIENCE):
        """The next message; raises Closed at the end, TimeoutError when nothing comes."""
        self.sock.settimeout(seconds)
        record = read_frame(self.sock, noise.RECORD_MAX)
        message = wire.decode(self.opener.open(record))
        self.heard.append(message)
        if message.name == "ping":
            self.send("pong", nonce=message.nonce)
        return message

    def until(self, *names, seconds=PATIENCE):
        """The next message of one of these names; others are passed over."""
        while True:
            message = self.receive(seconds)
            if message.name in names:
                return message

    def sync(self):
        """All that the other side says until it has dealt with everything we sent."""
        nonce = random.getrandbits(64)
        self.send("ping", nonce=nonce)
        said = []
        while True:
            message = self.receive()
            if message.name == "pong" and message.nonce == nonce:
                return said
            said.append(message)

    def until_closed(self):
        """What is said before the connection closes."""
        said = []
        try:
            while True:
                said.append(self.receive())
        except Closed:
            return said

    def proof(self, share_id, role=None):
        return wire.proof(share_id, self.role if role is None else role, self.handshake.hash)

    def send_open(self, share_id, ch=1, flags=0):
        self.send("share_open", ch=ch, key=wire.dht_key(share_id), proof=self.proof(share_id), flags=flags)

    def is_right(self, message, share_id):
        """Whether this share_open proves that the other side knows the share."""
        return (message.key == wire.dht_key(share_id) and
                message.proof == self.proof(share_id, 1 - self.role))


class Visitor(Peer):
    """A connection over which one share is fetched from a daemon, each thing when it is asked for."""

    def open(self, share_id, ch=1):
        self.ch = ch
        self.send_open(share_id, ch)
        answer = self.until("share_open", "share_close")
        if answer.name == "share_close":
            raise Refused(f"share_close, reason {answer.reason}")
        if not self.is_right(answer, share_id):
            raise Refused("the daemon's proof is wrong")
        self.their_flags = answer.flags
        return self

    @staticmethod
    def dial(port, source=None, **options):
        return Visitor(connect(port, source), INITIATOR, **options)

    def manifest(self, share_id):
        data, total = b"", None
        while total is None or len(data) < total:
            size = wire.BLOCK if total is None else min(wire.BLOCK, total - len(data))
            self.send("manifest_request", ch=self.ch, offset=len(data), size=size)
            part = self.until("manifest_data")
            if part.offset != len(data) or not part.data:
                raise Refused(f"{part!r} for offset {len(data)}")
            data, total = data + part.data, part.total
        if wire.sha256(data) != share_id:
            raise Refused("the manifest is another share's")
        return wire.Share(data)

    def hashes(self, kind, first, count):
        """As a list; None for hash_reject."""
        self.send("hash_request", ch=self.ch, kind=kind, first=first, count=count)
        answer = self.until("hashes", "hash_reject")
        if (answer.kind, answer.first, answer.count) != (kind, first, count):
            raise Refused(f"{answer!r} for {kind} {first} {count}")
        if answer.name == "hash_reject":
            return None
        if len(answer.data) != 32 * count:
            raise Refused(f"{len(answer.data)} bytes for {count} hashes")
        return [answer.data[at:at + 32] for at in range(0, 32 * count, 32)]

    def layers(self, share):
        nodes = []
        while len(nodes) < share.nodes_count:
            nodes += self.hashes(0, len(nodes), min(1024, share.nodes_count - len(nodes)))
        if not share.check_layers(nodes):
            raise Refused("the piece layers do not come to the roots")
        return nodes

    def know_all(self):
        """Says that the manifest is here, and waits for what the other side has."""
        self.send("manifest_have", ch=self.ch)
        self.send("have_none", ch=self.ch)
        return self.until("have_all", "have_none", "bitfield")

    def want(self):
        self.send("interested", ch=self.ch)
        return self.until("unchoke")

    def piece(self, share, piece, leaves):
        """All blocks of a piece, asked for 16 at a time; each is checked against its leaf."""
        blocks = {}
        for first in range(0, share.blocks(piece), 16):
            count = min(16, share.blocks(piece) - first)
            self.send("request", ch=self.ch, piece=piece, block=first, count=count)
            while len(blocks) < first + count:
                answer = self.until("piece", "reject")
                if answer.name == "reject":
                    raise Refused(f"{answer!r}")
                if wire.sha256(answer.data) != leaves[answer.block] or answer.piece != piece:
                    raise Refused(f"a wrong block: {answer!r}")
                blocks[answer.block] = answer.data
        return b"".join(blocks[block] for block in sorted(blocks))


def id_text(share_id, letter="s"):
    """The id as people see it: 32 bytes and 3 of checksum, in base32."""
    check = wire.sha256(letter.encode() + share_id)[:3]
    return letter + base64.b32encode(share_id + check).decode().lower()


def id_bytes(link):
    text = link.split("?")[0].removeprefix("peernet:")
    data = base64.b32decode(text[1:].upper())
    if id_text(data[:32], text[0]) != text:
        raise ValueError(f"checksum of {text}")
    return data[:32]


def link_to(share_id, *ports):
    hints = "&".join(f"pe=127.0.0.1:{port}" for port in ports)
    return f"peernet:{id_text(share_id)}" + (f"?{hints}" if hints else "")


class Listener:
    """Accepts connections on a port of loopback, each in a thread of its own, until it is closed."""

    def __init__(self, address="127.0.0.1"):
        self.server = socket.create_server((address, 0))
        self.port = self.server.getsockname()[1]
        self.calls = 0
        self.threads = []
        self.errors = []
        self.accepting = threading.Thread(target=self.accept, daemon=True)
        self.accepting.start()

    def accept(self):
        while True:
            try:
                sock, _ = self.server.accept()
            except OSError:
                return
            self.calls += 1
            sock.settimeout(PATIENCE)
            thread = threading.Thread(target=self.guarded, args=(sock,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def guarded(self, sock):
        try:
            with sock:
                self.on_call(sock)
        except (Closed, TimeoutError, OSError):
            pass
        except Exception as error:  # a test looks at them: the daemon may have said something wrong
            self.errors.append(error)

    def on_call(self, sock):
        """What happens on one connection; it is closed afterwards."""

    def close(self):
        self.server.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Seed(Listener):
    """Seeds one share to whoever dials. A liar overrides what it lies about."""

    def __init__(self, name, tree, piece_length=65_536, **manifest):
        self.identity = noise.Identity()
        self.manifest = manifest.get("manifest") or wire.manifest_of(name, tree, piece_length)
        self.id = wire.sha256(self.manifest)
        self.contents, self.nodes = wire.pieces_of(tree, piece_length)
        self.leaves = [wire.leaves_of(piece) for piece in self.contents]
        self.sent_blocks = 0
        self.asked = []
        super().__init__()

    def link(self, *others):
        return link_to(self.id, self.port, *(other.port for other in others))

    def peer_text(self):
        return id_text(self.identity.peer_id, "p")

    def on_call(self, sock):
        peer = Peer(sock, RESPONDER, self.identity, self.port)
        state = {"announced": False}
        while True:
            message = peer.receive()
            self.asked.append(message)
            answer = getattr(self, f"on_{message.name}", None)
            if answer:
                answer(peer, message, state)

    def on_share_open(self, peer, message, state):
        if not peer.is_right(message, self.id):
            peer.send("share_close", key=message.key, reason=0)
            return
        peer.send_open(self.id, 7, 1)
        if message.flags & 1:
            self.on_manifest_have(peer, message, state)

    def on_manifest_have(self, peer, _, state):
        if not state["announced"]:
            state["announced"] = True
            peer.send("have_all", ch=7)

    def on_manifest_request(self, peer, message, _):
        manifest = self.manifest_now()
        part = manifest[message.offset:message.offset + message.size]
        peer.send("manifest_data", ch=7, total=len(manifest), offset=message.offset, data=part)

    def on_hash_request(self, peer, message, _):
        first, count = message.first, message.count
        nodes = self.nodes[first:first + count] if message.kind == 0 else self.leaves[first]
        if len(nodes) != count:
            raise Refused(f"{message!r} of {len(nodes)} nodes")
        data = self.hashes_now(message.kind, b"".join(nodes))
        peer.send("hashes", ch=7, kind=message.kind, first=first, count=count, data=data)

    def on_interested(self, peer, *_):
        peer.send("unchoke")

    def on_request(self, peer, message, _):
        piece = self.contents[message.piece]
        for block in range(message.block, message.block + message.count):
            data = piece[block * wire.BLOCK:(block + 1) * wire.BLOCK]
            if not data:
                raise Refused(f"{message!r} is beyond the piece")
            self.sent_blocks += 1
            self.send_block(peer, message.piece, block, data)

    # What liars override.

    def manifest_now(self):
        return self.manifest

    def hashes_now(self, _kind, data):
        return data

    def send_block(self, peer, piece, block, data):
        peer.send("piece", ch=7, piece=piece, block=block, data=data)
