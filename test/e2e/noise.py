"""The connection of transfer/README.md, written from that page alone: the Noise handshake with identity
payloads, and the record channel after it. Bytes in, bytes out; the sockets are in peer.py.

Everything is public here, even what is secret: a test wants to say wrong things exactly."""

import hashlib
import hmac
import struct

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

INITIATOR, RESPONDER = 0, 1
HANDSHAKE_FRAME_MAX = 1024
MESSAGE_MAX = 32_832
RECORD_MAX = MESSAGE_MAX + 16
REKEY_EVERY = 65_536


class Refused(Exception):
    """What the other side sent is not what the page demands."""


def raw_public(private):
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def x25519(secret=None):
    return X25519PrivateKey.from_private_bytes(secret) if secret else X25519PrivateKey.generate()


def frame(data):
    return struct.pack(">H", len(data)) + data


def derived_key(network_key, number):
    """libsodium's crypto_kdf: derived key `number` of a private network's key."""
    return hashlib.blake2b(b"", digest_size=32, key=network_key, person=b"pn-noise".ljust(16, b"\0"),
                           salt=struct.pack("<Q", number).ljust(16, b"\0")).digest()


class Identity:
    """An Ed25519 key: the peer, over all its connections."""

    def __init__(self, seed=None):
        self.key = Ed25519PrivateKey.from_private_bytes(seed) if seed else Ed25519PrivateKey.generate()
        self.peer_id = raw_public(self.key)

    def payload(self, role, h, port, version=1, capabilities=0, later=b""):
        rest = struct.pack(">HQH", version, capabilities, port) + later
        return self.peer_id + self.key.sign(signed_text(role, h, rest)) + rest


def signed_text(role, h, rest):
    return b"PeerNet noise identity v1" + bytes([role]) + h + hashlib.sha256(rest).digest()


class Symmetric:
    """Noise's SymmetricState (revision 34, 5.2) with SHA-256 and ChaCha20-Poly1305."""

    def __init__(self, name):
        self.h = name.ljust(32, b"\0") if len(name) <= 32 else hashlib.sha256(name).digest()
        self.ck = self.h
        self.key = None
        self.nonce = 0

    def hkdf(self, material, count):
        secret = hmac.digest(self.ck, material, "sha256")
        keys, last = [], b""
        for number in range(1, count + 1):
            last = hmac.digest(secret, last + bytes([number]), "sha256")
            keys.append(last)
        return keys

    def mix_hash(self, data):
        self.h = hashlib.sha256(self.h + data).digest()

    def mix_key(self, material):
        self.ck, self.key = self.hkdf(material, 2)
        self.nonce = 0

    def mix_key_and_hash(self, material):
        self.ck, hashed, self.key = self.hkdf(material, 3)
        self.mix_hash(hashed)
        self.nonce = 0

    def next_nonce(self):
        self.nonce += 1
        return bytes(4) + struct.pack("<Q", self.nonce - 1)

    def encrypt_and_hash(self, plain):
        sealed = plain
        if self.key is not None:
            sealed = ChaCha20Poly1305(self.key).encrypt(self.next_nonce(), plain, self.h)
        self.mix_hash(sealed)
        return sealed

    def decrypt_and_hash(self, sealed):
        plain = sealed
        if self.key is not None:
            try:
                plain = ChaCha20Poly1305(self.key).decrypt(self.next_nonce(), sealed, self.h)
            except InvalidTag:
                raise Refused("a handshake field does not open") from None
        self.mix_hash(sealed)
        return plain


class Handshake:
    """One side of one handshake. write() gives the next message, read() takes the next one.

    spoil: for lies; a function from the identity payload to what is sent in its place."""

    PATTERN = (("e",), ("e", "ee", "s", "es"), ("s", "se"))

    def __init__(self, role, identity, port=0, static=None, ephemeral=None, network_key=None, time_ms=None,
                 spoil=None, version=1):
        self.role, self.identity, self.port, self.version = role, identity, port, version
        self.s, self.e = static or x25519(), ephemeral or x25519()
        self.rs = self.re = None
        self.remote_id = self.remote_port = self.remote_version = None
        self.time_ms, self.spoil = time_ms, spoil
        self.step = 0
        self.psk = network_key and derived_key(network_key, 1)
        network_id = derived_key(network_key, 2) if network_key else bytes(32)
        self.symmetric = Symmetric(b"Noise_XXpsk0+psk3_25519_ChaChaPoly_SHA256" if network_key
                                   else b"Noise_XX_25519_ChaChaPoly_SHA256")
        self.prologue = b"PeerNet/1" + struct.pack(">H", 1) + network_id
        self.symmetric.mix_hash(self.prologue)

    def tokens(self):
        tokens = self.PATTERN[self.step]
        if self.psk:
            tokens = (("psk",) if self.step == 0 else ()) + tokens + (("psk",) if self.step == 2 else ())
        self.step += 1
        return tokens

    def agree(self, token):
        """ee, es, se: the first letter is the initiator's key, the second the responder's."""
        mine = token[self.role]
        ours = self.e if mine == "e" else self.s
        theirs = self.re if token[1 - self.role] == "e" else self.rs
        try:
            self.symmetric.mix_key(ours.exchange(X25519PublicKey.from_public_bytes(theirs)))
        except ValueError:
            raise Refused("a key of low order") from None

    def mix(self, token):
        if token == "psk":
            self.symmetric.mix_key_and_hash(self.psk)
        else:
            self.agree(token)

    def write(self):
        state, out, step = self.symmetric, b"", self.step
        for token in self.tokens():
            if token == "e":
                out += raw_public(self.e)
                state.mix_hash(raw_public(self.e))
                if self.psk:
                    state.mix_key(raw_public(self.e))
            elif token == "s":
                out += state.encrypt_and_hash(raw_public(self.s))
            else:
                self.mix(token)
        payload = b"" if self.time_ms is None else struct.pack(">Q", self.time_ms)
        if step > 0:
            payload = self.identity.payload(self.role, state.h, self.port, self.version)
            if self.spoil:
                payload = self.spoil(self, payload)
        return out + state.encrypt_and_hash(payload)

    def read(self, data):
        state, step = self.symmetric, self.step
        for token in self.tokens():
            size = {"e": 32, "s": 48}.get(token, 0)
            if len(data) < size:
                raise Refused("a handshake message is too short")
            field, data = data[:size], data[size:]
            if token == "e":
                self.re = field
                state.mix_hash(field)
                if self.psk:
                    state.mix_key(field)
            elif token == "s":
                self.rs = state.decrypt_and_hash(field)
            else:
                self.mix(token)
        h = state.h
        payload = state.decrypt_and_hash(data)
        if step > 0:
            self.check_identity(h, payload)
        elif payload and not self.psk:
            raise Refused("the first message carries something")

    def check_identity(self, h, payload):
        if len(payload) < 96 + 12:
            raise Refused("the identity payload is too short")
        peer_id, signature, rest = payload[:32], payload[32:96], payload[96:]
        try:
            key = Ed25519PublicKey.from_public_bytes(peer_id)
            key.verify(signature, signed_text(1 - self.role, h, rest))
        except InvalidSignature:
            raise Refused("the identity's signature is wrong") from None
        self.remote_version, _, self.remote_port = struct.unpack(">HQH", rest[:12])
        if self.remote_version == 0:
            raise Refused("protocol version 0")
        self.remote_id = peer_id

    def split(self):
        """(sealer, opener) of this side."""
        first, second = (Direction(key) for key in self.symmetric.hkdf(b"", 2))
        return (first, second) if self.role == INITIATOR else (second, first)

    @property
    def hash(self):
        return self.symmetric.h


class Direction:
    """The records of one direction: key, count, rekeying."""

    def __init__(self, key):
        self.key, self.cipher, self.count = key, ChaCha20Poly1305(key), 0

    def next_nonce(self):
        if self.count and self.count % REKEY_EVERY == 0:
            self.key = self.cipher.encrypt(bytes(4) + b"\xff" * 8, bytes(32), None)[:32]
            self.cipher = ChaCha20Poly1305(self.key)
        self.count += 1
        return bytes(4) + struct.pack("<Q", self.count - 1)

    def seal(self, plain):
        """One record, without the length before it."""
        nonce = self.next_nonce()  # before cipher is looked at: the key may change
        return self.cipher.encrypt(nonce, plain, None)

    def open(self, sealed):
        nonce = self.next_nonce()
        try:
            return self.cipher.decrypt(nonce, sealed, None)
        except InvalidTag:
            raise Refused("a record does not open") from None


def secret_bytes(private):
    return private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
