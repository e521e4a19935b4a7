"""Records what OpenStack Swift answers to requests that meet account_quotas, in order, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have tempauth's users test:tester and admin:admin (.reseller_admin), and the filter account_quotas. The
account AUTH_filtersc is made and removed.
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


A = '/v1/AUTH_filtersc'
Q, RM = 'X-Account-Meta-Quota-Bytes', 'X-Remove-Account-Meta-Quota-Bytes'
T, ADMIN = 'test:tester', 'admin:admin'
case('the account is made', ADMIN, 'PUT', A, {'X-Account-Access-Control': '{"admin": ["test:tester"]}'})
case('a container is made', T, 'PUT', A + '/c')
case('nothing is bounded at first', T, 'PUT', A + '/c/o', body='x' * 20)
case('an owner cannot set a quota', T, 'POST', A, {Q: '10'})
case('nor make it empty', T, 'POST', A, {Q: ''})
case('nor set it with PUT', T, 'PUT', A, {Q: '10'})
case('nor under underscores', T, 'POST', A, {'X_Account_Meta_Quota_Bytes': '10'})
case('nobody sets a quota anonymously', '', 'POST', A, {Q: '10'})
case('a reseller must give digits', ADMIN, 'POST', A, {Q: 'many'})
case('and no sign', ADMIN, 'POST', A, {Q: '-1'})
case('nor a fraction', ADMIN, 'POST', A, {Q: '1.5'})
case('a reseller sets a quota', ADMIN, 'POST', A, {Q: '10'})
case('the owner sees it', T, 'HEAD', A)
case('an owner cannot remove it', T, 'POST', A, {RM: 'x'})
case('other metadata is the owner\'s', T, 'POST', A, {'X-Account-Meta-Color': 'blue'})
case('a quota header on a container means nothing', T, 'POST', A + '/c', {Q: '5'})
case('nor on an object', T, 'PUT', A + '/c/small', {Q: 'many'}, body='0123456789')
case('what fits goes in', T, 'PUT', A + '/c/small', body='0123456789')
case('what does not fit is refused', T, 'PUT', A + '/c/large', body='01234567890')
case('a stranger is told nothing', 'test2:tester2', 'PUT', A + '/c/large', body='01234567890')
case('nor is anybody anonymous', '', 'PUT', A + '/c/large', body='01234567890')
case('a missing container is no matter', T, 'PUT', A + '/missing/large', body='01234567890')
case('a body of unknown length goes in', T, 'PUT', A + '/c/chunked', {'Transfer-Encoding': 'chunked'}, body='01234567890')
case('a reseller is not bounded', ADMIN, 'PUT', A + '/c/large', body='01234567890')
case('what is there can be read', T, 'GET', A + '/c/o')
case('and changed', T, 'POST', A + '/c/o', {'X-Object-Meta-A': 'b'})
case('a quota of nothing', ADMIN, 'POST', A, {Q: '0'})
case('refuses a byte', T, 'PUT', A + '/c/byte', body='0')
case('containers are not bounded', T, 'PUT', A + '/c2')
case('a very large quota', ADMIN, 'POST', A, {Q: '99999999999999999999999'})
case('bounds nothing', T, 'PUT', A + '/c/o2', body='x' * 20)
case('a reseller removes it', ADMIN, 'POST', A, {RM: 'x'})
case('it is gone', T, 'HEAD', A)
case('and bounds nothing', T, 'PUT', A + '/c/o3', body='x' * 20)
for name in ('o', 'o2', 'o3', 'small', 'large', 'chunked'):
    case('cleaning up: ' + name, T, 'DELETE', A + '/c/' + name)
case('cleaning up: c', T, 'DELETE', A + '/c')
case('cleaning up: c2', T, 'DELETE', A + '/c2')
send('DELETE', A, {'X-Auth-Token': token(ADMIN)}, '')
print(json.dumps({'rows': rows}, indent=1))
