"""The backend's part of signing, for runners that are driven alone."""

import base64

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class Signer:
    def __init__(self):
        self.private = ec.generate_private_key(ec.SECP256R1())
        public = self.private.public_key()
        self.pem = public.public_bytes(
            serialization.Encoding.PEM,
            serialization.PublicFormat.SubjectPublicKeyInfo)
        der = public.public_bytes(
            serialization.Encoding.DER,
            serialization.PublicFormat.SubjectPublicKeyInfo)
        self.key = "base64:" + base64.b64encode(der).decode()

    def sign(self, data):
        return base64.b64encode(
            self.private.sign(data, ec.ECDSA(hashes.SHA256()))).decode()


SIGNER = Signer()
