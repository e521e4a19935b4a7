"""Records what OpenStack Swift answers to requests for copies, and what is stored then, for copies.json.

    python3 record.py http://HOST:PORT > copies.json

The server must have the tempauth users test:tester (.admin), test:tester3 and test2:tester2 (.admin), and the filter copy.
The containers copysrc, copydst and copyprivate of AUTH_test and copyother of AUTH_test2 are made and removed.
"""
import hashlib
import http.client
import json
import sys
import urllib.parse

conn = http.client.HTTPConnection(urllib.parse.urlsplit(sys.argv[1]).netloc)
BODY = 'The quick brown fox.'
META = {'Content-Type': 'text/x-source', 'X-Object-Meta-Color': 'blue', 'X-Object-Meta-Shape': 'round',
        'Content-Encoding': 'identity', 'Content-Disposition': 'inline', 'X-Delete-At': '1999999999'}
ETAG = hashlib.md5(BODY.encode()).hexdigest()
KEEP = ('content-type', 'etag', 'x-copied-from', 'x-copied-from-account', 'x-copied-from-last-modified', 'x-delete-at',
        'content-encoding', 'content-disposition', 'x-static-large-object', 'x-object-manifest', 'allow', 'www-authenticate')


def call(method, path, headers=None, body=''):
    headers = dict(headers or {})
    headers.setdefault('Content-Length', str(len(body)))
    conn.request(method, path, body=body or None, headers=headers)
    r = conn.getresponse()
    data = r.read().decode()
    kept = {k.title(): v for k, v in r.getheaders() if k.lower() in KEEP or k.lower().startswith('x-object-meta-')}
    if 'X-Copied-From-Last-Modified' in kept:
        kept['X-Copied-From-Last-Modified'] = 'a date'
    return r.status, kept, data, r


tokens = {'': ''}
for user, key in [('test:tester', 'testing'), ('test:tester3', 'testing3'), ('test2:tester2', 'testing2')]:
    tokens[user] = call('GET', '/auth/v1.0', {'X-Auth-User': user, 'X-Auth-Key': key})[3].getheader('X-Auth-Token')


def as_(user, **headers):
    h = {k.replace('_', '-'): v for k, v in headers.items()}
    if user:
        h['X-Auth-Token'] = tokens[user]
    return h


own, other = as_('test:tester'), as_('test2:tester2')
for c, acl in [('copysrc', {'X-Container-Read': 'test:tester3,test2'}), ('copydst', {'X-Container-Write': 'test:tester3,test2'}), ('copyprivate', {})]:
    call('PUT', '/v1/AUTH_test/' + c, dict(own, **acl))
call('PUT', '/v1/AUTH_test2/copyother', dict(other, **{'X-Container-Read': 'test:tester', 'X-Container-Write': 'test:tester'}))
call('PUT', '/v1/AUTH_test/copysrc/o', dict(own, **META), BODY)
call('PUT', '/v1/AUTH_test/copysrc/dir/a%20%25b%3Fc', dict(own, **META), BODY)
call('PUT', '/v1/AUTH_test/copysrc/empty', dict(own, **{'Content-Type': 'text/x-empty'}))
call('PUT', '/v1/AUTH_test/copyprivate/o', dict(own, **META), BODY)
call('PUT', '/v1/AUTH_test2/copyother/o', dict(other, **META), BODY)

rows = []


def case(name, method, path, user='test:tester', headers=None, body='', dest=None):
    h = dict(headers or {})
    status, kept, data, _ = call(method, path, dict(as_(user), **h), body)
    stored = None
    if dest:
        owner = other if dest.startswith('/v1/AUTH_test2') else own
        s, k, d, _ = call('GET', dest, owner)
        stored = {'status': s, 'header': k, 'body': d} if s == 200 else {'status': s}
        call('DELETE', dest, owner)
    rows.append({'name': name, 'user': user, 'method': method, 'path': path, 'header': h, 'body': body,
                 'status': status, 'answer': kept, 'text': data, 'dest': dest, 'stored': stored})


S, D = '/v1/AUTH_test/copysrc/o', '/v1/AUTH_test/copydst/d'
TO = {'Destination': 'copydst/d'}
FROM = {'X-Copy-From': 'copysrc/o'}
case('COPY', 'COPY', S, headers=TO, dest=D)
case('PUT', 'PUT', D, headers=FROM, dest=D)
case('leading slash', 'PUT', D, headers={'X-Copy-From': '/copysrc/o'}, dest=D)
case('quoted source', 'PUT', D, headers={'X-Copy-From': 'copysrc/dir/a%20%25b%3Fc'}, dest=D)
case('quoted destination', 'COPY', S, headers={'Destination': '/copydst/x%20%2Fy'}, dest='/v1/AUTH_test/copydst/x%20/y')
case('quoted source in the path', 'COPY', '/v1/AUTH_test/copysrc/dir/a%20%25b%3Fc', headers=TO, dest=D)
case('empty object', 'COPY', '/v1/AUTH_test/copysrc/empty', headers=TO, dest=D)
case('metadata of the client wins', 'COPY', S, headers=dict(TO, **{'X-Object-Meta-Color': 'red', 'X-Object-Meta-New': 'n', 'Content-Type': 'text/x-mine', 'Content-Disposition': 'attachment'}), dest=D)
case('fresh metadata', 'COPY', S, headers=dict(TO, **{'X-Fresh-Metadata': 'true', 'X-Object-Meta-New': 'n'}), dest=D)
case('fresh metadata with a type', 'PUT', D, headers=dict(FROM, **{'X-Fresh-Metadata': 'yes', 'Content-Type': 'text/x-mine'}), dest=D)
case('fresh metadata that is not', 'COPY', S, headers=dict(TO, **{'X-Fresh-Metadata': 'perhaps'}), dest=D)
case('range', 'COPY', S, headers=dict(TO, Range='bytes=4-8'), dest=D)
case('suffix range', 'PUT', D, headers=dict(FROM, Range='bytes=-4'), dest=D)
case('whole range', 'COPY', S, headers=dict(TO, Range='bytes=0-'), dest=D)
case('unsatisfiable range', 'COPY', S, headers=dict(TO, Range='bytes=99-'), dest=D)
case('nonsense range', 'COPY', S, headers=dict(TO, Range='bytes=x'), dest=D)
case('If-Match', 'COPY', S, headers=dict(TO, **{'If-Match': ETAG}), dest=D)
case('If-Match of another', 'COPY', S, headers=dict(TO, **{'If-Match': 'abc'}), dest=D)
case('If-None-Match', 'COPY', S, headers=dict(TO, **{'If-None-Match': ETAG}), dest=D)
case('If-None-Match of another', 'COPY', S, headers=dict(TO, **{'If-None-Match': 'abc'}), dest=D)
case('If-None-Match star', 'COPY', S, headers=dict(TO, **{'If-None-Match': '*'}), dest=D)
case('If-Modified-Since', 'COPY', S, headers=dict(TO, **{'If-Modified-Since': 'Sat, 01 Jan 2000 00:00:00 GMT'}), dest=D)
case('If-Unmodified-Since', 'COPY', S, headers=dict(TO, **{'If-Unmodified-Since': 'Sat, 01 Jan 2000 00:00:00 GMT'}), dest=D)
case('ETag of the client is ignored', 'COPY', S, headers=dict(TO, Etag='d41d8cd98f00b204e9800998ecf8427e'), dest=D)
case('wrong ETag for a part', 'COPY', S, headers=dict(TO, Etag='d41d8cd98f00b204e9800998ecf8427e', Range='bytes=0-3'), dest=D)
case('right ETag for a part', 'COPY', S, headers=dict(TO, Etag=hashlib.md5(b'The ').hexdigest(), Range='bytes=0-3'), dest=D)
case('manifest of a plain object', 'COPY', S + '?multipart-manifest=get', headers=TO, dest=D)
case('no destination', 'COPY', S)
case('empty destination', 'COPY', S, headers={'Destination': ''})
case('destination without object', 'COPY', S, headers={'Destination': 'copydst'})
case('destination without object, slash', 'COPY', S, headers={'Destination': '/copydst/'})
case('destination of slashes', 'COPY', S, headers={'Destination': '//x'})
case('source without object', 'PUT', D, headers={'X-Copy-From': 'copysrc'}, dest=D)
case('quoted slash only', 'PUT', D, headers={'X-Copy-From': '%2Fcopysrc'}, dest=D)
case('body of a PUT', 'PUT', D, headers=FROM, body='body', dest=D)
case('body of a COPY', 'COPY', S, headers=TO, body='body', dest=D)
case('no source object', 'COPY', '/v1/AUTH_test/copysrc/none', headers=TO, dest=D)
case('no source container', 'PUT', D, headers={'X-Copy-From': 'copynone/o'}, dest=D)
case('no destination container', 'COPY', S, headers={'Destination': 'copynone/o'})
case('empty account', 'COPY', S, headers=dict(TO, **{'Destination-Account': ''}))
case('account with slash', 'COPY', S, headers=dict(TO, **{'Destination-Account': 'a%2Fb'}))
case('source account with slash', 'PUT', D, headers=dict(FROM, **{'X-Copy-From-Account': 'a/b'}), dest=D)
case('empty source account', 'PUT', D, headers=dict(FROM, **{'X-Copy-From-Account': ''}), dest=D)
case('bad account before bad source', 'PUT', D, headers={'X-Copy-From': 'x', 'X-Copy-From-Account': 'a/b'}, dest=D)
case('bad account before bad destination', 'COPY', S, headers={'Destination': 'x', 'Destination-Account': 'a/b'})
O = '/v1/AUTH_test2/copyother/o'
case('from another account', 'PUT', D, headers={'X-Copy-From': 'copyother/o', 'X-Copy-From-Account': 'AUTH_test2'}, dest=D)
case('to another account', 'COPY', S, headers={'Destination': 'copyother/d', 'Destination-Account': 'AUTH_test2'}, dest='/v1/AUTH_test2/copyother/d')
case('COPY with a source account', 'COPY', '/v1/AUTH_test/copyother/o', headers=dict(TO, **{'X-Copy-From-Account': 'AUTH_test2'}), dest=D)
case('from another account, as its owner', 'COPY', O, user='test2:tester2', headers=dict(TO, **{'Destination-Account': 'AUTH_test'}), dest=D)
case('allowed by both lists', 'COPY', S, user='test:tester3', headers=TO, dest=D)
case('source not allowed', 'PUT', D, user='test:tester3', headers={'X-Copy-From': 'copyprivate/o'}, dest=D)
case('destination not allowed', 'COPY', S, user='test:tester3', headers={'Destination': 'copyprivate/d'}, dest='/v1/AUTH_test/copyprivate/d')
case('other account not allowed', 'PUT', D, user='test:tester3', headers={'X-Copy-From': 'copyother/o', 'X-Copy-From-Account': 'AUTH_test2'}, dest=D)
case('anonymous', 'COPY', S, user='', headers=TO, dest=D)
case('anonymous PUT from another account', 'PUT', D, user='', headers={'X-Copy-From': 'copyother/o', 'X-Copy-From-Account': 'AUTH_test2'}, dest=D)
case('OPTIONS', 'OPTIONS', S)
case('COPY of a container', 'COPY', '/v1/AUTH_test/copysrc', headers=TO)

for path, h in [(S, own), ('/v1/AUTH_test/copysrc/dir/a%20%25b%3Fc', own), ('/v1/AUTH_test/copysrc/empty', own), ('/v1/AUTH_test/copyprivate/o', own), (O, other)]:
    call('DELETE', path, h)
for c in ['copysrc', 'copydst', 'copyprivate']:
    call('DELETE', '/v1/AUTH_test/' + c, own)
call('DELETE', '/v1/AUTH_test2/copyother', other)
print(json.dumps({'body': BODY, 'meta': META, 'rows': rows}, indent=1))
