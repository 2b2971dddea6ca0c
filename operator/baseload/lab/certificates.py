"""The certificates of one lab: an authority, one server certificate, and one client certificate per component."""

import datetime
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

FRONT_PROXY_USER: Final = "lab-front-proxy"
"""Who the API server is towards API servers behind it; only this one may speak for other users."""

CLIENTS: Final = {
    # name of the files: (user, group); the first two are the users that Kubernetes' own RBAC rules are written for.
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "admin": ("lab-admin", "system:masters"),
    "kwok": ("lab-kwok", "system:masters"),
    "agent": ("lab-agent", "system:masters"),
    "prometheus": ("lab-prometheus", "system:masters"),
    "api-server": ("lab-api-server", ""),
    "front-proxy": (FRONT_PROXY_USER, ""),
    "prometheus-adapter": ("lab-prometheus-adapter", "system:masters"),
}
"""Client certificates by name; the audit log shows the user."""

AGGREGATED_SERVICE: Final = ("prometheus-adapter", "lab-system")
"""Name and namespace of the Service of an API server behind the lab's own, which its certificate must name."""

_SERVER_NAMES = (
    *("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"),
    f"{'.'.join(AGGREGATED_SERVICE)}.svc",
)
_SERVER_ADDRESSES = ("127.0.0.1", "10.0.0.1", "10.96.0.1")
_VALID_DAYS = 365
_AUTHORITY_USAGE = x509.KeyUsage(
    digital_signature=True,
    key_cert_sign=True,
    crl_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, slots=True)
class Pki:
    """Where the keys and certificates of a lab are: PEM files, keys readable by their owner only."""

    directory: Path

    @property
    def authority(self) -> Path:
        """The certificate that signs all others."""
        return self.directory / "ca.crt"

    @property
    def service_account_key(self) -> Path:
        """The private key that signs ServiceAccount tokens."""
        return self.directory / "service-account.key"

    @property
    def service_account_public_key(self) -> Path:
        """The public key that checks ServiceAccount tokens."""
        return self.directory / "service-account.pub"

    def certificate(self, name: str) -> Path:
        """Return the certificate called `name` ("server" or one of CLIENTS)."""
        return self.directory / f"{name}.crt"

    def key(self, name: str) -> Path:
        """Return the private key that belongs to `certificate(name)`."""
        return self.directory / f"{name}.key"


def create_pki(directory: Path) -> Pki:
    """Write a new authority, server certificate, client certificates and ServiceAccount key pair into `directory`."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    pki = Pki(directory)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("baseload-lab", "")
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_AUTHORITY_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pki.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in _SERVER_ADDRESSES]
    names = [x509.DNSName(name) for name in _SERVER_NAMES]
    requests: dict[str, tuple[x509.Name, list[x509.GeneralName]]] = {
        "server": (_name("lab-server", ""), [*names, *addresses]),
        **{name: (_name(user, group), []) for name, (user, group) in CLIENTS.items()},
    }
    for name, (subject, alternatives) in requests.items():
        certificate, key = _issue(subject, alternatives, authority_name, authority_key)
        pki.certificate(name).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        _write_key(pki.key(name), key)
    _create_service_account_keys(pki)
    return pki


def _issue(
    subject: x509.Name,
    alternatives: list[x509.GeneralName],
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Return a server certificate if there are alternative names, else a client certificate, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    # etcd's JSON gateway logs in to etcd itself with the server's certificate.
    server = [ExtendedKeyUsageOID.SERVER_AUTH] if alternatives else []
    # Python 3.13 and later refuse certificates without the authority's key identifier.
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = (
        _builder(subject, issuer, key.public_key())
        .add_extension(x509.ExtendedKeyUsage([*server, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(authority, critical=False)
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(issuer_key, hashes.SHA256()), key


def _create_service_account_keys(pki: Pki) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    _write_key(pki.service_account_key, key)
    pki.service_account_public_key.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def _name(user: str, group: str) -> x509.Name:
    # Kubernetes reads the common name as the user and each organization as a group.
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
    if group:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    return x509.Name(attributes)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=_VALID_DAYS))
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    content = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
