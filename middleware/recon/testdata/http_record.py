"""Records what an OpenStack Swift with recon in its proxy's pipeline answers, for http.json.

    python3 http_record.py http://HOST:PORT > http.json

The pipeline is that of http_test.go. What is compared of bodies is their shape.
"""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
ABSENT = {'why': 'recon itself says that there are no devices to look at; Swift fails', 'text': 'Internal server error.'}
APUS = {
    'unmounted': ABSENT, 'diskusage': ABSENT, 'quarantined': ABSENT,
    'swiftconfmd5': {'why': 'it is the file that there is', 'text': '{swift.toml: string}'},
    'updater/object': {'why': 'newer releases tell more', 'text': '{object_updater_last: <nil>, object_updater_stats: <nil>, object_updater_sweep: <nil>}'},
}
for what in ('version', 'mem', 'load', 'devices', 'mounted', 'unmounted', 'diskusage', 'ringmd5', 'swiftconfmd5', 'quarantined', 'sockstat', 'driveaudit', 'time',
             'async', 'relinker', 'sharding', 'reconciler', 'replication', 'replication/account', 'replication/container', 'replication/object', 'replication/none',
             'updater', 'updater/container', 'updater/object', 'updater/account', 'auditor', 'auditor/account', 'auditor/container', 'auditor/object',
             'expirer', 'expirer/object', 'expirer/container', 'none', '', 'mem/x', 'version/'):
    c.case('GET ' + what, '', 'GET', '/recon/' + what, apus=APUS.get(what))
    if what == 'mounted':
        # One tells the shape; the others are of no concern to anybody.
        c.rows[-1]['text'] = json.dumps(json.loads(c.rows[-1]['text'])[:1])
for method in ('HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'BREW'):
    c.case(method, '', method, '/recon/version')
c.case('nothing behind it', '', 'GET', '/recon')
c.case('something else', '', 'GET', '/reconx/mem')
c.case('a query', '', 'GET', '/recon/version?x=y')
c.write()
