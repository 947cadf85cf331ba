"""Filtering peers: Postfix with the milter of rspamd, Haraka with clamd, amavis with SpamAssassin and clamd.

Each is set up in a folder of its own on loopback, without DNS, without updates, and relays to the sink. clamd has
a database of two signatures and no cache, for the generator repeats its message. Debian: rspamd, clamav-daemon,
amavisd-new, spamassassin; npm: Haraka and haraka-plugin-clamd in the folder that HARAKA names.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
from attrs import frozen

import targets

_NO_DATABASE = "no signature of this name is ever in a message"
_OFF = (
    "rbl spf dkim dkim_signing arc dmarc asn fuzzy_check phishing surbl mx_check url_redirector bimi neural replies "
    "ratelimit greylist history_redis reputation rspamd_update dcc p0f whitelist maillist milter_headers"
)


@frozen
class Group(targets.Target):
    """A target made of several programs."""

    others: tuple[psutil.Process, ...] = ()

    def processes(self) -> list[psutil.Process]:
        """All processes of all programs."""
        found = super().processes()
        for root in self.others:
            found += [root, *root.children(recursive=True)] if root.is_running() else []
        return found


def available() -> list[str]:
    """The peers that are installed."""
    clamd, haraka = shutil.which("clamd"), os.environ.get("HARAKA", "")
    found = {
        "rspamd": shutil.which("rspamd") and shutil.which("postfix"),
        "haraka": clamd and (Path(haraka) / "node_modules" / "Haraka").is_dir() if haraka else False,
        "amavis": clamd and shutil.which("amavisd", path="/usr/sbin:/usr/bin"),
    }
    return [name for name, there in found.items() if there]


@contextmanager
def _name_server() -> Iterator[int]:
    """A name server that knows no name, and says so at once."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def answer() -> None:
            while True:
                try:
                    query, client = server.recvfrom(4096)
                except OSError:
                    return
                server.sendto(query[:2] + b"\x81\x83" + query[4:6] + b"\0" * 6 + query[12:], client)

        threading.Thread(target=answer, daemon=True).start()
        yield server.getsockname()[1]


@contextmanager
def _program(command: list[str], log: Path, **keywords: object) -> Iterator[psutil.Process]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **keywords)  # type: ignore[call-overload]
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def clamd(folder: Path) -> Iterator[tuple[Path, psutil.Process]]:
    """clamd on a small database, without its cache; its socket and process."""
    database = folder / "database"
    database.mkdir(parents=True)
    folder.chmod(0o755)
    (database / "bench.ndb").write_text(f"Bench.Test:0:*:{_NO_DATABASE.encode().hex()}\n")
    path = folder / "socket"
    lines = [
        *(
            f"LocalSocket {path}",
            "LocalSocketMode 666",
            f"DatabaseDirectory {database}",
            f"TemporaryDirectory {folder}",
        ),
        *("Foreground yes", "MaxThreads 4", "StreamMaxLength 100M", "MaxScanSize 200M", "MaxFileSize 100M"),
        *("SelfCheck 36000", "DisableCache yes"),
    ]
    (folder / "clamd.conf").write_text("\n".join(lines) + "\n")
    with _program(["clamd", "-c", str(folder / "clamd.conf")], folder / "log") as process:
        targets.wait_until(path.exists)
        yield path, process


@contextmanager
def rspamd(folder: Path, sink_port: int) -> Iterator[targets.Target]:
    """Postfix with rspamd as its milter."""
    with ExitStack() as stack:
        ports = {name: targets.free_port() for name in ("normal", "controller", "proxy")}
        dns = stack.enter_context(_name_server())
        for name in ("override.d", "local.d", "db", "log", "run"):
            (folder / "rspamd" / name).mkdir(parents=True)
        override = folder / "rspamd" / "override.d"
        (override / "options.inc").write_text(
            f'dns {{ nameserver = ["127.0.0.1:{dns}"]; timeout = 0.05s; retransmits = 1; }}\n'
            'filters = "chartable,regexp";\nmap_watch_interval = 24h;\nneighbours {}\n'
        )
        for module in _OFF.split():
            (override / f"{module}.conf").write_text("enabled = false;\n")
        (override / "mime_types.conf").write_text('file = ["/dev/null"];\n')
        (override / "logging.inc").write_text('level = "warning";\n')
        (override / "worker-normal.inc").write_text(f'bind_socket = "127.0.0.1:{ports["normal"]}"; count = 2;\n')
        (override / "worker-controller.inc").write_text(
            f'bind_socket = "127.0.0.1:{ports["controller"]}"; count = 1;\n'
        )
        (override / "worker-proxy.inc").write_text(
            f'bind_socket = "127.0.0.1:{ports["proxy"]}"; count = 2; milter = yes; upstream "local" '
            f'{{ default = yes; self_scan = yes; hosts = "127.0.0.1:{ports["normal"]}"; }}\n'
        )
        for path in (folder / "rspamd", *(folder / "rspamd").rglob("*")):
            shutil.chown(path, "_rspamd", "_rspamd")
        pairs = (("LOCAL_CONFDIR", ""), ("DBDIR", "db"), ("RUNDIR", "run"), ("LOGDIR", "log"))
        options = [f"--var={key}={folder / 'rspamd' / below}" for key, below in pairs]
        command = ["rspamd", "-f", "-u", "_rspamd", "-g", "_rspamd", *options]
        scanner = stack.enter_context(_program(command, folder / "rspamd.log"))
        targets.wait_until(lambda: targets.is_open(ports["proxy"]), 300)
        milter = f"smtpd_milters = inet:127.0.0.1:{ports['proxy']}\nmilter_default_action = tempfail\n"
        mta = stack.enter_context(targets.postfix(folder / "postfix", sink_port, milter))
        yield Group("postfix + rspamd milter", mta.port, mta.root, True, (scanner,))


@contextmanager
def haraka(folder: Path, sink_port: int) -> Iterator[targets.Target]:
    """Haraka with its clamd plugin and smtp_forward: the next hop's answer is its answer."""
    with ExitStack() as stack:
        path, scanner = stack.enter_context(clamd(folder / "clamd"))
        home, port = Path(os.environ["HARAKA"]), targets.free_port()
        for name in ("config", "plugins", "queue"):
            (folder / name).mkdir(parents=True)
        (folder / "node_modules").symlink_to(home / "node_modules")
        (folder / "plugins" / "bench.js").write_text(
            "exports.hook_lookup_rdns = (next) => next(OK, 'client.example')\nexports.hook_rcpt = (next) => next(OK)\n"
        )
        connection = (home / "node_modules" / "Haraka" / "config" / "connection.ini").read_text()
        config = {
            "plugins": "bench\nclamd\nqueue/smtp_forward\n",
            "log.ini": "[main]\nlevel=ERROR\n",
            "loglevel": "ERROR\n",
            "smtp.ini": f"listen=127.0.0.1:{port}\nnodes=2\n",
            "connection.ini": "\n".join(
                "bytes=104857600" if line.startswith("bytes=") else line for line in connection.splitlines()
            ),
            "databytes": "104857600\n",
            "smtp_forward.ini": f"host=127.0.0.1\nport={sink_port}\n",
            "clamd.ini": f"[main]\nclamd_socket={path}\nmax_size=104857600\n",
            "me": "bench.example\n",
        }
        for name, text in config.items():
            (folder / "config" / name).write_text(text)
        command = ["node", str(home / "node_modules" / "Haraka" / "bin" / "haraka"), "-c", str(folder)]
        server = stack.enter_context(_program(command, folder / "log"))
        targets.wait_for(port, folder / "log")
        yield Group("haraka + clamd, forward", port, server, True, (scanner,))


@contextmanager
def amavis(folder: Path, sink_port: int) -> Iterator[targets.Target]:
    """amavis with local tests of SpamAssassin and clamd, two children, relaying to the sink."""
    with ExitStack() as stack:
        path, scanner = stack.enter_context(clamd(folder / "clamd"))
        port = targets.free_port()
        home = folder / "home"
        for one in (home, *(home / name for name in ("tmp", "var", "db"))):
            one.mkdir(parents=True)
            shutil.chown(one, "amavis", "amavis")
        config = folder / "amavis.conf"
        config.write_text(_AMAVIS.format(folder=home, port=port, sink=sink_port, clamd=path))
        binary = shutil.which("amavisd", path="/usr/sbin:/usr/bin") or "amavisd"
        server = stack.enter_context(_program([binary, "-c", str(config), "foreground"], folder / "log"))
        targets.wait_for(port, folder / "log", 90)
        yield Group("amavis + SpamAssassin + clamd", port, server, True, (scanner,))


_AMAVIS = """\
use strict;
$max_servers = 2; $max_requests = 1000;
$daemon_user = 'amavis'; $daemon_group = 'amavis';
$mydomain = 'bench.example'; $myhostname = 'bench.example';
$MYHOME = '{folder}'; $TEMPBASE = "$MYHOME/tmp"; $db_home = "$MYHOME/db"; $helpers_home = "$MYHOME/var";
$QUARANTINEDIR = undef; $lock_file = "$MYHOME/var/lock"; $pid_file = "$MYHOME/var/pid";
$enable_db = 0; $nanny_details_level = 0; $enable_zmq = 0; $log_level = 0; $do_syslog = 0; $logfile = "$MYHOME/log2";
$inet_socket_bind = '127.0.0.1'; $inet_socket_port = {port}; @inet_acl = ('127.0.0.1');
@local_domains_maps = (['.rcpt.example']); @mynetworks = ('127.0.0.0/8');
$enable_dkim_verification = 0; $enable_dkim_signing = 0;
$sa_local_tests_only = 1; $sa_mail_body_size_limit = 400*1024; $sa_tag_level_deflt = -999; $sa_kill_level_deflt = 600;
$sa_configpath = '/usr/share/spamassassin'; $sa_siteconfigpath = '/etc/spamassassin';
$forward_method = 'smtp:[127.0.0.1]:{sink}'; $notify_method = $forward_method;
$final_virus_destiny = D_REJECT; $final_banned_destiny = D_PASS; $final_spam_destiny = D_PASS;
$final_bad_header_destiny = D_PASS; $virus_quarantine_to = undef; $spam_quarantine_to = undef;
$banned_quarantine_to = undef; $bad_header_quarantine_to = undef; $MAXLEVELS = 14; $MAXFILES = 1500;
@av_scanners = (['ClamAV-clamd', \\&ask_daemon, ["CONTSCAN {{}}\\n", "{clamd}"], qr/\\bOK$/m, qr/\\bFOUND$/m,
    qr/^.*?: (?!Infected Archive)(.*) FOUND$/m]);
@decoders = (['mime', \\&do_mime_decode], ['zip', \\&do_unzip], ['gz', \\&do_uncompress, 'gzip -d']);
$banned_filename_re = new_RE(qr'.\\.(exe|vbs|pif|scr|bat|cmd|com|cpl)$'i);
1;
"""

PEERS = {"rspamd": rspamd, "haraka": haraka, "amavis": amavis}
"""The peers by the name that ``--only`` takes."""

if __name__ == "__main__":
    print("installed:", ", ".join(available()) or "none", file=sys.stderr)
