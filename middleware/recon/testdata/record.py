"""Records what OpenStack Swift's class ReconMiddleware answers about a node made for the purpose, for swift.json.

    python3 record.py > swift.json

It needs Swift's Python package, no server. The kernel's files are those in proc. In paths, @ stands for the node's directory.
"""
import json
import logging
import os
import shutil
import tempfile

from swift.common.middleware import recon
from swift.common.swob import Request

root = tempfile.mkdtemp()
here = os.path.dirname(os.path.abspath(__file__))
FILES = {
    'cache/object.recon': '{"async_pending": 3, "async_pending_last": 1.5, "replication_time": 0.25, "replication_stats": {"success": 4, "failure": 0}, '
                          '"object_updater_sweep": 12.0, "object_auditor_stats_ALL": {"disk1": {"passes": 2}}, "other": 1, "object_expiration_pass": 1e-07}',
    'cache/container.recon': '{"container_updater_sweep": 2, "sharding_stats": {"attempted": 1}, "container_audits_passed": 7}',
    'cache/drive.recon': 'not JSON',
    'etc/account.ring.gz': 'ring a', 'etc/object.ring.gz': 'ring o', 'etc/object-1.ring.gz': 'ring o1', 'etc/other.ring.gz': 'x',
    'dev/marked/.ismount': '', 'dev/file': '',
}
DIRS = ['dev/plain', 'dev/odd name', 'dev/plain/quarantined/objects/a', 'dev/plain/quarantined/objects/b', 'dev/plain/quarantined/objects-1/c',
        'dev/marked/quarantined/objects-1/d', 'dev/marked/quarantined/containers/e', 'dev/marked/quarantined/accounts']
for d in DIRS:
    os.makedirs(os.path.join(root, d), exist_ok=True)
for name, text in FILES.items():
    os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
    with open(os.path.join(root, name), 'w') as f:
        f.write(text)
logging.disable(logging.CRITICAL)
listdir = os.listdir
recon.os.listdir = lambda d: sorted(listdir(d))


class Policy:
    def __init__(self, ring_name):
        self.ring_name = ring_name


recon.POLICIES = [Policy('object'), Policy('object-1')]


def proc(path, mode):
    return open(here + path, mode)


class Recon(recon.ReconMiddleware):
    def get_mem(self):
        return super().get_mem(proc)

    def get_load(self):
        return super().get_load(proc)

    def get_mounted(self):
        return super().get_mounted(proc)

    def get_socket_info(self):
        return super().get_socket_info(proc)


recon.getpagesize = lambda: 4096
rows = []


def case(path, method='GET'):
    def app(env, start):
        start('418 Teapot', [])
        return [b'app']

    mw = Recon(app, {'devices': root + '/dev', 'swift_dir': root + '/etc', 'recon_cache_path': root + '/cache'})
    res = Request.blank(path, method=method).get_response(mw)
    body = res.body.decode().replace(root, '@')
    rows.append({'method': method, 'path': path, 'status': res.status_int, 'type': res.headers.get('Content-Type'), 'body': body})


for path in ('mem', 'load', 'mounted', 'sockstat', 'devices', 'unmounted', 'ringmd5', 'quarantined', 'async', 'replication', 'replication/account',
             'replication/container', 'replication/object', 'replication/', 'replication/x', 'replication/object/x', 'reconstruction', 'reconstruction/object',
             'updater', 'updater/container', 'updater/account', 'auditor', 'auditor/account', 'auditor/container', 'auditor/object', 'expirer',
             'expirer/object', 'sharding', 'sharding/x', 'relinker', 'driveaudit', 'mem/x/y', 'mem/', '', '/mem', 'nope', 'a%20b%C3%A9', 'MEM'):
    case('/recon/' + path)
for path in ('/recon', '/reconx', '/sdb1/recon/mem', '/'):
    case(path)
for method in ('HEAD', 'POST', 'PUT'):
    case('/recon/load', method)
shutil.rmtree(root)
print(json.dumps({'files': FILES, 'dirs': DIRS, 'rows': rows}, indent=1))
