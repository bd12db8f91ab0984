"""payload/{sign,verify}: as OpenSSL does it, and strictly."""

import base64
import subprocess

import pytest

from payload_files import ok, refused, tool

pytestmark = pytest.mark.timeout(60)

N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
DATA = b"what was signed\n" * 50


def openssl(*args, **options):
    return subprocess.run(["openssl", *map(str, args)], check=True,
                          capture_output=True, timeout=60, **options).stdout


def make_key(top, curve="prime256v1"):
    key, public = top / f"{curve}.pem", top / f"{curve}.pub"
    openssl("ecparam", "-name", curve, "-genkey", "-noout", "-out", key)
    openssl("ec", "-in", key, "-pubout", "-out", public)
    return key, public


class Signed:
    def __init__(self, top):
        self.top = top
        self.key, self.public = make_key(top)
        self.file, self.sig = top / "file", top / "file.sig"
        self.file.write_bytes(DATA)
        self.der = openssl("dgst", "-sha256", "-sign", self.key, self.file)

    def check(self, signature, public=None):
        self.sig.write_bytes(signature)
        return tool("verify", public or self.public, self.file, self.sig)

    def malformed(self, signature):
        done = self.check(signature)
        return done.returncode == 1 and done.stderr == b"malformed\n"

    def other(self, signature, public=None):
        done = self.check(signature, public)
        return done.returncode == 1 and done.stderr == b"another signature\n"


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    return Signed(tmp_path_factory.mktemp("signed"))


def split(der):
    r_len = der[3]
    return (int.from_bytes(der[4:4 + r_len], "big"),
            int.from_bytes(der[6 + r_len:], "big"))


def integer(value):
    data = value.to_bytes(value.bit_length() // 8 + 1, "big")
    return b"\x02" + bytes([len(data)]) + data


def join(r, s):
    body = integer(r) + integer(s)
    return b"\x30" + bytes([len(body)]) + body


b64 = base64.b64encode


def test_openssl_signs_and_we_verify(signed):
    for _ in range(30):     # R and S of all lengths
        der = openssl("dgst", "-sha256", "-sign", signed.key, signed.file)
        assert signed.check(b64(der)).returncode == 0
        assert signed.check(b64(der) + b"\n").returncode == 0


def test_we_sign_and_openssl_verifies(signed):
    for _ in range(30):
        sig = ok("sign", signed.key, signed.file)
        der = signed.top / "ours.der"
        der.write_bytes(base64.b64decode(sig, validate=True))
        assert openssl("dgst", "-sha256", "-verify", signed.public,
                       "-signature", der, signed.file) == b"Verified OK\n"


def test_keys_of_both_forms(signed):
    pkcs8 = signed.top / "pkcs8.pem"
    openssl("pkcs8", "-topk8", "-nocrypt", "-in", signed.key, "-out", pkcs8)
    text = ok("public", pkcs8).decode()
    assert text == ok("public", signed.key).decode()
    der = openssl("ec", "-in", signed.key, "-pubout", "-outform", "DER")
    assert text == "base64:" + b64(der).decode()
    assert signed.check(b64(signed.der), text).returncode == 0


def test_high_and_low_s_are_both_accepted(signed):
    r, s = split(signed.der)
    assert signed.check(b64(join(r, N - s))).returncode == 0


def test_the_file_changed(signed):
    for changed in (DATA + b"x", DATA[:-1], b"", b"x" + DATA[1:]):
        signed.file.write_bytes(changed)
        try:
            assert signed.other(b64(signed.der))
        finally:
            signed.file.write_bytes(DATA)


def test_a_bit_flipped_in_each_byte(signed):
    flips = []
    for i in range(len(signed.der)):
        bad = bytearray(signed.der)
        bad[i] ^= 1
        flips.append(b64(bytes(bad)))
    text = b64(signed.der)
    for i in range(len(text)):
        bad = bytearray(text)
        bad[i] ^= 1
        flips.append(bytes(bad))
    for bad in flips:
        assert signed.check(bad).returncode == 1


@pytest.mark.parametrize("r,s", [
    (0, 1), (1, 0), (0, 0), (N, 1), (1, N), (N, N), (N + 1, 1), (1, N + 1),
    (1, 1), (2**256 - 1, 2**256 - 1), (2**256, 1), (1, 2**263)])
def test_integers_out_of_range(signed, r, s):
    assert signed.check(b64(join(r, s))).returncode == 1


def test_one_integer_is_zero_or_too_big(signed):
    r, s = split(signed.der)
    for bad in (join(0, s), join(r, 0), join(N, s), join(r, N),
                join(r + N, s), join(r, s + N)):
        assert signed.check(b64(bad)).returncode == 1


def test_what_is_no_signature(signed):
    der, text = signed.der, b64(signed.der)
    r, s = (integer(x) for x in split(der))
    inner = der[2:]
    for bad in (
            b"", b"\n", b"=", b"====", b"AAAA", text[:-4], text + b"AAAA",
            text + b"\n\n", b"\n" + text, b" " + text, text + b" ",
            text + b"\r\n", text.rstrip(b"=") + b"\0", text * 2,
            text[:40] + b"\n" + text[40:], text.replace(b"=", b"") + b"=====",
            b"A" * 128, b"A" * 129, b"A" * 100000, der,
            base64.b16encode(der), b"\0" * 96,
            b64(der + b"\0"), b64(der[:-1]), b64(der[1:]),
            b64(b"\x30\x81" + bytes([len(inner)]) + inner),     # long form
            b64(b"\x30\x80" + inner + b"\0\0"),                 # no length
            b64(b"\x31" + der[1:]), b64(inner),
            b64(b"\x30" + bytes([len(inner) + 2]) + inner + b"\x05\0"),
            b64(b"\x30" + bytes([len(r)]) + r),
            b64(b"\x30\0"), b64(b"\x30\x04\x02\0\x02\0"),
            b64(b"\x30" + bytes([len(r) + len(s) + 1]) +        # a zero more
                b"\x02" + bytes([r[1] + 1]) + b"\0" + r[2:] + s),
            b64(b"\x30\x06\x02\x01\x81\x02\x01\x01"),           # negative
            b64(b"\x30\x46" + b"\x02\x21\x01" + b"\1" * 32 +
                b"\x02\x21\x80" + b"\1" * 32)):
        assert signed.malformed(bad), bad
    for cut in range(len(der)):
        assert signed.malformed(b64(der[:cut])), cut


def test_base64_has_one_form(signed):
    text = b64(signed.der)
    while not text.endswith(b"="):      # there are unused bits
        text = b64(openssl("dgst", "-sha256", "-sign", signed.key,
                           signed.file))
    digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" \
        b"0123456789+/"
    at = len(text.rstrip(b"=")) - 1
    for bit in (1, 2):
        other = digits[digits.index(text[at]) | bit]
        if other != text[at]:
            assert signed.malformed(
                text[:at] + bytes([other]) + text[at + 1:])
    assert signed.malformed(text.rstrip(b"="))
    assert signed.malformed(base64.urlsafe_b64encode(b"\x30\xfb\xff" * 22))


def test_another_key(signed, tmp_path):
    key, public = make_key(tmp_path)
    assert signed.other(b64(signed.der), public)
    sig = ok("sign", key, signed.file)
    assert signed.other(sig)
    assert signed.check(sig, public).returncode == 0


@pytest.mark.parametrize("curve", ["secp384r1", "secp256k1", "secp521r1"])
def test_another_curve(signed, tmp_path, curve):
    key, public = make_key(tmp_path, curve)
    assert signed.check(b64(signed.der), public).stderr == \
        b"no public key of P-256\n"
    assert refused("sign", key, signed.file) == "no private key of P-256"
    sig = b64(openssl("dgst", "-sha256", "-sign", key, signed.file))
    assert signed.check(sig).returncode == 1


def test_what_is_no_public_key(signed, tmp_path):
    pem = signed.public.read_bytes()
    lines = pem.splitlines()
    der = base64.b64decode(b"".join(lines[1:-1]))
    x, y = der[27:59], bytearray(der[59:])
    y[-1] ^= 1
    p = 2**256 - 2**224 + 2**192 + 2**96 - 1
    rsa = openssl("rsa", "-pubout", "-in", "/dev/stdin", input=openssl(
        "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"))
    compressed = openssl("ec", "-in", signed.key, "-pubout", "-conv_form",
                         "compressed")
    forms = [
        b"", b"\n", b"base64:", b"hello", b"base64:!!!!", pem[:-30], pem[10:],
        rsa, compressed, signed.key.read_bytes(), b"x" * 2000, pem + b"x",
        pem + pem, pem.replace(b"PUBLIC", b"PUBLIX"), b"\0" + pem,
        pem.replace(lines[1], lines[1][:-1] + b"!"),
        pem.replace(lines[1], b""), lines[0] + b"\n" + lines[-1] + b"\n",
        lines[0], b64(der), b"base64:" + b64(der + b"\0"),
        b"base64:" + b64(der[:-1]), b"base64:" + b64(der[26:]),
        b"base64:" + b64(der[:27] + x + bytes(y)),      # not on the curve
        b"base64:" + b64(der[:27] + b"\0" * 64),
        b"base64:" + b64(der[:27] + p.to_bytes(32, "big") + der[59:]),
        b"base64:" + b64(der[:26] + b"\x06" + der[27:]),
        b"base64:" + b64(b"\x30\x58" + der[2:]),
    ]
    for i, text in enumerate(forms):
        public = tmp_path / str(i)
        public.write_bytes(text)
        done = signed.check(b64(signed.der), public)
        assert done.returncode == 1, text
        assert done.stderr == b"no public key of P-256\n", text
    for text in (b"\n" + pem, pem.rstrip(), pem.replace(b"\n", b"\r\n"),
                 b"base64:" + b64(der) + b"\n"):
        public = tmp_path / "fine"
        public.write_bytes(text)
        assert signed.check(b64(signed.der), public).returncode == 0, text
