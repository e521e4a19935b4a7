"""Records what an OpenStack Swift with read_only behind tempauth answers, for http.json or on.json.

    python3 http_record.py http://HOST:PORT > http.json
    python3 http_record.py http://HOST:PORT on > on.json

The pipelines are those of http_test.go. That of the first has no gatekeeper, so that a client can set what only the cluster may.
The second has one, and read_only = true and allow_deletes = true. Accounts are made that stay.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
ADMIN = 'admin:admin'
A, B = '/v1/AUTH_{fresh}a', '/v1/AUTH_{fresh}b'


def everything(about, a):
    """Everything that can be asked of an account with a container c and an object o."""
    for method, path, headers in (
            ('GET', '', {}), ('HEAD', '', {}), ('GET', '/c', {}), ('HEAD', '/c', {}), ('GET', '/c/o', {}), ('HEAD', '/c/o', {}), ('OPTIONS', '/c/o', {}),
            ('POST', '', {'X-Account-Meta-Color': 'blue'}), ('PUT', '/new', {}), ('PUT', '/c', {}), ('POST', '/c', {'X-Container-Meta-Color': 'blue'}),
            ('PUT', '/c/new', {}), ('POST', '/c/o', {'X-Object-Meta-Color': 'blue'}), ('COPY', '/c/o', {'Destination': 'c/copy'}),
            ('PUT', '/c/copy', {'X-Copy-From': 'c/o'}), ('DELETE', '/c/none', {}), ('DELETE', '/none', {}), ('BREW', '/c/o', {})):
        c.case('%s: %s of %s' % (about, method, path or 'the account'), ADMIN, method, a + path, headers)


if sys.argv[2:] == ['on']:
    everything('an account that nobody made', A)
    c.case('to nobody', '', 'PUT', A + '/c/o', body='content')
    c.case('to one who may not', 'test:tester', 'PUT', A + '/c/o', body='content')
    c.case('no token', '', 'GET', '/auth/v1.0', {'X-Auth-User': 'test:tester', 'X-Auth-Key': ''})
    c.case('info', '', 'PUT', '/info')
else:
    for a in (A, B):
        c.case('an account', ADMIN, 'PUT', a)
        c.case('a container', ADMIN, 'PUT', a + '/c')
        c.case('an object', ADMIN, 'PUT', a + '/c/o', {'Content-Type': 'text/x-o'}, 'content')
    everything('before', A)
    for value in ('no', 'true'):
        c.case('the account says ' + value, ADMIN, 'POST', A, {'X-Account-Sysmeta-Read-Only': value})
    everything('read only', A)
    c.case('a copy into it', ADMIN, 'COPY', B + '/c/o', {'Destination': 'c/copy', 'Destination-Account': 'AUTH_{fresh}a'})
    c.case('a copy out of it', ADMIN, 'COPY', A + '/c/o', {'Destination': 'c/copy', 'Destination-Account': 'AUTH_{fresh}b'})
    c.case('a copy from it', ADMIN, 'PUT', B + '/c/copy', {'X-Copy-From': 'c/o', 'X-Copy-From-Account': 'AUTH_{fresh}a'})
    c.case('another account', ADMIN, 'PUT', B + '/c/new', body='new')
    c.case('DELETE of the object', ADMIN, 'DELETE', A + '/c/o')
    c.case('it is there', ADMIN, 'GET', A + '/c/o')
    c.case('to nobody', '', 'PUT', A + '/c/o', body='content')
    c.case('DELETE of the account', ADMIN, 'DELETE', A)
c.write()
