"""The running stack, as `cargo xtask interop` has started it."""

import os
import pathlib
import time

import pytest
import requests


class Api:
    def __init__(self, url):
        self.url = url
        token = requests.get(f"{url}/dev/token").json()["token"]
        self.headers = {"Authorization": f"Bearer {token}"}

    def grant(self, wish):
        answer = requests.post(f"{self.url}/upload-url", headers=self.headers, json=wish)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def final(self, grant):
        """The status once it will not change any more."""
        while True:
            answer = requests.get(grant["statusUrl"], headers=self.headers)
            assert answer.status_code == 200, answer.text
            if "Retry-After" not in answer.headers:
                return answer.json()
            time.sleep(0.1)


@pytest.fixture(scope="session")
def api():
    return Api(os.environ["DARKROOM_API"])


@pytest.fixture(scope="session")
def photo():
    fixtures = pathlib.Path(__file__).parents[2] / "fixtures"
    return (fixtures / "images" / "orientation_1.jpg").read_bytes()
