"""Records what an OpenStack Swift with tempauth answers, for http.json.

    python3 http_record.py http://HOST:PORT > http.json

The users are those of Swift's functional tests, and SERVICE is a reseller prefix that requires the group service. A container
of AUTH_test whose name begins with auth- is made and removed, and an account that stays.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
T, USER, ADMIN, AUDITOR = 'test:tester', 'test:tester3', 'admin:admin', 'admin:auditor'
A, C = '/v1/AUTH_test', '/v1/AUTH_test/auth-c'
GOOD = {'X-Auth-User': T, 'X-Auth-Key': 'testing'}
WRONG = {'why': 'a wrong key is answered like an unknown user: the realm tells nobody which users there are',
         'answer': {'Www-Authenticate': 'Swift realm="test"'}}
c.empty(T, C)

# Asking for a token.
for name, path, headers in (
        ('by the usual headers', '/auth/v1.0', GOOD), ('by the old ones', '/auth/v1.0', {'X-Storage-User': T, 'X-Storage-Pass': 'testing'}),
        ('by mixed ones', '/auth/v1.0', {'X-Auth-User': T, 'X-Storage-Pass': 'testing'}), ('by v1', '/auth/v1', GOOD),
        ('by the account in the path', '/auth/v1/test/auth', {'X-Storage-User': 'tester', 'X-Storage-Pass': 'testing'}),
        ('by the account in both', '/auth/v1/test/auth', {'X-Auth-User': T, 'X-Auth-Key': 'testing'}),
        ('by the account in both, which differ', '/auth/v1/test2/auth', {'X-Auth-User': T, 'X-Auth-Key': 'testing'}),
        ('for a service', '/auth/v1.0', {'X-Auth-User': 'test5:tester5', 'X-Auth-Key': 'testing5'})):
    c.case('a token ' + name, '', 'GET', path, headers, capture={'token': 'header:X-Auth-Token'} if name not in ('by v1', 'by the account in both, which differ') else None)
c.case('the same token again', '', 'GET', '/auth/v1.0', GOOD, capture={'same': 'header:X-Auth-Token'})
c.case('and again', '', 'GET', '/auth/v1.0', GOOD)
c.case('a new one', '', 'GET', '/auth/v1.0', dict(GOOD, **{'X-Auth-New-Token': 'true'}), capture={'new': 'header:X-Auth-Token'})
c.case('the new one is good', '', 'GET', A + '/none/o', {'X-Auth-Token': '{new}'})
c.case('and so is the old one', '', 'GET', A + '/none/o', {'X-Auth-Token': '{same}'})
c.case('as a storage token', '', 'GET', A + '/none/o', {'X-Storage-Token': '{new}'})
c.case('by another host', '', 'GET', '/auth/v1.0', dict(GOOD, Host='storage.example.org:81'))

# What is no way to ask for one.
for name, path, headers in (
        ('no user', '/auth/v1.0', {'X-Auth-Key': 'testing'}), ('no key', '/auth/v1.0', {'X-Auth-User': T}), ('neither', '/auth/v1.0', {}),
        ('a wrong key', '/auth/v1.0', dict(GOOD, **{'X-Auth-Key': 'wrong'})), ('an empty key', '/auth/v1.0', dict(GOOD, **{'X-Auth-Key': ''})),
        ('an unknown user', '/auth/v1.0', dict(GOOD, **{'X-Auth-User': 'test:nobody'})),
        ('an unknown account', '/auth/v1.0', dict(GOOD, **{'X-Auth-User': 'nobody:tester'})),
        ('a user without an account', '/auth/v1.0', dict(GOOD, **{'X-Auth-User': 'tester'})),
        ('two colons', '/auth/v1.0', dict(GOOD, **{'X-Auth-User': 'test:tester:x'})), ('an empty user', '/auth/v1.0', dict(GOOD, **{'X-Auth-User': ''})),
        ('a user that is no ASCII', '/auth/v1.0', dict(GOOD, **{'X-Auth-User': 'test:\xe9'})),
        ('a wrong key by path', '/auth/v1/test/auth', {'X-Storage-User': 'tester', 'X-Storage-Pass': 'wrong'}),
        ('v2.0', '/auth/v2.0', GOOD), ('a tail', '/auth/v1.0/x', GOOD), ('no version', '/auth/', GOOD), ('nothing', '/auth', GOOD),
        ('another end', '/auth/v1/test/other', GOOD), ('a longer path', '/auth/v1/test/auth/x', GOOD)):
    c.case('no token: ' + name, '', 'GET', path, headers, apus=WRONG if name.startswith('a wrong key') else None)
for method in ('HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS'):
    c.case('no token by ' + method, '', method, '/auth/v1.0', GOOD)

# Using one.
c.case('a container', T, 'PUT', C, {'X-Container-Read': USER})
c.case('an object', T, 'PUT', C + '/o', {'Content-Type': 'text/x-o'}, 'content')
for name, user, headers in (
        ('the owner', T, {}), ('one on the list', USER, {}), ('another account', 'test2:tester2', {}), ('a reseller', ADMIN, {}), ('a reseller who reads', AUDITOR, {}),
        ('nobody', '', {}), ('a token of nobody', '', {'X-Auth-Token': 'AUTH_tk00000000000000000000000000000000'}),
        ('a token of elsewhere', '', {'X-Auth-Token': 'elsewhere'}), ('an empty token', '', {'X-Auth-Token': ''}),
        ('one with a service token that is none', T, {'X-Service-Token': 'AUTH_tk0'})):
    for method, path in (('GET', C + '/o'), ('HEAD', C + '/o'), ('PUT', C + '/new'), ('DELETE', C + '/none'), ('GET', C), ('GET', A + '/none/o')):
        c.case('%s: %s %s' % (name, method, path[len(A):]), user, method, path, headers)
for user in (T, USER, 'test5:tester5', ADMIN, ''):
    c.case('a service account: ' + user, user, 'GET', '/v1/SERVICE_test')
    c.case('an account of no reseller: ' + user, user, 'GET', '/v1/OTHER_test')
    c.case('no account: ' + user, user, 'GET', '/v1')
    c.case('the prefix alone: ' + user, user, 'GET', '/v1/AUTH_')
for user in (T, USER, ADMIN, AUDITOR):
    c.case('an account is made: ' + user, user, 'PUT', '/v1/AUTH_{fresh}')
c.case('its list', ADMIN, 'POST', '/v1/AUTH_{fresh}', {'X-Account-Access-Control': '{{"read-only": ["test:tester3"], "admin": ["test2:tester2"]}'.replace('{{', '{')})
c.case('one on it', USER, 'HEAD', '/v1/AUTH_{fresh}')
c.case('an administrator on it', 'test2:tester2', 'HEAD', '/v1/AUTH_{fresh}')
c.case('one who is not', T, 'HEAD', '/v1/AUTH_{fresh}')
for text in ('{', '[]', '{"read-only": 1}', '{"none": []}', '""'):
    c.case('a bad list: ' + text, ADMIN, 'POST', '/v1/AUTH_{fresh}', {'X-Account-Access-Control': text})
for header, value in (('X-Container-Read', '.r:'), ('X-Container-Read', '.bogus'), ('X-Container-Write', '.r:*'), ('X-Container-Read', '.r:*,.rlistings , test')):
    c.case('a list of a container: %s: %s' % (header, value), T, 'POST', C, {header: value})
c.case('the lists', T, 'HEAD', C)
c.case('anybody', '', 'GET', C + '/o')
c.case('anybody lists', '', 'GET', C)
c.empty(T, C)
c.write()
