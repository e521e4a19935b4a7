"""Records what an OpenStack Swift with ratelimit behind tempauth answers, for http.json.

    python3 http_record.py http://HOST:PORT > http.json

The filter must have the options of http_test.go: rates so low that a second request within a quarter of an hour is one too
many, and so high that none is. Accounts are made that stay.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
ADMIN, T5, T6 = 'admin:admin', 'test5:tester5', 'test6:tester6'
A, B = '/v1/AUTH_{fresh}a', '/v1/AUTH_{fresh}b'

# One account's containers.
c.case('a container', ADMIN, 'PUT', A + '/c')
c.case('another is one too many', ADMIN, 'PUT', A + '/d')
c.case('so is the same', ADMIN, 'PUT', A + '/c')
c.case('and its deletion', ADMIN, 'DELETE', A + '/c')
c.case('it was not made', ADMIN, 'HEAD', A + '/d')
c.case('new metadata is free', ADMIN, 'POST', A + '/c', {'X-Container-Meta-Color': 'blue'})
c.case('and so are those of the account', ADMIN, 'POST', A, {'X-Account-Meta-Color': 'blue'})
c.case('the account', ADMIN, 'GET', A)
c.case('another account', ADMIN, 'PUT', B + '/c')

# A container's objects, as soon as there is one.
c.case('an object', ADMIN, 'PUT', A + '/c/o', body='content')
c.case('nothing is known of the container any more', ADMIN, 'POST', A + '/c', {'X-Container-Meta-Color': 'red'})
c.case('a second object', ADMIN, 'PUT', A + '/c/p', body='content')
for method in ('PUT', 'POST', 'DELETE', 'COPY'):
    c.case('then %s is one too many' % method, ADMIN, method, A + '/c/o', {'Destination': 'c/copy'})
c.case('a copy to another account', ADMIN, 'COPY', A + '/c/o', {'Destination': 'c/copy', 'Destination-Account': 'AUTH_{fresh}b'})
c.case('a copy from it', ADMIN, 'PUT', A + '/c/copy', {'X-Copy-From': 'c/o'})
for method in ('GET', 'HEAD', 'OPTIONS', 'BREW'):
    c.case(method + ' is free', ADMIN, method, A + '/c/o')
    c.case(method + ' is free again', ADMIN, method, A + '/c/o')
c.case('a listing', ADMIN, 'GET', A + '/c')
c.case('a second one', ADMIN, 'GET', A + '/c?format=json')
c.case('the head of a listing', ADMIN, 'HEAD', A + '/c')
c.case('a listing of an empty one', ADMIN, 'GET', B + '/c')
c.case('and again', ADMIN, 'GET', B + '/c')

# Who is refused at all, and who is not asked.
for method, path in (('PUT', '/c'), ('GET', ''), ('PUT', '/c/o'), ('HEAD', '/c/o')):
    c.case('a black account: %s %s' % (method, path), T5, method, '/v1/AUTH_test5' + path)
c.case('somebody else asks for it', 'test:tester', 'GET', '/v1/AUTH_test5')
c.send(T6, 'DELETE', '/v1/AUTH_test6/rate-{fresh}')
for n in range(3):
    c.case('a white account: %d' % n, T6, 'PUT', '/v1/AUTH_test6/rate-{fresh}')
    c.case('its objects: %d' % n, T6, 'PUT', '/v1/AUTH_test6/rate-{fresh}/o', body='content')
    c.case('its listings: %d' % n, T6, 'GET', '/v1/AUTH_test6/rate-{fresh}')
c.case('what nobody may', '', 'PUT', A + '/e')
c.case('no API path', '', 'PUT', '/v2/AUTH_test/c')
c.empty(T6, '/v1/AUTH_test6/rate-{fresh}')
c.write()
