"""Records what OpenStack Swift's storage nodes answer under /recon, for node_{account,container,object}_{told,untold}.json.

    python3 node_record.py FIRST_PORT

It needs Swift's packages and root; /etc/swift/swift.conf must have the policies 0 and 1 (each with an object ring of its
own, as node_files.json has them) and no other. For each set of files in node_files.json it starts an account, a container
and an object server over them, on FIRST_PORT and the two that follow, asks all of them the same, and stops them.
"""
import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../../../internal/replay'))
from record import Conversation

CONF = '/etc/swift/swift.conf'
KINDS = ('account', 'container', 'object')
SERVER = '''[DEFAULT]
swift_dir = {root}/etc
devices = {root}/dev
mount_check = false
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = root
log_level = CRITICAL
[pipeline:main]
pipeline = healthcheck recon {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:recon]
use = egg:swift#recon
recon_cache_path = {root}/cache
'''
MACHINE = ('mem', 'load', 'mounted', 'sockstat', 'time', 'version', 'devices', 'unmounted', 'diskusage', 'ringmd5', 'swiftconfmd5', 'quarantined')
REPORTED = ('async', 'replication', 'replication/account', 'replication/container', 'replication/object', 'reconstruction/object', 'updater/container',
            'updater/object', 'auditor/account', 'auditor/container', 'auditor/object', 'expirer/object', 'sharding', 'relinker', 'driveaudit')
REFUSED = ('', '/', '/mem', 'none', 'MEM', 'reconciler', 'reconstruction', 'reconstruction/account', 'replication/', 'replication/x', 'replication/object/', 'replication/object/x',
           'replication//object', 'updater', 'updater/', 'updater/account', 'updater/object/x', 'auditor', 'auditor/Object', 'auditor/none', 'expirer', 'expirer/account',
           'expirer/container', 'a%20b%C3%A9', '%FF', '%3Cb%3E', 'mem%00', 'none?x=y')
ODD = ('mem/', 'mem/x', 'mem/x/y', 'mem//', 'load/account', 'devices/', 'ringmd5/object', 'version/', 'time/x', 'async/', 'async/object', 'async/none', 'relinker/x', 'driveaudit/',
       'sharding/object', 'sharding/x', 'version?x=y', '%76ersion', 'auditor%2Fobject', 'auditor/objec%74', 'quarantined/x', 'diskusage/', 'swiftconfmd5/', 'sockstat/')
NEWER = 'newer releases tell more'
# What is compared of JSON is what node_test.go makes of it.
APUS = {
    'told': {'updater/object': {'why': NEWER, 'text': '{"object_updater_last":1111111116.5,"object_updater_stats":{"failures_oldest_timestamp":null},"object_updater_sweep":12.0}'}},
    'untold': {'updater/object': {'why': NEWER, 'text': '{"object_updater_last":null,"object_updater_stats":null,"object_updater_sweep":null}'}},
}


def make(root, tree):
    for d in tree['dirs']:
        os.makedirs(os.path.join(root, d), exist_ok=True)
    for name, text in tree['files'].items():
        os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
        with open(os.path.join(root, name), 'w') as f:
            f.write(text)


@contextlib.contextmanager
def server(kind, root, port):
    path = os.path.join(root, kind + '.conf')
    with open(path, 'w') as f:
        f.write(SERVER.format(kind=kind, root=root, port=port))
    process = subprocess.Popen(['/usr/bin/swift-%s-server' % kind, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(240):
            if process.poll() is not None:
                raise RuntimeError('the %s server does not start' % kind)
            with contextlib.suppress(OSError):
                socket.create_connection(('127.0.0.1', port)).close()
                break
            time.sleep(0.25)
        yield Conversation('http://127.0.0.1:%d' % port)
    finally:
        process.terminate()
        process.wait()


def ask(c, tree):
    for what in MACHINE + REPORTED + REFUSED + ODD:
        c.case('GET ' + what, '', 'GET', '/recon/' + what, apus=APUS[tree].get(what))
        if what == 'mounted':
            # One tells the shape; the others are of no concern to anybody.
            c.rows[-1]['text'] = json.dumps(json.loads(c.rows[-1]['text'])[:1])
    for method in ('HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'REPLICATE', 'BREW'):
        for what in ('auditor/object', 'none'):
            c.case('%s %s' % (method, what), '', method, '/recon/' + what)
    c.case('a body', '', 'PUT', '/recon/async', body='body')
    for path in ('/recon', '/reconx/mem', '/Recon/mem', '//recon/mem', '/sdb1/recon/mem', '/healthcheck'):
        c.case('outside', '', 'GET', path)


port = int(sys.argv[1])
with open(os.path.join(HERE, 'node_files.json')) as f:
    trees = json.load(f)
with open(CONF, 'rb') as f:
    conf_sum = hashlib.md5(f.read()).hexdigest()
for name, tree in trees.items():
    for i, kind in enumerate(KINDS):
        root = tempfile.mkdtemp()
        make(root, tree)
        with server(kind, root, port + i) as c:
            # What of the answers is of this machine has a name.
            c.values.update(root=root, conf=CONF, confsum=conf_sum)
            ask(c, name)
        with open(os.path.join(HERE, 'node_%s_%s.json' % (kind, name)), 'w') as f:
            json.dump({'rows': c.rows}, f, indent=1, ensure_ascii=False)
            f.write('\n')
        shutil.rmtree(root)
