"""Records what OpenStack Swift answers to requests of container sync.

    python3 record.py http://HOST:PORT > swift.json
    python3 record.py http://HOST:PORT strict > strict.json

The realms are those of realms.conf beside this file; strict is a proxy with allow_full_urls = no. The account is new each time,
since what was deleted is younger than what the rows write.
"""
import hashlib
import hmac
import json
import os
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

talk = Conversation(sys.argv[1])
case = talk.case

A = '/v1/AUTH_sync%x' % int(time.time())
C, O = A + '/c', A + '/c/o'
U = 'admin:admin'
NONCE = '6d4a2a4e-5a0f-4a3e-9e5b-0f4b4c1d2e3f'


def sign(method, path, time='0', realm_key='realmkey', user_key='userkey', nonce=NONCE):
    text = '\n'.join((method, path, time, nonce, user_key))
    return hmac.new(realm_key.encode(), text.encode(), hashlib.sha1).hexdigest()


def auth(method, path, time=None, realm='local', nonce=NONCE, **kw):
    h = {'X-Container-Sync-Auth': '%s %s %s' % (realm, nonce, sign(method, path, time or '0', nonce=nonce, **kw))}
    if time:
        h['X-Timestamp'] = time
    return h


def sync(name, method, path, time=None, body='', more=None, signed=None, do=None, query='', apus=None, **kw):
    case(name, '', do or method, path + query, dict(auth(method, signed or path, time, **kw), **(more or {})), body, apus=apus)


def to(name, value, path=C, method='POST'):
    case(name, U, method, path, {'X-Container-Sync-To': value})


def strict():
    case('a container is made', U, 'PUT', C, {'X-Container-Sync-Key': 'userkey'})
    case('an object', U, 'PUT', O, body='x')
    to('to a realm', '//local/here/AUTH_x/c')
    to('to an unknown realm', '//unknown/here/AUTH_x/c')
    to('to a URL', 'http://127.0.0.1/v1/AUTH_x/c')
    to('to a URL with PUT', 'http://127.0.0.1/v1/AUTH_x/c', method='PUT')
    to('to a URL with GET', 'http://127.0.0.1/v1/AUTH_x/c', method='GET')
    to('to a URL with HEAD', 'http://127.0.0.1/v1/AUTH_x/c', method='HEAD')
    to('to a URL for an object', 'http://127.0.0.1/v1/AUTH_x/c', path=O, method='GET')
    to('to a URL for an account', 'http://127.0.0.1/v1/AUTH_x/c', path=A, method='HEAD')
    to('to nonsense', 'nonsense')
    to('to nowhere', '')
    sync('signed, to a URL', 'GET', O, more={'X-Container-Sync-To': 'http://127.0.0.1/v1/AUTH_x/c'})


if 'strict' in sys.argv[2:]:
    strict()
    talk.write()
    sys.exit()
T = '1700000000.00000'
case('a container is made', U, 'PUT', C, {'X-Container-Sync-Key': 'userkey'})
case('one without a key', U, 'PUT', A + '/keyless')
case('another', U, 'PUT', A + '/d', {'X-Container-Sync-Key': 'other'})
case('nobody', '', 'PUT', O, body='x')
sync('signed', 'PUT', O, T, 'content', {'X-Object-Meta-Color': 'blue', 'Content-Type': 'text/x'})
case('its time', U, 'HEAD', O)
sync('signed GET', 'GET', O)
sync('signed HEAD', 'HEAD', O)
sync('with the second key', 'GET', O, realm_key='nextkey')
sync('the realm in capitals', 'GET', O, realm='LOCAL')
sync('another realm', 'GET', O, realm='lonely')
sync('another realm with its key', 'GET', O, realm='lonely', realm_key='lonelykey')
sync('an unknown realm', 'GET', O, realm='unknown')
sync('a realm without a key', 'GET', O, realm='keyless', realm_key='')
sync('a wrong realm key', 'GET', O, realm_key='wrong')
sync('a wrong user key', 'GET', O, user_key='wrong')
sync('the other container\'s key', 'GET', O, user_key='other')
sync('a container without a key', 'GET', A + '/keyless/o')
sync('a container that is missing', 'GET', A + '/missing/o')
sync('an account that is missing', 'GET', '/v1/AUTH_none/c/o')
sync('another object', 'GET', O, signed=O + 'x')
sync('another method', 'GET', O, do='HEAD')
sync('another method, with a body', 'GET', O, do='DELETE')
sync('a listing', 'GET', C)
sync('the container\'s metadata', 'HEAD', C)
sync('an account', 'GET', A)
sync('another version', 'GET', '/v1.0' + O[3:])
sync('a version that is none', 'GET', '/v2' + O[3:])
for text in ('local', 'local ' + NONCE, 'local a b c', 'local  %s\t%s ' % (NONCE, sign('GET', O)),
             'local %s %s' % (NONCE, sign('GET', O).upper()), 'local %s %s' % (NONCE, sign('GET', O)[:20]),
             'local %s x' % NONCE, 'local ' + sign('GET', O)):
    case('the header is %s' % text.replace(NONCE, 'NONCE'), '', 'GET', O, {'X-Container-Sync-Auth': text})
case('an empty header', '', 'GET', O, {'X-Container-Sync-Auth': ''})
case('a bad signature, and a token', U, 'GET', O, {'X-Container-Sync-Auth': 'local a b'})
case('a bad signature of a HEAD', '', 'HEAD', O, {'X-Container-Sync-Auth': 'local a b'})
case('a time that was not signed', '', 'PUT', O, dict(auth('PUT', O), **{'X-Timestamp': T}), 'x')
case('a time that was signed is left out', '', 'PUT', O, {'X-Container-Sync-Auth': auth('PUT', O, T)['X-Container-Sync-Auth']}, 'x')
sync('an older PUT', 'PUT', O, '1600000000.00000', 'older')
sync('the same time again', 'PUT', O, T, 'content')
sync('a newer PUT', 'PUT', O, '1700000001.5', 'newer')
sync('what is there', 'GET', O)
sync('an older DELETE', 'DELETE', O, '1600000000.00000')
sync('a POST', 'POST', O, '1700000002.00000', more={'X-Object-Meta-Color': 'red'})
sync('a time that is none', 'PUT', O, 'yesterday', 'x')
sync('a newer DELETE', 'DELETE', O, '1700000003.00000')
sync('it is gone', 'GET', O)
case('a time without a signature does not count', U, 'PUT', O, {'X-Timestamp': T}, 'x')
sync('it is newer', 'PUT', O, '1700000004.00000', 'x')
sync('odd characters', 'PUT', C + '/' + urllib.parse.quote('a b"?%\u00e9+:@\nz'), T, 'odd')
sync('in a query', 'GET', C + '/' + urllib.parse.quote('a b"?%\u00e9+:@\nz'), query='?format=json')
SEGMENTS = json.dumps([{'hash': 'd41d8cd98f00b204e9800998ecf8427e', 'bytes': 3, 'name': '/missing/1', 'content_type': 'text/x',
                        'last_modified': '2023-11-14T22:13:20.000000'}])
sync('a manifest before its segments', 'PUT', C + '/large', T, SEGMENTS,
     {'X-Static-Large-Object': 'True', 'Content-Type': 'video/x'}, query='?multipart-manifest=put')
case('it is stored as it came', U, 'HEAD', C + '/large?multipart-manifest=get')
case('a manifest without a signature', U, 'PUT', C + '/large', {'X-Static-Large-Object': 'True'}, SEGMENTS)
sync('a link before its target', 'PUT', C + '/link', T,
     more={'X-Symlink-Target': 'missing/o', 'X-Symlink-Target-Etag': 'd41d8cd98f00b204e9800998ecf8427e',
           'X-Symlink-Target-Bytes': '17', 'Content-Type': 'text/x'})
case('it is stored as it came', U, 'HEAD', C + '/link?symlink=get')
case('a link without a signature', U, 'PUT', C + '/link2',
     {'X-Symlink-Target': 'missing/o', 'X-Symlink-Target-Etag': 'd41d8cd98f00b204e9800998ecf8427e'})
for value in ('//local/here/AUTH_x/c', '//LOCAL/HERE/AUTH_x/c/', '//local/far/AUTH_x/c', '//local/nowhere/AUTH_x/c', '//unknown/here/AUTH_x/c',
              '//keyless/there/AUTH_x/c', '//lonely/here/AUTH_x/c', '//local/here/AUTH_x', '//local/here/AUTH_x/c/o', '//local', '/', '///',
              'http://127.0.0.1/v1/AUTH_x/c', 'https://127.0.0.1:8080/v1/AUTH_x/c', 'http://other/v1/AUTH_x/c', 'ftp://127.0.0.1/v1/AUTH_x/c',
              'http://127.0.0.1', 'http://127.0.0.1/', 'http://127.0.0.1/v1/a/c?x', 'http://127.0.0.1/v1/a/c#x', 'http://127.0.0.1/v1/a/c;x',
              'http://127.0.0.1/v1/a;b/c', 'HTTP://127.0.0.1/v1/a/c', 'nonsense', 'local/here/AUTH_x/c'):
    to('to ' + value, value)
to('to nowhere', '')
case('what became of it', U, 'HEAD', C)
case('an object elsewhere', U, 'PUT', A + '/d/secret', body='secret')
case('one here', U, 'PUT', C + '/mine', body='mine')
refused = {'why': 'a signature is good for its container', 'status': 401, 'answer': {
    'Content-Type': 'text/html; charset=UTF-8', 'Www-Authenticate': 'Swift realm="%s"' % A[4:],
    'Etag': None, 'Last-Modified': None, 'X-Copied-From': None, 'X-Copied-From-Account': None, 'X-Copied-From-Last-Modified': None},
    'text': '<html><h1>Unauthorized</h1><p>This server could not verify that you are authorized to access the document you requested.</p></html>'}
sync('a copy from elsewhere', 'PUT', C + '/stolen', more={'X-Copy-From': 'd/secret'}, apus=refused)
sync('a copy to elsewhere', 'COPY', C + '/mine', more={'Destination': 'd/planted'}, apus=refused)
sync('a copy within the container', 'PUT', C + '/copied', more={'X-Copy-From': 'c/mine'})
sync('it is there', 'GET', C + '/copied')
talk.write()
