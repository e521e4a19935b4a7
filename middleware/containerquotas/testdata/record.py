"""Records what OpenStack Swift answers to requests that meet container_quotas, in order, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have tempauth's users test:tester (.admin), test:tester3 and test2:tester2, and the filter container_quotas.
Containers filtersc-... of AUTH_test are made and removed.
"""
import http.client
import json
import sys
import urllib.parse

conn = http.client.HTTPConnection(urllib.parse.urlsplit(sys.argv[1]).netloc)
rows = []
tokens = {'': None}


def send(method, path, headers, body):
    conn.putrequest(method, path, skip_host='Host' in headers, skip_accept_encoding=True)
    chunked = headers.get('Transfer-Encoding') == 'chunked'
    if not chunked:
        headers = dict({'Content-Length': str(len(body))}, **headers)
    for k, v in headers.items():
        conn.putheader(k, v)
    conn.endheaders()
    data = body.encode()
    if chunked:
        data = b'%x\r\n%s\r\n0\r\n\r\n' % (len(data), data) if data else b'0\r\n\r\n'
    if data:
        conn.send(data)
    r = conn.getresponse()
    text = r.read().decode()
    answer = {k.title(): v for k, v in r.getheaders() if keep(k.lower())}
    return r, answer, text


def token(user):
    if user not in tokens:
        key = KEYS[user]
        r, _, _ = send('GET', '/auth/v1.0', {'X-Auth-User': user, 'X-Auth-Key': key}, '')
        tokens[user] = r.getheader('X-Auth-Token')
    return tokens[user]


KEYS = {'test:tester': 'testing', 'test:tester3': 'testing3', 'test2:tester2': 'testing2', 'admin:admin': 'admin'}


def case(name, user, method, path, headers=None, body=''):
    headers = dict(headers or {})
    sent = dict(headers)
    if token(user):
        sent['X-Auth-Token'] = tokens[user]
    r, answer, text = send(method, path, sent, body)
    rows.append({'name': name, 'user': user, 'method': method, 'path': path, 'header': headers, 'body': body,
                 'status': r.status, 'answer': answer, 'text': text})
    return r


def keep(k):
    return k in ('content-type', 'www-authenticate') or 'quota' in k


C = '/v1/AUTH_test/filtersc-quota'
B, N = 'X-Container-Meta-Quota-Bytes', 'X-Container-Meta-Quota-Count'
T, USER, OTHER = 'test:tester', 'test:tester3', 'test2:tester2'
case('bytes must be digits', T, 'PUT', C, {B: 'many'})
case('a count must be digits', T, 'PUT', C, {N: '-1'})
case('bytes come first', T, 'PUT', C, {N: 'few', B: 'many'})
case('anybody is told so', '', 'PUT', C, {B: 'many'})
case('under underscores too', T, 'PUT', C, {'X_Container_Meta_Quota_Bytes': 'many'})
case('with spaces inside', T, 'PUT', C, {B: '1 0'})
case('an empty quota is none', T, 'PUT', C, {B: '', N: ''})
case('it is as if never set', T, 'HEAD', C)
case('quotas are set', T, 'POST', C, {B: '10', N: '2', 'X-Container-Write': USER})
case('they show', T, 'HEAD', C)
case('a POST must have digits too', T, 'POST', C, {B: '1e3'})
case('what fits goes in', T, 'PUT', C + '/small', body='0123456789')
case('what does not fit is refused', T, 'PUT', C + '/large', body='01234567890')
case('also to a reseller', 'admin:admin', 'PUT', C + '/large', body='01234567890')
case('also to one whom the list lets write', USER, 'PUT', C + '/large', body='01234567890')
case('a stranger is told nothing', OTHER, 'PUT', C + '/large', body='01234567890')
case('nor is anybody anonymous', '', 'PUT', C + '/large', body='01234567890')
case('a body of unknown length goes in', T, 'PUT', C + '/small', {'Transfer-Encoding': 'chunked'}, body='01234567890')
case('reading is not bounded', T, 'GET', C + '/small')
case('nor is a POST', T, 'POST', C + '/small', {'X-Object-Meta-A': 'b'})
case('a quota on an object means nothing', T, 'POST', C + '/small', {B: 'many'})
case('no objects at all', T, 'POST', C, {N: '0'})
case('refuses an empty one', T, 'PUT', C + '/empty')
case('deleting is not bounded', T, 'DELETE', C + '/small')
case('a quota is removed', T, 'POST', C, {'X-Remove-Container-Meta-Quota-Count': 'x', B: ''})
case('and bounds nothing', T, 'PUT', C + '/large', body='01234567890')
case('a missing container is missing', T, 'PUT', C + '-missing/large', body='01234567890')
case('a trailing slash is the container', T, 'POST', C + '/', {B: 'many'})
case('an account has no such quota', T, 'POST', '/v1/AUTH_test', {'X-Container-Meta-Quota-Bytes': 'many'})
case('cleaning up: large', T, 'DELETE', C + '/large')
case('cleaning up', T, 'DELETE', C)
print(json.dumps({'rows': rows}, indent=1))
