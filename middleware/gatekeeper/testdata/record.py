"""Records what OpenStack Swift answers to requests with headers that are its own, in order, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have tempauth's users test:tester (.admin) and admin:admin (.reseller_admin), two policies, and the filter
gatekeeper with its defaults. Containers of AUTH_test whose names begin with gate- are made and removed.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
T, A = 'test:tester', '/v1/AUTH_test'
C, D = A + '/gate-c', A + '/gate-d'
PAST, FUTURE = '1000000000.00000', '4102444800.00000'


def case(name, method, path, headers=None, body='', user=T, **kw):
    return c.case(name, user, method, path, headers, body, **kw)


def looks(what, path):
    case('GET: ' + what, 'GET', path)
    case('HEAD: ' + what, 'HEAD', path)


for path in (C, D):
    c.empty(T, path)
case('a container', 'PUT', C, {'X-Container-Sysmeta-A': 'a', 'X-Backend-Storage-Policy-Index': '1', 'X-Container-Meta-A': 'a'})
looks('the container', C)
case('a container of the policy', 'PUT', D, {'X-Storage-Policy': 'silver', 'X-Container-Root-Db-State': 'sharded', 'X-Container-Host': 'h', 'X-Container-Device': 'd', 'X-Container-Partition': '1'})
looks('the other container', D)
for name, value in (
        ('X-Object-Sysmeta-A', 'a'), ('x-object-sysmeta-a', 'a'), ('X-Object-Transient-Sysmeta-A', 'a'), ('X-Object-Sysmeta-', 'a'), ('X-Object-Sysmeta', 'a'),
        ('X-Backend-Storage-Policy-Index', '1'), ('X-Backend', 'a'), ('X-Backendish', 'a'), ('X-Backend-Timestamp', PAST), ('X-Backend-Replication', 'true'),
        ('X-Backend-Etag-Is-At', 'X-Object-Meta-B'), ('X-Backend-Allow-Reserved-Names', 'true'), ('X-Allow-Reserved-Names', 'true'),
        ('X-Account-Host', 'h'), ('X-Container-Host', 'h'), ('X-Container-Device', 'd'), ('X-Container-Partition', '1'), ('X-Container-Root-Db-State', 'sharded'),
        ('X-Delete-At-Host', 'h'), ('X-Delete-At-Device', 'd'), ('X-Delete-At-Partition', '1'), ('X-Delete-At-Container', 'c'),
        ('X-Timestamp', PAST), ('X-Timestamp', FUTURE), ('X-Timestamp', 'nonsense'), ('X-Backend-Inbound-X-Timestamp', PAST),
        ('X-Object-Meta-Sysmeta-A', 'a'), ('X-Container-Sysmeta-A', 'a'), ('X-Account-Sysmeta-A', 'a'), ('X-Container-Meta-A', 'a'), ('X_Object_Sysmeta_A', 'a'), ('X_Timestamp', PAST)):
    case('an object with %s: %s' % (name, value), 'PUT', C + '/o', {name: value, 'X-Object-Meta-B': 'b'}, 'content')
    looks('it', C + '/o')
case('new metadata', 'POST', C + '/o', {'X-Object-Transient-Sysmeta-A': 'a', 'X-Object-Sysmeta-A': 'a', 'X-Backend-Content-Type': 'text/x-a', 'X-Timestamp': FUTURE, 'X-Object-Meta-C': 'c'})
looks('the metadata', C + '/o')
case('metadata of the container', 'POST', C, {'X-Container-Sysmeta-A': 'a', 'X-Container-Meta-A': 'b', 'X-Timestamp': PAST, 'X-Remove-Container-Sysmeta-A': 'a'})
case('a versions location by sysmeta', 'POST', C, {'X-Container-Sysmeta-Versions-Location': 'x'})
looks('the container again', C)
case('reserved names', 'GET', A + '/%00x', {'X-Backend-Allow-Reserved-Names': 'true'})
case('reserved names, allowed by the other header', 'GET', C + '/%00x', {'X-Allow-Reserved-Names': 'true'})
case('a GET of the newest timestamp', 'GET', C + '/o', {'X-Backend-Fragment-Preferences': '[]', 'X-Backend-Replication': 'true'})
case('a condition that is at another place', 'GET', C + '/o', {'X-Backend-Etag-Is-At': 'X-Object-Meta-C', 'If-Match': 'c'})
case('a deletion in the past', 'DELETE', C + '/o', {'X-Timestamp': PAST})
case('it went', 'HEAD', C + '/o')
case('a private method', 'UPDATE', C, {'X-Backend-Allow-Private-Methods': 'true'})
case('another account by a header', 'GET', C, {'X-Backend-Source': 'x', 'X-Backend-User': 'admin'})
for path in (C, D):
    c.empty(T, path)
c.write()
