"""Records what OpenStack Swift answers to requests for hosts that domain_remap knows, in order, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have tempauth's user admin:admin (.reseller_admin) and the filter domain_remap for example.com. The account
AUTH_filtersc-remap is made and removed.
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
    return k in ('content-type', 'www-authenticate', 'etag')


A = '/v1/AUTH_filtersc-remap'
ONE, TWO = 'auth-filtersc-remap.example.com', 'c.AUTH-filtersc-remap.example.com'
U = 'admin:admin'
case('the account is made', U, 'PUT', A)
case('a container is made by its host', U, 'PUT', '/c', {'Host': ONE})
case('an object by its host', U, 'PUT', '/o', {'Host': TWO}, 'content')
case('it is there', U, 'GET', A + '/c/o')
case('by the account', U, 'GET', '/c/o', {'Host': ONE})
case('by the container', U, 'GET', '/o', {'Host': TWO})
case('with a port', U, 'GET', '/o', {'Host': TWO + ':8080'})
case('with an underscore', U, 'GET', '/o', {'Host': 'c.AUTH_filtersc-remap.example.com'})
case('with mixed case', U, 'GET', '/o', {'Host': 'c.aUtH-filtersc-remap.example.com'})
case('the domain in capitals is another', U, 'GET', '/o', {'Host': 'c.auth-filtersc-remap.EXAMPLE.com'})
case('the account', U, 'HEAD', '/', {'Host': ONE})
case('its listing', U, 'GET', '/?format=json&limit=0', {'Host': ONE})
case('the container\'s listing', U, 'GET', '/', {'Host': TWO})
case('an empty query is kept', U, 'GET', '/?prefix=x', {'Host': TWO})
case('a version is part of the name', U, 'GET', '/v1/AUTH_filtersc-remap/c/o', {'Host': TWO})
case('also for an account', U, 'GET', '/v1/c/o', {'Host': ONE})
case('three labels', U, 'GET', '/o', {'Host': 'x.c.auth-filtersc-remap.example.com'})
case('three labels to HEAD', U, 'HEAD', '/o', {'Host': 'x.c.auth-filtersc-remap.example.com'})
case('another prefix', U, 'GET', A + '/c/o', {'Host': 'c.other-x.example.com'})
case('no prefix', U, 'GET', A + '/c/o', {'Host': 'c.other.example.com'})
case('another domain', U, 'GET', A + '/c/o', {'Host': 'auth-filtersc-remap.example.org'})
case('the domain alone', U, 'GET', A + '/c/o', {'Host': 'example.com'})
case('nothing before the domain', U, 'GET', A + '/c/o', {'Host': '.example.com'})
case('dots before the domain', U, 'GET', '/o', {'Host': '..c.auth-filtersc-remap.example.com'})
case('a name in the middle', U, 'GET', A + '/c/o', {'Host': 'auth-filtersc-remap.example.com.org'})
case('a name before the domain', U, 'GET', A + '/c/o', {'Host': 'auth-filtersc-remapexample.com'})
case('no user', '', 'GET', '/o', {'Host': TWO})
case('an object with odd characters', U, 'PUT', '/a%20b%2Fc%3F%25', {'Host': TWO}, 'odd')
case('is where it should be', U, 'GET', A + '/c/a%20b%2Fc%3F%25')
case('and where the host says', U, 'GET', '/a%20b/c%3f%25', {'Host': TWO})
case('with two slashes', U, 'GET', '//o', {'Host': TWO})
case('cleaning up: odd', U, 'DELETE', '/a%20b%2Fc%3F%25', {'Host': TWO})
case('cleaning up: o', U, 'DELETE', '/o', {'Host': TWO})
case('cleaning up: c', U, 'DELETE', '/', {'Host': TWO})
send('DELETE', A, {'X-Auth-Token': token(U)}, '')
print(json.dumps({'rows': rows}, indent=1))
