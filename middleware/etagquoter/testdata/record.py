"""Records what OpenStack Swift answers to requests that meet etag_quoter, in order, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have tempauth's users test:tester (.admin) and admin:admin (.reseller_admin), and the filter etag_quoter with
its defaults. The account AUTH_filtersc-etag is made and removed.
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
    return k in ('content-type', 'etag') or 'rfc-compliant' in k


A = '/v1/AUTH_filtersc-etag'
C = A + '/c'
AH, CH = 'X-Account-Rfc-Compliant-Etags', 'X-Container-Rfc-Compliant-Etags'
AR, CR = AH.replace('X-', 'X-Remove-', 1), CH.replace('X-', 'X-Remove-', 1)
ETAG = 'd41d8cd98f00b204e9800998ecf8427e'
U = 'admin:admin'


def looks(what):
    case(what + ': GET', U, 'GET', C + '/o')
    case(what + ': HEAD', U, 'HEAD', C + '/o')
    case(what + ': PUT', U, 'PUT', C + '/o')


case('the account is made', U, 'PUT', A)
case('a container is made', U, 'PUT', C)
looks('by default')
case('an account says yes', U, 'POST', A, {AH: 'true'})
case('it shows', U, 'HEAD', A)
looks('the account says yes')
case('a missing object', U, 'GET', C + '/missing')
case('not modified', U, 'GET', C + '/o', {'If-None-Match': '"%s"' % ETAG})
case('a condition without quotes', U, 'GET', C + '/o', {'If-None-Match': ETAG})
case('a condition not met', U, 'GET', C + '/o', {'If-Match': 'x'})
case('a listing', U, 'HEAD', C)
case('a POST', U, 'POST', C + '/o', {'X-Object-Meta-A': 'b'})
case('a wrong ETag', U, 'PUT', C + '/o', {'Etag': 'x'})
case('a right one in quotes', U, 'PUT', C + '/o', {'Etag': '"%s"' % ETAG})
case('a container says no', U, 'POST', C, {CH: 'no'})
case('it shows too', U, 'HEAD', C)
looks('the container says no')
case('it says something else', U, 'POST', C, {CH: 'perhaps'})
case('which is no', U, 'HEAD', C)
case('it says nothing again', U, 'POST', C, {CH: ''})
case('nothing shows', U, 'HEAD', C)
looks('the account says yes again')
case('an account says no', U, 'POST', A, {AH: '0'})
case('it shows as well', U, 'HEAD', A)
looks('the account says no')
case('the container says yes', U, 'POST', C, {CH: 'T'})
looks('the container says yes')
case('both at once: remove wins', U, 'POST', C, {CH: 'yes', CR: 'x'})
case('nothing shows now', U, 'HEAD', C)
case('removed from the account', U, 'POST', A, {AR: 'x'})
case('nothing shows there', U, 'HEAD', A)
looks('all is as before')
case('cleaning up: o', U, 'DELETE', C + '/o')
case('cleaning up: c', U, 'DELETE', C)
send('DELETE', A, {'X-Auth-Token': token(U)}, '')
print(json.dumps({'rows': rows}, indent=1))
