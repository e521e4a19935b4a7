"""Records what OpenStack Swift answers to requests for its cross-domain policy, and to some that look like it, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have the filter crossdomain with its defaults.
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
    return k in ('content-type', 'content-length')


P = '/crossdomain.xml'
for method in ('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'BREW'):
    case(method, '', method, P)
for path in (P + '?x=y', '/crossdomain%2Exml', '/%63rossdomain.xml', P + '/', '/' + P, '/v1' + P, '/Crossdomain.xml',
             '/crossdomain', '/', '/crossdomain.xml.bak', P + '#x', P + '%00', '/x/..' + P):
    case('GET ' + path, '', 'GET', path)
case('a condition', '', 'GET', P, {'If-None-Match': '*'})
case('a range', '', 'GET', P, {'Range': 'bytes=0-3'})
print(json.dumps({'rows': rows}, indent=1))
