"""Records how OpenStack Swift's tempauth decides, for decisions.json.

    python3 record.py http://HOST:PORT > decisions.json

The server must have the users and reseller prefixes of decisions_test.go and no other auth filter. What is recorded of
each request is the status if it is 401 or 403, else 0: the request was allowed, whatever became of it then. Containers
named auth-N are made in AUTH_test and SERVICE_test, one for each pair of lists, and one in the account AUTH_authacl; they
are removed at the end. The accounts stay: one that is deleted cannot be made again until it is reclaimed.
"""
import http.client
import itertools
import json
import sys
import urllib.parse

SERVER = urllib.parse.urlsplit(sys.argv[1]).netloc
KEYS = {
    'admin:admin': 'admin', 'admin:auditor': 'admin_ro', 'test:tester': 'testing', 'test:tester3': 'testing3',
    'test2:tester2': 'testing2', 'test5:tester5': 'testing5',
}
LISTS = [  # X-Container-Read, X-Container-Write
    ('', ''), ('.r:*', ''), ('.r:*,.rlistings', ''), ('.rlistings', ''), ('.r:.example.com', ''),
    ('.r:*,.r:-bad.example.com,.rlistings', ''), ('.r:-bad.example.com,.r:*', ''), ('.r:www.example.com,.rlistings', ''),
    ('test:tester3', ''), ('', 'test:tester3'), ('test2', 'test2:tester2'), ('test2%3Atester2', 'service'),
    ('test:nobody,test', 'test'), ('AUTH_test2', '*'),
]
REFERERS = ['', 'http://www.example.com/page', 'http://bad.example.com', 'nonsense']
ACCOUNT_ACL = '{"admin": ["test5:tester5"], "read-write": ["test2:tester2"], "read-only": ["test:tester3", "test"]}'
WHO = list(KEYS) + ['', 'AUTH_tkbogus', 'elsewhere']

conn = http.client.HTTPConnection(SERVER)


def call(method, path, headers=None):
    headers = dict(headers or {})
    headers.setdefault('Content-Length', '0')
    conn.request(method, path, headers=headers)
    r = conn.getresponse()
    r.read()
    return r


tokens = {'': '', 'AUTH_tkbogus': 'AUTH_tkbogus', 'elsewhere': 'elsewhere'}
for user, key in KEYS.items():
    tokens[user] = call('GET', '/auth/v1.0', {'X-Auth-User': user, 'X-Auth-Key': key}).getheader('X-Auth-Token')
tester = {'X-Auth-Token': tokens['test:tester']}
admin = {'X-Auth-Token': tokens['admin:admin']}
rows = []


def ask(who, method, path, referer='', service=''):
    headers = {}
    if tokens[who]:
        headers['X-Auth-Token'] = tokens[who]
    if referer:
        headers['Referer'] = referer
    if service:
        headers['X-Service-Token'] = tokens[service]
    # An allowed DELETE of an account is stopped by its query.
    query = '?stop' if method == 'DELETE' and path.count('/') == 2 else ''
    status = call(method, path + query, headers).status
    rows.append([who, service, method, path, referer, status if status in (401, 403) else 0])


for i, (read, write) in enumerate(LISTS):
    r = call('PUT', '/v1/AUTH_test/auth-%d' % i, dict(tester, **{'X-Container-Read': read, 'X-Container-Write': write}))
    assert r.status in (201, 202), r.status
    call('PUT', '/v1/AUTH_test/auth-%d/keep' % i, tester)
for path in ['/v1/AUTH_authacl', '/v1/AUTH_authacl/c', '/v1/SERVICE_test', '/v1/SERVICE_test/auth-0', '/v1/AUTH_authacl/c/keep', '/v1/SERVICE_test/auth-0/keep']:
    assert call('PUT', path, admin).status in (201, 202), path
assert call('POST', '/v1/AUTH_authacl', dict(admin, **{'X-Account-Access-Control': ACCOUNT_ACL})).status == 204

for i, who in itertools.product(range(len(LISTS)), WHO):
    container = '/v1/AUTH_test/auth-%d' % i
    for method in ['GET', 'HEAD']:
        for referer in REFERERS:
            ask(who, method, container + '/keep', referer)
            ask(who, method, container, referer)
    for method in ['PUT', 'POST', 'DELETE', 'OPTIONS']:
        ask(who, method, container + '/o', REFERERS[1])
        # Nothing that would change the lists or remove the container: it has an object in it.
        ask(who, method, container)
for who, path in itertools.product(WHO, ['/v1/AUTH_authacl', '/v1/AUTH_authacl/c', '/v1/AUTH_authacl/c/o', '/v1/AUTH_test', '/v1/AUTH_', '/v1/AUTH_.hidden', '/v1/OTHER_test/c', '/v1/SERVICE_test', '/v1/SERVICE_test/auth-0']):
    for method in ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS']:
        if path in ('/v1/AUTH_', '/v1/AUTH_.hidden') and method == 'PUT':
            continue  # should it be allowed, it would leave an account behind
        ask(who, method, path)
        if path.startswith('/v1/SERVICE'):
            for service in ['test5:tester5', 'test2:tester2', 'AUTH_tkbogus']:
                ask(who, method, path, service=service)

for i in range(len(LISTS)):
    for o in ['/keep', '/o', '']:
        call('DELETE', '/v1/AUTH_test/auth-%d%s' % (i, o), tester)
for path in ['/v1/AUTH_authacl/c/keep', '/v1/AUTH_authacl/c/o', '/v1/AUTH_authacl/c', '/v1/SERVICE_test/auth-0/keep', '/v1/SERVICE_test/auth-0']:
    call('DELETE', path, admin)
call('POST', '/v1/AUTH_authacl', dict(admin, **{'X-Account-Access-Control': ''}))

print('{"keys": %s,\n"lists": %s,\n"account_acl": %s,\n"rows": [' % (json.dumps(KEYS), json.dumps(LISTS), json.dumps(ACCOUNT_ACL)))
print(',\n'.join(json.dumps(row) for row in rows))
print(']}')
