"""Records what OpenStack Swift keeps of versions on its nodes, asked directly, for raw.json.

    python3 raw.py http://HOST:PORT SWIFT_DIR > raw.json

The server is one that record.py can be used with, on this machine, and SWIFT_DIR has its rings. Containers of AUTH_test whose
names begin with raw are made, and stay.
"""
import http.client
import json
import os
import re
import sys
import urllib.parse

from swift.common.ring import Ring

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
T, A = 'test:tester', '/v1/AUTH_test'
RAW = 'raw' + c.values['fresh']
KEPT = re.compile(r'^(x-(container|object)-(sysmeta|meta)-|x-backend-timestamp$|content-type$|content-length$|etag$|x-static-large-object$|x-delete-at$|x-object-manifest$)')
steps = []


def step(method, path, headers=None, body=''):
    headers = headers or {}
    r = c.send(T, method, A + path.replace('raw-', RAW + '-'), {k: v.replace('raw-', RAW + '-') for k, v in headers.items()}, body.replace('raw-', RAW + '-'))
    steps.append({'method': method, 'path': A + path, 'header': headers, 'body': body, 'status': r.status})
    return r


def steady(text):
    return re.sub(r'\d{10}\.\d{5}', '{time}', text.replace(RAW, 'raw'))


def ask(kind, method, *names, query=''):
    ring = Ring(sys.argv[2], ring_name=kind)
    part, nodes = ring.get_nodes(*names)
    n = nodes[0]
    conn = http.client.HTTPConnection(n['ip'], n['port'])
    path = '/%s/%d/%s' % (n['device'], part, '/'.join(urllib.parse.quote(x) for x in names))
    conn.request(method, path + query, headers={'X-Backend-Allow-Reserved-Names': 'true', 'X-Backend-Storage-Policy-Index': '0'})
    r = conn.getresponse()
    body = r.read()
    if r.status // 100 != 2:
        raise SystemExit('%s: %d %s' % (path, r.status, body))
    h = {k.title(): steady(v.split(';swift_bytes')[0].split('; swift_bytes')[0]) for k, v in r.getheaders() if KEPT.match(k.lower())}
    return h, body


def raw(name):
    container = name.replace('raw', RAW)
    head, body = ask('container', 'GET', 'AUTH_test', container, query='?format=json')
    head = {k: v for k, v in head.items() if 'Sysmeta' in k}
    rows = []
    for row in json.loads(body):
        head_of = ask('object', 'HEAD', 'AUTH_test', container, row['name'])[0]
        del row['last_modified']
        row['name'], row['hash'] = steady(row['name']), steady(row['hash'])
        rows.append({'row': row, 'head': head_of})
    return {'name': name, 'sysmeta': head, 'rows': rows}


for name in ('raw-v', 'raw-old', 'raw-seg'):
    step('PUT', '/' + name)
step('PUT', '/raw-v/before', {'X-Object-Meta-A': 'b', 'Content-Type': 'text/before; charset=x'}, 'before')
step('POST', '/raw-v', {'X-Versions-Enabled': 'true'})
step('PUT', '/raw-v/before', {'Content-Type': 'text/after; charset=x', 'X-Object-Meta-C': 'd'}, 'after')
step('PUT', '/raw-v/before', {'Content-Type': 'text/last'}, 'last')
step('POST', '/raw-v/before', {'X-Object-Meta-E': 'f'})
step('PUT', '/raw-v/%C3%BC%20%25/x', {'Content-Type': 'text/odd', 'X-Delete-At': '4102444800'}, 'odd')
step('PUT', '/raw-v/gone', {'Content-Type': 'text/gone'}, 'gone')
step('DELETE', '/raw-v/gone')
step('PUT', '/raw-v/back', {'Content-Type': 'text/back'}, 'back')
step('DELETE', '/raw-v/back')
step('PUT', '/raw-v/link', {'X-Symlink-Target': 'raw-v/before', 'Content-Type': 'text/link'})
step('PUT', '/raw-v/dlo', {'X-Object-Manifest': 'raw-seg/1', 'Content-Type': 'text/dlo'})
step('PUT', '/raw-seg/1', {'Content-Type': 'text/segment'}, 'segment')
manifest = '[{"path": "/raw-seg/1"}]'
step('PUT', '/raw-v/slo?multipart-manifest=put', {'Content-Type': 'text/slo'}, manifest)
step('PUT', '/raw-s', {'X-Versions-Location': 'raw-old'})
step('PUT', '/raw-h', {'X-History-Location': 'raw-old'})
for name in ('/raw-s/stack', '/raw-h/history'):
    for i in '12':
        step('PUT', name, {'X-Object-Meta-I': i, 'Content-Type': 'text/old'}, i)
step('PUT', '/raw-s/slo?multipart-manifest=put', {'Content-Type': 'text/slo'}, manifest)
step('PUT', '/raw-s/slo', {'Content-Type': 'text/x'}, 'no more')
step('PUT', '/raw-s/link', {'X-Symlink-Target': 'raw-v/before', 'Content-Type': 'text/link'})
step('PUT', '/raw-s/link', {'Content-Type': 'text/x'}, 'no link')
step('DELETE', '/raw-h/history')
step('DELETE', '/raw-s/stack')
containers = [raw(name) for name in ('raw-v', '\x00versions\x00raw-v', 'raw-s', 'raw-h', 'raw-old')]
manifests = set()
for container in containers:
    for row in container['rows']:
        if 'X-Static-Large-Object' in row['head']:
            # There are times in manifests, and names that are longer here.
            manifests.add(row['head']['Etag'].strip('"'))
            del row['head']['Content-Length']
text = json.dumps({'steps': steps, 'containers': containers}, indent=1, ensure_ascii=False)
for etag in manifests:
    text = text.replace(etag, '{manifest}')
print(text)
