"""Mutual TLS: certificates of a development authority, credentials for grpc.aio, and who is calling.

A caller is known by the SHA-256 fingerprint of its certificate, which the ledger or a configuration names; the
authority only decides who may connect at all. Consortium members bring certificates of their own authorities in the
same files.
"""

from __future__ import annotations

import datetime as dt
import functools
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lianqiao_base.errors import Fatal, Rejected, Unauthenticated

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_BACKDATE = dt.timedelta(minutes=5)  # clocks of two machines differ


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of one end of a connection."""

    certificate: Path
    private_key: Path
    authority: Path
    """Certificates of the authorities whose certificates the other end may show."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A development certificate authority in a folder: `ca.pem` and `ca.key` (0600)."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def private_key(self) -> Path:
        return self.folder / "ca.key"

    @classmethod
    def create(cls, folder: Path, name: str, now: dt.datetime, *, days: int = 825) -> Authority:
        """Make one. Raises `Rejected("TLS_EXISTS")` when the folder holds one already."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = cls(folder)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        certificate = (
            _builder(subject, subject, key.public_key(), now, days)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        _write_private(authority.private_key, _pem_of_key(key))
        _write_public(authority.certificate, certificate.public_bytes(serialization.Encoding.PEM))
        return authority

    def issue(self, name: str, now: dt.datetime, *, hosts: Sequence[str] = LOCAL_NAMES, days: int = 397) -> TlsFiles:
        """A leaf certificate for server and client use: `<name>.pem` and `<name>.key` (0600) in the authority's
        folder.

        Raises `Rejected("TLS_EXISTS")` for a name that has one.
        """
        issuer_key = serialization.load_pem_private_key(self.private_key.read_bytes(), password=None)
        if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
            raise Fatal("TLS_AUTHORITY", "the authority's key is not an elliptic-curve key", subject=str(self.folder))
        issuer = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(_name(name), issuer.subject, key.public_key(), now, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.SubjectAlternativeName([_general_name(h) for h in hosts]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
            .sign(issuer_key, hashes.SHA256())
        )
        files = self.files(name)
        _write_private(files.private_key, _pem_of_key(key))
        _write_public(files.certificate, certificate.public_bytes(serialization.Encoding.PEM))
        return files

    def files(self, name: str) -> TlsFiles:
        """Where the certificate of `name` is, or would be."""
        return TlsFiles(self.folder / f"{name}.pem", self.folder / f"{name}.key", self.certificate)


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Credentials of a server that demands a client certificate."""
    certificate, key, authority = _read(files)
    return grpc.ssl_server_credentials([(key, certificate)], root_certificates=authority, require_client_auth=True)


def client_credentials(files: TlsFiles) -> grpc.ChannelCredentials:
    """Credentials of a client that shows its certificate."""
    certificate, key, authority = _read(files)
    return grpc.ssl_channel_credentials(authority, key, certificate)


def fingerprint(pem: bytes) -> bytes:
    """SHA-256 over the DER form of a PEM certificate, 32 bytes. Raises `Rejected("BAD_CERTIFICATE")`."""
    try:
        return x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256())
    except ValueError as error:
        raise Rejected("BAD_CERTIFICATE", "not a PEM certificate") from error


@functools.lru_cache(maxsize=1024)
def _known_fingerprint(pem: bytes) -> bytes:
    return fingerprint(pem)


def caller_fingerprint(context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
    """Fingerprint of the certificate that the caller showed. Raises `Unauthenticated("NO_CLIENT_CERTIFICATE")`."""
    shown = list(context.auth_context().get("x509_pem_cert", ()))
    if not shown:
        raise Unauthenticated("NO_CLIENT_CERTIFICATE", "mutual TLS is required", hint="connect with your certificate")
    return _known_fingerprint(shown[0])


def _read(files: TlsFiles) -> tuple[bytes, bytes, bytes]:
    try:
        mode = files.private_key.stat().st_mode
        if mode & 0o077:
            raise Fatal(
                "TLS_KEY_MODE",
                "others than the owner may read the private key",
                subject=files.private_key.name,
                hint="chmod 600 it, and change the key if it leaked",
            )
        return files.certificate.read_bytes(), files.private_key.read_bytes(), files.authority.read_bytes()
    except OSError as error:
        raise Fatal(
            "TLS_FILES",
            f"{error.strerror}",
            subject=str(error.filename),
            hint="check the TLS paths in the configuration",
        ) from error


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write_private(path: Path, data: bytes) -> None:
    _write(path, data, 0o600)


def _write_public(path: Path, data: bytes) -> None:
    _write(path, data, 0o644)


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise Rejected("TLS_EXISTS", "there is one already", subject=str(path), hint="remove it first") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
