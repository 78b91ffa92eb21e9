import pytest

from relmask.errors import UsageError
from relmask.serve import Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
def test_this_machine_is_served_without_a_token(host: str) -> None:
    assert Settings(host=host).is_local


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.2", "example.org", "", "127.0.0.1.example.org"])
def test_others_need_a_token_or_to_be_told_twice(host: str) -> None:
    with pytest.raises(UsageError, match="--token"):
        Settings(host=host)
    Settings(host=host, token="secret")
    Settings(host=host, insecure=True)


@pytest.mark.parametrize("token", ["", "  ", "two words", "schlüssel", "a\nb", " a"])
def test_a_token_that_no_header_can_carry_is_refused(token: str) -> None:
    with pytest.raises(UsageError, match="--token must be ASCII"):
        Settings(token=token)
    if token:  # an empty variable of the environment is no key
        with pytest.raises(UsageError, match="--label-studio-key must be ASCII"):
            Settings(label_studio_key=token)


@pytest.mark.parametrize("address", ["localhost:8080", "ftp://localhost", "http://", "http://[x"])
def test_an_address_of_label_studio_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="no address of Label Studio"):
        Settings(label_studio=address)
