"""``mailward check``: every row says ok, warning or failure, and what to do."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

Run = Callable[..., Any]


class Names(threading.Thread):
    """A name server that knows what it is told, on UDP."""

    def __init__(self, known: dict[tuple[str, str], str]) -> None:
        super().__init__(daemon=True)
        self._known = known
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def run(self) -> None:
        """Answer until `close`."""
        while True:
            data, peer = self._socket.recvfrom(4096)
            if not data:
                return
            query = dns.message.from_wire(data)
            reply = dns.message.make_response(query)
            reply.flags |= dns.flags.RA
            question = query.question[0]
            kind = dns.rdatatype.to_text(question.rdtype)
            name = str(question.name).rstrip(".").lower()
            if (name, kind) in self._known:
                reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, self._known[name, kind]))
            elif not any(name == known for known, _ in self._known):
                reply.set_rcode(dns.rcode.NXDOMAIN)
            self._socket.sendto(reply.to_wire(), peer)

    def close(self) -> None:
        """End the thread."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(b"", self._socket.getsockname())
        self.join()
        self._socket.close()


@pytest.fixture
def names() -> Iterator[str]:
    server = Names(
        {
            ("mx.house.example", "A"): "192.0.2.1",
            ("1.2.0.192.in-addr.arpa", "PTR"): "mx.house.example.",
            ("two.house.example", "A"): "192.0.2.2",
            ("2.2.0.192.in-addr.arpa", "PTR"): "other.house.example.",
            ("three.house.example", "A"): "192.0.2.3",
        }
    )
    server.start()
    yield server.address
    server.close()


@pytest.fixture
def checked(run: Run, tmp_path: Path, names: str) -> Callable[..., tuple[int, dict[str, dict[str, str]]]]:
    def check(
        plugins: str = "[]", *, hostname: str = "mx.house.example", listen: str = "127.0.0.1:0", toml: str = ""
    ) -> tuple[int, dict[str, dict[str, str]]]:
        (tmp_path / "mailward.toml").write_text(
            f"plugins = {plugins}\n[gateway]\nlisten = ['{listen}']\nhostname = '{hostname}'\n"
            f"[dns]\nservers = ['{names}']\ntimeout_s = 1\n{toml}\n"
        )
        done = run("check", "-c", "mailward.toml", "--json")
        return done.status, {f"{row['plugin']}: {row['name']}": row for row in done.json["checks"]}

    return check


Checked = Callable[..., tuple[int, dict[str, dict[str, str]]]]


def test_where_all_is_well_every_row_is_ok(checked: Checked, names: str) -> None:
    local = '[relay]\nlocal = { "mx.house.example" = "maildir:md" }'
    status, rows = checked("['relay', 'content', 'antivirus']", toml=local)
    core = {name: row for name, row in rows.items() if name != "core: free space"}
    health = {name: row["health"] for name, row in core.items() if name.startswith("core")}
    # tests are often run by root, which a gateway should not be
    assert health.pop("core: privileges") == ("warning" if os.geteuid() == 0 else "ok")
    assert set(health.values()) == {"ok"}
    assert status == 0
    assert rows["core: hostname"]["detail"] == "mx.house.example is 192.0.2.1 and back"
    assert names.partition(":")[0] in rows["core: dns"]["detail"]
    assert rows["core: listen 127.0.0.1:0"]["detail"] == "free"
    assert rows["relay: loads"]["detail"].endswith("from mailward_relay:Relay")
    assert "will be made" in rows["core: state folder"]["detail"]


@pytest.mark.parametrize(
    ("hostname", "detail"),
    [
        ("two.house.example", "two.house.example is 192.0.2.2, which is other.house.example"),
        ("three.house.example", "three.house.example is 192.0.2.3; back: "),
        ("four.house.example", "four.house.example has no address"),
    ],
)
def test_a_name_that_does_not_lead_there_and_back_is_a_warning(checked: Checked, hostname: str, detail: str) -> None:
    status, rows = checked(hostname=hostname)
    row = rows["core: hostname"]
    assert (status, row["health"]) == (0, "warning")
    assert row["detail"].startswith(detail)
    assert row["advice"]


def test_mail_to_the_postmaster_alone_that_would_be_refused_is_a_warning(checked: Checked) -> None:
    local = '[relay]\nlocal = { "house.example" = "maildir:md" }'
    row = checked("['relay']", toml=local)[1]["core: postmaster"]
    assert (row["health"], row["detail"]) == (
        "warning",
        "<postmaster> is postmaster@mx.house.example, which is not in the house",
    )
    assert "set gateway.postmaster" in row["advice"]


def test_settings_of_a_plugin_that_is_not_enabled_are_a_warning(checked: Checked) -> None:
    status, rows = checked("['relay']", toml="[content]\nblock_names = true")
    row = rows["content: not enabled"]
    assert (status, row["health"]) == (0, "warning")
    assert row["advice"] == 'add "content" to plugins, or take the section out'


def test_a_listener_where_nobody_can_log_in_is_a_failure(checked: Checked) -> None:
    listener = '[listener.people]\nlisten = ["127.0.0.1:0"]\nauth = "required"\nauth_without_tls = true'
    status, rows = checked("['relay']", toml=listener)
    assert (status, rows["core: listener.people passwords"]["health"]) == (1, "failure")
    assert "listener.people.password_file" in rows["core: listener.people passwords"]["advice"]


def test_a_folder_of_control_files_that_is_not_there_is_a_warning(checked: Checked, tmp_path: Path) -> None:
    assert checked(toml='[control]\nfolder = "orders"')[1]["core: control folder"]["health"] == "warning"
    (tmp_path / "orders").mkdir()
    assert checked(toml='[control]\nfolder = "orders"')[1]["core: control folder"]["health"] == "ok"


def test_a_name_server_that_does_not_answer_is_a_failure(run: Run, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        (tmp_path / "mailward.toml").write_text(
            f"plugins = []\n[gateway]\nlisten = ['127.0.0.1:0']\nhostname = 'mx.example'\n"
            f"[dns]\nservers = ['{address}']\ntimeout_s = 0.2\n"
        )
        done = run("check", "-c", "mailward.toml")
    assert done.status == 1
    assert "failure  core: dns" in done.out
    assert "→ name a server that answers" in done.out


def test_a_port_that_another_program_has_is_a_failure(checked: Checked) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        greeter = threading.Thread(target=_greet, args=(taken, b"220 somebody.else ESMTP\r\n"))
        greeter.start()
        status, rows = checked(listen=f"127.0.0.1:{port}")
        greeter.join()
    row = rows[f"core: listen 127.0.0.1:{port}"]
    assert (status, row["health"]) == (1, "failure")
    assert "another program" in row["advice"]


def test_a_port_where_the_gateway_says_nothing_at_first_is_ok_while_it_runs(checked: Checked, tmp_path: Path) -> None:
    """One that waits for a PROXY header or TLS greets nobody; the program that runs is asked instead."""
    state = tmp_path / "mailward-data"
    state.mkdir(mode=0o700)
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket(socket.AF_UNIX) as control:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        control.bind(str(state / "control.sock"))
        control.listen()
        answer = json.dumps({"ok": True, "text": "", "facts": {"listening": [address]}}).encode()
        teller = threading.Thread(target=_tell, args=(control, answer))
        teller.start()
        status, rows = checked(listen=address)
        teller.join()
    assert (status, rows[f"core: listen {address}"]["health"]) == (0, "ok")


def _tell(control: socket.socket, answer: bytes) -> None:
    connection, _ = control.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(answer)


def test_a_port_where_the_gateway_itself_answers_is_ok(checked: Checked) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        greeter = threading.Thread(target=_greet, args=(taken, b"220 mx.house.example ESMTP Mailward\r\n"))
        greeter.start()
        status, rows = checked(listen=f"127.0.0.1:{port}")
        greeter.join()
    assert status == 0
    assert "answers there already" in rows[f"core: listen 127.0.0.1:{port}"]["detail"]


def _greet(server: socket.socket, greeting: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(greeting)


def test_an_address_that_is_none_is_a_wrong_configuration(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mailward.toml").write_text("plugins = []\n[gateway]\nlisten = ['here']\n[dns]\ntimeout_s = 0.1\n")
    done = run("check", "-c", "mailward.toml", "--json")
    assert done.status == 2
    assert [problem["key"] for problem in done.json["problems"]] == ["gateway.listen"]


def test_a_state_folder_that_cannot_be_is_a_failure(checked: Checked, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, rows = checked(toml="[spool]\npath = 'file/state'")
    assert (status, rows["core: state folder"]["health"]) == (1, "failure")
    assert "spool.path" in rows["core: state folder"]["advice"]


def test_a_state_folder_open_to_all_is_a_warning(checked: Checked, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o755)
    status, rows = checked(toml="[spool]\npath = 'state'")
    assert (status, rows["core: state folder"]["health"]) == (0, "warning")
    assert rows["core: state folder"]["advice"].startswith("chmod o-rwx ")


HOUSE = """
from mailward import Check, Plugin, hookimpl


class House(Plugin):
    @hookimpl
    def start(self):
        self.started = True

    @hookimpl
    async def check(self):
        yield Check("scanner", self.started, "answers")
        yield Check("list", False, "missing", "write it")

"""


def test_plugins_say_what_they_depend_on(checked: Checked, tmp_path: Path) -> None:
    (tmp_path / "house.py").write_text(HOUSE)
    status, rows = checked("['./house.py']")
    assert status == 1
    assert rows["house: scanner"]["health"] == "ok"
    assert (rows["house: list"]["health"], rows["house: list"]["advice"]) == ("failure", "write it")


def test_what_a_plugin_says_for_each_policy_is_shown_once(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mailward.toml").write_text(
        "plugins = ['antivirus']\n[gateway]\nlisten = ['127.0.0.1:0']\n[dns]\ntimeout_s = 0.1\n"
        "[policy.finance]\nrecipients = ['*@finance.example']\nantivirus.on_infected = ['reject']\n"
    )
    rows = run("check", "-c", "mailward.toml", "--json").json["checks"]
    told = [row["name"] for row in rows if row["plugin"] == "antivirus"]
    assert told == ["loads", "signatures", "central quarantine"]


def test_a_method_that_looks_like_a_hook_is_a_wrong_configuration(run: Run, tmp_path: Path) -> None:
    (tmp_path / "house.py").write_text(HOUSE + "\n    def scan_part(self, part):\n        return None\n")
    (tmp_path / "mailward.toml").write_text("plugins = ['./house.py']\n[dns]\ntimeout_s = 0.1\n")
    done = run("check", "-c", "mailward.toml")
    assert done.status == 2
    assert "scan_part" in done.err
    assert "put @hookimpl above it" in done.err.replace("\n", " ")


def test_shadow_mode_is_pointed_at(checked: Checked) -> None:
    _, rows = checked("['antivirus']", toml="[antivirus]\nshadow = true")
    assert rows["antivirus: shadow"]["health"] == "warning"


def test_a_plugin_that_does_not_start_is_a_wrong_configuration(run: Run, tmp_path: Path) -> None:
    (tmp_path / "house.py").write_text(HOUSE.replace("self.started = True", "raise OSError('no scanner')"))
    (tmp_path / "mailward.toml").write_text("plugins = ['./house.py']\n[dns]\ntimeout_s = 0.1\n")
    done = run("check", "-c", "mailward.toml")
    assert done.status == 2
    assert "house: does not start: OSError: no scanner" in done.err


def test_nothing_is_made_by_checking(checked: Checked, tmp_path: Path) -> None:
    checked("['relay', 'content', 'antivirus']")
    assert [path.name for path in tmp_path.iterdir()] == ["mailward.toml"]


def test_limits_that_need_more_descriptors_than_there_are_are_a_warning(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mailward.toml").write_text("plugins = []\n[gateway]\nlisten = ['127.0.0.1:0']\n")
    command = ["prlimit", "--nofile=300:300", sys.executable, "-m", "mailward.cli.main", "check", "--json"]
    done = subprocess.run([*command, "-c", "mailward.toml"], cwd=tmp_path, capture_output=True, text=True, check=False)
    (row,) = (row for row in json.loads(done.stdout)["checks"] if row["name"] == "descriptors")
    assert row["health"] == "warning"
    assert "gateway.max_connections" in row["advice"]


def test_a_user_that_is_none_is_a_failure(checked: Checked) -> None:
    status, rows = checked(toml="[process]\nuser = 'nobody-of-this-name'")
    assert (status, rows["core: privileges"]["health"]) == (1, "failure")
    assert "is no user" in rows["core: privileges"]["detail"]


def test_kav_grp_06_a_policy_without_a_check_is_a_warning(checked: Checked) -> None:
    policy = "[policy.lab]\nrecipients = ['*@lab.example']\ncheck = "
    _, rows = checked("['relay']", toml=f"{policy}false")
    assert rows["core: policy lab"]["health"] == "warning"
    _, rows = checked("['relay']", toml=f"{policy}true")
    assert "core: policy lab" not in rows
