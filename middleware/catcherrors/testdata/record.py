"""Records the transaction ids that OpenStack Swift gives, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have tempauth's user test:tester, and the filter catch_errors with its defaults.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1], also=('X-Trans-Id', 'X-Openstack-Request-Id'))
T, A, X = 'test:tester', '/v1/AUTH_test', 'X-Trans-Id-Extra'


def case(name, method, path, headers=None, body='', user=T, **kw):
    return c.case(name, user, method, path, headers, body, **kw)


case('something missing', 'GET', A + '/none/o')
case('nobody', 'GET', A + '/none', user='')
for method in ('GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'BREW'):
    case('no path of an account: ' + method, method, '/v1')
case('a token', 'GET', '/auth/v1.0', {'X-Auth-User': 'test:nobody', 'X-Auth-Key': 'x'}, user='')
case('a health check', 'GET', '/healthcheck')
case('another domain', 'GET', '/nothing')
for extra in ('x', 'a-b', 'a' * 32, 'a' * 33, 'b' * 200, '', 'a b', '%41', 'a%zz', 'a/b?c', '"a"', 'é', 'a' * 31 + 'é', '<a>', 'a,b;c=d', 'tx123'):
    case('an addition: %r' % extra, 'HEAD', A + '/none/o', {X: extra})
case('an id of the client', 'HEAD', A + '/none/o', {'X-Trans-Id': 'mine', 'X-Openstack-Request-Id': 'mine'})
case('under underscores', 'HEAD', A + '/none/o', {'X_Trans_Id_Extra': 'x'})
c.write()
