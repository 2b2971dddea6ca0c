"""The lab's certificates and kubeconfigs."""

import stat
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from baseload.lab.certificates import CLIENTS, Pki, create_pki
from baseload.lab.kubeconfig import write_certificate_kubeconfig, write_token_kubeconfig


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """One set of certificates for all tests here."""
    return create_pki(tmp_path_factory.mktemp("pki"))


@pytest.mark.parametrize("name", ["server", *CLIENTS])
def test_each_certificate_is_signed_by_the_authority(pki: Pki, name: str) -> None:
    """Every certificate verifies against the authority."""
    authority = x509.load_pem_x509_certificate(pki.authority.read_bytes())
    x509.load_pem_x509_certificate(pki.certificate(name).read_bytes()).verify_directly_issued_by(authority)


def test_users_and_groups(pki: Pki) -> None:
    """The subject carries the Kubernetes user and group."""
    subject = x509.load_pem_x509_certificate(pki.certificate("admin").read_bytes()).subject
    assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "lab-admin"
    assert subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "system:masters"


def test_private_keys_are_private(pki: Pki) -> None:
    """Nobody but the owner can read a key."""
    keys = list(pki.directory.glob("*.key"))
    assert len(keys) == len(CLIENTS) + 2
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_kubeconfigs_need_no_other_file(pki: Pki, tmp_path: Path) -> None:
    """Credentials are inside the file, which only its owner can read."""
    by_certificate, by_token = tmp_path / "a.yaml", tmp_path / "b.yaml"
    write_certificate_kubeconfig(by_certificate, api_url="https://127.0.0.1:1", pki=pki, client="admin")
    write_token_kubeconfig(by_token, api_url="https://127.0.0.1:1", pki=pki, user="u", token="t")
    assert set(yaml.safe_load(by_certificate.read_text())["users"][0]["user"]) == {
        "client-certificate-data",
        "client-key-data",
    }
    assert yaml.safe_load(by_token.read_text())["users"][0]["user"] == {"token": "t"}
    assert stat.S_IMODE(by_token.stat().st_mode) == 0o600
